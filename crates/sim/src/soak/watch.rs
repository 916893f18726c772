//! One check, watched for years: the real engine, and agents that probe by their real schedules.

mod skip;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use quorate_agent::logic::Slot;
use quorate_model::{
    AgentId, AlertKind, BootId, Cause, CheckId, Evidence, Fleet, Health, Observation, Outcome,
    Phase, ProbeResult, ProbeSpec, Reason, RegionId, ResultId, RoundId, Suspicion, Timestamp,
};
use quorate_verdict::{Effect, Engine, Event, Transition, schedule};

use super::member::Member;
use super::outage::Trouble;
use super::setting::{Region, Setting, fleet};
use super::tally::Tally;
use crate::play::staff::next_in;

/// When a watch begins: an instant of no meaning.
pub(super) const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
/// From the coordinator's word to the start of a probe: `d`.
const PUSH: Duration = Duration::from_millis(200);

const FAILURE: Outcome = Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout };
const ERROR: Outcome = Outcome::Fail { phase: Phase::Connect, reason: Reason::Refused };

/// Something that a person would have noticed, or that was asked of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When, from the start.
    pub at: Duration,
    /// What, in words.
    pub what: String,
}

/// Something on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Ask { agent: usize, round: u64 },
    Late { agent: usize, started: Timestamp },
    Result { agent: usize, started: Timestamp, round: Option<u64>, ends: Ending },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Ok,
    TimedOut,
    Refused,
}

/// A check that is being watched.
#[derive(Debug)]
pub struct Watch {
    engine: Engine,
    check: CheckId,
    spec: ProbeSpec,
    members: Vec<Member>,
    jobs: BinaryHeap<Reverse<(Timestamp, u64, Job)>>,
    next_job: u64,
    now: Timestamp,
    every: Duration,
    skips: bool,
    pub(super) trouble: Option<Trouble>,
    tally: Tally,
    /// The pages and notices that were sent.
    pub(super) told: Vec<(Timestamp, AlertKind)>,
    /// Everything that people or agents were told; only when it is wanted.
    log: Option<Vec<Moment>>,
}

impl Watch {
    /// Begins to watch. Fails only if the product's own configuration refuses the check.
    pub fn new(setting: &Setting) -> Result<Self, String> {
        let fleet = Arc::new(fleet(setting)?);
        let (id, check) = fleet.checks.first_key_value().ok_or("no check")?;
        let agents: BTreeMap<RegionId, Vec<AgentId>> = (check.regions.iter())
            .filter_map(|region| Some((region.clone(), vec![format!("{region}1").parse().ok()?])))
            .collect();
        let phases = schedule::slots_apart(check, &agents, &fleet.regions);
        let mut watch = Self {
            engine: Engine::new(),
            check: id.clone(),
            spec: ProbeSpec::of(check, &fleet.policy),
            members: Vec::new(),
            jobs: BinaryHeap::new(),
            next_job: 0,
            now: START,
            every: check.interval,
            skips: setting.skips,
            trouble: None,
            tally: Tally::default(),
            told: Vec::new(),
            log: None,
        };
        for (place, (region, agents)) in agents.into_iter().enumerate() {
            for id in agents {
                let phase = phases.get(&id).copied().unwrap_or_default();
                let is = setting.regions.get(place).copied().unwrap_or(Region::Sound);
                watch.members.push(Member::new((setting, place), (id, region.clone()), is, phase));
            }
        }
        watch.begin(&fleet);
        Ok(watch)
    }

    fn begin(&mut self, fleet: &Arc<Fleet>) {
        self.apply(Event::Configured(Arc::clone(fleet)));
        for place in 0..self.members.len() {
            let Member { id, region, .. } = &self.members[place];
            let (agent, region) = (id.clone(), region.clone());
            self.apply(Event::Connected { agent, region, prefix: None });
        }
        self.beat();
        self.pace(self.spec.interval);
    }

    /// Keeps what is told from now on.
    pub fn keep_log(&mut self) {
        self.log = Some(Vec::new());
    }

    /// What was told since [`Watch::keep_log`].
    pub fn log(&self) -> &[Moment] {
        self.log.as_deref().unwrap_or_default()
    }

    /// The sums so far.
    pub fn tally(&self) -> Tally {
        Tally { played: self.now - START, ..self.tally }
    }

