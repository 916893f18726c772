//! A fleet that probes by its schedule, around one engine, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AgentId, AlertPolicy, BootId, CertificatePolicy, Check, CheckId, Evidence, Fleet, FleetPolicy,
    Health, HttpHop, Observation, Outcome, PartialPolicy, Phase, PhaseTiming, ProbeResult, Quorum,
    Reason, Region, RegionId, ResultId, RoundId, Timestamp,
};
use quorate_verdict::{Confirmation, Effect, Engine, Event, schedule};

/// The regions, one agent in each.
pub(crate) const REGIONS: u32 = 5;

/// Scheduled results that come together, as from a stream.
pub(crate) const BATCH: usize = 256;

/// From the start of a probe until the coordinator has its result.
const LATENCY: Duration = Duration::from_millis(50);

const INTERVAL: Duration = Duration::from_mins(1);
const TIMEOUT: Duration = Duration::from_secs(10);
const SLOW_AFTER: Duration = Duration::from_secs(5);
const HEARTBEAT: Duration = Duration::from_secs(2);

/// What a failing probe finds.
pub(crate) const REFUSED: Outcome =
    Outcome::Fail { phase: Phase::Connect, reason: Reason::Refused };

/// One scheduled probe of each interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    phase_micros: u64,
    check: u32,
    region: u32,
}

/// The fleet and its engine.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) effects: Vec<Effect>,
    pub(crate) now: Timestamp,
    /// Of so many scheduled probes one fails; 0 is never.
    pub(crate) fails_one_in: u64,
    /// Shared with the engine, so it is not counted as the engine's.
    fleet: Arc<Fleet>,
    checks: Vec<Arc<Check>>,
    numbers: BTreeMap<CheckId, u32>,
    agents: Vec<(RegionId, AgentId)>,
    schedule: Vec<Slot>,
    next: usize,
    turn: Timestamp,
    beat: Timestamp,
    sequence: u64,
    luck: u64,
    /// Who was asked and has not answered, with the round.
    asked: VecDeque<(u32, u32, RoundId)>,
}

fn agent(place: u32) -> (RegionId, AgentId) {
    let region = format!("region-{place}").parse().expect("an id");
    (region, format!("agent-{place}").parse().expect("an id"))
}

fn check(number: u32) -> Check {
    let kind = "http".parse().expect("a kind");
    let options = serde_json::json!({});
    Check {
        id: format!("service-{number}-health").parse().expect("an id"),
        revision: Check::fingerprint(&kind, &options, INTERVAL, TIMEOUT, SLOW_AFTER),
        kind,
        options,
        target: format!("https://service-{number}.example.com/health"),
        interval: INTERVAL,
        timeout: TIMEOUT,
        slow_after: SLOW_AFTER,
        regions: (0..REGIONS).map(|place| agent(place).0).collect(),
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

/// What a probe over HTTPS brings along.
fn seen(outcome: Outcome, now: Timestamp) -> Observation {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80));
    let phases: Vec<PhaseTiming> = [Phase::Dns, Phase::Connect, Phase::Tls, Phase::Ttfb]
        .map(|phase| PhaseTiming { phase, elapsed: Duration::from_millis(9) })
        .to_vec();
    let hop = HttpHop {
        method: "GET".to_owned(),
        url: "https://service.example.com/health".to_owned(),
        status: 200,
        address: Some(address),
        location: None,
        phases: phases.clone(),
    };
    let is_fine = outcome.is_success();
    let evidence = Evidence {
        message: if is_fine { String::new() } else { "connection refused".to_owned() },
        resolved: vec![address],
        address: Some(address),
        status: is_fine.then_some(200),
        hops: if is_fine { vec![hop] } else { Vec::new() },
        protocol: is_fine.then(|| "HTTP/2".to_owned()),
        cert_not_after: is_fine.then(|| now + Duration::from_hours(24 * 60)),
        ..Evidence::default()
    };
    Observation { outcome, total: Duration::from_millis(40), phases, evidence }
}

impl World {
    /// So many checks, all agents connected, nothing probed yet.
    pub(crate) fn new(checks: u32) -> Self {
        let checks: Vec<Arc<Check>> = (0..checks).map(|number| Arc::new(check(number))).collect();
        let agents: Vec<_> = (0..REGIONS).map(agent).collect();
        let regions = agents
            .iter()
            .map(|(id, _)| (id.clone(), Region { id: id.clone(), labels: BTreeMap::new() }));
        let fleet = Arc::new(Fleet {
            policy: FleetPolicy::default(),
            regions: regions.collect(),
            checks: checks.iter().map(|check| (check.id.clone(), Arc::clone(check))).collect(),
            ..Fleet::default()
        });
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let mut world = Self {
            engine: Engine::new(),
            effects: Vec::new(),
            now,
            fails_one_in: 0,
            fleet,
            numbers: (0..).zip(&checks).map(|(place, check)| (check.id.clone(), place)).collect(),
            schedule: schedule_of(&checks, &agents),
            checks,
            agents,
            next: 0,
            turn: now,
            beat: now,
            sequence: 0,
            luck: 1,
            asked: VecDeque::new(),
        };
        let configured = Event::Configured(Arc::clone(&world.fleet));
        world.engine.apply(configured, now, &mut world.effects);
        for (region, agent) in world.agents.clone() {
            world.engine.apply(
                Event::Connected { agent, region, prefix: None },
                now,
                &mut world.effects,
            );
        }
        world
    }

