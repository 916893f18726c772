//! Publishing: what a person would notice.

use std::collections::BTreeSet;

use quorate_model::{Cause, Flag, HumanDuration, RoundId, Scope, State, Timestamp, Verdict};

use super::{Case, Context};
use crate::ballot::Votes;
use crate::count::Count;
use crate::incident::{self, Filing};
use crate::{Effect, Transition};

/// What was published last, as far as anything here is compared with it. The ballot went with the
/// effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) state: State,
    pub(super) flags: BTreeSet<Flag>,
    cause: Cause,
    also: Vec<Cause>,
    scope: Scope,
    since: Timestamp,
    rounds: Vec<RoundId>,
}

impl Published {
    pub(super) fn of(verdict: &Verdict) -> Self {
        Self {
            state: verdict.state,
            flags: verdict.flags.clone(),
            cause: verdict.cause,
            also: verdict.also.clone(),
            scope: verdict.ballot.scope,
            since: verdict.since,
            rounds: verdict.ballot.rounds.clone(),
        }
    }
}

impl Case {
    /// The state that was published last; `None` before the first.
    pub(crate) fn published(&self) -> Option<State> {
        self.published.as_ref().map(|published| published.state)
    }

    /// Publishes what a person would notice: the state and the flags at once, the scope and the
    /// cause when they have settled.
    pub(super) fn publish(
        &mut self,
        ctx: &Context<'_>,
        count: &Count,
        filing: Option<Filing>,
        effects: &mut Vec<Effect>,
    ) {
        let is_blind = self.is_blind(ctx, count);
        if is_blind && ctx.now < self.grace || self.memory.latched == State::Unknown && !is_blind {
            return;
        }
        let state = if is_blind { State::Unknown } else { self.shown() };
        let flags = self.flags(ctx, state);
        let cache = self.cache(count);
        let behind = self.links.as_deref().and_then(|links| links.behind(cache));
        let tells_unseen = self.check.alert.alerts_no_quorum;
        let near = self.near_end(ctx);
        let votes = Votes { groups: &self.groups, count, near, behind, tells_unseen };
        let old = self.published.as_ref();
        let scope = votes.scope(state);
        let is_recovering = flags.contains(&Flag::Recovering);
        let old_of_state = old.filter(|old| old.state == state);
        let kept = || old_of_state.map(|old| (old.cause, old.also.clone()));
        let seen = votes.cause(ctx, state).filter(|_| !is_recovering).or_else(kept);
        let (cause, also) = seen.unwrap_or((Cause::None, Vec::new()));
        let has_settled =
            self.episode.is_none() && has_settled(old, (scope, cause), &mut self.settling, ctx);
        let is_change = old.is_none_or(|old| old.state != state || old.flags != flags);
        if !is_change && filing.is_none() && !has_settled {
            return;
        }
        self.settling = None;
        let since = old.filter(|old| old.state == state).map_or(ctx.now, |old| old.since);
        let summary = self.summary(ctx, &votes, state, &flags);
        let rounds = if state == State::Up { Vec::new() } else { self.rounds.clone() };
        let verdict = Verdict {
            state,
            flags,
            cause,
            also,
            summary,
            since,
            ballot: votes.ballot(ctx, state, rounds),
        };
        let alerts = filing.map_or_else(Vec::new, |filing| {
            let check = (&*self.check, &self.mutes);
            incident::file(filing, &mut self.incident, &mut self.memory, check, &verdict)
        });
        let is_touched = filing.is_some() || incident::is_open(self.incident.as_deref());
        self.published = Some(Published::of(&verdict));
        effects.push(Effect::Transition(Box::new(Transition {
            check: self.check.id.clone(),
            verdict,
            incident: self.incident.as_deref().filter(|_| is_touched).cloned(),
            alerts,
            memory: self.remember(ctx),
        })));
    }

    /// The published verdict with the votes as they are now: the state and all that was decided
    /// with it stay, the ballot and the sentence about it are new.
    pub(crate) fn look(&self, ctx: &Context<'_>) -> Option<Verdict> {
        let published = self.published.as_ref()?;
        let state = published.state;
        // What an episode does not believe is still what the regions said last.
        let count = if state == State::Down { self.count(ctx) } else { self.count_from(ctx, None) };
        let cache = self.cache(&count);
        let behind = self.links.as_deref().and_then(|links| links.behind(cache));
        let near = self.near_end(ctx);
        let tells_unseen = self.check.alert.alerts_no_quorum;
        let votes = Votes { groups: &self.groups, count: &count, near, behind, tells_unseen };
        Some(Verdict {
            state,
            flags: published.flags.clone(),
            cause: published.cause,
            also: published.also.clone(),
            summary: self.summary(ctx, &votes, state, &published.flags),
            since: published.since,
            ballot: votes.ballot(ctx, state, published.rounds.clone()),
        })
    }

    /// What is seen, and why nobody is told if that is so, in a sentence.
    fn summary(
        &self,
        ctx: &Context<'_>,
        votes: &Votes<'_>,
        state: State,
        flags: &BTreeSet<Flag>,
    ) -> String {
        let seen = votes.summary(ctx, state, flags.contains(&Flag::Recovering));
        if !flags.contains(&Flag::Brief) {
            return seen;
        }
        let wait = HumanDuration(self.check.alert.ignore_shorter_than);
        format!("{seen}; nobody is told unless it lasts {wait}")
    }

    fn flags(&self, ctx: &Context<'_>, state: State) -> BTreeSet<Flag> {
        let is_open = incident::is_open(self.incident.as_deref());
        let is_down = state == State::Down;
        [
            (Flag::ReducedQuorum, is_down && self.memory.is_reduced),
            (Flag::Brief, is_down && self.memory.owed.is_some()),
            (
                Flag::Flapping,
                (is_open || is_down) && self.memory.is_flapping(ctx.policy(), ctx.now),
            ),
            (
                Flag::Recovering,
                state != State::Unknown && self.memory.recovery.is_some_and(|run| run.shown),
            ),
        ]
        .into_iter()
        .filter_map(|(flag, holds)| holds.then_some(flag))
        .chain(self.mutes.flags())
        .collect()
    }
}

/// Whether a scope or cause that differs from the published one has held for as long as silence
/// must last to be believed.
fn has_settled(
    published: Option<&Published>,
    (scope, cause): (Scope, Cause),
    settling: &mut Option<(Scope, Cause, Timestamp)>,
    ctx: &Context<'_>,
) -> bool {
    let same = |old: &Published| old.scope == scope && old.cause == cause;
    if published.is_some_and(same) {
        *settling = None;
        return false;
    }
    match *settling {
        Some((old_scope, old_cause, since)) if old_scope == scope && old_cause == cause => {
            ctx.now >= since + ctx.policy().absent_after
        }
        _ => {
            *settling = Some((scope, cause, ctx.now));
            false
        }
    }
}
