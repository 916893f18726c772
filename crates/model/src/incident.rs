//! Incidents.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{CheckId, IncidentId, Timestamp, Verdict};

words! {
    /// How urgent an incident is.
    Severity {
        /// Somebody should look when there is time.
        Notice = "notice",
        /// Somebody should look now.
        Page = "page",
    }
}

words! {
    /// Whether an incident is over.
    IncidentState {
        /// It goes on.
        Open = "open",
        /// It is over.
        Resolved = "resolved",
    }
}

/// A span in which a check's receivers were told that something is wrong, or would have been but for
/// a mute: opened once, resolved once, across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Which.
    pub id: IncidentId,
    /// Of which check.
    pub check: CheckId,
    /// The highest urgency so far.
    pub severity: Severity,
    /// Whether it is over.
    pub state: IncidentState,
    /// The last success of any region before it; `None` if none is known. The onset lies between
    /// this and `first_failure`.
    pub last_success: Option<Timestamp>,
    /// Start of the first failing probe that belongs to it.
    pub first_failure: Timestamp,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it was resolved.
    pub resolved: Option<Timestamp>,
    /// How often it was reopened.
    pub reopened: u32,
    /// The mutes that withheld messages about it, such as `maintenance/move` or `silence/known`.
    #[serde(default)]
    pub withheld_by: BTreeSet<String>,
    /// Whether it was found only when it was over, from results that came late; nobody was told.
    #[serde(default)]
    pub is_past: bool,
    /// The verdict that opened it or raised its severity, with its ballot.
    pub verdict: Verdict,
}
