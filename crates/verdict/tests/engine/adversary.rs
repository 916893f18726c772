//! Somebody who wants a false page or a hidden outage, and much nonsense besides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AgentId, AlertKind, BlockReason, BootId, Cause, Check, CheckId, Doubt, Evidence, Flag, Fleet,
    Health, Incident, IncidentState, Mute, MuteKind, Observation, Outcome, Period, Phase,
    ProbeResult, Quorum, RegionId, ResultId, Revision, RoundId, State, Suspicion, Timestamp,
};
use quorate_verdict::{Effect, Engine, Event, RegionState, Restore, Transition};

use crate::stage::{OK, REFUSED, STATUS, TIMEOUT, fleet_of, secs, shop};

/// How long `up` may outlive the last fresh success: a round that waits for money and answers.
const SLACK: Duration = Duration::from_secs(50);

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let place = self.roll(u64::try_from(of.len()).expect("small"));
        &of[usize::try_from(place).expect("small")]
    }
}

const AGENTS: [(&str, &str); 9] = [
    ("a1", "a"),
    ("a2", "a"),
    ("b1", "b"),
    ("c1", "c"),
    ("d1", "d"),
    ("e1", "e"),
    ("e2", "e"),
    ("stranger", "f"),
    ("turncoat", "b"),
];

fn agent(name: &str) -> AgentId {
    name.parse().expect("an id")
}

fn region(name: &str) -> RegionId {
    name.parse().expect("an id")
}

fn checks() -> Vec<Check> {
    let of = |id: &str, regions: &[&str], quorum: Quorum, interval: u64| Check {
        id: id.parse().expect("an id"),
        regions: regions.iter().map(|id| region(id)).collect(),
        quorum,
        interval: secs(interval),
        ..shop()
    };
    let before = |origin: &str, check: Check| Check {
        origin: Some(origin.parse().expect("an id")),
        ..check
    };
    vec![
        before("any", of("shop", &["a", "b", "c", "d", "e"], Quorum::Majority, 60)),
        before("nowhere", of("pair", &["a", "b"], Quorum::All, 30)),
        of("lone", &["c"], Quorum::Majority, 60),
        before("lone", of("any", &["c", "d", "e"], Quorum::Any, 20)),
    ]
}

/// What is known of the last probe of an agent of one check.
#[derive(Debug, Clone, Copy)]
struct Word {
    started: Timestamp,
    says: Outcome,
    until: Timestamp,
}

