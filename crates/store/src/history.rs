//! Looking back: which verdicts and results to find, and what is found.

use quorate_model::{CheckId, ProbeResult, Timestamp, Verdict};

/// Which verdicts of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictQuery {
    /// Whose.
    pub check: CheckId,
    /// Only those reached at or after this.
    pub from: Option<Timestamp>,
    /// Only those reached before this.
    pub until: Option<Timestamp>,
    /// Only those before this number in the order in which they were stored.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl VerdictQuery {
    /// The latest verdicts of a check, at most `limit`.
    pub const fn latest(check: CheckId, limit: usize) -> Self {
        Self { check, from: None, until: None, before: None, limit }
    }
}

/// A verdict of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastVerdict {
    /// Its number: later stored, greater.
    pub number: u64,
    /// What was decided, and from which votes.
    pub verdict: Verdict,
    /// When the next one took its place; `None` while it is in force.
    pub ended: Option<Timestamp>,
}

/// Which results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultQuery {
    /// Of one check only.
    pub check: Option<CheckId>,
    /// Received at or after this.
    pub from: Timestamp,
    /// Received before this.
    pub until: Timestamp,
    /// Only those after this number in the order in which they were stored.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
    /// Look at most at so many stored results, of whatever check: whoever owns the store has other
    /// work to do. At least one.
    pub scan: usize,
}

/// A part of the results asked for, in the order in which they were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultPage {
    /// The results, each with its number. There may be none although there are more.
    pub results: Vec<(u64, ProbeResult)>,
    /// After which number to go on; `None` if there are no more.
    pub next: Option<u64>,
}
