//! The engine.

use quorate_model::{CheckId, RegionId, RoundId, Timestamp, Verdict};

use crate::{Effect, Event};

/// The decision core.
#[derive(Debug, Default)]
pub struct Engine {
    rounds: u64,
}

/// Whether a region's failures count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionState {
    /// At least one of its agents is alive and can reach its anchors.
    Live,
    /// None of its live agents can reach its anchors: its failures do not count.
    Island,
    /// Its agents are silent.
    Absent,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies one event at `now` and pushes what must be done, in order, to `effects`.
    pub fn apply(&mut self, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
        let _ = (event, now, effects);
    }

    /// When to apply [`Event::Tick`] next, if nothing else happens.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    /// The present verdict of a check; `None` before the first.
    pub fn verdict(&self, check: &CheckId) -> Option<&Verdict> {
        let _ = check;
        None
    }

    /// Whether a region's failures count now.
    pub fn region_state(&self, region: &RegionId) -> RegionState {
        let _ = region;
        RegionState::Absent
    }

    /// Hands out the number of a round that somebody else starts, such as a probe on demand.
    pub fn allot_round(&mut self) -> RoundId {
        self.rounds += 1;
        RoundId(self.rounds)
    }
}
