//! The error of the typed reading.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::suggest::{did_you_mean, shown};
use crate::tree::{NodeId, Place};

/// A value that does not fit its type.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What to take out before reading on, and where to point; unknown until it has bubbled up to
    /// the nearest node.
    pub(crate) spot: Option<(NodeId, Place)>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    fn new(message: String, hint: Option<String>) -> Self {
        Self { spot: None, message, hint }
    }

    /// Says where it is, unless an inner value has said so already.
    pub(crate) fn or_at(mut self, node: NodeId, place: impl FnOnce() -> Place) -> Self {
        if self.spot.is_none() {
            self.spot = Some((node, place()));
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = plain(&expected.to_string());
        let boolean = matches!(found, Unexpected::Str("yes" | "no" | "on" | "off"));
        let scalar = matches!(found, Unexpected::Bool(_) | Unexpected::Float(_));
        let hint = if boolean && expected == "a boolean" {
            Some("write `true` or `false`".into())
        } else if scalar && expected == "a string" {
            Some("put it in quotes".into())
        } else {
            None
        };
        Self::new(format!("expected {expected}, found {}", words(found)), hint)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = plain(&expected.to_string());
        Self::new(format!("expected {expected}, found {}", words(found)), None)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(
            format!("unknown value `{}`", shown(variant)),
            did_you_mean(variant, expected.iter().copied()),
        )
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(
            format!("unknown key `{}`", shown(field)),
            did_you_mean(field, expected.iter().copied()),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("key `{field}` is missing"), None)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("key `{field}` is given twice"), None)
    }
}

/// The expectations of Rust types in the words of a user.
fn plain(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a sequence" => "a list".into(),
        other if other.starts_with("struct ") => "a map".into(),
        other => other.into(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others have words of their own")]
fn words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value:?}"),
        Unexpected::Str(value) => format!("the text \"{}\"", shown(value)),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}
