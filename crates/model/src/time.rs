//! Instants.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant of the coordinator's clock, in microseconds since 1970-01-01T00:00:00Z.
///
/// The coordinator's clock is its wall time at start plus monotonic time since, so it never goes
/// backwards. Decisions compare such instants only with each other, never with an agent's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The start of the epoch.
    pub const EPOCH: Self = Self(0);

    /// An instant so many microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with all microseconds, so that reading it gives the same instant.
    pub fn exact(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => format!("{instant:.6}"),
            Err(_) => format!("{}us", self.0),
        }
    }

    /// This instant moved back by `span`, not past the smallest instant.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at the largest instant.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

impl Sub<Timestamp> for Timestamp {
    type Output = Duration;

    /// As [`Timestamp::since`].
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// RFC 3339 in UTC with milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// An RFC 3339 date and time with its offset, cut to microseconds.
impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read: Result<jiff::Timestamp, _> = text.parse();
        read.map(|instant| Self(instant.as_microsecond())).map_err(|_| {
            format!(
                "{text:?} is not an instant: write a date and time such as 2026-07-31T14:05:00Z"
            )
        })
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_never_go_below_zero() {
        let early = Timestamp::from_micros(1_000);
        let late = early + Duration::from_millis(2);
        assert_eq!(late - early, Duration::from_millis(2));
        assert_eq!(early - late, Duration::ZERO);
    }

    #[test]
    fn displays_rfc_3339_in_utc() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn what_is_written_exactly_is_read_as_the_same() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(at.exact(), "2023-11-14T22:13:20.123456Z");
        assert_eq!(at.exact().parse(), Ok(at));
        assert_eq!(
            "2023-11-14T23:13:20+01:00".parse(),
            Ok(Timestamp::from_micros(1_700_000_000_000_000))
        );
        for bad in ["", "yesterday", "2023-11-14", "14:05", "1700000000"] {
            let error = bad.parse::<Timestamp>().unwrap_err();
            assert!(error.contains("2026-07-31T14:05:00Z"), "{error}");
        }
    }
}
