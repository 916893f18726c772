//! The case of one check: its votes, its episode, its verdict and its incident.
//!
//! Each event about a check ends in [`Case::judge`]: count the votes, pursue the suspicion, weigh
//! what they show against what is on record, publish what a person would notice, and say when to
//! look again. Nothing here looks at another check.

mod calm;
mod certificate;
mod dispute;
mod intermittent;
mod mute;
mod onset;
mod origin;
mod past;
mod places;
mod publish;
mod pursue;
mod quiet;
mod remember;
mod resolver;
mod sight;
mod trial;
mod weigh;

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    Cause, Check, Doubt, Fleet, FleetPolicy, Health, Incident, Outcome, ProbeResult, Revision,
    RoundId, Scope, State, Timestamp,
};

use crate::baseline::{Baselines, KindIx};
use crate::conflict::{Conflicts, Network};
use crate::count::{Count, Peer, Scale};
use crate::episode::{Episode, Purse};
use crate::hosts::Hosts;
use crate::incident;
use crate::limits::RETRY_AFTER_INTERVALS_MAX;
use crate::liveness::{AgentIx, RegionIx, RegionState, Roster};
use crate::memory::Memory;
use crate::mixed::Mixed;
use crate::mute::Mutes;
use crate::origin::Links;
use crate::quorum::Ruling;
use crate::resolvers::Resolvers;
use crate::vote::{Group, Reading, Say, Sight, Taken};
use crate::{Effect, recovery};
use calm::Calm;
pub(crate) use past::Lateness;
use past::Past;
use publish::Published;
use remember::Kept;
pub(crate) use trial::Trial;

/// What a case may look at besides itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) roster: &'a Roster,
    pub(crate) baselines: &'a Baselines,
    /// The check that probes the origin of this one.
    pub(crate) origin: Option<&'a Case>,
    /// Whether what comes was seen before a restart: it rebuilds the votes and teaches nothing.
    pub(crate) is_replay: bool,
    pub(crate) now: Timestamp,
}

impl<'a> Context<'a> {
    /// Without an origin.
    pub(crate) fn of(
        (fleet, roster, baselines): (&'a Fleet, &'a Roster, &'a Baselines),
        now: Timestamp,
    ) -> Self {
        Self { fleet, roster, baselines, origin: None, is_replay: false, now }
    }

    fn policy(&self) -> &FleetPolicy {
        &self.fleet.policy
    }
}

/// What all cases share and change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    /// The number of the next round.
    pub(crate) next_round: u64,
    pub(crate) hosts: Hosts,
    pub(crate) conflicts: Conflicts,
    pub(crate) resolvers: Resolvers,
    pub(crate) lateness: Lateness,
}

/// What each result is held against, beside the case: to look it up in the check takes as long as
/// all the rest that a plain success needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terms {
    revision: Revision,
    /// For how long a probe speaks.
    fresh_for: Duration,
    /// So long before its end a certificate is near it.
    warn: Option<Duration>,
}

impl Terms {
    fn of(check: &Check) -> Self {
        Self {
            revision: check.revision,
            fresh_for: FleetPolicy::freshness(check.interval, check.timeout),
            warn: check.certificate.warn,
        }
    }
}

/// Everything about one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) check: Arc<Check>,
    terms: Terms,
    pub(crate) kind: KindIx,
    groups: Vec<Group>,
    episode: Option<Box<Episode>>,
    /// The rounds of the latest episode.
    rounds: Vec<RoundId>,
    /// Start of the probe that opened it.
    began: Option<Timestamp>,
    purse: Purse,
    published: Option<Published>,
    incident: Option<Box<Incident>>,
    memory: Memory,
    mutes: Mutes,
    /// The answers while it is down.
    answers: Mixed,
    /// On which network each region was contradicted first.
    disputed: Vec<(RegionIx, Network)>,
    /// A scope and cause that are not published yet, and since when they are so.
    settling: Option<(Scope, Cause, Timestamp)>,
    /// Until when a missing vote says nothing and nothing is resolved.
    grace: Timestamp,
    kept: Kept,
    is_paced: bool,
    /// Whether some agent may reach the target only by its second resolver.
    asks_second: bool,
    links: Option<Box<Links>>,
    past: Option<Box<Past>>,
    calm: Option<Calm>,
    pub(crate) alarm: Option<Timestamp>,
}

