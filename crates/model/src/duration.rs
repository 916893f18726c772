//! Durations as users write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration written as a number with a unit: `500ms`, `30s`, `5m`, `1h30m`, `7d`, `2m24.4s`.
///
/// A bare number is an error that says so. At most 100 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HumanDuration(pub Duration);

const UNITS: [(&str, u64); 5] = [
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];
const MICROS_MAX: u64 = 100 * 365 * 86_400_000_000;

impl FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "{text:?} is not a duration: write a number with a unit, such as 500ms, 30s, 5m or 1h30m"
            )
        };
        let mut rest = text;
        let mut micros: u64 = 0;
        let mut last_unit = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(error)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
            if *scale >= last_unit {
                return Err(error());
            }
            last_unit = *scale;
            let part = scaled(number, *scale).ok_or_else(error)?;
            micros = micros.checked_add(part).filter(|sum| *sum <= MICROS_MAX).ok_or_else(error)?;
            rest = tail;
        }
        if last_unit == u64::MAX { Err(error()) } else { Ok(Self(Duration::from_micros(micros))) }
    }
}

/// `number` times `scale`, where the number may have up to six decimal places.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.contains('.') && fraction.is_empty() || fraction.len() > 6 || whole.len() > 12 {
        return None;
    }
    let mut micros = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let mut unit = scale;
    for digit in fraction.chars() {
        unit /= 10;
        micros = micros.checked_add(u64::from(digit.to_digit(10)?) * unit)?;
    }
    Some(micros)
}

impl TryFrom<String> for HumanDuration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HumanDuration> for String {
    fn from(duration: HumanDuration) -> Self {
        duration.to_string()
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

/// The shortest form that parses back: `1h30m`, `2m24.4s`, `500ms`, `0s`. Below a microsecond is
/// cut off.
impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        if micros == 0 {
            return f.write_str("0s");
        }
        if micros < 1_000_000 {
            return write_decimal(f, micros, 1_000, "ms");
        }
        for (unit, scale) in [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000)] {
            if micros >= scale {
                write!(f, "{}{unit}", micros / scale)?;
                micros %= scale;
            }
        }
        if micros > 0 { write_decimal(f, micros, 1_000_000, "s") } else { Ok(()) }
    }
}

fn write_decimal(f: &mut fmt::Formatter<'_>, micros: u64, scale: u64, unit: &str) -> fmt::Result {
    let width = scale.ilog10() as usize;
    let fraction = format!("{:0width$}", micros % scale);
    match fraction.trim_end_matches('0') {
        "" => write!(f, "{}{unit}", micros / scale),
        digits => write!(f, "{}.{digits}{unit}", micros / scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_users_write_and_writes_it_back() {
        for (text, micros) in [
            ("500ms", 500_000),
            ("30s", 30_000_000),
            ("5m", 300_000_000),
            ("1h30m", 5_400_000_000),
            ("7d", 604_800_000_000),
            ("2m24.4s", 144_400_000),
            ("0.5ms", 500),
            ("0s", 0),
        ] {
            let parsed: HumanDuration = text.parse().unwrap();
            assert_eq!(parsed.0, Duration::from_micros(micros), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for text in
            ["", "30", "s", "-1s", "1y", "1e3s", "5m1h", "1s1s", "1.s", "999999999999d", "1 s"]
        {
            assert!(text.parse::<HumanDuration>().is_err(), "{text}");
        }
    }
}
