//! The coordinator dies and comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AgentId, AlertKind, Check, Fleet, Health, NoticeKind, OperatorNotice, ProbeResult, State,
    Timestamp,
};
use quorate_verdict::{Effect, Engine, Event, Restore};

use crate::stage::{Fault, REFUSED, Stage, TIMEOUT, What, fault, fleet_of, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

#[test]
fn a_restart_in_an_outage_neither_pages_again_nor_resolves() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 600, "all", TIMEOUT)]);
    stage.run(secs(240));
    assert_eq!(stage.says(), "down 5/5 target.network");
    stage.restart();
    assert_eq!(stage.says(), "down 5/5 target.network");
    assert!(matches!(stage.log.last(), Some((_, Effect::Pace { every: Some(_), .. }))));
    stage.run(secs(590));
    assert_eq!(stage.verdict().state, State::Down);
    assert_eq!(stage.said(), [AlertKind::Page]);
    stage.run(secs(900));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn a_restart_during_the_recovery_resolves_once() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 300, "all", REFUSED)]);
    stage.run(secs(315));
    stage.restart();
    stage.run(secs(800));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn a_target_that_breaks_while_nobody_watches_is_found() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(121, 600, "all", REFUSED)]);
    stage.run(secs(120));
    stage.restart();
    stage.run(secs(140));
    assert_eq!(stage.said(), [AlertKind::Page], "grace does not delay a page");
}

#[test]
fn a_restored_verdict_is_not_overwritten_while_agents_return() {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    stage.run(secs(300));
    let before = stage.transitions().count();
    stage.restart();
    assert_eq!(stage.verdict().state, State::Up);
    stage.run(secs(500));
    assert_eq!(stage.transitions().count(), before);
}

#[test]
fn restarts_do_not_lose_count_of_reopenings() {
    let faults = (0..10).map(|n| sees(120 + n * 240, 180 + n * 240, "all", REFUSED)).collect();
    let mut stage = Stage::with(shop(), &FIVE, faults);
    for n in 0..10 {
        stage.run(secs(230 + n * 240));
        stage.restart();
    }
    assert!(stage.alerts(AlertKind::Page).len() <= 4, "{:?}", stage.said());
    assert_eq!(stage.incidents().len(), 1);
}

fn forget_memory(stage: &mut Stage) {
    for (_, effect) in &mut stage.log {
        if let Effect::Transition(transition) = effect {
            transition.memory = serde_json::json!({ "version": 999 });
        }
    }
}

