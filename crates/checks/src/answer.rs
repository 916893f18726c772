//! What a peer must say, for kinds that send a text and wait for one.

use std::time::Duration;

use quorate_model::{Phase, Reason};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::escape::unescaped;
use crate::options::Findings;
use crate::phase::{Stop, cut, rounded};

/// How much of an answer is read, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// The longest text of a target in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 100;

/// A text to expect, or conditions.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ExpectChoice {
    /// A part of what comes.
    Contains(String),
    /// Conditions, of which all must hold.
    Conditions(ExpectOptions),
}

/// Conditions on what comes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExpectOptions {
    /// A part of what comes, with the same escapes.
    contains: Option<String>,
    /// A regular expression (Rust crate `regex`) that matches somewhere in what comes, read as UTF-8.
    regex: Option<String>,
    /// The whole probe must not take longer.
    #[schemars(extend("x-unit" = "duration"))]
    latency: Option<String>,
}

impl ExpectChoice {
    /// Validates; notes what is wrong.
    pub(crate) fn plan(self, at: &mut Findings<'_>) -> Expect {
        let options = match self {
            Self::Contains(text) => {
                let contains = at.keep(part(&text));
                return Expect { contains, ..Expect::default() };
            }
            Self::Conditions(options) => options,
        };
        Expect {
            contains: options.contains.and_then(|text| {
                let mut at = at.at("contains");
                at.keep(part(&text))
            }),
            regex: options.regex.and_then(|text| at.at("regex").regex(&text)),
            latency: options.latency.and_then(|text| at.at("latency").duration(&text)),
        }
    }
}

/// The bytes of a text to send, at most so many; notes what is wrong.
pub(crate) fn to_send(text: &str, bytes_max: usize, at: &mut Findings<'_>) -> Vec<u8> {
    let bytes = at.keep(unescaped(text)).unwrap_or_default();
    if bytes.len() > bytes_max {
        at.note(format!("at most {bytes_max} bytes are sent"));
    }
    bytes
}

/// The bytes of a part to look for.
fn part(text: &str) -> Result<Vec<u8>, String> {
    match unescaped(text)? {
        bytes if bytes.is_empty() => Err("an empty text is part of everything".to_owned()),
        bytes if bytes.len() > ANSWER_BYTES_MAX => {
            Err(format!("only the first {ANSWER_BYTES_MAX} bytes are read"))
        }
        bytes => Ok(bytes),
    }
}

/// Expectations after validation.
#[derive(Debug, Default)]
pub(crate) struct Expect {
    contains: Option<Vec<u8>>,
    regex: Option<Regex>,
    latency: Option<Duration>,
}

impl Expect {
    /// Whether anything must come at all.
    pub(crate) fn wants_an_answer(&self) -> bool {
        self.contains.is_some() || self.regex.is_some()
    }

    /// The first condition that `answer` does not meet, in words.
    pub(crate) fn missed(&self, answer: &[u8]) -> Option<String> {
        let holds =
            |part: &&Vec<u8>| answer.windows(part.len()).any(|window| window == part.as_slice());
        if let Some(part) = self.contains.as_ref().filter(|part| !holds(part)) {
            return Some(format!("does not contain {}", shown(part)));
        }
        let text = String::from_utf8_lossy(answer);
        self.regex
            .as_ref()
            .filter(|regex| !regex.is_match(&text))
            .map(|regex| format!("does not match {}", shown(regex.as_str().as_bytes())))
    }

    /// Whether a whole answer is as expected.
    pub(crate) fn judge(&self, answer: &[u8]) -> Result<(), Stop> {
        match self.missed(answer) {
            None => Ok(()),
            Some(missed) => {
                let message = format!("the answer {} {missed}", shown(answer));
                Err(Stop::fail(Phase::Assert, Reason::Body, message))
            }
        }
    }

    /// Whether the probe was quick enough.
    pub(crate) fn latency(&self, took: Duration) -> Result<(), Stop> {
        match self.latency {
            Some(most) if took > most => {
                let message = format!("took {}, expected at most {}", rounded(took), rounded(most));
                Err(Stop::fail(Phase::Assert, Reason::Latency, message))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of a target for a message: bounded, quoted, escaped.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes));
    format!("{:?}", cut(text.into_owned(), SHOWN_BYTES_MAX))
}
