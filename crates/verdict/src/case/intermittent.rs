//! What fails now and then: the case's side of the slow detector.

use quorate_model::State;

use super::{Case, Context};
use crate::Effect;
use crate::count::Count;
use crate::liveness::{AgentIx, RegionIx, RegionState};
use crate::slow::{self, Level};

impl Case {
    /// Shows a scheduled probe to the slow detector, if its agent speaks for its region.
    pub(super) fn follow_slowly(
        &mut self,
        ctx: &Context<'_>,
        (region, agent): (RegionIx, AgentIx),
        failed: bool,
        run: u16,
    ) {
        if self.memory.latched == State::Down || failed && run > slow::RUN_MAX {
            return;
        }
        let Some(level) = self.spoken_for_by(ctx, (region, agent)) else {
            return;
        };
        let (before, after) = (*level, level.step(failed));
        *level = after;
        self.memory.intermittent.note(failed);
        self.kept.has_news |= before.milli_nats() != after.milli_nats();
    }

    /// A probe that was asked for has ended: if well, the failures in a row of its region have too.
    pub(super) fn note_answered(
        &mut self,
        ctx: &Context<'_>,
        (region, agent): (RegionIx, AgentIx),
        failed: bool,
    ) {
        if failed {
            return;
        }
        if let Some(level) = self.spoken_for_by(ctx, (region, agent)) {
            *level = level.answered();
        }
    }

    /// The level of a region for which this agent speaks.
    fn spoken_for_by(
        &mut self,
        ctx: &Context<'_>,
        (region, agent): (RegionIx, AgentIx),
    ) -> Option<&mut Level> {
        let group = self.groups.iter_mut().find(|group| group.region == region)?;
        let speaks = group.speaker(ctx.roster, ctx.now) == Some(agent);
        speaks.then_some(&mut group.level)
    }

    /// Looks at the levels of the regions that see the target. One without a fresh vote has none.
    pub(super) fn weigh_levels(&mut self, ctx: &Context<'_>) {
        let is_calm = self.groups.iter().all(|group| group.level == Level::default());
        if is_calm && self.memory.intermittent.share_ppm().is_none()
            || self.memory.latched == State::Down
        {
            return;
        }
        // Until the grace is over, a missing vote or region says nothing.
        let is_over = ctx.now >= self.grace;
        for group in &mut self.groups {
            let is_blind = || is_over && group.speaker(ctx.roster, ctx.now).is_none();
            if group.level != Level::default() && is_blind() {
                group.level = Level::default();
                self.kept.has_news = true;
            }
        }
        let levels = self.levels(ctx, is_over);
        self.memory.intermittent.weigh(levels.into_iter());
    }

    /// The levels that count, one for each place.
    fn levels(&self, ctx: &Context<'_>, only_live: bool) -> Vec<u16> {
        self.per_place(ctx.roster, |group| {
            let is_live = ctx.roster.region(group.region).state == RegionState::Live;
            (is_live || !only_live).then(|| group.level.milli_nats())
        })
    }

    /// A check that is down turns out to fail now and then only: its incident stays open, and its
    /// next failures are no surprise. Returns whether it did.
    pub(super) fn turn_intermittent(
        &mut self,
        ctx: &Context<'_>,
        count: &Count,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_down = self.memory.latched == State::Down && ctx.now >= self.grace;
        let Some(needed) = count.needed.filter(|_| is_down) else {
            return false;
        };
        let Some(share) = self.answers.share_ppm(needed, ctx.policy().recovery, ctx.now) else {
            return false;
        };
        let places = self.levels(ctx, true).len();
        let levels = self.memory.intermittent.raise(share, places);
        for group in &mut self.groups {
            group.level = levels;
        }
        self.slow_down(effects);
        self.settle_for(State::Degraded);
        true
    }
}
