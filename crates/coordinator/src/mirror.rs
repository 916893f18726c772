//! What the API reads: the present state of checks, agents and regions.
//!
//! The owner of the engine writes it, after the commit that made a change durable; everybody else
//! only reads. Locks are held for the time of a look-up, never over an await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quorate_model::{
    AgentId, Check, CheckId, Health, IncidentId, Region, RegionId, Timestamp, Verdict,
};
use tokio::sync::broadcast;

/// Changes that a slow reader may lag behind before it is cut off.
const CHANGES_MAX: usize = 4_096;

/// The present state of everything.
#[derive(Debug, Default)]
pub struct View {
    /// The checks configured.
    pub checks: BTreeMap<CheckId, CheckView>,
    /// The agents that have joined.
    pub agents: BTreeMap<AgentId, AgentView>,
    /// The regions configured.
    pub regions: BTreeMap<RegionId, RegionView>,
    /// The version of the configuration, growing by one with each reload.
    pub config_version: u64,
}

/// A check as it is now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CheckView {
    /// Its definition.
    pub check: Arc<Check>,
    /// Its judgement: `unknown` before the first.
    pub verdict: Arc<Verdict>,
    /// Its incident, if one is open.
    pub open_incident: Option<IncidentId>,
    /// The agents that refused it.
    pub rejected_by: BTreeSet<AgentId>,
}

/// An agent as it is now.
#[derive(Debug, Clone)]
pub struct AgentView {
    /// Its name.
    pub agent: AgentId,
    /// Where it votes.
    pub region: RegionId,
    /// When it joined.
    pub joined: Timestamp,
    /// Whether its stream is open.
    pub connected: bool,
    /// What it thinks of itself; `None` before the first word.
    pub health: Option<Health>,
    /// What it runs.
    pub version: Option<String>,
    /// Its last sign of life.
    pub last_seen: Option<Timestamp>,
    /// Results that wait at the agent.
    pub spooled: u64,
    /// Results that the agent dropped.
    pub dropped: u64,
    /// Smallest round trip of its stream.
    pub round_trip: Option<Duration>,
    /// Microseconds by which its wall clock is ahead of the coordinator's; negative if behind.
    pub clock_ahead_micros: Option<i64>,
    /// The checks that it refused, with the reason word and a sentence.
    pub rejections: BTreeMap<CheckId, (String, String)>,
}

/// A region as it is now.
#[derive(Debug, Clone)]
pub struct RegionView {
    /// Its definition.
    pub region: Region,
    /// Whether its failures count.
    pub state: RegionState,
}

/// Whether a region's failures count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionState {
    /// They do.
    Live,
    /// It fails on many targets that the others reach.
    Suspect,
    /// Its agents cannot reach their anchors.
    Island,
    /// Its agents are silent.
    Absent,
}

/// The view, shared. Clones are the same view.
#[derive(Debug, Clone)]
pub struct Mirror {
    view: Arc<RwLock<View>>,
    changes: broadcast::Sender<CheckView>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { view: Arc::default(), changes: broadcast::Sender::new(CHANGES_MAX) }
    }
}

impl Mirror {
    /// Looks something up.
    pub fn read<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The checks as they are, and every change from then on, without a gap between the two.
    pub fn watch(&self) -> (Vec<CheckView>, broadcast::Receiver<CheckView>) {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let changes = self.changes.subscribe();
        (view.checks.values().cloned().collect(), changes)
    }

    /// Changes the view without telling watchers.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        change(&mut self.view.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes a check and tells watchers. Nothing happens if there is no such check.
    pub(crate) fn change_check(&self, id: &CheckId, change: impl FnOnce(&mut CheckView)) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(check) = view.checks.get_mut(id) {
            change(check);
            // Nobody watching is fine.
            drop(self.changes.send(check.clone()));
        }
    }
}
