//! A stage: five regions around one engine, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AgentId, AlertKind, AlertPolicy, BootId, CertificatePolicy, Check, CheckId, Evidence, Fleet,
    FleetPolicy, Health, NoticeKind, Observation, Outcome, PartialPolicy, Phase, Prefix,
    ProbeResult, Quorum, Reason, Region, RegionId, ResolverUse, ResultId, Revision, RoundId,
    Suspicion, Timestamp, Verdict,
};
use quorate_verdict::{Effect, Engine, Event, Restore, Transition, schedule};

pub(crate) const OK: Outcome = Outcome::Ok;
pub(crate) const REFUSED: Outcome =
    Outcome::Fail { phase: Phase::Connect, reason: Reason::Refused };
pub(crate) const STATUS: Outcome = Outcome::Fail { phase: Phase::Assert, reason: Reason::Status };
pub(crate) const TIMEOUT: Outcome =
    Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout };

const LATENCY: Duration = Duration::from_millis(50);

pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What the target's certificate says to some agents, from some time on.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) from: Duration,
    /// The first letters of the agents that see it.
    pub(crate) who: &'static str,
    /// From the start of the play.
    pub(crate) ends_in: Duration,
}

/// What an agent meets, from when to when.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// The first letters of the agents that suffer it.
    pub(crate) who: &'static str,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Probes that start in it end like this, after so long.
    Sees(Outcome, Duration),
    /// The same, and this is what it took to look the name up.
    Looks(ResolverUse, Outcome, Duration),
    /// Nothing is reachable, anchors neither.
    Island,
    /// Targets are reachable, anchors are not.
    Unanchored,
    /// The process is gone.
    Dead,
}

#[derive(Debug, Clone)]
enum Job {
    Beat(usize),
    Probe { agent: usize, check: CheckId, round: Option<RoundId>, generation: u32 },
    Late(usize, Box<Suspicion>),
    Done(usize, Box<ProbeResult>),
}

struct Member {
    id: AgentId,
    region: RegionId,
    prefix: Option<Prefix>,
    sequence: u64,
    is_up: bool,
}

/// The stage.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) check: CheckId,
    pub(crate) now: Timestamp,
    pub(crate) faults: Vec<Fault>,
    /// What the check of the origin meets, beside what agents themselves suffer.
    pub(crate) origin_faults: Vec<Fault>,
    /// The edge of a delivery network that agents meet, by their first letters.
    pub(crate) edges: Vec<(&'static str, &'static str)>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) log: Vec<(Duration, Effect)>,
    pub(crate) results: Vec<ProbeResult>,
    members: Vec<Member>,
    jobs: BTreeMap<(Timestamp, u64), Job>,
    next_job: u64,
    /// The present interval of each check, and how often it has changed.
    paces: BTreeMap<CheckId, (Duration, u32)>,
    start: Timestamp,
}

pub(crate) fn shop() -> Check {
    let interval = secs(60);
    let timeout = secs(10);
    let kind = "http".parse().expect("a kind");
    let options = serde_json::json!({});
    Check {
        id: "shop".parse().expect("an id"),
        revision: Check::fingerprint(&kind, &options, interval, timeout, secs(5)),
        kind,
        options,
        target: "https://shop.example".to_owned(),
        interval,
        timeout,
        slow_after: secs(5),
        regions: ["a", "b", "c", "d", "e"].map(|id| id.parse().expect("an id")).to_vec(),
        quorum: Quorum::Majority,
        distinct: Vec::new(),
        alert: AlertPolicy { to: vec!["oncall".parse().expect("an id")], ..AlertPolicy::default() },
        partial: PartialPolicy::default(),
        certificate: CertificatePolicy::default(),
        labels: BTreeMap::new(),
        depends_on: Vec::new(),
        origin: None,
        runbook: None,
    }
}