/// The world around one engine.
struct World {
    dice: Dice,
    /// A dice of its own for windows.
    calendar: Dice,
    engine: Engine,
    fleet: Arc<Fleet>,
    now: Timestamp,
    /// Whether each check fails in each region, as the seed will have it.
    broken: BTreeMap<(CheckId, RegionId), bool>,
    sequence: u64,
    /// The last word of each agent by the start of its probe, restarts of the engine included.
    words: BTreeMap<(CheckId, AgentId), Word>,
    places: BTreeMap<AgentId, RegionId>,
    stored: Restore,
    open: BTreeMap<CheckId, Incident>,
    told: BTreeMap<CheckId, bool>,
    groundless: BTreeMap<CheckId, Timestamp>,
    asked: Vec<(CheckId, RoundId, AgentId)>,
    /// The end of the certificate that most servers show.
    ends: Timestamp,
    pages: usize,
    resolved: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let fleet = with_checks(checks());
        let mut world = Self {
            dice: Dice(seed),
            calendar: Dice(!seed),
            engine: Engine::new(),
            fleet: Arc::clone(&fleet),
            now: Timestamp::from_micros(1_700_000_000_000_000),
            broken: BTreeMap::new(),
            sequence: 0,
            words: BTreeMap::new(),
            places: BTreeMap::new(),
            stored: Restore { next_round: 1, ..Restore::default() },
            open: BTreeMap::new(),
            told: BTreeMap::new(),
            groundless: BTreeMap::new(),
            asked: Vec::new(),
            ends: Timestamp::from_micros(i64::MAX),
            pages: 0,
            resolved: 0,
        };
        world.apply(Event::Configured(fleet));
        world
    }

    fn apply(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.apply(event, self.now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Confirm(order) => {
                    assert!(!order.agents.is_empty(), "asks nobody");
                    self.stored.next_round = self.stored.next_round.max(order.round.0 + 1);
                    for agent in order.agents {
                        self.asked.push((order.check.clone(), order.round, agent));
                    }
                }
                Effect::Transition(transition) => self.judge(*transition),
                Effect::Operator(_) | Effect::Pace { .. } | Effect::Remember { .. } => {}
            }
        }
    }

    /// Holds a transition against what was really said.
    fn judge(&mut self, transition: Transition) {
        let Transition { check, verdict, incident, alerts, memory } = transition;
        let definition = Arc::clone(&self.fleet.checks[&check]);
        let before = self.stored.checks.get(&check).map(|(verdict, ..)| verdict.state);
        if verdict.state == State::Down && before != Some(State::Down) {
            let (failing, live) = self.failing(&definition);
            let least = definition.regions.len().min(2);
            let needed = definition.quorum_count().min(live).max(1);
            let unfrozen = before == Some(State::Unknown) && self.open.contains_key(&check);
            assert!(live >= least, "{check} is down by {live} regions: {verdict:?}");
            assert!(
                unfrozen || failing >= needed,
                "{check}: {failing} of {live} fail, {needed} needed: {verdict:?}"
            );
        }
        let is_page = alerts.iter().any(|(_, alert)| alert.kind == AlertKind::Page);
        let is_end = alerts.iter().any(|(_, alert)| alert.kind == AlertKind::Resolved);
        let is_muted = verdict.flags.contains(&Flag::Maintenance);
        assert!(!is_muted || alerts.is_empty() || is_end, "a message in a window: {verdict:?}");
        if is_page {
            self.pages += 1;
            assert_eq!(verdict.state, State::Down, "a page for {verdict:?}");
            let (failing, live) = self.failing(&definition);
            let is_late =
                incident.as_ref().is_some_and(|incident| !incident.withheld_by.is_empty());
            assert!(
                is_late || failing >= definition.quorum_count().min(live).max(1),
                "{verdict:?}"
            );
        }
        if is_end {
            self.resolved += 1;
            assert_eq!(self.told.insert(check.clone(), false), Some(true), "{verdict:?}");
            // Only a certificate outlasts an incident, or ends one beside other trouble.
            let is_left = verdict.state == State::Degraded && verdict.cause == Cause::TargetTls;
            let is_renewed = |incident: &Incident| incident.verdict.cause == Cause::TargetTls;
            let is_dated = is_left || incident.as_ref().is_some_and(is_renewed);
            assert!(verdict.state == State::Up || is_dated, "{verdict:?}");
        } else if !alerts.is_empty() {
            self.told.insert(check.clone(), true);
        }
        if let Some(incident) = &incident {
            self.record(&check, incident);
        }
        if verdict.state == State::Up {
            assert!(!self.open.contains_key(&check), "up, and open: {verdict:?}");
        }
        let before = self.stored.checks.remove(&check).and_then(|(_, incident, _)| incident);
        self.stored.checks.insert(check, (verdict, incident.or(before), memory));
    }

    fn record(&mut self, check: &CheckId, incident: &Incident) {
        assert!(incident.first_failure <= incident.opened.max(self.now));
        if let Some(open) = self.open.get(check) {
            assert_eq!(open.id, incident.id, "two open incidents of one check");
        }
        if incident.state == IncidentState::Open {
            assert_eq!(incident.resolved, None);
            self.open.insert(check.clone(), incident.clone());
        } else {
            assert!(self.open.remove(check).is_some(), "resolved, but was not open");
        }
    }

    /// Regions that really have a fresh failure, and live ones.
    fn failing(&self, check: &Check) -> (usize, usize) {
        let live = check
            .regions
            .iter()
            .filter(|region| self.engine.region_state(region) == RegionState::Live);
        let fails = |region: &&RegionId| {
            self.words.iter().any(|((of, agent), word)| {
                *of == check.id
                    && self.places.get(agent) == Some(*region)
                    && word.until > self.now
                    && !word.says.is_success()
            })
        };
        (live.clone().filter(fails).count(), live.count())
    }

    /// What holds after each event.
    fn hold(&mut self) {
        for check in self.fleet.checks.values() {
            let state = self.engine.state(&check.id);
            let is_proven = self.words.iter().any(|((of, _), word)| {
                *of == check.id && word.until > self.now && word.says.is_success()
            });
            if state != Some(State::Up) || is_proven {
                self.groundless.remove(&check.id);
                continue;
            }
            let since = *self.groundless.entry(check.id.clone()).or_insert(self.now);
            assert!(self.now < since + SLACK, "{} is up without a success", check.id);
        }
    }

    fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        let mut ticks = 0;
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= end) {
            let later = at.max(self.now);
            ticks = if later > self.now { 0 } else { ticks + 1 };
            assert!(ticks < 50, "the engine spins at {}", self.now);
            self.now = later;
            self.apply(Event::Tick);
        }
        self.now = end;
    }

    fn outcome(&mut self, check: &CheckId, region: &RegionId) -> Outcome {
        let limited = Outcome::Blocked { reason: BlockReason::RateLimit };
        let refused = Outcome::Blocked { reason: BlockReason::Forbidden };
        let doubt = Outcome::Inconclusive { reason: Doubt::Overloaded };
        let broken = self.broken.get(&(check.clone(), region.clone())).copied().unwrap_or(false);
        let usual = if broken { *self.dice.pick(&[REFUSED, STATUS, TIMEOUT]) } else { OK };
        if self.dice.roll(12) > 0 {
            return usual;
        }
        *self.dice.pick(&[OK, Outcome::Slow, limited, refused, doubt, REFUSED])
    }

    fn probe(&mut self, check: &CheckId, name: &str, round: Option<RoundId>) {
        let (name, home) = *AGENTS.iter().find(|(id, _)| *id == name).expect("known");
        let agent = agent(name);
        let home = self.places.get(&agent).cloned().unwrap_or_else(|| region(home));
        let outcome = self.outcome(check, &home);
        let definition = self.fleet.checks.get(check).cloned();
        let stale = self.dice.roll(40) == 0;
        let age = match self.dice.roll(20) {
            0 => Duration::from_secs(self.dice.roll(300)),
            1 | 2 => Duration::from_millis(self.dice.roll(11_000)),
            _ => Duration::from_millis(50),
        };
        let mut started = self.now.before(age);
        if self.dice.roll(60) == 0 {
            started = self.now + secs(self.dice.roll(10_000));
        }
        let health = *self.dice.pick(&[Health::Fine; 30]);
        let revision = match &definition {
            Some(check) if !stale => check.revision,
            _ => Revision(self.dice.roll(9)),
        };
        self.sequence += 1;
        let cert_not_after = self.certificate();
        let result = ProbeResult {
            id: ResultId { agent: agent.clone(), boot: BootId(1), sequence: self.sequence },
            region: home.clone(),
            check: check.clone(),
            revision,
            round,
            started,
            received: self.now,
            health,
            observation: Observation {
                outcome,
                total: age,
                phases: Vec::new(),
                evidence: Evidence {
                    cert_not_after,
                    retry_after: (self.dice.roll(9) == 0).then(|| secs(self.dice.roll(100_000))),
                    ..Evidence::default()
                },
            },
        };
        self.note(&result, definition.as_deref());
        self.stored.results.push(result.clone());
        let repeats = if self.dice.roll(30) == 0 { 3 } else { 1 };
        for _ in 0..repeats {
            self.apply(Event::Result(Box::new(result.clone())));
        }
    }

    fn note(&mut self, result: &ProbeResult, check: Option<&Check>) {
        self.places.insert(result.id.agent.clone(), result.region.clone());
        let Some(check) = check.filter(|check| check.revision == result.revision) else {
            return;
        };
        let outcome = result.observation.outcome;
        if matches!(outcome, Outcome::Inconclusive { .. }) {
            return;
        }
        let mut fresh = quorate_model::FleetPolicy::freshness(check.interval, check.timeout);
        if !outcome.is_success() {
            let asked = result.observation.evidence.retry_after.unwrap_or_default();
            fresh += asked.min(check.interval * 10);
        }
        let started = result.started.min(self.now);
        let word = Word { started, says: outcome, until: started + fresh };
        let place = (result.check.clone(), result.id.agent.clone());
        let last = self.words.get(&place);
        if word.until > self.now && last.is_none_or(|last| last.started <= started) {
            self.words.insert(place, word);
        }
    }

    fn step(&mut self) {
        let wait = match self.dice.roll(10) {
            0..=5 => Duration::ZERO,
            6..=8 => Duration::from_millis(self.dice.roll(1_500)),
            _ => Duration::from_millis(self.dice.roll(4_000)),
        };
        self.advance(wait);
        let all: Vec<CheckId> = checks().into_iter().map(|check| check.id).collect();
        let mut check = self.dice.pick(&all).clone();
        let (name, home) = *self.dice.pick(&AGENTS);
        if self.dice.roll(50) == 0 {
            check = "nothing".parse().expect("an id");
        }
        match self.dice.roll(100) {
            0..=29 => self.probe(&check, name, None),
            30..=59 => {
                for (name, _) in AGENTS {
                    if self.dice.roll(8) > 0 {
                        let health =
                            if self.dice.roll(60) == 0 { Health::Island } else { Health::Fine };
                        self.apply(Event::Alive { agent: agent(name), heartbeat: health.into() });
                    }
                }
            }
            60..=79 => {
                while let Some((check, round, who)) = self.asked.pop() {
                    match self.dice.roll(10) {
                        0 => {}
                        1 => self.apply(Event::Declined { agent: who, round, check }),
                        _ => self.probe(&check, who.as_str(), Some(round)),
                    }
                }
            }
            80..=85 => self.suspect(&check, name, home),
            86..=91 => {
                let home = self.places.get(&agent(name)).cloned().unwrap_or_else(|| region(home));
                self.places.insert(agent(name), home.clone());
                self.apply(Event::Connected { agent: agent(name), region: home, prefix: None });
            }
            92 => self.apply(Event::Disconnected { agent: agent(name) }),
            93..=96 => self.turn(&check),
            97 if self.dice.roll(20) == 0 => self.restart(),
            98 if self.dice.roll(20) == 0 => self.reconfigure(),
            99 if self.dice.roll(20) == 0 => {
                let silence = secs(self.dice.roll(400));
                self.advance(silence);
            }
            _ => {
                let round = RoundId(self.dice.roll(1_000));
                self.apply(Event::Declined { agent: agent(name), round, check });
            }
        }
        self.hold();
    }

    fn suspect(&mut self, check: &CheckId, name: &str, home: &str) {
        let home = self.places.get(&agent(name)).cloned().unwrap_or_else(|| region(home));
        let revision = self.fleet.checks.get(check).map_or(Revision(1), |check| check.revision);
        let started = match self.dice.roll(4) {
            0 => self.now + secs(self.dice.roll(1_000)),
            1 => self.now.before(secs(self.dice.roll(200))),
            _ => self.now.before(secs(2)),
        };
        self.apply(Event::Suspected(Box::new(Suspicion {
            agent: agent(name),
            region: home,
            check: check.clone(),
            revision,
            phase: Phase::Connect,
            started,
            health: Health::Fine,
        })));
    }

    /// A maintenance window of some check, past, present or to come.
    fn window(&mut self, checks: &[Check]) -> Arc<Mute> {
        let id = self.calendar.pick(checks).id.clone();
        let from = self.now.before(secs(self.calendar.roll(600))) + secs(self.calendar.roll(600));
        let to = from + secs(self.calendar.roll(1_200));
        Arc::new(Mute {
            kind: MuteKind::Maintenance,
            id: "move".parse().expect("an id"),
            checks: [id].into(),
            period: Period::Once { from, to },
            reason: None,
        })
    }

    /// The certificate that a probe sees: here and there still that of yesterday.
    fn certificate(&mut self) -> Option<Timestamp> {
        let days = |count: u64| secs(count * 86_400);
        if self.dice.roll(300) == 0 {
            self.ends = self.now + *self.dice.pick(&[days(6), days(60), days(60)]);
        }
        match self.dice.roll(20) {
            0 => None,
            1 => Some(self.now + days(20)),
            _ => Some(self.ends),
        }
    }

    /// A target breaks or is repaired, everywhere or in one region.
    fn turn(&mut self, check: &CheckId) {
        let is_broken = self.dice.roll(2) == 0;
        let only = if self.dice.roll(2) == 0 {
            Some(*self.dice.pick(&["a", "b", "c", "d", "e"]))
        } else {
            None
        };
        for name in ["a", "b", "c", "d", "e"] {
            if only.is_none_or(|only| only == name) {
                self.broken.insert((check.clone(), region(name)), is_broken);
            }
        }
    }

    /// The engine dies, and another one starts from what was stored.
    fn restart(&mut self) {
        self.now = self.now + Duration::from_millis(self.dice.roll(90_000));
        let horizon = self.now.before(secs(400));
        self.stored.results.retain(|result| result.received > horizon);
        self.asked.clear();
        // A revision that came back has its stored votes back.
        self.words.clear();
        for result in self.stored.results.clone() {
            let definition = self.fleet.checks.get(&result.check).cloned();
            self.note(&result, definition.as_deref());
        }
        self.engine = Engine::new();
        let fleet = Arc::clone(&self.fleet);
        self.apply(Event::Configured(fleet));
        if self.dice.roll(4) == 0 {
            for (_, _, memory) in self.stored.checks.values_mut() {
                *memory = serde_json::json!({ "version": 7 });
            }
            // Whoever heard of it may then hear of its end once more, rather than never.
            self.told.extend(self.open.keys().map(|check| (check.clone(), true)));
        }
        self.apply(Event::Restored(Box::new(self.stored.clone())));
    }

    /// The regions, the quorum or the options of a check change.
    fn reconfigure(&mut self) {
        let mut checks = checks();
        for check in &mut checks {
            match self.dice.roll(6) {
                0 => check.revision = Revision(7_777 + self.dice.roll(3)),
                1 if check.regions.len() > 2 => {
                    check.regions.pop();
                }
                2 if check.regions.len() > 2 => check.quorum = Quorum::Count(2),
                _ => {}
            }
            let old = self.fleet.checks.get(&check.id);
            if old.is_none_or(|old| old.revision != check.revision) {
                self.words.retain(|(of, _), _| *of != check.id);
            }
        }
        let mutes = (0..self.calendar.roll(3)).map(|_| self.window(&checks)).collect();
        self.fleet = Arc::new(Fleet { mutes, ..(*with_checks(checks)).clone() });
        let fleet = Arc::clone(&self.fleet);
        self.apply(Event::Configured(fleet));
    }
}

fn with_checks(checks: Vec<Check>) -> Arc<Fleet> {
    let checks = checks.into_iter().map(|check| (check.id.clone(), Arc::new(check))).collect();
    Arc::new(Fleet { checks, ..fleet_of(shop()) })
}

#[test]
fn nonsense_pages_nobody_and_hides_nothing() {
    for seed in 1..=7 {
        let mut world = World::new(0x9e37_79b9_7f4a_7c15 ^ seed);
        for _ in 0..15_000 {
            world.step();
        }
        assert!(world.pages > 3 && world.resolved > 1, "{} {}", world.pages, world.resolved);
    }
}
