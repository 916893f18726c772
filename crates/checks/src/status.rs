//! The statuses that a check expects, and what it makes of the others.

use quorate_model::{Outcome, Phase, Reason, StatusInfo, StatusOutcome};

use crate::phase::Stop;

/// Codes that a check expects: one, or an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// One code, from 100 to 999.
    pub(crate) fn one(code: u16) -> Result<Self, String> {
        if (100..=999).contains(&code) {
            Ok(Self { first: code, last: code })
        } else {
            Err(format!("{code} is not a status code: they have three digits"))
        }
    }

    /// `200`, `2xx` or `200-299`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "{text:?} is not a status: write a code (200), a class (2xx) or an interval (200-299)"
            )
        };
        let code = |digits: &str| {
            digits
                .parse()
                .ok()
                .filter(|_| digits.len() == 3 && !digits.starts_with('+'))
                .ok_or_else(error)
                .and_then(Self::one)
        };
        if let Some(class) = text.strip_suffix("xx") {
            let first = code(&format!("{class}00"))?.first;
            let last = first + 99;
            return Ok(Self { first, last });
        }
        let Some((first, last)) = text.split_once('-') else {
            return code(text);
        };
        let (first, last) = (code(first.trim())?.first, code(last.trim())?.first);
        if first <= last {
            Ok(Self { first, last })
        } else {
            Err(format!("{text:?} ends before it begins"))
        }
    }

    /// Whether `code` is one of these.
    pub(crate) fn holds(self, code: u16) -> bool {
        (self.first..=self.last).contains(&code)
    }

    /// The same codes with neighbours joined to intervals; `ranges` are in ascending order.
    pub(crate) fn joined(ranges: &[Self]) -> Vec<Self> {
        let mut joined: Vec<Self> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(before) if before.last + 1 >= range.first => {
                    before.last = before.last.max(range.last);
                }
                _ => joined.push(*range),
            }
        }
        joined
    }

    /// The code, if it is only one.
    pub(crate) fn single(self) -> Option<u16> {
        (self.first == self.last).then_some(self.first)
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else if self.first.is_multiple_of(100) && self.last == self.first + 99 {
            write!(f, "{}xx", self.first / 100)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Judges `code`, given what the check expects (nothing: what the table says) and whether the
/// request carried a header.
pub(crate) fn judge(
    code: u16,
    expected: &[StatusRange],
    sent: impl Fn(&str) -> bool,
) -> Result<(), Stop> {
    if expected.iter().any(|range| range.holds(code)) {
        return Ok(());
    }
    let wanted = if expected.is_empty() {
        "2xx".to_owned()
    } else {
        let all: Vec<_> = expected.iter().map(ToString::to_string).collect();
        all.join(", ")
    };
    let fails = |outcome| Stop { outcome, message: format!("status {code}, expected {wanted}") };
    let failed = fails(Outcome::Fail { phase: Phase::Assert, reason: Reason::Status });
    let Some(row) = StatusInfo::of(code).map(StatusInfo::row) else {
        return Err(failed);
    };
    match row.outcome {
        StatusOutcome::Blocked(reason) => {
            let words = row.means;
            Err(Stop::blocked(reason, format!("status {code} ({words}), expected {wanted}")))
        }
        StatusOutcome::Ok if expected.is_empty() => Ok(()),
        StatusOutcome::OkAfter(headers)
            if expected.is_empty() && headers.iter().any(|name| sent(name)) =>
        {
            Ok(())
        }
        StatusOutcome::Ok
        | StatusOutcome::OkAfter(_)
        | StatusOutcome::Followed
        | StatusOutcome::Fail
        | StatusOutcome::Interim => Err(failed),
    }
}

/// What a status means that ends a protocol before it begins, in a sentence: a target that limits
/// or refuses is no broken one, whatever is spoken over HTTP.
pub(crate) fn refused(code: u16, message: String) -> Stop {
    match StatusInfo::of(code).map(|info| info.row().outcome) {
        Some(StatusOutcome::Blocked(reason)) => Stop::blocked(reason, message),
        Some(
            StatusOutcome::Ok
            | StatusOutcome::OkAfter(_)
            | StatusOutcome::Followed
            | StatusOutcome::Fail
            | StatusOutcome::Interim,
        )
        | None => Stop::fail(Phase::Ttfb, Reason::Status, message),
    }
}

#[cfg(test)]
mod tests {
    use quorate_model::BlockReason;

    use super::*;

    fn word(code: u16, expected: &[&str], sent: &str) -> &'static str {
        let expected: Vec<_> =
            expected.iter().map(|text| StatusRange::parse(text).unwrap()).collect();
        let rate_limit = Outcome::Blocked { reason: BlockReason::RateLimit };
        match judge(code, &expected, |name| name == sent) {
            Ok(()) => "ok",
            Err(stop) if stop.outcome == rate_limit => "rate",
            Err(stop) => stop.outcome.word(),
        }
    }

    #[test]
    fn by_default_2xx_is_fine_and_some_codes_are_special() {
        for (code, outcome) in [
            (200, "ok"),
            (204, "ok"),
            (206, "fail"),
            (301, "fail"),
            (304, "fail"),
            (401, "fail"),
            (403, "blocked"),
            (404, "fail"),
            (429, "rate"),
            (451, "blocked"),
            (503, "fail"),
            (522, "fail"),
        ] {
            assert_eq!(word(code, &[], ""), outcome, "{code}");
        }
        assert_eq!(word(206, &[], "range"), "ok");
        assert_eq!(word(304, &[], "if-none-match"), "ok");
    }

    #[test]
    fn what_the_check_expects_is_fine_and_nothing_else() {
        assert_eq!(word(429, &["429"], ""), "ok");
        assert_eq!(word(403, &["4xx"], ""), "ok");
        assert_eq!(word(200, &["201-299"], ""), "fail");
        assert_eq!(word(429, &["200"], ""), "rate");
        assert_eq!(word(206, &["200"], "range"), "fail");
    }

    #[test]
    fn reads_codes_classes_and_intervals() {
        for (text, shown) in [("200", "200"), ("2xx", "2xx"), ("200 - 204", "200-204")] {
            assert_eq!(StatusRange::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "20", "2000", "xx", "0xx", "+20", "299-200", "a-b", "200-"] {
            assert!(StatusRange::parse(text).is_err(), "{text}");
        }
    }
}
