//! Mutes: what covers the check, and what people hear when nothing does any more.

use std::sync::Arc;

use quorate_model::{Mute, Severity, State, Timestamp};

use super::Case;
use crate::incident::{self, Filing};
use crate::mute::Mutes;

impl Case {
    /// These mutes are about the check from now on.
    pub(crate) fn mute(&mut self, mutes: Vec<Arc<Mute>>, now: Timestamp) {
        self.mutes = Mutes::of(mutes);
        // Those in front of it may be judged first.
        self.mutes.look(now);
    }

    /// What nobody was told while the check was muted, if it still lasts. While success goes on it
    /// may be over in a moment, and then it is not told at all.
    pub(super) fn release(&mut self, severity: Severity) -> Option<Filing> {
        let is_due = self.memory.withheld.is_some() && !self.mutes.is_active();
        if !is_due || self.memory.recovery.is_some_and(|run| run.shown) {
            return None;
        }
        self.memory.withheld = None;
        let is_down = self.memory.latched == State::Down;
        if !incident::is_open(self.incident.as_deref()) || self.memory.is_announced && !is_down {
            return None;
        }
        let is_page = is_down || self.memory.unseen.is_some();
        Some(incident::release(if is_page { Severity::Page } else { severity }))
    }
}
