//! HTTP status codes: what each means, who is responsible, and what to do.
//!
//! The one table behind the outcome of a probe, the text of an alert, `quorate explain CODE` and
//! `docs/status-codes.md`. Source: the registry of RFC 9110, section 16.2, with the documents that
//! its rows name, and the codes 520 to 530 of a large delivery network.

mod table;

use std::fmt::Write as _;

use crate::BlockReason;

/// What a probe makes of a status that its check does not mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusOutcome {
    /// As asked for.
    Ok,
    /// As asked for if the request carried one of these headers, else a failure.
    OkAfter(&'static [&'static str]),
    /// Where to go next; what is found there counts.
    Followed,
    /// The target answers, but keeps its answer back.
    Blocked(BlockReason),
    /// Not as asked for.
    Fail,
    /// Never the end of an answer.
    Interim,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusCode {
    /// The code, of three digits.
    pub code: u16,
    /// Its registered name.
    pub name: &'static str,
    /// What it means.
    pub means: &'static str,
    /// Who is responsible; empty if nothing is wrong.
    pub responsible: &'static str,
    /// What a probe makes of it.
    pub outcome: StatusOutcome,
    /// Typical causes and what to do about them; empty if nothing is wrong.
    pub advice: &'static str,
}

/// What is known of a status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusInfo {
    /// It has a row of its own.
    Known(&'static StatusCode),
    /// It has none: its class must do. Source: RFC 9110, section 15.
    Class {
        /// The code.
        code: u16,
        /// The row of its class.
        class: &'static StatusCode,
    },
}

impl StatusInfo {
    /// What is known of a code; `None` if it has not three digits or its first is not 1 to 5.
    pub fn of(code: u16) -> Option<Self> {
        if let Ok(place) = table::CODES.binary_search_by_key(&code, |row| row.code) {
            return Some(Self::Known(&table::CODES[place]));
        }
        let class = table::CLASSES.iter().find(|row| row.code / 100 == code / 100)?;
        Some(Self::Class { code, class })
    }

    /// The row that holds for it.
    pub const fn row(self) -> &'static StatusCode {
        match self {
            Self::Known(row) | Self::Class { class: row, .. } => row,
        }
    }

    /// The code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Known(row) => row.code,
            Self::Class { code, .. } => code,
        }
    }
}

impl StatusCode {
    /// All rows, in order of the codes.
    pub const fn all() -> &'static [Self] {
        table::CODES
    }

    /// Whether it is the word of a gateway about what lies behind it: the edge that said it is
    /// fine. Source: RFC 9110, sections 15.6.3 and 15.6.5, and the delivery network's documents.
    pub const fn is_of_origin(&self) -> bool {
        matches!(self.code, 502 | 504 | 520..=527 | 530)
    }

    /// What a probe makes of it, in words.
    pub fn outcome_in_words(&self) -> String {
        match self.outcome {
            StatusOutcome::Ok => "ok".to_owned(),
            StatusOutcome::OkAfter(headers) => {
                format!("ok when the check sent {}, else fail", headers.join(" or "))
            }
            StatusOutcome::Followed => "followed".to_owned(),
            StatusOutcome::Blocked(BlockReason::RateLimit) => {
                "blocked; never down, degraded if in all regions".to_owned()
            }
            StatusOutcome::Blocked(BlockReason::Forbidden) => {
                "blocked if only in some regions, fail if in all".to_owned()
            }
            StatusOutcome::Fail => "fail".to_owned(),
            StatusOutcome::Interim => "passed over: the answer follows".to_owned(),
        }
    }
}

/// The table as Markdown, for the documentation.
pub fn status_codes_in_markdown() -> String {
    let mut page = String::from(
        "| code | name | means | responsible | default outcome | causes, and what to do |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in table::CODES {
        let or_dash = |text: &'static str| if text.is_empty() { "-" } else { text };
        // Writing into a string cannot fail.
        let _written = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} |",
            row.code,
            row.name,
            row.means,
            or_dash(row.responsible),
            row.outcome_in_words(),
            or_dash(row.advice)
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The registry's codes. Source: RFC 9110, section 18.3, and later registrations.
    const REGISTERED: &[u16] = &[
        100, 101, 102, 103, 104, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302,
        303, 304, 305, 306, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411,
        412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500,
        501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
    ];

    #[test]
    fn every_registered_code_and_those_of_the_delivery_network_have_a_row() {
        for code in REGISTERED.iter().copied().chain(520..=527).chain([530]) {
            assert!(matches!(StatusInfo::of(code), Some(StatusInfo::Known(_))), "{code}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_says_something_in_each_row() {
        assert!(table::CODES.is_sorted_by(|left, right| left.code < right.code));
        for row in table::CODES {
            let is_fine = matches!(
                row.outcome,
                StatusOutcome::Ok | StatusOutcome::Interim | StatusOutcome::OkAfter(_)
            );
            assert!(!row.name.is_empty() && !row.means.is_empty(), "{}", row.code);
            assert!(is_fine || !row.responsible.is_empty(), "{}: who?", row.code);
            assert!(is_fine || !row.advice.is_empty(), "{}: what to do?", row.code);
            assert!(!row.advice.contains('|') && !row.means.contains('|'), "{}", row.code);
        }
    }

    #[test]
    fn a_code_without_a_row_is_one_of_its_class() {
        let class = |code| StatusInfo::of(code).map(|info| (info.code(), info.row().outcome));
        assert_eq!(class(299), Some((299, StatusOutcome::Ok)));
        assert_eq!(class(399), Some((399, StatusOutcome::Fail)));
        assert_eq!(class(499), Some((499, StatusOutcome::Fail)));
        assert_eq!(class(599), Some((599, StatusOutcome::Fail)));
        assert_eq!(class(99), None);
        assert_eq!(class(600), None);
    }
}
