//! What HTTP status codes mean for a check.

use quorate_model::{BlockReason, Outcome, Phase, Reason};

use crate::phase::Stop;

/// What a code means unless the check expects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// As asked for.
    Fine,
    /// As asked for, if the request carried one of these headers; else the server is wrong.
    FineAfter(&'static [&'static str]),
    /// The target answers, but keeps its answer back.
    Blocked(BlockReason),
    /// Not as asked for.
    Failed,
}

/// One row for each code whose meaning is not that of its class.
struct Row {
    code: u16,
    words: &'static str,
    meaning: Meaning,
}

/// In order of the codes. Source: RFC 9110, section 15; RFC 6585, section 4 (429); RFC 7725 (451).
const TABLE: &[Row] = &[
    Row { code: 206, words: "part of the resource", meaning: Meaning::FineAfter(&["range"]) },
    Row {
        code: 304,
        words: "unchanged",
        meaning: Meaning::FineAfter(&["if-none-match", "if-modified-since"]),
    },
    Row {
        code: 403,
        words: "understood and refused",
        meaning: Meaning::Blocked(BlockReason::Forbidden),
    },
    Row {
        code: 429,
        words: "too many requests",
        meaning: Meaning::Blocked(BlockReason::RateLimit),
    },
    Row {
        code: 451,
        words: "refused for legal reasons",
        meaning: Meaning::Blocked(BlockReason::Forbidden),
    },
];

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

/// What `code` means by the table, or by its class.
pub(crate) fn meaning(code: u16) -> Meaning {
    match TABLE.iter().find(|row| row.code == code) {
        Some(row) => row.meaning,
        None if (200..=299).contains(&code) => Meaning::Fine,
        None => Meaning::Failed,
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
    match meaning(code) {
        Meaning::Blocked(reason) => {
            let words = TABLE.iter().find(|row| row.code == code);
            let words = words.map_or("blocked", |row| row.words);
            Err(Stop::blocked(reason, format!("status {code} ({words}), expected {wanted}")))
        }
        Meaning::Fine if expected.is_empty() => Ok(()),
        Meaning::FineAfter(headers)
            if expected.is_empty() && headers.iter().any(|name| sent(name)) =>
        {
            Ok(())
        }
        Meaning::Fine | Meaning::FineAfter(_) | Meaning::Failed => Err(failed),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_table_is_in_order_without_repetition() {
        assert!(TABLE.is_sorted_by(|left, right| left.code < right.code));
    }
}
