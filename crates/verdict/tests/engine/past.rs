//! Outages that were over before the coordinator heard of them.

use std::time::Duration;

use quorate_model::{AlertKind, Incident, IncidentState, Outcome, Severity, State};
use quorate_verdict::Event;

use crate::stage::{OK, REFUSED, Stage, What, fault, secs, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

/// No agent is heard from 200 s to 1,200 s. Then each sends what it has probed meanwhile, one after
/// the other: failures if `fails` says so of an agent and a second.
fn after_silence(fails: impl Fn(usize, u64) -> bool) -> Stage {
    let mut stage = Stage::with(shop(), &FIVE, vec![fault(200, 1_200, "all", What::Dead)]);
    stage.run(secs(1_210));
    for agent in 0..FIVE.len() {
        for turn in 0..16 {
            let second = 205 + turn * 60 + agent as u64 * 12;
            let outcome: Outcome = if fails(agent, second) { REFUSED } else { OK };
            let mut result = stage.result(agent, None, outcome, Duration::from_millis(50));
            result.started = stage.now.before(secs(1_210 - second));
            result.received = stage.now;
            stage.apply(Event::Result(Box::new(result)));
        }
        stage.run(secs(1_220 + agent as u64));
    }
    stage
}

fn incidents(stage: &Stage) -> Vec<Incident> {
    stage.transitions().filter_map(|(_, change)| change.incident.clone()).collect()
}

#[test]
fn an_outage_that_nobody_could_report_is_put_on_record_and_told_to_nobody() {
    let mut stage = after_silence(|_, second| (400..700).contains(&second));
    stage.run(secs(1_600));
    let [incident] = &incidents(&stage)[..] else {
        panic!("{:?}", incidents(&stage));
    };
    assert_eq!((incident.state, incident.severity), (IncidentState::Resolved, Severity::Page));
    let start = stage.now.before(secs(1_600));
    let opened = (incident.opened - start).as_secs();
    let resolved = (incident.resolved.expect("an end") - start).as_secs();
    assert!((400..520).contains(&opened), "{opened}");
    assert!((700..830).contains(&resolved), "{resolved}");
    assert_eq!(incident.verdict.state, State::Down);
    assert!(incident.verdict.summary.starts_with("seen only afterwards"), "{incident:?}");
    assert_eq!(stage.said(), []);
    assert_eq!(stage.verdict().state, State::Up);
}

#[test]
fn an_outage_that_ended_with_the_silence_ends_with_the_first_success() {
    let mut stage = after_silence(|_, second| second >= 400);
    stage.run(secs(1_600));
    let [incident] = &incidents(&stage)[..] else {
        panic!("{:?}", incidents(&stage));
    };
    assert_eq!(incident.state, IncidentState::Resolved);
    let start = stage.now.before(secs(1_600));
    let resolved = (incident.resolved.expect("an end") - start).as_secs();
    assert!((1_160..1_290).contains(&resolved), "{resolved}");
    assert_eq!(stage.said(), []);
}

#[test]
fn what_one_region_alone_saw_late_is_no_outage() {
    let mut stage = after_silence(|agent, second| agent == 2 && second >= 400);
    stage.run(secs(1_600));
    assert_eq!(incidents(&stage), []);
}

#[test]
fn an_outage_on_record_is_not_put_there_again() {
    let faults =
        vec![crate::stage::sees(120, 200, "all", REFUSED), fault(200, 1_200, "all", What::Dead)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(1_210));
    for agent in 0..FIVE.len() {
        for turn in 0..10 {
            let second = 205 + turn * 60 + agent as u64 * 12;
            let mut result = stage.result(agent, None, REFUSED, Duration::from_millis(50));
            result.started = stage.now.before(secs(1_210 - second));
            stage.apply(Event::Result(Box::new(result)));
        }
    }
    stage.run(secs(1_900));
    assert_eq!(stage.incidents().len(), 1);
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}
