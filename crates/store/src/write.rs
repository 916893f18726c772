//! What is written and read.

use std::collections::BTreeMap;

use quorate_model::{
    AgentId, BootId, CheckId, Delivery, Incident, IncidentId, ProbeResult, ReceiverId, RegionId,
    Timestamp, Verdict,
};
use serde::{Deserialize, Serialize};

/// One change. A commit is a list of them.
#[derive(Debug, Clone)]
pub enum Write {
    /// Appends results and raises the watermark of each (agent, boot) to its highest number. A
    /// result at or below the watermark is a repetition and is passed over.
    Results(Vec<ProbeResult>),
    /// A verdict has changed, with everything that this entails.
    Transition(Box<Transition>),
    /// What the engine must remember over a restart, in place of what was stored before: of a check
    /// that has a verdict, or of the whole (`None`). A later transition of the check brings its own.
    Remember {
        /// Of which check.
        check: Option<CheckId>,
        /// A versioned document of the engine's own.
        memory: serde_json::Value,
    },
    /// Deliveries without a transition: operator notices.
    Deliveries(Vec<OutboxEntry>),
    /// A delivery was attempted. It is an error if there is no such delivery.
    Attempted {
        /// Which.
        key: String,
        /// When.
        at: Timestamp,
        /// What became of it.
        state: DeliveryState,
        /// What went wrong, if something did.
        error: Option<String>,
        /// When to try again, if it is still pending.
        next_attempt: Option<Timestamp>,
    },
    /// A token with which an agent can join; unused ones for the same agent stop working. A hash
    /// that is there already stays as it is.
    JoinToken(JoinToken),
    /// A token for the API, in place of an earlier one with the same hash.
    ApiToken(ApiToken),
    /// An agent's stream opened: the version it runs and when. Passed over if no such agent has
    /// joined.
    AgentSeen {
        /// Who.
        agent: AgentId,
        /// When.
        at: Timestamp,
        /// What it runs.
        version: String,
    },
}

/// The change of a verdict and all that must not be separated from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Whose verdict.
    pub check: CheckId,
    /// The new verdict, with its ballot.
    pub verdict: Verdict,
    /// The incident as it stands after the change, if the change touched one.
    pub incident: Option<Incident>,
    /// What the engine must remember of the check over a restart: a versioned document of its own.
    pub memory: serde_json::Value,
    /// The messages that the change entails.
    pub deliveries: Vec<OutboxEntry>,
}

/// A message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Names it; writing the same key again changes nothing.
    pub key: String,
    /// To whom.
    pub receiver: ReceiverId,
    /// What.
    pub delivery: Delivery,
    /// Attempts so far.
    pub attempts: u32,
    /// When to try next.
    pub next_attempt: Timestamp,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It will be tried, or tried again.
    Pending,
    /// The other side has taken it.
    Sent,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    /// The word used in JSON and in stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// The state that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Sent, Self::Failed];
        all.into_iter().find(|state| state.as_str() == word)
    }
}

/// A delivery as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRecord {
    /// The message, with the number of attempts.
    pub entry: OutboxEntry,
    /// What became of it.
    pub state: DeliveryState,
    /// When it was last tried.
    pub last_attempt: Option<Timestamp>,
    /// What went wrong then.
    pub error: Option<String>,
}

/// A one-time token. Only its SHA-256 is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The name that the agent will have.
    pub agent: AgentId,
    /// The region in which it will vote.
    pub region: RegionId,
    /// When it stops working.
    pub expires: Timestamp,
}

/// A token for the API. Only its SHA-256 is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// For display.
    pub name: String,
    /// What it allows.
    pub role: Role,
}

/// What a token allows; each includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Acknowledges, silences and probes.
    Operator,
    /// Lets agents join.
    Admin,
}

impl Role {
    /// The word used in JSON and in stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Viewer, Self::Operator, Self::Admin];
        all.into_iter().find(|role| role.as_str() == word)
    }
}

/// An agent that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its name.
    pub agent: AgentId,
    /// Where it votes.
    pub region: RegionId,
    /// When it joined.
    pub joined: Timestamp,
    /// When its stream last opened.
    pub seen: Option<Timestamp>,
    /// What it ran then.
    pub version: Option<String>,
}

/// Which incidents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentQuery {
    /// Of one check only.
    pub check: Option<CheckId>,
    /// Only those that are open.
    pub open_only: bool,
    /// Only those after this one in the order of the list (opened earlier).
    pub after: Option<IncidentId>,
    /// At most so many.
    pub limit: usize,
}

/// What a coordinator needs to go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Restored {
    /// The last verdict of each check, with its latest incident.
    pub checks: BTreeMap<CheckId, RestoredCheck>,
    /// The highest stored number of each run of each agent.
    pub watermarks: BTreeMap<(AgentId, BootId), u64>,
    /// Recent results, in the order in which they were stored.
    pub results: Vec<ProbeResult>,
    /// A number above that of every round in a result or a ballot ever stored; 1 if there is none.
    pub next_round: u64,
    /// What the engine remembered of the whole.
    pub memory: Option<serde_json::Value>,
    /// When the last result of each agent was received, of those that are still stored.
    pub heard: BTreeMap<AgentId, Timestamp>,
}

/// One check as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredCheck {
    /// Its verdict.
    pub verdict: Verdict,
    /// Its latest incident, open or resolved.
    pub incident: Option<Incident>,
    /// What the engine remembered of it.
    pub memory: serde_json::Value,
}