    /// When the watch stands.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    fn later(&mut self, wait: Duration, job: Job) {
        self.next_job += 1;
        self.jobs.push(Reverse((self.now + wait, self.next_job, job)));
    }

    /// Plays for so long.
    pub fn play(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            if self.skips && self.jobs.is_empty() {
                self.skip(end);
            }
            let job = self.jobs.peek().map(|Reverse((at, ..))| *at);
            let slot = self.members.iter().filter_map(|m| m.schedule.next_due()).min();
            let tick = self.engine.next_deadline();
            let Some(next) = [job, slot, tick].into_iter().flatten().min() else {
                return;
            };
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            if job == Some(next) {
                if let Some(Reverse((_, _, job))) = self.jobs.pop() {
                    self.perform(job);
                }
            } else if slot == Some(next) {
                self.probe_by_schedule();
            } else {
                self.apply(Event::Tick);
            }
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Ask { agent, round } => {
                self.tally.asked += 1;
                self.probe(agent, Some(round));
            }
            Job::Late { agent, started } => {
                let suspicion = self.suspicion(agent, started);
                self.apply(Event::Suspected(Box::new(suspicion)));
            }
            Job::Result { agent, started, round, ends } => {
                let result = self.result(agent, started, round, ends, self.now);
                self.apply(Event::Result(Box::new(result)));
            }
        }
    }

    /// Lets each say what it thinks of itself.
    fn beat(&mut self) {
        for place in 0..self.members.len() {
            let (agent, health) = (self.members[place].id.clone(), self.health(place));
            self.apply(Event::Alive { agent, heartbeat: health.into() });
        }
    }

    fn health(&self, agent: usize) -> Health {
        if self.members[agent].is == Region::Island { Health::Island } else { Health::Fine }
    }

    fn apply(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.apply(event, self.now, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match &effect {
                Effect::Confirm(order) => {
                    self.tally.rounds += 1;
                    for id in &order.agents {
                        if let Some(agent) = self.members.iter().position(|m| m.id == *id) {
                            self.later(PUSH, Job::Ask { agent, round: order.round.0 });
                        }
                    }
                }
                Effect::Transition(transition) => self.count(transition),
                Effect::Pace { every, .. } => self.pace(every.unwrap_or(self.spec.interval)),
                Effect::Remember { .. } => continue,
                Effect::Operator(_) => {}
            }
            let at = self.now - START;
            if let Some(log) = self.log.as_mut() {
                log.push(Moment { at, what: told(&effect) });
            }
        }
    }

    fn count(&mut self, transition: &Transition) {
        let is_intermittent = transition.verdict.cause == Cause::TargetIntermittent;
        for (_, alert) in &transition.alerts {
            match alert.kind {
                AlertKind::Page => self.tally.pages += 1,
                AlertKind::Notice => {
                    self.tally.notices += 1;
                    self.tally.intermittent += u64::from(is_intermittent);
                }
                AlertKind::Resolved | AlertKind::Digest => continue,
            }
            self.told.push((self.now, alert.kind));
        }
    }

    /// Deals out the slots anew.
    fn pace(&mut self, every: Duration) {
        self.every = every;
        for member in &mut self.members {
            let next = self.now + next_in(member.phase, every, self.now);
            member.schedule.set(&self.check, Slot { next, every });
            member.sure_until = next;
            member.ahead = member.noise.clone();
        }
    }

    fn probe_by_schedule(&mut self) {
        for agent in 0..self.members.len() {
            let due = self.members[agent].schedule.take_due(self.now);
            if !due.is_empty() {
                self.tally.scheduled += 1;
                self.probe(agent, None);
            }
        }
    }

    /// How a probe that starts now ends, and after how long.
    fn ending(&mut self, agent: usize) -> (Ending, Duration) {
        let (now, timeout) = (self.now, self.spec.timeout);
        let member = &mut self.members[agent];
        let is_noise = member.noise.fails(now);
        let trouble = self.trouble.as_ref().filter(|trouble| trouble.hits(agent, now));
        match trouble {
            Some(trouble) if trouble.is_error() => (Ending::Refused, member.round_trip),
            Some(_) => (Ending::TimedOut, timeout),
            None if is_noise || member.misleads(now) => (Ending::TimedOut, timeout),
            None => (Ending::Ok, member.round_trip),
        }
    }

    fn probe(&mut self, agent: usize, round: Option<u64>) {
        let (ends, takes) = self.ending(agent);
        let (started, way_up) = (self.now, self.members[agent].way_up);
        if takes > self.spec.suspect_after {
            self.later(self.spec.suspect_after + way_up, Job::Late { agent, started });
        }
        self.later(takes + way_up, Job::Result { agent, started, round, ends });
    }

    fn suspicion(&self, agent: usize, started: Timestamp) -> Suspicion {
        let member = &self.members[agent];
        Suspicion {
            agent: member.id.clone(),
            region: member.region.clone(),
            check: self.check.clone(),
            revision: self.spec.revision,
            phase: Phase::Connect,
            started,
            health: self.health(agent),
        }
    }

    fn result(
        &mut self,
        agent: usize,
        started: Timestamp,
        round: Option<u64>,
        ends: Ending,
        received: Timestamp,
    ) -> ProbeResult {
        let health = self.health(agent);
        let member = &mut self.members[agent];
        member.sequence += 1;
        ProbeResult {
            id: ResultId { agent: member.id.clone(), boot: BootId(1), sequence: member.sequence },
            region: member.region.clone(),
            check: self.check.clone(),
            revision: self.spec.revision,
            round: round.map(RoundId),
            started,
            received,
            health,
            observation: Observation {
                outcome: match ends {
                    Ending::Ok => Outcome::Ok,
                    Ending::TimedOut => FAILURE,
                    Ending::Refused => ERROR,
                },
                total: received - started,
                phases: Vec::new(),
                evidence: Evidence::default(),
            },
        }
    }
}

/// An effect in words that hold everything which must be the same in two runs.
fn told(effect: &Effect) -> String {
    match effect {
        Effect::Transition(transition) => {
            let Transition { verdict, alerts, memory, .. } = &**transition;
            let kinds: Vec<&str> = alerts.iter().map(|(_, alert)| alert.kind.as_str()).collect();
            let ballot = &verdict.ballot;
            format!(
                "{} {} {} {} {:?} {} of {} {kinds:?} {memory}",
                verdict.state,
                ballot.scope,
                verdict.cause,
                verdict.summary,
                ballot.rounds.len(),
                ballot.evidence_milli_nats,
                ballot.need_milli_nats,
            )
        }
        Effect::Confirm(order) => format!("asks {} agents: {:?}", order.agents.len(), order.agents),
        Effect::Pace { every, .. } => format!("every {every:?}"),
        Effect::Operator(notice) => format!("{:?} {}", notice.kind, notice.message),
        Effect::Remember { .. } => String::new(),
    }
}