impl Case {
    pub(crate) fn new(
        (check, kind): (Arc<Check>, KindIx),
        regions: &[RegionIx],
        now: Timestamp,
    ) -> Self {
        let terms = Terms::of(&check);
        Self {
            terms,
            kind,
            groups: regions.iter().map(|region| Group::new(*region)).collect(),
            episode: None,
            rounds: Vec::new(),
            began: None,
            purse: Purse::full(),
            published: None,
            incident: None,
            memory: Memory::default(),
            mutes: Mutes::default(),
            answers: Mixed::default(),
            disputed: Vec::new(),
            settling: None,
            grace: now + terms.fresh_for,
            kept: Kept::default(),
            is_paced: false,
            asks_second: false,
            links: None,
            past: None,
            calm: None,
            alarm: None,
            check,
        }
    }

    /// The check is defined like this from now on. Votes stay if its revision does.
    pub(crate) fn redefine(
        &mut self,
        (check, kind): (Arc<Check>, KindIx),
        regions: &[RegionIx],
        now: Timestamp,
    ) {
        self.disturb();
        let keeps = check.revision == self.terms.revision;
        self.terms = Terms::of(&check);
        if !keeps {
            self.grace = now + self.terms.fresh_for;
            self.episode = None;
            self.disputed.clear();
        }
        if self.groups.iter().map(|group| group.region).ne(regions.iter().copied()) {
            // Their places in the answers are others now.
            self.answers.begin(now);
            self.disputed.retain(|(region, _)| regions.contains(region));
        }
        let mut old = if keeps { std::mem::take(&mut self.groups) } else { Vec::new() };
        let mut kept = |region: &RegionIx| {
            let place = old.iter().position(|group| group.region == *region)?;
            Some(old.swap_remove(place))
        };
        self.groups = regions
            .iter()
            .map(|region| kept(region).unwrap_or_else(|| Group::new(*region)))
            .collect();
        (self.check, self.kind) = (check, kind);
    }

    /// Forgets the episode: nobody was asked.
    pub(crate) fn end_episode(&mut self) {
        self.episode = None;
    }

    pub(crate) fn votes_in(&self, region: RegionIx) -> bool {
        self.groups.iter().any(|group| group.region == region)
    }

    /// The interval of probes while the check is down.
    pub(crate) fn pace(&self, policy: &FleetPolicy) -> Duration {
        self.check.interval.min(policy.recovery_interval)
    }

    fn group(&mut self, region: RegionIx) -> Option<&mut Group> {
        self.groups.iter_mut().find(|group| group.region == region)
    }

    /// Takes in the end of a probe, and raises a suspicion if it is reason for one.
    pub(crate) fn take(
        &mut self,
        ctx: &Context<'_>,
        agent: AgentIx,
        result: &ProbeResult,
    ) -> Option<Trial> {
        let calm = self.calm.take();
        let mut is_asked = false;
        if let (Some(episode), Some(round)) = (self.episode.as_mut(), result.round) {
            is_asked = episode.rounds.contains(&round);
            episode.answered(agent, round, ctx.now);
        }
        let trial = self.record(ctx, agent, result, is_asked);
        self.calm = calm.and_then(|calm| self.stays_calm(calm, (ctx, agent), result));
        trial
    }

