//! What can happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_model::{
    AgentId, CheckId, Fleet, Heartbeat, Incident, Prefix, ProbeResult, RegionId, RoundId,
    Suspicion, Timestamp, Verdict,
};

/// Something that happened. The time at which it did is handed in beside it.
#[derive(Debug, Clone)]
pub enum Event {
    /// The configuration is this from now on. Checks that are gone are forgotten, and their open
    /// incidents end; those that stay keep their votes if their revision stays.
    Configured(Arc<Fleet>),
    /// What was before a restart. Comes once, after the first configuration and before any result.
    Restored(Box<Restore>),
    /// An agent's stream is open.
    Connected {
        /// Who.
        agent: AgentId,
        /// Where it votes.
        region: RegionId,
        /// From where it came, if that says anything of where it is.
        prefix: Option<Prefix>,
    },
    /// An agent's stream is closed. It keeps its votes while they are fresh and it is not absent.
    Disconnected {
        /// Who.
        agent: AgentId,
    },
    /// An agent gave a sign of life.
    Alive {
        /// Who.
        agent: AgentId,
        /// What it says of itself.
        heartbeat: Heartbeat,
    },
    /// A probe has ended.
    Result(Box<ProbeResult>),
    /// A probe is late, but not over.
    Suspected(Box<Suspicion>),
    /// An agent did not start a probe that it was asked for.
    Declined {
        /// Who.
        agent: AgentId,
        /// Which round.
        round: RoundId,
        /// Of which check.
        check: CheckId,
    },
    /// The deadline that the engine asked for has come.
    Tick,
}

/// What was before a restart.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    /// The last verdict of each check, its latest incident, and what the engine remembered.
    pub checks: BTreeMap<CheckId, (Verdict, Option<Incident>, serde_json::Value)>,
    /// Results received within the longest freshness, in the order in which they were stored.
    pub results: Vec<ProbeResult>,
    /// A number above every round used before.
    pub next_round: u64,
    /// What was learned of the regions, if anything.
    pub learned: Option<serde_json::Value>,
    /// The agents that have joined and been heard: where each votes, and when its last result came.
    pub agents: BTreeMap<AgentId, (RegionId, Timestamp)>,
}
