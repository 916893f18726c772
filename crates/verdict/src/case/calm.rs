//! Calm: why almost all results need no judgement.
//!
//! **What it decides.** Whether a case that was found to be all well is still just that after one more
//! scheduled success of a region whose last word was a success already. Then its vote is younger and
//! its region a little better known, and nothing that a judgement looks at is different.
//!
//! **How it ends.** Any other result, suspicion, configuration or change of a region disturbs it.
//! Time does too: when the last of its votes ends, and when a certificate comes near its end or a
//! mute begins.
//!
//! **Why it is safe.** Where debug assertions are on, so in all tests and simulations, a copy of the
//! case is judged each time that a judgement is left out: it must have no effect and change nothing.

use quorate_model::{ProbeResult, Timestamp};

use super::{Case, Context, Shared};
use crate::count::Count;
use crate::liveness::AgentIx;
use crate::slow::Level;
use crate::vote::{AgentVote, Group, Say};

/// For how long all is well by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calm {
    /// When the last of the votes ends.
    fresh_until: Timestamp,
    /// When a certificate is near its end, or a mute begins.
    until: Timestamp,
}

impl Calm {
    /// When to look again at the latest.
    pub(super) fn end(self) -> Timestamp {
        self.fresh_until.min(self.until)
    }
}

impl Case {
    /// Something happens that calls for a judgement.
    pub(crate) fn disturb(&mut self) {
        self.calm = None;
    }

    /// Until when nothing calls for a judgement; `None` if something does.
    pub(crate) fn calm_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.calm.map(Calm::end).filter(|end| now < *end)
    }

    /// Whether all is so well that further successes change nothing.
    pub(super) fn calms_down(&self, ctx: &Context<'_>, count: &Count) -> Option<Calm> {
        let has_succeeded = |group: &Group| {
            group.level == Level::default()
                && group.votes.iter().all(|vote| vote.say() == Some(Say::Ok))
        };
        if self.kept.has_news || !self.is_quiet(ctx) || !self.groups.iter().all(has_succeeded) {
            return None;
        }
        let votes = self.groups.iter().flat_map(|group| &group.votes);
        let near = votes.map(|vote| self.near_from(vote)).min();
        let until = near.into_iter().chain(self.mutes.wake()).min();
        let calm = Calm {
            fresh_until: count.readings.iter().filter_map(|reading| reading.until).max()?,
            until: until.unwrap_or(Timestamp::from_micros(i64::MAX)),
        };
        Some(calm).filter(|calm| ctx.now < calm.end())
    }

    /// What is left of the calm after this result, which has been taken in.
    pub(super) fn stays_calm(
        &self,
        calm: Calm,
        (ctx, agent): (&Context<'_>, AgentIx),
        result: &ProbeResult,
    ) -> Option<Calm> {
        let is_plain = Say::of(&result.observation) == Some(Say::Ok)
            && result.observation.evidence.resolver.is_none()
            && result.round.is_none();
        let region = ctx.roster.agent(agent).region;
        let group = self.groups.iter().find(|group| is_plain && group.region == region)?;
        let vote = group.only().filter(|vote| vote.agent == agent && vote.has_succeeded_again())?;
        Some(Calm {
            fresh_until: calm.fresh_until.max(vote.fresh_until),
            until: calm.until.min(self.near_from(vote)),
        })
    }

    /// From when on a certificate that was seen is near its end.
    fn near_from(&self, vote: &AgentVote) -> Timestamp {
        let warn = self.terms.warn;
        warn.map_or(Timestamp::from_micros(i64::MAX), |warn| vote.cert_ends.before(warn))
    }

    /// Whether a judgement would have no effect and change nothing.
    pub(crate) fn is_judged(&self, ctx: &Context<'_>) -> bool {
        let (mut judged, mut shared, mut effects) = (self.clone(), Shared::default(), Vec::new());
        judged.judge(ctx, &mut shared, &mut effects);
        judged.calm = self.calm;
        effects.is_empty() && shared == Shared::default() && judged == *self
    }
}