pub(crate) fn fleet_of(check: Check) -> Fleet {
    let labels = |provider: &str| [("provider".to_owned(), provider.to_owned())].into();
    let regions = [("a", "aws"), ("b", "aws"), ("c", "gcp"), ("d", "ovh"), ("e", "vultr")];
    Fleet {
        policy: FleetPolicy::default(),
        regions: regions
            .into_iter()
            .map(|(id, provider)| {
                let id: RegionId = id.parse().expect("an id");
                (id.clone(), Region { id, labels: labels(provider) })
            })
            .collect(),
        checks: [(check.id.clone(), Arc::new(check))].into(),
        operators: vec!["ops".parse().expect("an id")],
        mutes: Vec::new(),
        anchors: Vec::new(),
    }
}

/// The check `shop` with another that probes its origin and tells nobody.
pub(crate) fn fleet_with_origin() -> Fleet {
    let id: CheckId = "shop-origin".parse().expect("an id");
    let behind = Check {
        id: id.clone(),
        target: "https://origin.shop.example".to_owned(),
        alert: AlertPolicy::default(),
        ..shop()
    };
    let mut fleet = fleet_of(Check { origin: Some(id.clone()), ..shop() });
    fleet.checks.insert(id, Arc::new(behind));
    fleet
}

impl Stage {
    /// Five regions with one agent each, a with two; all well for two minutes from `0s`.
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self::with(shop(), &["a1", "a2", "b1", "c1", "d1", "e1"], faults)
    }

    pub(crate) fn with(check: Check, agents: &[&str], faults: Vec<Fault>) -> Self {
        let id = check.id.clone();
        Self::of(fleet_of(check), &id, agents, faults)
    }

    /// The check `shop` with another that probes its origin, and what both meet.
    pub(crate) fn with_origin(agents: &[&str], front: Vec<Fault>, origin: Vec<Fault>) -> Self {
        let mut stage = Self::of(fleet_with_origin(), &shop().id, agents, front);
        stage.origin_faults = origin;
        stage
    }

    /// The regions of this fleet, and what its probes of this check meet.
    pub(crate) fn of(fleet: Fleet, check: &CheckId, agents: &[&str], faults: Vec<Fault>) -> Self {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let pace = |check: &Arc<Check>| (check.id.clone(), (check.interval, 0));
        let mut stage = Self {
            engine: Engine::new(),
            check: check.clone(),
            paces: fleet.checks.values().map(pace).collect(),
            fleet: Arc::new(fleet),
            now: start,
            faults,
            origin_faults: Vec::new(),
            edges: Vec::new(),
            certificates: Vec::new(),
            log: Vec::new(),
            results: Vec::new(),
            members: agents
                .iter()
                .map(|id| Member {
                    id: id.parse().expect("an id"),
                    region: id[..1].parse().expect("an id"),
                    prefix: None,
                    sequence: 0,
                    is_up: true,
                })
                .collect(),
            jobs: BTreeMap::new(),
            next_job: 0,
            start,
        };
        stage.apply(Event::Configured(Arc::clone(&stage.fleet)));
        stage.connect_all();
        for agent in 0..stage.members.len() {
            stage.later(Duration::ZERO, Job::Beat(agent));
        }
        for check in stage.fleet.checks.keys().cloned().collect::<Vec<_>>() {
            stage.plan(&check);
        }
        stage
    }

    fn connect_all(&mut self) {
        for agent in 0..self.members.len() {
            if self.members[agent].is_up {
                self.connect(agent);
            }
        }
    }

    fn connect(&mut self, agent: usize) {
        let Member { id, region, prefix, .. } = &self.members[agent];
        let (agent, region) = (id.clone(), region.clone());
        self.apply(Event::Connected { agent, region, prefix: *prefix });
    }

    /// The agent comes back from this address.
    pub(crate) fn moves(&mut self, agent: &str, address: &str) {
        let place = self.place(&agent.parse().expect("an id"));
        self.members[place].prefix = Prefix::public(address.parse().expect("an address"));
        self.connect(place);
    }

    /// The scheduled probes of a check, from now on at the present interval.
    fn plan(&mut self, id: &CheckId) {
        let pace = self.paces.get_mut(id).expect("a check");
        pace.1 += 1;
        let (interval, generation) = *pace;
        let mut by_region: BTreeMap<RegionId, Vec<AgentId>> = BTreeMap::new();
        for member in &self.members {
            by_region.entry(member.region.clone()).or_default().push(member.id.clone());
        }
        let check = Arc::clone(&self.fleet.checks[id]);
        let paced = Check { interval, ..(*check).clone() };
        let slots = schedule::slots(&paced, &by_region);
        let since = self.now - self.start;
        let into = Duration::from_nanos(
            u64::try_from(since.as_nanos() % interval.as_nanos()).expect("small"),
        );
        for agent in 0..self.members.len() {
            let Some(phase) = slots.get(&self.members[agent].id) else {
                continue;
            };
            let wait =
                phase.checked_sub(into).unwrap_or_else(|| (interval + *phase).saturating_sub(into));
            self.later(wait, Job::Probe { agent, check: id.clone(), round: None, generation });
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
        let at = self.now - self.start;
        for effect in effects {
            match &effect {
                Effect::Confirm(confirmation) => {
                    for id in &confirmation.agents {
                        let agent = self.place(id);
                        let round = Some(confirmation.round);
                        let check = confirmation.check.clone();
                        self.later(LATENCY, Job::Probe { agent, check, round, generation: 0 });
                    }
                }
                Effect::Pace { check, every } => {
                    let pace = self.paces.get_mut(check).expect("a check");
                    pace.0 = every.unwrap_or(self.fleet.checks[check].interval);
                    self.plan(check);
                }
                Effect::Transition(_) | Effect::Operator(_) | Effect::Remember { .. } => {}
            }
            self.log.push((at, effect));
        }
    }

    fn place(&self, id: &AgentId) -> usize {
        self.members.iter().position(|member| member.id == *id).expect("a member")
    }

    /// Plays until `until` after the start.
    pub(crate) fn run(&mut self, until: Duration) {
        let end = self.start + until;
        loop {
            let job = self.jobs.first_key_value().map(|((at, _), _)| *at);
            let tick = self.engine.next_deadline();
            let next = match (job, tick) {
                (Some(job), Some(tick)) => job.min(tick),
                (job, tick) => job.or(tick).expect("something to do"),
            };
            if next > end {
                self.now = end;
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

    fn suffered<'a>(&self, faults: &'a [Fault], agent: usize) -> Option<&'a What> {
        let at = self.now - self.start;
        let name = self.members[agent].id.as_str();
        faults
            .iter()
            .find(|fault| is_among(fault.who, name) && fault.from <= at && at < fault.to)
            .map(|fault| &fault.what)
    }

    fn fault(&self, agent: usize) -> Option<&What> {
        self.suffered(&self.faults, agent)
    }

    /// What a probe of this check meets.
    fn met(&self, agent: usize, check: &CheckId) -> Option<&What> {
        match self.fault(agent) {
            what if *check == self.check => what,
            what @ Some(What::Island | What::Unanchored | What::Dead) => what,
            Some(What::Sees(..) | What::Looks(..)) | None => {
                self.suffered(&self.origin_faults, agent)
            }
        }
    }

    fn health(&self, agent: usize) -> Health {
        match self.fault(agent) {
            Some(What::Island | What::Unanchored) => Health::Island,
            _ => Health::Fine,
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Beat(agent) => {
                self.beat(agent);
                self.later(secs(2), Job::Beat(agent));
            }
            Job::Probe { agent, check, round, generation } => {
                let (interval, latest) = self.paces[&check];
                let is_old = round.is_none() && generation != latest;
                if is_old || !self.fleet.checks.contains_key(&check) {
                    return;
                }
                if round.is_none() {
                    let check = check.clone();
                    self.later(interval, Job::Probe { agent, check, round, generation });
                }
                if self.members[agent].is_up {
                    self.probe(agent, &check, round);
                }
            }
            Job::Late(agent, mut suspicion) => {
                suspicion.health = self.health(agent);
                if self.members[agent].is_up {
                    self.apply(Event::Suspected(suspicion));
                }
            }
            Job::Done(agent, mut result) => {
                result.received = self.now;
                result.health = self.health(agent);
                if self.members[agent].is_up {
                    self.results.push((*result).clone());
                    self.apply(Event::Result(result));
                }
            }
        }
    }

    fn beat(&mut self, agent: usize) {
        let is_up = !matches!(self.fault(agent), Some(What::Dead));
        let id = self.members[agent].id.clone();
        let was_up = std::mem::replace(&mut self.members[agent].is_up, is_up);
        if is_up && !was_up {
            self.connect(agent);
        } else if was_up && !is_up {
            self.apply(Event::Disconnected { agent: id.clone() });
        }
        if is_up {
            let heartbeat = self.health(agent).into();
            self.apply(Event::Alive { agent: id, heartbeat });
        }
    }

    fn probe(&mut self, agent: usize, check: &CheckId, round: Option<RoundId>) {
        let (outcome, takes) = match self.met(agent, check) {
            Some(What::Sees(outcome, takes) | What::Looks(_, outcome, takes)) => (*outcome, *takes),
            Some(What::Island | What::Dead) => (TIMEOUT, secs(10)),
            Some(What::Unanchored) | None => (OK, LATENCY),
        };
        if takes > secs(2) {
            let suspicion = self.suspicion(agent, check);
            self.later(secs(2) + LATENCY, Job::Late(agent, Box::new(suspicion)));
        }
        let result = ProbeResult {
            check: check.clone(),
            revision: self.revision(check),
            ..self.result(agent, round, outcome, takes)
        };
        self.later(takes + LATENCY, Job::Done(agent, Box::new(result)));
    }

    /// That a probe which started just now is late.
    pub(crate) fn suspicion(&self, agent: usize, check: &CheckId) -> Suspicion {
        Suspicion {
            agent: self.members[agent].id.clone(),
            region: self.members[agent].region.clone(),
            check: check.clone(),
            revision: self.revision(check),
            phase: Phase::Connect,
            started: self.now,
            health: Health::Fine,
        }
    }

    fn revision(&self, check: &CheckId) -> Revision {
        self.fleet.checks[check].revision
    }

    /// A result of a probe that starts now.
    pub(crate) fn result(
        &mut self,
        agent: usize,
        round: Option<RoundId>,
        outcome: Outcome,
        takes: Duration,
    ) -> ProbeResult {
        let revision = self.revision(&self.check);
        let resolver = match self.fault(agent) {
            Some(What::Looks(used, ..)) => Some(*used),
            Some(What::Unanchored | What::Sees(..) | What::Island | What::Dead) | None => None,
        };
        let member = &mut self.members[agent];
        member.sequence += 1;
        let status = (outcome == STATUS).then_some(503);
        let name = member.id.as_str();
        let since = self.now - self.start;
        let shown = self.certificates.iter().rev();
        let cert_not_after = shown
            .filter(|shown| shown.from <= since && is_among(shown.who, name))
            .map(|shown| self.start + shown.ends_in)
            .next()
            .filter(|_| outcome.is_success());
        let has_answered = outcome.is_success() || outcome == STATUS;
        let edge = self.edges.iter().find(|(who, _)| has_answered && is_among(who, name));
        let pop_hint = edge.map(|(_, edge)| (*edge).to_owned());
        ProbeResult {
            id: ResultId {
                agent: member.id.clone(),
                boot: BootId(u128::try_from(agent).expect("small")),
                sequence: member.sequence,
            },
            region: member.region.clone(),
            check: self.check.clone(),
            revision,
            round,
            started: self.now,
            received: self.now + takes,
            health: Health::Fine,
            observation: Observation {
                outcome,
                total: takes,
                phases: Vec::new(),
                evidence: Evidence {
                    status,
                    cert_not_after,
                    pop_hint,
                    resolver,
                    ..Evidence::default()
                },
            },
        }
    }

    /// The coordinator dies, and another one starts at once from what was stored.
    pub(crate) fn restart(&mut self) {
        let mut restore = Restore { next_round: 1_000, ..Restore::default() };
        for (_, effect) in &self.log {
            match effect {
                Effect::Transition(transition) => {
                    let Transition { check, verdict, incident, memory, .. } =
                        (**transition).clone();
                    let before = restore.checks.remove(&check).and_then(|(_, before, _)| before);
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
        let horizon = self.now.before(secs(76));
        restore.results =
            self.results.iter().filter(|result| result.started > horizon).cloned().collect();
        for result in &self.results {
            let known = (result.region.clone(), result.received);
            restore.agents.insert(result.id.agent.clone(), known);
        }
        self.engine = Engine::new();
        self.apply(Event::Configured(Arc::clone(&self.fleet)));
        self.apply(Event::Restored(Box::new(restore)));
        self.connect_all();
    }

    /// The verdict that was published last.
    pub(crate) fn verdict(&self) -> &Verdict {
        let last = self.transitions().last();
        &last.expect("a verdict").1.verdict
    }

    /// The verdict as `state scope cause flags`.
    pub(crate) fn says(&self) -> String {
        let verdict = self.verdict();
        let flags: Vec<&str> = verdict.flags.iter().map(|flag| flag.as_str()).collect();
        let flags = flags.join(" ");
        let says = format!("{} {} {} {flags}", verdict.state, verdict.ballot.scope, verdict.cause);
        says.trim_end().to_owned()
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

    /// When messages of this kind were sent.
    pub(crate) fn alerts(&self, kind: AlertKind) -> Vec<Duration> {
        self.transitions()
            .flat_map(|(at, transition)| transition.alerts.iter().map(move |(_, a)| (at, a.kind)))
            .filter(|(_, said)| *said == kind)
            .map(|(at, _)| at)
            .collect()
    }

    /// All kinds of messages sent, in order.
    pub(crate) fn said(&self) -> Vec<AlertKind> {
        self.transitions()
            .flat_map(|(_, transition)| transition.alerts.iter().map(|(_, alert)| alert.kind))
            .collect()
    }

    /// When the operators were told this, and when it was taken back.
    pub(crate) fn told(&self, kind: NoticeKind) -> (Vec<Duration>, Vec<Duration>) {
        let of = |resolved: bool| {
            self.log
                .iter()
                .filter_map(|(at, effect)| match effect {
                    Effect::Operator(notice) => {
                        (notice.kind == kind && notice.resolved == resolved).then_some(*at)
                    }
                    Effect::Confirm(_)
                    | Effect::Transition(_)
                    | Effect::Pace { .. }
                    | Effect::Remember { .. } => None,
                })
                .collect()
        };
        (of(false), of(true))
    }

    pub(crate) fn rounds(&self) -> usize {
        self.log.iter().filter(|(_, effect)| matches!(effect, Effect::Confirm(_))).count()
    }

    pub(crate) fn incidents(&self) -> BTreeSet<String> {
        self.transitions()
            .filter_map(|(_, transition)| transition.incident.as_ref())
            .map(|incident| incident.id.to_string())
            .collect()
    }
}

fn is_among(letters: &str, agent: &str) -> bool {
    letters.split(' ').any(|who| who == "all" || agent.starts_with(who))
}

pub(crate) fn fault(from: u64, to: u64, who: &'static str, what: What) -> Fault {
    Fault { from: secs(from), to: secs(to), who, what }
}

pub(crate) fn sees(from: u64, to: u64, who: &'static str, outcome: Outcome) -> Fault {
    let takes = if outcome == TIMEOUT { secs(10) } else { LATENCY };
    fault(from, to, who, What::Sees(outcome, takes))
}