    fn record(
        &mut self,
        ctx: &Context<'_>,
        agent: AgentIx,
        result: &ProbeResult,
        is_asked: bool,
    ) -> Option<Trial> {
        let started = result.started.min(ctx.now);
        let fresh_until = started + self.terms.fresh_for + self.announced_delay(result);
        let region = ctx.roster.agent(agent).region;
        if fresh_until <= ctx.now {
            self.note_late(ctx, result);
            return None;
        }
        if result.revision != self.terms.revision {
            return None;
        }
        let group = self.group(region)?;
        let say = match trusted(result, ctx.roster.agent(agent).is_excused()) {
            Ok(say) => say,
            Err(doubt) => {
                group.doubt(agent, started, doubt);
                return None;
            }
        };
        let sight = Sight { now: ctx.now, cut: None };
        let was_alarmed = say.is_alarming() && {
            let before = group.read(ctx.roster, sight);
            // That nothing works any more is news after one address family did.
            is_alarmed(&before) && before.say >= Some(say)
        };
        let is_trusted = ctx.roster.agent(agent).trusts(started);
        let is_conclusive = say.is_success() || say == Say::Fail && is_trusted;
        if is_conclusive && self.memory.latched == State::Down {
            self.note_answer(ctx, started, (region, agent), say == Say::Fail);
        }
        self.asks_second |= result.observation.evidence.resolver.is_some();
        let group = self.group(region)?;
        let Taken { is_last, in_a_row } =
            group.insert(agent, result, (started, say), fresh_until)?;
        if is_last && say.is_alarming() && is_trusted && !was_alarmed {
            let turned = in_a_row == 1 || is_alarmed(&group.read(ctx.roster, sight));
            if turned {
                self.suspect(ctx, agent, started, is_asked);
            }
        }
        if is_last && say.is_success() {
            self.note_success(started);
        }
        if ctx.is_replay || !is_conclusive {
            return None;
        }
        let failed = say == Say::Fail;
        if result.round.is_some() {
            self.note_answered(ctx, (region, agent), failed);
        } else {
            // Also of a failure that its retry has refuted meanwhile: it happened.
            self.follow_slowly(ctx, (region, agent), failed, in_a_row);
        }
        let is_first = in_a_row == 1 && result.round.is_none();
        match (failed, is_first) {
            (true, false) => None,
            (true, true) => self.note_failure(ctx, (region, agent), is_last),
            (false, _) => self.note_good(ctx, (region, agent), result.round.is_none()),
        }
    }

    fn note_answer(
        &mut self,
        ctx: &Context<'_>,
        started: Timestamp,
        (region, agent): (RegionIx, AgentIx),
        failed: bool,
    ) {
        if let Some(place) = self.stand_in(ctx.roster, region) {
            self.answers.note(started, (place, agent.0), failed);
        }
    }

    /// How much longer a vote speaks because the target asked to be left alone. A success asks for
    /// nothing: it would be proof for longer than anybody looked.
    fn announced_delay(&self, result: &ProbeResult) -> Duration {
        if result.observation.outcome.is_success() {
            return Duration::ZERO;
        }
        let most = self.check.interval * RETRY_AFTER_INTERVALS_MAX;
        result.observation.evidence.retry_after.map_or(Duration::ZERO, |delay| delay.min(most))
    }

    /// Looks at everything and does what follows. Returns when to look again.
    pub(crate) fn judge(
        &mut self,
        ctx: &Context<'_>,
        shared: &mut Shared,
        effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        self.mutes.look(ctx.now);
        self.look_behind(ctx);
        self.serve_fronts(ctx);
        self.weigh_levels(ctx);
        let mut count = self.count(ctx);
        if self.turn_intermittent(ctx, &count, effects) {
            count = self.count(ctx);
        }
        let is_down = self.memory.latched == State::Down;
        if self.episode.is_none() && !is_down && count.ruling != Ruling::Hold {
            // Enough regions fail without a suspicion of their own, because others were lost.
            self.open_episode(ctx, ctx.now);
            count = self.count(ctx);
        }
        if self.pursue(ctx, &count, shared, effects) && !is_down && count.ruling != Ruling::Down {
            count = self.count(ctx);
        }
        self.note_sight(ctx, &count);
        let filing = if self.is_blind(ctx, &count) {
            self.lose_sight(ctx)
        } else {
            self.weigh(ctx, &count, effects)
        };
        self.dispute(ctx, &mut shared.conflicts);
        self.consult(ctx, &mut shared.resolvers);
        self.publish(ctx, &count, filing, effects);
        self.recount(ctx, shared, effects);
        self.keep(ctx, effects);
        self.calm = self.calms_down(ctx, &count);
        self.calm.map(Calm::end).or_else(|| self.wake(ctx, &count))
    }

