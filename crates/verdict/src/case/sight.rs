//! Sight: too few regions are left to say anything, and who hears of that.
//!
//! **What it decides.** Without a quorum of witnesses a check is `unknown` and what was open stays as
//! it is: silence is neither a failure nor its end. A check that asks for it (`on_no_quorum`) has its
//! receivers told once that has lasted for `lost_after`: one page, and an incident like any other.
//!
//! **Its end.** Seen again and up for as long as any recovery must last, it is resolved. Seen again
//! and down, the same incident goes on as that, with a page that says so. Anything between keeps it
//! open, as it does after an outage.
//!
//! **Why so.** The operators hear of lost regions anyway; this is for checks of which nobody may
//! ever be unsure. An open incident is not told of again: those who were told know that it may last.
//!
//! **What it ignores.** Regions that are there and have no fresh vote: what is wrong then is told as
//! their own trouble.
//!
//! **After a start** nobody has been seen yet, so nothing is told for one freshness.

use quorate_model::{IncidentState, Severity, State, Timestamp};

use super::{Case, Context};
use crate::count::Count;
use crate::incident::{self, Filing};

impl Case {
    /// Notes since when too few regions are left.
    pub(super) fn note_sight(&mut self, ctx: &Context<'_>, count: &Count) {
        let is_lost = count.needed.is_none();
        self.memory.unseen = is_lost.then(|| self.memory.unseen.unwrap_or(ctx.now));
    }

    /// Without sight an open incident is frozen, and nothing else is known. Returns what people are
    /// to be told of that.
    pub(super) fn lose_sight(&mut self, ctx: &Context<'_>) -> Option<Filing> {
        self.memory.recovery = None;
        if !self.is_open() && self.memory.latched != State::Down {
            self.memory.latched = State::Unknown;
        }
        if self.is_about_sight() {
            return self.release();
        }
        self.unseen_due(ctx).filter(|due| ctx.now >= *due)?;
        let incident = self.incident.as_deref();
        incident::trouble(Severity::Page, incident, &mut self.memory, ctx.policy(), ctx.now)
    }

    /// When people are told that too few regions are left.
    pub(super) fn unseen_due(&self, ctx: &Context<'_>) -> Option<Timestamp> {
        let is_asked = self.check.alert.alerts_no_quorum && !self.is_open();
        let since = self.memory.unseen.filter(|_| is_asked)?;
        Some((since + ctx.policy().lost_after).max(self.grace))
    }

    /// Whether the open incident is that nobody can see the check.
    pub(super) fn is_about_sight(&self) -> bool {
        self.incident.as_deref().is_some_and(|incident| {
            incident.state == IncidentState::Open && incident.verdict.state == State::Unknown
        })
    }
}
