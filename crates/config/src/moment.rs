//! Values of mutes that are written as text: which checks, instants, times of day, days of the week.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use quorate_model::{Timestamp, Weekday};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// All checks, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selected {
    All,
    Named(Vec<String>),
}

impl<'de> Deserialize<'de> for Selected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Selected;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of checks, or `all`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Selected, E> {
                if text == "all" {
                    return Ok(Selected::All);
                }
                let shown = quorate_yaml::shown(text);
                Err(E::custom(format!(
                    "\"{shown}\" is no list of checks: write `[{shown}]` or `all`"
                )))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Selected, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Selected::Named)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Selected {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Selected".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<Vec<crate::raw::IdText>>();
        json_schema!({ "oneOf": [{ "const": "all" }, names] })
    }
}

/// An instant, RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Instant(pub(crate) Timestamp);

impl TryFrom<String> for Instant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read: Result<jiff::Timestamp, _> = text.parse();
        read.map(|at| Self(Timestamp::from_micros(at.as_microsecond()))).map_err(|_| {
            format!(
                "\"{}\" is no instant: write a date, a time and the difference from UTC, such as \
                 `2026-10-01T20:00:00Z` or `2026-10-01T22:00:00+02:00`",
                quorate_yaml::shown(&text)
            )
        })
    }
}

impl JsonSchema for Instant {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "examples": ["2026-10-01T20:00:00Z", "2026-10-01T22:00:00+02:00"]
        })
    }
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TimeOfDay(pub(crate) Duration);

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |digits: &str, most: u64| {
            let are_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            let number = digits.parse::<u64>().ok().filter(|_| are_two);
            number.filter(|number| *number <= most)
        };
        let read = || {
            let (hours, minutes) = text.split_once(':')?;
            Some(number(hours, 23)? * 3_600 + number(minutes, 59)? * 60)
        };
        read().map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(|| {
            format!(
                "\"{}\" is no time of day: write `00:00` to `23:59`",
                quorate_yaml::shown(&text)
            )
        })
    }
}

impl JsonSchema for TimeOfDay {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
            "examples": ["02:00"]
        })
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Day(pub(crate) Weekday);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Weekday::from_word(&text).map(Self).ok_or_else(|| {
            let words: Vec<&str> = Weekday::ALL.iter().map(|day| day.as_str()).collect();
            format!("there is no day \"{}\": use {}", quorate_yaml::shown(&text), words.join(", "))
        })
    }
}

impl JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = Weekday::ALL.iter().map(|day| day.as_str()).collect();
        json_schema!({ "enum": words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_have_four_digits() {
        let read = |text: &str| TimeOfDay::try_from(text.to_owned()).map(|time| time.0.as_secs());
        assert_eq!(read("00:00"), Ok(0));
        assert_eq!(read("23:59"), Ok(86_340));
        for bad in ["", "2:00", "24:00", "12:60", "12", "12:00:00", "+1:00", "a0:00"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn instants_say_how_far_from_utc_they_are() {
        let read = |text: &str| Instant::try_from(text.to_owned()).map(|at| at.0.to_string());
        let utc = Ok("2026-10-01T20:00:00.000Z".to_owned());
        assert_eq!(read("2026-10-01T20:00:00Z"), utc);
        assert_eq!(read("2026-10-01T22:00:00+02:00"), utc);
        for bad in ["", "2026-10-01", "2026-10-01T20:00:00", "2026-13-01T20:00:00Z", "tomorrow"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
