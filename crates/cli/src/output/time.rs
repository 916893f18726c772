//! Times and durations for people.

use std::time::Duration;

use quorate_model::Timestamp;

/// The instant of a wire timestamp, to the microsecond.
pub(crate) fn instant(wire: &prost_types::Timestamp) -> Timestamp {
    let micros = wire.seconds.saturating_mul(1_000_000) + i64::from(wire.nanos) / 1_000;
    Timestamp::from_micros(micros)
}

/// The length of a wire duration; a negative one is nothing.
pub(crate) fn length(wire: &prost_types::Duration) -> Duration {
    Duration::try_from(*wire).unwrap_or_default()
}

/// How long ago: `now`, `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`; `-` without an instant.
pub(crate) fn ago(at: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    match at {
        None => "-".to_owned(),
        Some(at) => match rough(now - instant(at)).as_str() {
            "0 s" => "now".to_owned(),
            span => format!("{span} ago"),
        },
    }
}

/// A span in its largest unit: `12 s`, `3 min`, `2 h`, `5 d`.
pub(crate) fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A measured span: `0.4 ms`, `12 ms`, `1.24 s`.
pub(crate) fn measured(span: Duration) -> String {
    let millis = span.as_secs_f64() * 1_000.0;
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else if millis < 1_000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.2} s", span.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_say_them() {
        let now = Timestamp::from_micros(1_000_000_000_000);
        let at = |seconds: i64| prost_types::Timestamp { seconds: 1_000_000 - seconds, nanos: 0 };
        for (seconds, text) in [
            (0, "now"),
            (59, "59 s ago"),
            (190, "3 min ago"),
            (7_300, "2 h ago"),
            (500_000, "5 d ago"),
            (-5, "now"),
        ] {
            assert_eq!(ago(Some(&at(seconds)), now), text);
        }
        assert_eq!(ago(None, now), "-");
        assert_eq!(measured(Duration::from_micros(420)), "0.4 ms");
        assert_eq!(measured(Duration::from_millis(1_240)), "1.24 s");
    }
}
