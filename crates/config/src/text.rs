//! Values that are written as text: durations, budgets, addresses.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use quorate_model::HumanDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A duration such as `30s`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(Duration);

impl Span {
    pub(crate) fn get(self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number with a unit, such as 500ms, 30s, 5m or 1h30m")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                let read: Result<HumanDuration, String> = text.parse();
                read.map(|duration| Span(duration.0)).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A duration before something, or `off`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Ahead(pub(crate) Option<Duration>);

/// The longest that anything is told ahead: longer than public certificates last.
const AHEAD_MAX: Duration = Duration::from_secs(400 * 86_400);

impl TryFrom<String> for Ahead {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let span = text.parse::<HumanDuration>().map_err(|_| {
            let shown = quorate_yaml::shown(&text);
            format!("\"{shown}\" is neither a duration, such as `21d` or `36h`, nor `off`")
        })?;
        if span.0 > AHEAD_MAX {
            return Err(format!("{span} is too long before: at most {}", HumanDuration(AHEAD_MAX)));
        }
        Ok(Self(Some(span.0).filter(|span| !span.is_zero())))
    }
}

impl JsonSchema for Ahead {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ahead".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(off|([0-9]+(\\.[0-9]{1,6})?(ms|s|m|h|d))+)$",
            "examples": ["21d", "36h", "off"]
        })
    }
}

/// An address to listen on, `address:port`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Address(pub(crate) SocketAddr);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "\"{}\" is not an address to listen on: write `address:port`, such as \
                 `0.0.0.0:7444`, `127.0.0.1:7443` or `[::]:7444`",
                quorate_yaml::shown(&text)
            )
        })
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9]+(\\.[0-9]{1,6})?(ms|s|m|h|d))+$",
            "examples": ["500ms", "30s", "5m", "1h30m", "7d"]
        })
    }
}

/// A budget of false alerts, in thousandths of an alert for each year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct FalseAlerts {
    pub(crate) per_year_milli: u32,
}

const PERIODS: [(&str, u64, u64); 4] = [
    // So many in a year, as a fraction.
    ("year", 1, 1),
    ("month", 12, 1),
    ("week", 365, 7),
    ("day", 365, 1),
];

impl TryFrom<String> for FalseAlerts {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let read = || {
            let [number, "per", period] = words.as_slice() else {
                return None;
            };
            let (_, times, of) = PERIODS.iter().find(|(name, ..)| name == period)?;
            let milli = thousandths(number)?.checked_mul(*times)? / of;
            u32::try_from(milli).ok().filter(|milli| *milli > 0)
        };
        match read() {
            Some(per_year_milli) => Ok(Self { per_year_milli }),
            None => Err(format!(
                "\"{}\" is no budget of false alerts: write `1 per year`, `0.5 per month` or the \
                 like, with year, month, week or day",
                quorate_yaml::shown(&text)
            )),
        }
    }
}

/// A decimal number with up to three places, in thousandths.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > 9 || fraction.len() > 3 {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1_000 + fraction)
}

impl JsonSchema for FalseAlerts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FalseAlerts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{1,9}(\\.[0-9]{1,3})? per (year|month|week|day)$",
            "examples": ["1 per year", "0.5 per month"]
        })
    }
}

/// The host and the port of `host:port`; IPv6 addresses stand in brackets.
pub(crate) fn host_port(text: &str) -> Result<(&str, u16), String> {
    let read = || {
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let good = match inner {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                (1..=253).contains(&host.len())
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            }
        };
        good.then_some((host, port))
    };
    read().ok_or_else(|| {
        format!(
            "\"{}\" is not `host:port`, such as `quorate.example.com:7444` or `[2001:db8::1]:443`",
            quorate_yaml::shown(text)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_counted_by_the_year() {
        let read = |text: &str| FalseAlerts::try_from(text.to_owned()).map(|f| f.per_year_milli);
        for (text, milli) in [
            ("1 per year", 1_000),
            ("0.5 per month", 6_000),
            ("1 per week", 52_142),
            ("2.25 per day", 821_250),
            ("0.001 per year", 1),
        ] {
            assert_eq!(read(text), Ok(milli), "{text}");
        }
        for text in [
            "1",
            "0 per year",
            "-1 per year",
            "one per year",
            "1 per hour",
            "1e3 per year",
            "9999999999 per year",
            "999999999 per day",
            ". per year",
            "1 a year",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(host_port("a.example:443"), Ok(("a.example", 443)));
        assert_eq!(host_port("[::1]:1"), Ok(("[::1]", 1)));
        for bad in ["", "a", "a:", ":1", "a:99999", "::1:5", "[x]:1", "a b:1", "http://a:1"] {
            assert!(host_port(bad).is_err(), "{bad}");
        }
    }
}
