//! Comparing values: of JSON documents, and of headers as text.

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shown;
use crate::options::Findings;
use crate::phase::cut;

/// The longest value in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 100;
/// The keys by which a map is a list of conditions, not a value.
const KEYS: [&str; 10] = [
    "equals",
    "not_equals",
    "contains",
    "not_contains",
    "regex",
    "less_than",
    "at_most",
    "more_than",
    "at_least",
    "present",
];

/// Bounds of a number, of which all must hold.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bounds {
    pub(super) less_than: Option<f64>,
    pub(super) at_most: Option<f64>,
    pub(super) more_than: Option<f64>,
    pub(super) at_least: Option<f64>,
}

impl Bounds {
    pub(super) fn is_none(&self) -> bool {
        [self.less_than, self.at_most, self.more_than, self.at_least].iter().all(Option::is_none)
    }

    pub(super) fn hold(&self, number: f64) -> bool {
        self.less_than.is_none_or(|bound| number < bound)
            && self.at_most.is_none_or(|bound| number <= bound)
            && self.more_than.is_none_or(|bound| number > bound)
            && self.at_least.is_none_or(|bound| number >= bound)
    }

    pub(super) fn wanted(&self) -> Vec<String> {
        let words = [
            ("less than", self.less_than),
            ("at most", self.at_most),
            ("more than", self.more_than),
            ("at least", self.at_least),
        ];
        let words = words.into_iter();
        words.filter_map(|(words, bound)| Some(format!("{words} {}", bound?))).collect()
    }
}

/// Conditions on a value, of which all must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ValueConditions {
    #[serde(deserialize_with = "given")]
    equals: Option<Value>,
    #[serde(deserialize_with = "given")]
    not_equals: Option<Value>,
    contains: Option<String>,
    not_contains: Option<String>,
    regex: Option<String>,
    #[serde(deserialize_with = "bound")]
    less_than: Option<f64>,
    #[serde(deserialize_with = "bound")]
    at_most: Option<f64>,
    #[serde(deserialize_with = "bound")]
    more_than: Option<f64>,
    #[serde(deserialize_with = "bound")]
    at_least: Option<f64>,
    present: Option<bool>,
}

/// A number, or a sentence that people understand.
fn bound<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let value = Value::deserialize(from)?;
    let error = || serde::de::Error::custom(format!("expected a number, found {value}"));
    value.as_f64().map(Some).ok_or_else(error)
}

/// A value that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// What a value must be.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) equals: Option<Value>,
    pub(super) not_equals: Option<Value>,
    pub(super) contains: Option<String>,
    pub(super) not_contains: Option<String>,
    pub(super) regex: Option<Regex>,
    pub(super) bounds: Bounds,
    /// Bounds of the length of a text, a list or a map.
    pub(super) length: Bounds,
    /// Like `equals` and `not_equals`, for a value as it is written: `3` is `"3"`.
    pub(super) written: Option<(String, bool)>,
    pub(super) is_absent: bool,
}

impl Wanted {
    /// Reads a value that must be equal, or conditions.
    pub(super) fn read(option: Value, at: &mut Findings<'_>) -> Self {
        let is_conditions = option.as_object().is_some_and(|fields| {
            !fields.is_empty() && fields.keys().all(|key| KEYS.contains(&key.as_str()))
        });
        if !is_conditions {
            return Self { equals: Some(option), ..Self::default() };
        }
        let read: Result<ValueConditions, _> = serde_json::from_value(option);
        let Some(read) = at.keep(read.map_err(|error| error.to_string())) else {
            return Self::default();
        };
        let bounds = Bounds {
            less_than: read.less_than,
            at_most: read.at_most,
            more_than: read.more_than,
            at_least: read.at_least,
        };
        Self {
            equals: read.equals,
            not_equals: read.not_equals,
            contains: read.contains,
            not_contains: read.not_contains,
            regex: read.regex.and_then(|text| at.at("regex").regex(&text)),
            bounds,
            is_absent: read.present == Some(false),
            ..Self::default()
        }
    }

    /// Judges all that a path has selected. An error is a clause that begins with the path.
    pub(super) fn judge(&self, path: &str, found: &[&Value]) -> Result<(), String> {
        match found {
            [] if self.is_absent => Ok(()),
            [] => Err(format!("{path} is missing, expected {}", self.wanted())),
            [first, ..] if self.is_absent => {
                Err(format!("{path} is there: {}", cut(first.to_string(), SHOWN_BYTES_MAX)))
            }
            all => match all.iter().find(|value| !self.fits(value)) {
                None => Ok(()),
                Some(other) => {
                    let other = cut(other.to_string(), SHOWN_BYTES_MAX);
                    Err(format!("{path} is {other}, expected {}", self.wanted()))
                }
            },
        }
    }

    fn fits(&self, value: &Value) -> bool {
        let holds = |part: &String| match value {
            Value::String(text) => text.contains(part.as_str()),
            Value::Array(items) => items.iter().any(|item| written(item) == *part),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        self.equals.as_ref().is_none_or(|wanted| equal(value, wanted))
            && self.not_equals.as_ref().is_none_or(|other| !equal(value, other))
            && self.contains.as_ref().is_none_or(holds)
            && self.not_contains.as_ref().is_none_or(|part| !holds(part))
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(&written(value)))
            && (self.bounds.is_none()
                || number(value).is_some_and(|number| self.bounds.hold(number)))
            && (self.length.is_none()
                || length(value).is_some_and(|length| self.length.hold(length)))
            && self.written.as_ref().is_none_or(|(text, same)| is_written(value, text) == *same)
    }

    fn wanted(&self) -> String {
        let value = |value: &Value| cut(value.to_string(), SHOWN_BYTES_MAX);
        let mut words: Vec<String> = [
            self.equals.as_ref().map(value),
            self.not_equals.as_ref().map(|other| format!("not {}", value(other))),
            self.contains.as_ref().map(|part| format!("a part {}", shown(part))),
            self.not_contains.as_ref().map(|part| format!("no part {}", shown(part))),
            self.regex.as_ref().map(|regex| format!("a match of {}", shown(regex.as_str()))),
            self.written
                .as_ref()
                .map(|(text, same)| format!("{}{}", if *same { "" } else { "not " }, shown(text))),
        ]
        .into_iter()
        .flatten()
        .collect();
        words.extend(self.bounds.wanted());
        words.extend(self.length.wanted().iter().map(|bound| format!("a length of {bound}")));
        if words.is_empty() { "it to be there".to_owned() } else { words.join(" and ") }
    }
}

/// A value as text: a text without its quotes.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_written(value: &Value, text: &str) -> bool {
    let both = number(value).zip(text.parse::<f64>().ok());
    written(value) == text || both.is_some_and(|(one, other)| equal_numbers(one, other))
}

/// A number, also one that stands in quotes.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn length(value: &Value) -> Option<f64> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    u32::try_from(length).ok().map(f64::from)
}

/// Whether two JSON values are equal, numbers by value: `1` equals `1.0`.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(one), Value::Number(other)) => {
            left == right
                || one
                    .as_f64()
                    .zip(other.as_f64())
                    .is_some_and(|(one, other)| equal_numbers(one, other))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(one, other)| equal(one, other))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, one)| right.get(key).is_some_and(|other| equal(one, other)))
        }
        _ => left == right,
    }
}

fn equal_numbers(one: f64, other: f64) -> bool {
    one.partial_cmp(&other) == Some(std::cmp::Ordering::Equal)
}
