//! Trials: what a probe tells of its region, not of the target.

use quorate_model::State;

use super::{Case, Context};
use crate::liveness::{AgentIx, RegionIx};
use crate::vote::{Say, Sight};

/// A probe that tells how reliable its region is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trial {
    pub(crate) region: RegionIx,
    pub(crate) failed: bool,
}

impl Case {
    /// The first failure of a run, by the schedule, while the others find the target fine. Whether it
    /// was for nothing is known once the agent has succeeded again: if a retry has already, now.
    pub(super) fn note_failure(
        &mut self,
        ctx: &Context<'_>,
        (region, agent): (RegionIx, AgentIx),
        is_last: bool,
    ) -> Option<Trial> {
        if self.memory.latched == State::Down || !self.are_fine(ctx, region) {
            return None;
        }
        if !is_last {
            return Some(Trial { region, failed: true });
        }
        self.group(region)?.leave_open(agent, true);
        None
    }

    /// A success: the failure before it was for nothing, if the target has not been down since.
    pub(super) fn note_good(
        &mut self,
        ctx: &Context<'_>,
        (region, agent): (RegionIx, AgentIx),
        is_scheduled: bool,
    ) -> Option<Trial> {
        if self.group(region)?.leave_open(agent, false) {
            return Some(Trial { region, failed: true });
        }
        if !is_scheduled || self.memory.latched == State::Down {
            return None;
        }
        // While all is up, the others are known to be fine.
        let is_plain = self.memory.latched == State::Up && self.episode.is_none();
        (is_plain || self.are_fine(ctx, region)).then_some(Trial { region, failed: false })
    }

    /// The target is down: what failed before was no noise.
    pub(super) fn forget_failures(&mut self) {
        for group in &mut self.groups {
            group.close_all();
        }
    }

    /// Whether most of the other regions, at least one, find the target fine.
    fn are_fine(&self, ctx: &Context<'_>, region: RegionIx) -> bool {
        let sight = Sight { now: ctx.now, cut: None };
        let readings = self.readings(ctx.roster, sight);
        let others = self
            .groups
            .iter()
            .zip(readings)
            .filter(|(group, _)| !ctx.roster.is_same_place(group.region, region));
        let says: Vec<Say> = others.filter_map(|(_, reading)| reading.say).collect();
        says.iter().filter(|say| say.is_success()).count() * 2 > says.len()
    }
}
