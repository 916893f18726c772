//! What must be looked at again, and when: one ordered set for the whole engine, so that the next
//! deadline is its first element.
//!
//! A subject is woken at the earliest time it ever asked for; when it is, it says when next. That
//! a later deadline does not move the alarm makes the common case free: a result that extends a
//! vote's life costs nothing here.

use std::collections::BTreeSet;

use quorate_model::Timestamp;

use crate::liveness::{AgentIx, RegionIx};

/// A place in the engine's table of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CheckIx(pub(crate) u32);

/// What can be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Agent(AgentIx),
    Region(RegionIx),
    Fleet,
    Places,
    Anchors,
    Check(CheckIx),
}

/// The alarms set.
#[derive(Debug, Default)]
pub(crate) struct Alarms(BTreeSet<(Timestamp, Subject)>);

impl Alarms {
    /// Wakes `subject` at `at` or earlier. `slot` is where the subject remembers its alarm.
    pub(crate) fn arm(&mut self, slot: &mut Option<Timestamp>, subject: Subject, at: Timestamp) {
        if slot.is_some_and(|armed| armed <= at) {
            return;
        }
        self.disarm(slot, subject);
        *slot = Some(at);
        self.0.insert((at, subject));
    }

    /// Takes a subject's alarm back.
    pub(crate) fn disarm(&mut self, slot: &mut Option<Timestamp>, subject: Subject) {
        if let Some(armed) = slot.take() {
            self.0.remove(&(armed, subject));
        }
    }

    /// The subject that is due first at `now`. Its slot must be emptied by the caller.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Subject> {
        let (at, _) = self.0.first()?;
        if *at > now {
            return None;
        }
        self.0.pop_first().map(|(_, subject)| subject)
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }
}
