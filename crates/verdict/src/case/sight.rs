//! Sight: too few regions are left to say anything, and who hears of that.
//!
//! **What it decides.** Without a quorum of witnesses a check is `unknown` and what was open stays as
//! it is: silence is neither a failure nor its end. A check that asks for it (`on_no_quorum`) has its
//! receivers told once that has lasted for `lost_after`: one page, and an incident like any other.
//!
//! **Its end.** Seen again for as long as any recovery must last, it is resolved, also where some
//! regions fail: that is a trouble of its own, with a notice of its own. Seen again and down, the same
//! incident goes on as that, with a page that says so.
//!
//! **Why so.** The operators hear of lost regions anyway; this is for checks of which nobody may
//! ever be unsure. Where a page is open it is not told: those who were paged know that it may last.
//! Who was only sent a notice, or somebody else, does not know it.
//!
//! **What it ignores.** Regions that are there and have no fresh vote: what is wrong then is told as
//! their own trouble.
//!
//! **After a start** nobody has been seen yet, so nothing is told for one freshness, or for twice
//! `lost_after` where that is less: agents are heard by their heartbeats, however rarely they probe.

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
            return self.release(Severity::Notice);
        }
        self.unseen_due(ctx).filter(|due| ctx.now >= *due)?;
        let incident = self.incident.as_deref();
        incident::trouble(Severity::Page, incident, &mut self.memory, ctx.policy(), ctx.now)
    }

    /// When people are told that too few regions are left.
    pub(super) fn unseen_due(&self, ctx: &Context<'_>) -> Option<Timestamp> {
        let is_paged = self.is_open()
            && self.incident.as_deref().is_some_and(|open| open.severity == Severity::Page);
        let is_asked = self.check.alert.alerts_no_quorum && !is_paged;
        let since = self.memory.unseen.filter(|_| is_asked)?;
        let lost_after = ctx.policy().lost_after;
        let (start, fresh_for) = (self.grace.before(self.terms.fresh_for), self.terms.fresh_for);
        Some((since + lost_after).max(start + fresh_for.min(lost_after * 2)))
    }

    /// Whether the open incident is that nobody can see the check.
    pub(super) fn is_about_sight(&self) -> bool {
        self.incident.as_deref().is_some_and(|incident| {
            incident.state == IncidentState::Open && incident.verdict.state == State::Unknown
        })
    }
}
