//! Quiet: what a stretch of successes alone would change, in one step.

use quorate_model::State;

use super::{Case, Context};
use crate::incident;
use crate::liveness::{AgentIx, RegionState};
use crate::vote::{Group, Say};

impl Case {
    /// Whether all is up and nothing is under way: then further successes change what is learned of
    /// the regions, the slow detector's levels and the last success, and nothing else.
    pub(crate) fn is_quiet(&self, ctx: &Context<'_>) -> bool {
        let memory = &self.memory;
        let is_up = memory.latched == State::Up && self.shown() == State::Up;
        let is_published = self.published.as_ref().is_some_and(|published| {
            published.state == State::Up && published.flags.is_empty() && self.settling.is_none()
        });
        let is_settled = memory.recovery.is_none()
            && memory.first_failure.is_none()
            && memory.intermittent.share_ppm().is_none()
            && !incident::is_open(self.incident.as_deref());
        let is_well = |group: &Group| is_well(group, ctx);
        // What happens to an origin, or in front of one, could happen in between.
        is_up
            && !self.is_linked()
            && is_published
            && is_settled
            && self.episode.is_none()
            && self.past.is_none()
            && !self.asks_second
            && ctx.now >= self.grace
            && self.groups.iter().all(is_well)
    }

    /// Accounts for so many scheduled successes of an agent in the slow detector, as if they had
    /// been taken in. Only while it is quiet.
    pub(crate) fn settle(&mut self, ctx: &Context<'_>, agent: AgentIx, successes: u32) {
        let region = ctx.roster.agent(agent).region;
        if let Some(group) = self.groups.iter_mut().find(|group| group.region == region) {
            group.level = group.level.settle(successes);
            self.memory.intermittent.settle(successes);
        }
    }
}

/// Whether a region's one agent says that all is well, or cannot say anything.
fn is_well(group: &Group, ctx: &Context<'_>) -> bool {
    if ctx.roster.region(group.region).state != RegionState::Live {
        return true;
    }
    matches!(&group.votes[..], [vote] if vote.say() == Some(Say::Ok))
}
