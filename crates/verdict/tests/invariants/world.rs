//! Plays a composition around one engine, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AgentId, AlertKind, BootId, Check, CheckId, Evidence, Fleet, Health, Observation, Outcome,
    Phase, Prefix, ProbeResult, RegionId, ResultId, RoundId, State, Suspicion, Timestamp, Verdict,
};
use quorate_verdict::{Effect, Engine, Event, Restore, Transition, schedule};

use crate::composition::{Composition, Fault, OK, QUICK, TIMEOUT, What, region_id};
use crate::draw::hash;

/// Results of the origin are numbered from here.
const BEHIND_FROM: u64 = 1 << 41;

/// One way between an agent and the coordinator.
const LINK: Duration = Duration::from_millis(50);

/// What does not matter: where the clock begins, and how agents number what they send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) start: Timestamp,
    pub(crate) boot: u128,
    pub(crate) sequence: u64,
}

impl Default for Origin {
    fn default() -> Self {
        Self { start: Timestamp::from_micros(1_700_000_000_000_000), boot: 1, sequence: 0 }
    }
}

enum Job {
    Beat(usize),
    Probe { agent: usize, check: usize, round: Option<RoundId>, generation: u32 },
    Late(usize, Box<Suspicion>),
    Cry { agent: usize, fault: usize },
    Deliver(usize, Box<ProbeResult>),
}

/// A check that is probed: the one in question first, then that of its origin.
struct Watched {
    id: CheckId,
    interval: Duration,
    generation: u32,
}

struct Member {
    id: AgentId,
    region: usize,
    /// Its place among the agents of the region.
    place: usize,
    sequence: u64,
    /// How often it has probed the origin.
    behind: u64,
    is_up: bool,
}

