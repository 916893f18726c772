//! Pursuing: what a suspicion asks of the fleet, and when it is over.

use std::time::Duration;

use quorate_model::{Health, RoundId, State, Suspicion, Timestamp};

use super::{Case, Context, Shared, is_alarmed};
use crate::count::Count;
use crate::episode::Episode;
use crate::liveness::{AgentIx, RegionState};
use crate::quorum::{Ground, Ruling};
use crate::vote::{AgentVote, Sight};
use crate::{Confirmation, Effect};

impl Case {
    /// Takes in that a probe is late.
    pub(crate) fn late(&mut self, ctx: &Context<'_>, agent: AgentIx, suspicion: &Suspicion) {
        self.disturb();
        let started = suspicion.started.min(ctx.now);
        let is_current = suspicion.revision == self.terms.revision
            && started + self.terms.fresh_for > ctx.now
            && (suspicion.health == Health::Fine
                || suspicion.health == Health::Island && ctx.roster.agent(agent).is_excused())
            && ctx.roster.agent(agent).trusts(started);
        let Some(group) = self.group(ctx.roster.agent(agent).region) else {
            return;
        };
        let last = group.of(agent).and_then(AgentVote::started);
        let is_news = last.is_none_or(|last| last < started);
        if is_current
            && is_news
            && !is_alarmed(&group.read(ctx.roster, Sight { now: ctx.now, cut: None }))
        {
            self.suspect(ctx, agent, started, false);
        }
    }

    /// Takes in that an agent will not answer.
    pub(crate) fn declined(&mut self, agent: AgentIx, round: RoundId, now: Timestamp) {
        if let Some(episode) = self.episode.as_mut() {
            episode.answered(agent, round, now);
        }
    }

    /// A region that was well is suspicious of the target: opens an episode, or has one more round
    /// asked if the present one did not ask for this probe.
    pub(super) fn suspect(
        &mut self,
        ctx: &Context<'_>,
        agent: AgentIx,
        started: Timestamp,
        is_asked: bool,
    ) {
        let region = ctx.roster.region(ctx.roster.agent(agent).region);
        if self.memory.latched == State::Down || region.state == RegionState::Suspect {
            return;
        }
        match self.episode.as_mut() {
            None => {
                self.open_episode(ctx, started);
                if let Some(episode) = self.episode.as_mut() {
                    episode.opened_by = Some(ctx.roster.agent(agent).region);
                }
            }
            Some(episode) if !is_asked && !episode.awaits(agent) => {
                episode.ask_all(ctx.now);
            }
            Some(_) => {}
        }
    }

    pub(super) fn open_episode(&mut self, ctx: &Context<'_>, began: Timestamp) {
        let regions = u32::try_from(self.groups.len()).unwrap_or(1).max(1);
        let episode = Episode::open(began, self.check.interval / regions, ctx.now);
        self.episode = Some(Box::new(episode));
        self.rounds.clear();
        self.began = Some(began);
    }

    /// Asks the round that is due and closes the episode that is over. Returns whether it closed.
    pub(super) fn pursue(
        &mut self,
        ctx: &Context<'_>,
        count: &Count,
        shared: &mut Shared,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(mut episode) = self.episode.take() else {
            return false;
        };
        let is_old =
            count.ruling == Ruling::Hold && ctx.now >= episode.opened + self.terms.fresh_for;
        let is_decided = is_old
            || self.memory.latched == State::Down
            || count.ruling == Ruling::Down
            || count.ground == Ground::TooFewLive;
        if is_decided {
            episode.ask_at = None;
        } else if count.ruling == Ruling::Ask
            && (!episode.is_waiting(ctx.roster, ctx.now)
                || ctx.now >= episode.settles(self.lateness(ctx)))
        {
            episode.ask_again(ctx.policy().round_gap.max(self.check.timeout), ctx.now);
        }
        if let Some(region) = episode.opened_by.take() {
            let moment = self.lateness(ctx);
            if !shared.hosts.admit(region, &self.check.target, moment, ctx.now) {
                return true;
            }
        }
        if episode.ask_at.is_some_and(|at| at <= ctx.now) {
            self.ask(ctx, &mut episode, (count, shared), effects);
        }
        self.rounds.clone_from(&episode.rounds);
        let is_waiting = !is_old && episode.is_waiting(ctx.roster, ctx.now);
        let is_over = episode.ask_at.is_none() && !is_waiting;
        if !is_over && count.ground != Ground::TooFewLive {
            self.episode = Some(episode);
            return false;
        }
        true
    }

    /// The lateness that raises suspicion.
    pub(super) fn lateness(&self, ctx: &Context<'_>) -> Duration {
        ctx.policy().suspect_after(self.check.timeout)
    }

    /// Asks every agent that can be asked, in a narrow round those of failing regions; waits only
    /// for those whose failure would count.
    pub(super) fn ask(
        &mut self,
        ctx: &Context<'_>,
        episode: &mut Episode,
        (count, shared): (&Count, &mut Shared),
        effects: &mut Vec<Effect>,
    ) {
        let asked: Vec<AgentIx> = self
            .groups
            .iter()
            .zip(&count.readings)
            .filter(|(_, reading)| !episode.is_narrow || count.is_failing(reading))
            .map(|(group, _)| group)
            .flat_map(|group| &ctx.roster.region(group.region).agents)
            .copied()
            .filter(|agent| ctx.roster.agent(*agent).connected)
            .collect();
        if asked.is_empty() {
            episode.ask_at = None;
            return;
        }
        if !episode.is_paid
            && let Err(later) = self.purse.pay(ctx.policy(), ctx.now)
        {
            episode.ask_at = Some(later);
            return;
        }
        if let Err(later) = shared.hosts.pay(&self.check.target, asked.len(), ctx.now) {
            if !episode.is_paid {
                self.purse.give_back();
            }
            episode.ask_at = Some(later);
            return;
        }
        let is_own = !std::mem::take(&mut episode.is_paid);
        episode.own_rounds = episode.own_rounds.saturating_add(u8::from(is_own));
        let round = RoundId(shared.next_round);
        shared.next_round += 1;
        let start_within = self.lateness(ctx);
        let deadline = ctx.now + start_within + self.check.timeout + ctx.policy().heartbeat;
        let witnesses = asked.iter().copied().filter(|agent| ctx.roster.is_witness(*agent));
        episode.asked(round, witnesses, (ctx.now, deadline));
        if episode.rounds.len() == 1 || is_own && episode.own_rounds == 1 {
            self.takes_along();
        }
        effects.push(Effect::Confirm(Confirmation {
            check: self.check.id.clone(),
            revision: self.check.revision,
            round,
            agents: asked.iter().map(|agent| ctx.roster.agent(*agent).id.clone()).collect(),
            start_within,
        }));
    }

    /// When the proof can be complete, or the failing regions are to be asked again.
    pub(super) fn proof_due(&self, ctx: &Context<'_>, count: &Count) -> Option<Timestamp> {
        if count.ruling != Ruling::Ask || self.memory.latched == State::Down {
            return None;
        }
        let settled = self.episode.as_ref().map(|episode| episode.settles(self.lateness(ctx)));
        let settled = settled.filter(|at| *at > ctx.now);
        let complete = count.proof.as_ref().and_then(|proof| proof.complete_in);
        [settled, complete.map(|wait| ctx.now + wait)].into_iter().flatten().min()
    }
}
