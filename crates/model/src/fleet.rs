//! The fleet: everything that is configured, as the engine and the agents need it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Check, CheckId, FleetPolicy, KindName, Mute, ReceiverId, Region, RegionId, Revision};

/// All regions and checks, and the timers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The timers.
    pub policy: FleetPolicy,
    /// The regions, by name.
    pub regions: BTreeMap<RegionId, Region>,
    /// The checks, by name. Each names only regions of this fleet.
    pub checks: BTreeMap<CheckId, Arc<Check>>,
    /// When nobody is messaged about some of them.
    pub mutes: Vec<Arc<Mute>>,
    /// Who hears of Quorate's own troubles.
    pub operators: Vec<ReceiverId>,
    /// What agents contact in their self-tests: `host:port`. None switches self-tests off.
    pub anchors: Vec<String>,
}

impl Fleet {
    /// The timers and anchors that agents need.
    pub fn agent_settings(&self) -> AgentSettings {
        AgentSettings {
            heartbeat: self.policy.heartbeat,
            anchor_interval: self.policy.anchor_interval,
            anchor_timeout: self.policy.anchor_timeout,
            anchors: self.anchors.clone(),
        }
    }
}

/// The timers and anchors of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSettings {
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// Time between two self-tests.
    pub anchor_interval: Duration,
    /// Time for one attempt to reach one anchor.
    pub anchor_timeout: Duration,
    /// What a self-test contacts: `host:port`.
    pub anchors: Vec<String>,
}

/// What an agent must know to probe a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// Which check.
    pub check: CheckId,
    /// The fingerprint of what follows.
    pub revision: Revision,
    /// The check kind.
    pub kind: KindName,
    /// The options of the kind: a JSON object.
    pub options: serde_json::Value,
    /// Time between two scheduled probes.
    pub interval: Duration,
    /// Time after which a probe has failed.
    pub timeout: Duration,
    /// Time after which a success is slow.
    pub slow_after: Duration,
    /// Lateness at which the agent reports a suspicion.
    pub suspect_after: Duration,
}

impl ProbeSpec {
    /// What an agent must know to probe `check` in a fleet with this policy.
    pub fn of(check: &Check, policy: &FleetPolicy) -> Self {
        Self {
            check: check.id.clone(),
            revision: check.revision,
            kind: check.kind.clone(),
            options: check.options.clone(),
            interval: check.interval,
            timeout: check.timeout,
            slow_after: check.slow_after,
            suspect_after: policy.suspect_after(check.timeout),
        }
    }
}