/// The world.
pub(crate) struct World<'a> {
    composition: &'a Composition,
    pub(crate) engine: Engine,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) check: CheckId,
    pub(crate) now: Timestamp,
    pub(crate) start: Timestamp,
    pub(crate) log: Vec<(Duration, Effect)>,
    /// Everything that was delivered.
    pub(crate) results: Vec<ProbeResult>,
    members: Vec<Member>,
    jobs: BTreeMap<(Timestamp, u64), Job>,
    next_job: u64,
    watched: Vec<Watched>,
    origin: Origin,
    /// Restarts that are still to come.
    restarts: Vec<u64>,
    pub(crate) restarted: Option<Timestamp>,
    /// Whether agents of one region probe at the same instants and see the same.
    is_mirrored: bool,
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl<'a> World<'a> {
    pub(crate) fn new(composition: &'a Composition) -> Self {
        Self::from(composition, Origin::default(), false)
    }

    /// A world in which the agents of a region are copies of each other.
    pub(crate) fn mirrored(composition: &'a Composition) -> Self {
        Self::from(composition, Origin::default(), true)
    }

    /// A world in which the check of the origin is there, but may not be known as such.
    pub(crate) fn linked(composition: &'a Composition, is_linked: bool) -> Self {
        let origin = Origin::default();
        let mut fleet = composition.fleet_at(origin.start);
        if !is_linked {
            let check = Check { origin: None, ..composition.check() };
            fleet.checks.insert(check.id.clone(), Arc::new(check));
        }
        Self::of(composition, fleet, origin, false)
    }

    pub(crate) fn from(composition: &'a Composition, origin: Origin, is_mirrored: bool) -> Self {
        Self::of(composition, composition.fleet_at(origin.start), origin, is_mirrored)
    }

    fn of(composition: &'a Composition, fleet: Fleet, origin: Origin, is_mirrored: bool) -> Self {
        let fleet = Arc::new(fleet);
        let watched = fleet.checks.values().map(|check| Watched {
            id: check.id.clone(),
            interval: check.interval,
            generation: 0,
        });
        let members = composition.regions.iter().enumerate().flat_map(|(region, place)| {
            (0..place.agents).map(move |agent| Member {
                id: format!("r{region}-{agent}").parse().expect("an id"),
                region,
                place: agent,
                sequence: origin.sequence,
                behind: 0,
                is_up: true,
            })
        });
        let mut world = Self {
            composition,
            engine: Engine::new(),
            check: composition.check().id,
            watched: watched.collect(),
            now: origin.start,
            start: origin.start,
            log: Vec::new(),
            results: Vec::new(),
            members: members.collect(),
            jobs: BTreeMap::new(),
            next_job: 0,
            origin,
            restarts: composition.restarts.clone(),
            restarted: None,
            is_mirrored,
            fleet,
        };
        world.apply(Event::Configured(Arc::clone(&world.fleet)));
        world.connect_all();
        for agent in 0..world.members.len() {
            world.later(Duration::ZERO, Job::Beat(agent));
        }
        for fault in 0..composition.faults.len() {
            world.plan_cries(fault);
        }
        for check in 0..world.watched.len() {
            world.plan(check);
        }
        world
    }

    /// When it is, from the start.
    pub(crate) fn time(&self) -> Duration {
        self.now - self.start
    }

    fn plan_cries(&mut self, fault: usize) {
        let what = &self.composition.faults[fault];
        if let What::Cries(_) = what.what {
            let wait = millis(what.from);
            let agent = self.members.iter().position(|member| hits(what, member)).expect("one");
            self.later(wait, Job::Cry { agent, fault });
        }
    }

    fn connect_all(&mut self) {
        for agent in 0..self.members.len() {
            if self.members[agent].is_up {
                self.connect(agent);
            }
        }
    }

    fn connect(&mut self, agent: usize) {
        let Member { id, region, .. } = &self.members[agent];
        let (agent, region) = (id.clone(), *region);
        let prefix = self.composition.regions[region].prefix;
        let prefix = prefix.and_then(|number| Prefix::public([198, 51, number, 1].into()));
        self.apply(Event::Connected { agent, region: region_id(region), prefix });
    }

    fn definition(&self, check: usize) -> &Check {
        &self.fleet.checks[&self.watched[check].id]
    }

    /// The scheduled probes of a check, from now on at the present interval.
    fn plan(&mut self, check: usize) {
        self.watched[check].generation += 1;
        let Watched { interval, generation, .. } = self.watched[check];
        let mut by_region: BTreeMap<RegionId, Vec<AgentId>> = BTreeMap::new();
        for member in &self.members {
            if member.place == 0 || !self.is_mirrored {
                let agents = by_region.entry(region_id(member.region)).or_default();
                agents.push(member.id.clone());
            }
        }
        let paced = Check { interval, ..self.definition(check).clone() };
        let slots = schedule::slots_apart(&paced, &by_region, &self.fleet.regions);
        let into = self.time().as_micros() % interval.as_micros();
        let into = Duration::from_micros(u64::try_from(into).expect("small"));
        for agent in 0..self.members.len() {
            let Member { region, place, .. } = self.members[agent];
            let seat = if self.is_mirrored { 0 } else { place };
            let Some(phase) = slots.get(&by_region[&region_id(region)][seat]) else {
                continue;
            };
            let wait =
                phase.checked_sub(into).unwrap_or_else(|| (interval + *phase).saturating_sub(into));
            self.later(wait, Job::Probe { agent, check, round: None, generation });
        }
    }

    fn later(&mut self, wait: Duration, job: Job) {
        self.next_job += 1;
        self.jobs.insert((self.now + wait, self.next_job), job);
    }

    /// Applies an event, then does what the effects ask for.
    pub(crate) fn apply(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.apply(event, self.now, &mut effects);
        let at = self.time();
        for effect in effects {
            match &effect {
                Effect::Confirm(confirmation) => {
                    for id in &confirmation.agents {
                        let known = |member: &Member| member.id == *id;
                        let agent = self.members.iter().position(known).expect("a member");
                        let round = Some(confirmation.round);
                        let check = self.place(&confirmation.check);
                        self.later(LINK, Job::Probe { agent, check, round, generation: 0 });
                    }
                }
                Effect::Pace { check, every } => {
                    let place = self.place(check);
                    self.watched[place].interval = every.unwrap_or(self.definition(place).interval);
                    self.plan(place);
                }
                Effect::Transition(_) | Effect::Operator(_) | Effect::Remember { .. } => {}
            }
            self.log.push((at, effect));
        }
    }

    fn place(&self, check: &CheckId) -> usize {
        self.watched.iter().position(|watched| watched.id == *check).expect("a check")
    }

    /// Plays until so many milliseconds after the start.
    pub(crate) fn run(&mut self, until: u64) {
        while let Some(at) = self.restarts.first().copied().filter(|at| *at <= until) {
            self.restarts.remove(0);
            self.play(at);
            self.restart();
        }
        self.play(until);
    }

    fn play(&mut self, until: u64) {
        let end = self.start + millis(until);
        loop {
            let job = self.jobs.first_key_value().map(|((at, _), _)| *at);
            let tick = self.engine.next_deadline();
            let next = job.into_iter().chain(tick).min().expect("a heartbeat is always to come");
            if next > end {
                self.now = self.now.max(end);
                return;
            }
            self.now = self.now.max(next);
            if job.is_some_and(|job| job <= next) {
                let (_, job) = self.jobs.pop_first().expect("a job");
                self.perform(job);
            } else {
                self.apply(Event::Tick);
            }
        }
    }

    /// What befalls an agent now.
    fn suffered(&self, agent: usize) -> impl Iterator<Item = &'a What> + use<'a> {
        self.among(&self.composition.faults, agent)
    }

    fn among(&self, faults: &'a [Fault], agent: usize) -> impl Iterator<Item = &'a What> + use<'a> {
        let at = u64::try_from(self.time().as_millis()).expect("small");
        let Member { region, place, .. } = self.members[agent];
        let hits = move |fault: &&Fault| {
            let is_one = fault.region == region && fault.agent.is_none_or(|agent| agent == place);
            is_one && fault.from <= at && at < fault.to
        };
        faults.iter().filter(hits).map(|fault| &fault.what)
    }

    fn health(&self, agent: usize) -> Health {
        let is_island = self.suffered(agent).any(|what| matches!(what, What::Island));
        if is_island { Health::Island } else { Health::Fine }
    }

    /// Whether the coordinator can be reached.
    fn reaches(&self, agent: usize) -> bool {
        self.members[agent].is_up && !self.suffered(agent).any(|what| matches!(what, What::Cut))
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Beat(agent) => {
                self.beat(agent);
                self.later(millis(self.composition.heartbeat), Job::Beat(agent));
            }
            Job::Probe { agent, check, round, generation } => {
                let Watched { interval, generation: latest, .. } = self.watched[check];
                if round.is_none() && generation != latest {
                    return;
                }
                if round.is_none() {
                    self.later(interval, Job::Probe { agent, check, round, generation });
                }
                if self.members[agent].is_up && (round.is_none() || self.reaches(agent)) {
                    self.probe(agent, check, round);
                }
            }
            Job::Late(agent, mut suspicion) => {
                suspicion.health = self.health(agent);
                if self.reaches(agent) {
                    self.apply(Event::Suspected(suspicion));
                }
            }
            Job::Cry { agent, fault } => {
                let Fault { to, what: What::Cries(every), .. } = self.composition.faults[fault]
                else {
                    return;
                };
                if self.reaches(agent) {
                    let suspicion = self.suspicion(agent, 0, self.now);
                    self.apply(Event::Suspected(Box::new(suspicion)));
                }
                if self.time() + millis(every) < millis(to.min(self.composition.run)) {
                    self.later(millis(every), Job::Cry { agent, fault });
                }
            }
            Job::Deliver(agent, result) => self.deliver(agent, result),
        }
    }

    fn deliver(&mut self, agent: usize, mut result: Box<ProbeResult>) {
        if self.members[agent].is_up && !self.reaches(agent) {
            // Spooled until the stream is open again.
            self.later(Duration::from_secs(1), Job::Deliver(agent, result));
        } else if self.members[agent].is_up {
            result.received = self.now;
            self.results.push((*result).clone());
            self.apply(Event::Result(result));
        }
    }

    fn beat(&mut self, agent: usize) {
        let is_dead = self.suffered(agent).any(|what| matches!(what, What::Dead));
        let was_up = std::mem::replace(&mut self.members[agent].is_up, !is_dead);
        let id = self.members[agent].id.clone();
        if was_up && is_dead {
            self.apply(Event::Disconnected { agent: id });
            return;
        }
        if self.reaches(agent) {
            if !was_up {
                self.connect(agent);
            }
            let heartbeat = self.health(agent).into();
            self.apply(Event::Alive { agent: id, heartbeat });
        }
    }

    /// What a probe of this check meets: the agent's own troubles, and those of the target.
    fn met(&self, agent: usize, check: usize) -> Vec<&'a What> {
        let is_agents = |what: &&What| !matches!(what, What::Sees(..) | What::Flaky(..));
        match &self.composition.behind {
            Some(behind) if check > 0 => {
                let own = self.suffered(agent).filter(is_agents);
                own.chain(self.among(&behind.faults, agent)).collect()
            }
            _ => self.suffered(agent).collect(),
        }
    }

    /// How a probe that starts now ends, and after how long.
    fn ending(&self, agent: usize, check: usize) -> (Outcome, u64) {
        let micros = u64::try_from(self.time().as_micros()).expect("small");
        let who = if self.is_mirrored { 0 } else { self.members[agent].place };
        let who = u64::try_from((check * 16 + self.members[agent].region) * 16 + who);
        let who = who.expect("small");
        for what in self.met(agent, check) {
            match what {
                What::Sees(outcome, takes) => return (*outcome, *takes),
                What::Flaky(times, outcome, takes) => {
                    if hash(&[self.composition.luck, who, micros]).is_multiple_of(*times) {
                        return (*outcome, *takes);
                    }
                }
                What::Island | What::Dead => return (TIMEOUT, self.composition.timeout),
                What::Cut
                | What::Delayed(_)
                | What::Repeated(_)
                | What::Clock(_)
                | What::Cries(_) => {}
            }
        }
        (OK, QUICK)
    }

    fn probe(&mut self, agent: usize, check: usize, round: Option<RoundId>) {
        let (outcome, takes) = self.ending(agent, check);
        let lateness = self.fleet.policy.suspect_after(self.definition(check).timeout);
        if millis(takes) > lateness {
            let suspicion = self.suspicion(agent, check, self.now);
            self.later(lateness + LINK, Job::Late(agent, Box::new(suspicion)));
        }
        let result = self.result_of((agent, check), round, outcome, takes);
        let (mut most, mut times) = (0, 1);
        for what in self.suffered(agent) {
            if let What::Delayed(by) = what {
                most = most.max(*by);
            }
            if let What::Repeated(count) = what {
                times = times.max(*count);
            }
        }
        for time in 0..times {
            let number = result.id.sequence - self.origin.sequence;
            let numbers = [self.composition.luck, number, time];
            let wait = if most > 0 { hash(&numbers) % most } else { 0 };
            let result = Box::new(result.clone());
            self.later(millis(takes + wait) + LINK, Job::Deliver(agent, result));
        }
    }

    fn suspicion(&self, agent: usize, check: usize, started: Timestamp) -> Suspicion {
        Suspicion {
            agent: self.members[agent].id.clone(),
            region: region_id(self.members[agent].region),
            check: self.watched[check].id.clone(),
            revision: self.definition(check).revision,
            phase: Phase::Connect,
            started,
            health: Health::Fine,
        }
    }

    /// A result of the check in question.
    pub(crate) fn result(
        &mut self,
        agent: usize,
        round: Option<RoundId>,
        outcome: Outcome,
        takes: u64,
    ) -> ProbeResult {
        self.result_of((agent, 0), round, outcome, takes)
    }

    fn result_of(
        &mut self,
        (agent, check): (usize, usize),
        round: Option<RoundId>,
        outcome: Outcome,
        takes: u64,
    ) -> ProbeResult {
        let mut started = self.now;
        for what in self.suffered(agent) {
            if let What::Clock(by) = what {
                started = Timestamp::from_micros(started.as_micros() + by * 1_000);
            }
        }
        let (health, revision) = (self.health(agent), self.definition(check).revision);
        let boot = BootId(self.origin.boot + u128::try_from(agent).expect("small"));
        let member = &mut self.members[agent];
        // Numbered apart, so that what chance does to the one does not depend on the other.
        let sequence = if check == 0 {
            member.sequence += 1;
            member.sequence
        } else {
            member.behind += 1;
            self.origin.sequence + BEHIND_FROM + member.behind
        };
        ProbeResult {
            id: ResultId { agent: member.id.clone(), boot, sequence },
            region: region_id(member.region),
            check: self.watched[check].id.clone(),
            revision,
            round,
            started,
            received: started,
            health,
            observation: Observation {
                outcome,
                total: millis(takes),
                phases: Vec::new(),
                evidence: Evidence::default(),
            },
        }
    }

    /// The coordinator dies, and another one starts at once from what was stored.
    fn restart(&mut self) {
        let mut restore = Restore { next_round: 1_000_000, ..Restore::default() };
        for (_, effect) in &self.log {
            remember(&mut restore, effect);
        }
        let horizon = self.now.before(self.composition.freshness());
        let is_recent = |result: &&ProbeResult| result.received > horizon;
        restore.results = self.results.iter().filter(is_recent).cloned().collect();
        for result in &self.results {
            let known = (result.region.clone(), result.received);
            restore.agents.insert(result.id.agent.clone(), known);
        }
        self.engine = Engine::new();
        self.restarted = Some(self.now);
        self.apply(Event::Configured(Arc::clone(&self.fleet)));
        self.apply(Event::Restored(Box::new(restore)));
        self.connect_all();
    }

    /// Takes a region out of the vote, as if its agents said so.
    pub(crate) fn exclude(&mut self, region: usize) {
        for agent in 0..self.members.len() {
            if self.members[agent].region == region && self.reaches(agent) {
                let id = self.members[agent].id.clone();
                self.apply(Event::Alive { agent: id, heartbeat: Health::Island.into() });
            }
        }
    }

    /// The present state; `unknown` before the first verdict.
    pub(crate) fn state(&self) -> State {
        self.engine.state(&self.check).unwrap_or(State::Unknown)
    }

    /// The verdict with the votes as they are now.
    pub(crate) fn look(&self) -> Option<Verdict> {
        self.engine.look(&self.check, self.now)
    }

    /// Those of the check in question.
    /// Whether the origin behind the check was found down at any time.
    pub(crate) fn origin_fell(&self) -> bool {
        self.log.iter().any(|(_, effect)| {
            let Effect::Transition(change) = effect else { return false };
            change.check != self.check && change.verdict.state == State::Down
        })
    }

    pub(crate) fn transitions(&self) -> impl Iterator<Item = (Duration, &Transition)> {
        self.log.iter().filter_map(|(at, effect)| match effect {
            Effect::Transition(transition) if transition.check == self.check => {
                Some((*at, &**transition))
            }
            Effect::Transition(_)
            | Effect::Confirm(_)
            | Effect::Operator(_)
            | Effect::Pace { .. }
            | Effect::Remember { .. } => None,
        })
    }

    /// All messages to the check's receivers, in order.
    pub(crate) fn said(&self) -> Vec<(Duration, AlertKind)> {
        self.transitions()
            .flat_map(|(at, transition)| transition.alerts.iter().map(move |(_, a)| (at, a.kind)))
            .collect()
    }
}

fn hits(fault: &Fault, member: &Member) -> bool {
    fault.region == member.region && fault.agent.is_none_or(|agent| agent == member.place)
}

/// Stores what an effect asks to be stored.
fn remember(restore: &mut Restore, effect: &Effect) {
    match effect {
        Effect::Transition(transition) => {
            let Transition { check, verdict, incident, memory, .. } = (**transition).clone();
            let before = restore.checks.remove(&check).and_then(|(_, incident, _)| incident);
            restore.checks.insert(check, (verdict, incident.or(before), memory));
        }
        Effect::Remember { check: Some(check), memory } => {
            if let Some(known) = restore.checks.get_mut(check) {
                known.2 = memory.clone();
            }
        }
        Effect::Remember { check: None, memory } => restore.learned = Some(memory.clone()),
        Effect::Confirm(_) | Effect::Operator(_) | Effect::Pace { .. } => {}
    }
}