    /// So many pairs of check and region there are.
    pub(crate) fn pairs(&self) -> usize {
        self.schedule.len()
    }

    fn is_unlucky(&mut self) -> bool {
        // The multiplier and the increment of Knuth's MMIX.
        self.luck = self
            .luck
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.fails_one_in > 0 && (self.luck >> 33).is_multiple_of(self.fails_one_in)
    }

    /// A result that arrives now. The name of its check is a text of its own, as when it comes off
    /// a stream.
    pub(crate) fn result(
        &mut self,
        (check, region): (u32, u32),
        round: Option<RoundId>,
        outcome: Outcome,
    ) -> Event {
        self.sequence += 1;
        let (region, agent) = &self.agents[region as usize];
        let check = &self.checks[check as usize];
        Event::Result(Box::new(ProbeResult {
            id: ResultId { agent: agent.clone(), boot: BootId(1), sequence: self.sequence },
            region: region.clone(),
            check: check.id.as_str().parse().expect("an id"),
            revision: check.revision,
            round,
            started: self.now.before(LATENCY),
            received: self.now,
            health: Health::Fine,
            observation: seen(outcome, self.now),
        }))
    }

    /// The next events, in the order in which they happen: what was asked for, then the schedule.
    pub(crate) fn batch(&mut self) -> Vec<(Timestamp, Event)> {
        let mut events = Vec::new();
        while let Some((check, region, round)) = self.asked.pop_front() {
            let result = self.result((check, region), Some(round), Outcome::Ok);
            events.push((self.now, result));
        }
        for _ in 0..BATCH {
            let slot = self.schedule[self.next];
            let due = self.turn + Duration::from_micros(slot.phase_micros) + LATENCY;
            self.now = self.now.max(due);
            if self.now >= self.beat {
                self.beat = self.now + HEARTBEAT;
                events.extend(self.agents.iter().map(|(_, id)| (self.now, alive(id.clone()))));
            }
            let outcome = if self.is_unlucky() { REFUSED } else { Outcome::Ok };
            let result = self.result((slot.check, slot.region), None, outcome);
            events.push((self.now, result));
            self.next += 1;
            if self.next == self.schedule.len() {
                self.next = 0;
                self.turn = self.turn + INTERVAL;
            }
        }
        events
    }

    /// Does what the engine asked for. Returns how many rounds that were.
    pub(crate) fn obey(&mut self) -> u64 {
        let mut rounds = 0;
        for effect in std::mem::take(&mut self.effects) {
            if let Effect::Confirm(round) = effect {
                rounds += 1;
                self.ask(&round);
            }
        }
        rounds
    }

    fn ask(&mut self, round: &Confirmation) {
        let check = self.numbers[&round.check];
        for asked in &round.agents {
            let region = (0..).zip(&self.agents).find(|(_, (_, agent))| agent == asked);
            let (region, _) = region.expect("an agent of the fleet");
            self.asked.push_back((check, region, round.round));
        }
    }

    /// Plays without measuring, for at least so many scheduled results.
    pub(crate) fn play(&mut self, results: usize) {
        for _ in 0..results.div_ceil(BATCH) {
            for (at, event) in self.batch() {
                self.engine.apply(event, at, &mut self.effects);
            }
            self.obey();
        }
    }
}

/// All scheduled probes of one interval in the order of their phases.
fn schedule_of(checks: &[Arc<Check>], agents: &[(RegionId, AgentId)]) -> Vec<Slot> {
    let by_region = agents.iter().map(|(region, agent)| (region.clone(), vec![agent.clone()]));
    let by_region: BTreeMap<RegionId, Vec<AgentId>> = by_region.collect();
    let mut slots = Vec::new();
    for (number, check) in (0_u32..).zip(checks) {
        for (place, phase) in (0_u32..).zip(schedule::slots(check, &by_region).values()) {
            let phase_micros = u64::try_from(phase.as_micros()).expect("below an interval");
            slots.push(Slot { phase_micros, check: number, region: place });
        }
    }
    slots.sort_unstable();
    slots
}

fn alive(agent: AgentId) -> Event {
    Event::Alive { agent, heartbeat: Health::Fine.into() }
}