    fn count(&self, ctx: &Context<'_>) -> Count {
        let is_down = self.memory.latched == State::Down;
        let cut = self.episode.as_ref().filter(|_| !is_down).map(|episode| episode.cut);
        self.count_from(ctx, cut)
    }

    fn count_from(&self, ctx: &Context<'_>, cut: Option<Timestamp>) -> Count {
        let sight = Sight { now: ctx.now, cut };
        let peer = |place: usize| {
            let region = self.groups[place].region;
            Peer {
                labels: ctx.fleet.regions.get(&ctx.roster.region(region).id).map(|r| &r.labels),
                alone_ppm: ctx.baselines.get(self.kind, region).ppm(),
                wavers: self.groups[place].level.wavers(),
            }
        };
        let intermittent_ppm = self.memory.intermittent.share_ppm();
        let is_early = ctx.now < self.grace;
        let scale = Scale { now: ctx.now, is_early, intermittent_ppm, peer: &peer };
        Count::of(&self.check, self.readings(ctx.roster, sight), &scale)
    }

    /// The next moment at which time alone can change anything.
    fn wake(&self, ctx: &Context<'_>, count: &Count) -> Option<Timestamp> {
        let policy = ctx.policy();
        let time = self.memory.recovery_time(policy, ctx.now);
        [
            count.until(),
            self.episode.as_ref().and_then(|episode| episode.wake(ctx.now)),
            self.proof_due(ctx, count),
            self.notice_due(count),
            self.unseen_due(ctx),
            recovery::due(&self.memory, time),
            incident::digest_due(&self.memory, policy),
            self.memory.owed,
            self.past_due(),
            self.certificate_wake(ctx),
            self.mutes.wake(),
            self.serves_at(),
            self.settling.map(|(_, _, since)| since + policy.absent_after),
            Some(self.grace),
        ]
        .into_iter()
        .flatten()
        .filter(|at| *at > ctx.now)
        .min()
    }
}

fn is_alarmed(reading: &Reading) -> bool {
    reading.state == RegionState::Live && reading.say.is_some_and(Say::is_alarming)
}

/// What a probe says, if it can be believed: successes always, anything else only from an agent
/// that is well, or is excused because only its anchors are not.
fn trusted(result: &ProbeResult, is_excused: bool) -> Result<Say, Doubt> {
    let unwell = match result.health {
        Health::Fine => None,
        Health::Island if is_excused => None,
        Health::Island => Some(Doubt::Island),
        Health::Overloaded => Some(Doubt::Overloaded),
    };
    let outcome = result.observation.outcome;
    let doubt = match outcome {
        Outcome::Inconclusive { reason } => Some(reason),
        Outcome::Ok | Outcome::Slow => None,
        Outcome::Fail { .. } | Outcome::Blocked { .. } => unwell,
    };
    match (doubt, Say::of(&result.observation)) {
        // What only the other address family says against the target is a failure too.
        (None, Some(Say::OneFamily)) if outcome.is_success() && unwell.is_some() => Ok(Say::Ok),
        (None, Some(say)) => Ok(say),
        (doubt, _) => Err(doubt.unwrap_or(Doubt::Internal)),
    }
}
