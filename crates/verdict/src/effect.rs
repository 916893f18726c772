//! What must be done.

use std::time::Duration;

use quorate_model::{
    AgentId, Alert, CheckId, Incident, OperatorNotice, ReceiverId, Revision, RoundId, Verdict,
};

/// Something that must be done. The engine does none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask agents to probe now.
    Confirm(Confirmation),
    /// A verdict has changed: store it, then tell whoever watches and whoever must be told.
    Transition(Box<Transition>),
    /// Tell the operators.
    Operator(OperatorNotice),
    /// Probe a check at this interval until told otherwise; `None` is its own interval again.
    Pace {
        /// Which.
        check: CheckId,
        /// How often.
        every: Option<Duration>,
    },
    /// Store what was learned, for the next [`Restore`](crate::Restore), in place of what was stored
    /// before. Nothing that people were told hangs on it, so it may be lost.
    Remember {
        /// Of which check; `None` is what was learned of the regions.
        check: Option<CheckId>,
        /// A versioned document of the engine's own.
        memory: serde_json::Value,
    },
}

/// A round of probes outside the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Of which check.
    pub check: CheckId,
    /// At which revision.
    pub revision: Revision,
    /// Which round.
    pub round: RoundId,
    /// Who is asked: only agents whose stream is open.
    pub agents: Vec<AgentId>,
    /// How soon each probe must start.
    pub start_within: Duration,
}

/// The change of a verdict: of its state, flags, cause or scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Whose.
    pub check: CheckId,
    /// The verdict, with its ballot.
    pub verdict: Verdict,
    /// The incident as it now stands, if the change touched one.
    pub incident: Option<Incident>,
    /// What must be said, and to whom.
    pub alerts: Vec<(ReceiverId, Alert)>,
    /// What must be remembered over a restart: a versioned document of the engine's own.
    pub memory: serde_json::Value,
}