#[test]
fn an_unreadable_memory_still_keeps_the_outage() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 600, "all", REFUSED)]);
    stage.run(secs(240));
    forget_memory(&mut stage);
    stage.restart();
    stage.run(secs(1_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn an_unreadable_memory_keeps_an_outage_that_nobody_can_see() {
    let silence = fault(200, 600, "all", What::Dead);
    let mut still_down = Stage::with(
        shop(),
        &FIVE,
        vec![sees(120, 200, "all", REFUSED), silence.clone(), sees(600, 700, "all", REFUSED)],
    );
    still_down.run(secs(500));
    assert_eq!(still_down.verdict().state, State::Unknown);
    forget_memory(&mut still_down);
    still_down.restart();
    still_down.run(secs(1_000));
    assert_eq!(still_down.said(), [AlertKind::Page, AlertKind::Resolved], "paged once");

    let faults = vec![sees(120, 200, "all", REFUSED), silence];
    let mut repaired = Stage::with(shop(), &FIVE, faults);
    repaired.run(secs(500));
    forget_memory(&mut repaired);
    repaired.restart();
    repaired.run(secs(1_000));
    assert_eq!(repaired.said(), [AlertKind::Page, AlertKind::Resolved], "resolved once");
}

/// What was stored beside the changes of the verdict: of the check, and of the regions.
fn remembered(stage: &Stage) -> (usize, usize) {
    let of = |is_of_check: bool| {
        let is_such = |effect: &Effect| matches!(effect, Effect::Remember { check, .. } if check.is_some() == is_of_check);
        stage.log.iter().filter(|(_, effect)| is_such(effect)).count()
    };
    (of(true), of(false))
}

#[test]
fn what_was_learned_while_no_verdict_changed_survives_a_restart() {
    // Region a fails alone in every tenth of its probes.
    let quick = Check { interval: secs(1), timeout: Duration::from_millis(500), ..shop() };
    let faults = (0..400).map(|n| fault(n * 10, n * 10 + 1, "a", What::Sees(REFUSED, secs(0))));
    let mut stage = Stage::with(quick, &FIVE, faults.collect());
    stage.run(secs(3_000));
    let changes = stage.transitions().count();
    assert_eq!(remembered(&stage), (0, 5), "once in ten minutes, whatever the checks see");
    stage.restart();
    stage.faults = vec![sees(3_000, 3_100, "a c", REFUSED)];
    stage.run(secs(3_020));
    assert!(stage.transitions().count() > changes);
    let entries = &stage.verdict().ballot.entries;
    let (noisy, quiet) = (entries[0].evidence_milli_nats, entries[2].evidence_milli_nats);
    assert!(noisy + 2_000 < quiet, "{noisy} {quiet}");
}

/// A target of which, from the second minute on, each minute one of three regions meets a failure
/// that its retry refutes.
fn now_and_then(remember_every: Duration) -> Stage {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    let mut fleet = fleet_of(shop());
    fleet.policy.remember_every = remember_every;
    stage.fleet = Arc::new(fleet);
    stage.apply(Event::Configured(Arc::clone(&stage.fleet)));
    stage.run(secs(119));
    let start = Timestamp::from_micros(1_700_000_000_000_000);
    let probe = |who: &'static str, minute: u64| {
        let own = |result: &&ProbeResult| result.id.agent.as_str().starts_with(who);
        let last = stage.results.iter().rev().find(own).expect("it probes").started - start;
        let from = last + secs(60 * minute);
        let what = What::Sees(REFUSED, secs(0));
        Fault { from, to: from + Duration::from_millis(10), who, what }
    };
    stage.faults =
        (1..60).zip(["a", "b", "c"].into_iter().cycle()).map(|(n, who)| probe(who, n)).collect();
    stage
}

/// When it was degraded.
fn raised(stage: &Stage) -> Option<Duration> {
    stage.transitions().find(|(_, it)| it.verdict.state == State::Degraded).map(|(at, _)| at)
}

#[test]
fn the_slow_detector_goes_on_where_it_was() {
    let mut plain = now_and_then(secs(1));
    plain.run(secs(3_600));
    let at = raised(&plain).expect("it is found");
    let restarted = |every| {
        let mut stage = now_and_then(every);
        stage.run(at.saturating_sub(secs(1)));
        assert_eq!(raised(&stage), None);
        stage.restart();
        stage.run(secs(3_600));
        raised(&stage).expect("it is found")
    };
    assert!(restarted(secs(1)) <= at + secs(60));
    assert!(restarted(secs(86_400)) > at + secs(120), "what is not stored is learned anew");
}

#[test]
fn a_single_failure_is_not_worth_a_write() {
    let blip = |at| fault(at, at + 60, "c", What::Sees(REFUSED, secs(0)));
    let mut stage = Stage::with(shop(), &FIVE, vec![blip(300), blip(3_000)]);
    stage.run(secs(7_200));
    let (of_check, of_regions) = remembered(&stage);
    assert_eq!(of_check, 0);
    assert!((1..=12).contains(&of_regions), "{of_regions}");
}

/// A coordinator that begins with these agents, of which some are alive from then on.
struct Return {
    engine: Engine,
    now: Timestamp,
    told: Vec<OperatorNotice>,
}

impl Return {
    fn new(heard: &[(&str, u64)]) -> Self {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let agents: BTreeMap<_, _> = heard
            .iter()
            .map(|(agent, ago)| {
                let region = agent[..1].parse().expect("an id");
                (agent.parse().expect("an id"), (region, start.before(secs(*ago))))
            })
            .collect();
        let fleet: Fleet = fleet_of(shop());
        let mut this = Self { engine: Engine::new(), now: start, told: Vec::new() };
        this.apply(Event::Configured(Arc::new(fleet)));
        this.apply(Event::Restored(Box::new(Restore { agents, ..Restore::default() })));
        this
    }

    fn apply(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.apply(event, self.now, &mut effects);
        self.told.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Operator(notice) if notice.kind == NoticeKind::AgentLost => Some(notice),
            Effect::Operator(_)
            | Effect::Confirm(_)
            | Effect::Transition(_)
            | Effect::Pace { .. }
            | Effect::Remember { .. } => None,
        }));
    }

    /// So many seconds in which these agents are there.
    fn pass(&mut self, seconds: u64, alive: &[&str]) {
        for _ in 0..seconds {
            self.now = self.now + secs(1);
            for agent in alive {
                let id: AgentId = agent.parse().expect("an id");
                let region = agent[..1].parse().expect("an id");
                self.apply(Event::Connected { agent: id.clone(), region, prefix: None });
                self.apply(Event::Alive { agent: id, heartbeat: Health::Fine.into() });
            }
            self.apply(Event::Tick);
        }
    }

    /// The agents of which something was told, and whether that they are back.
    fn told(&self) -> Vec<(&str, bool)> {
        let told = self.told.iter();
        told.map(|notice| (notice.agent.as_ref().expect("who").as_str(), notice.resolved)).collect()
    }
}

#[test]
fn an_agent_that_vanished_while_nobody_watched_is_lost() {
    // The coordinator was away for an hour. All but d1 come back; c1 was lost long before.
    let heard = [("a1", 3_600), ("b1", 3_620), ("c1", 9_000), ("d1", 3_610), ("e1", 3_605)];
    let mut back = Return::new(&heard);
    back.pass(59, &["a1", "b1", "e1"]);
    assert_eq!(back.told(), []);
    back.pass(300, &["a1", "b1", "e1"]);
    assert_eq!(back.told(), [("d1", false)], "of c1 the operators heard before");
    back.pass(10, &["a1", "b1", "c1", "d1", "e1"]);
    let mut told = back.told();
    told.sort_unstable();
    assert_eq!(told, [("c1", true), ("d1", false), ("d1", true)]);
}

#[test]
fn agents_of_regions_that_are_gone_are_not_awaited() {
    let mut back = Return::new(&[("a1", 10), ("z1", 10)]);
    back.pass(120, &["a1"]);
    assert_eq!(back.told(), []);
}
