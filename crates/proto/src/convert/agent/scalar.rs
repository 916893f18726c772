//! Times, words, names and text.

use std::str::FromStr;
use std::time::Duration;

use quorate_model::Timestamp;

use super::WireError;

/// The longest time that a message may name: 100 years.
const TIME_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);
/// The longest unknown word that an error repeats, in bytes.
const WORD_SHOWN_MAX: usize = 64;

/// The wire's form of a time; above 100 years it is cut there.
pub fn duration_to_wire(time: Duration) -> prost_types::Duration {
    let time = time.min(TIME_MAX);
    prost_types::Duration {
        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.subsec_nanos()).unwrap_or(0),
    }
}

/// The wire's form of a difference, which may be below zero.
pub fn micros_to_wire(micros: i64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: micros / 1_000_000,
        nanos: i32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0),
    }
}

/// A time that must be there: not below zero, at most 100 years.
pub fn duration_from_wire(
    field: &'static str,
    time: Option<prost_types::Duration>,
) -> Result<Duration, WireError> {
    let time = time.ok_or(WireError::Missing { field })?;
    let invalid = WireError::Invalid { field, problem: "is not a time between zero and 100 years" };
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(time.seconds), u32::try_from(time.nanos)) else {
        return Err(invalid);
    };
    if nanos >= 1_000_000_000 {
        return Err(invalid);
    }
    Some(Duration::new(seconds, nanos)).filter(|time| *time <= TIME_MAX).ok_or(invalid)
}

/// The wire's form of an instant.
pub fn timestamp_to_wire(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

/// An instant, cut to microseconds.
pub fn timestamp_from_wire(
    field: &'static str,
    at: prost_types::Timestamp,
) -> Result<Timestamp, WireError> {
    let micros = at
        .seconds
        .checked_mul(1_000_000)
        .filter(|_| (0..1_000_000_000).contains(&at.nanos))
        .and_then(|micros| micros.checked_add(i64::from(at.nanos / 1_000)));
    micros
        .map(Timestamp::from_micros)
        .ok_or(WireError::Invalid { field, problem: "is not an instant" })
}

/// The value of a word of a closed set, such as with `Phase::from_word`.
pub fn word_from_wire<T>(
    field: &'static str,
    word: &str,
    from_word: impl Fn(&str) -> Option<T>,
) -> Result<T, WireError> {
    from_word(word)
        .ok_or_else(|| WireError::UnknownWord { field, word: cut(word.to_owned(), WORD_SHOWN_MAX) })
}

/// A name that obeys the rule for names.
pub(in crate::convert) fn id_from_wire<T: FromStr>(
    field: &'static str,
    text: &str,
) -> Result<T, WireError> {
    text.parse().map_err(|_| WireError::Invalid { field, problem: "is not a valid name" })
}

/// `text`, at most `max` bytes of it, never half a character.
pub(super) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
    text
}

/// `text` cut, or nothing for an empty one.
pub(super) fn non_empty(text: String, max: usize) -> Option<String> {
    (!text.is_empty()).then(|| cut(text, max))
}
