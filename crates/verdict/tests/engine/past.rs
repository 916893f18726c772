//! Outages that were over before the coordinator heard of them.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{AlertKind, Check, Incident, IncidentState, Outcome, Severity, State};
use quorate_verdict::{Effect, Event, explain};

use crate::stage::{OK, REFUSED, Stage, What, fault, secs, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

/// No agent is heard from 200 s to 1,200 s. Then each sends what it has probed meanwhile, one after
/// the other: failures if `fails` says so of an agent and a second.
fn after_silence(fails: impl Fn(usize, u64) -> bool) -> Stage {
    after_silence_of(shop(), fails)
}

fn after_silence_of(check: Check, fails: impl Fn(usize, u64) -> bool) -> Stage {
    let mut stage = Stage::with(check, &FIVE, vec![fault(200, 1_200, "all", What::Dead)]);
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
    let words = explain::ballot_in_words(&stage.check, &incident.verdict).join("\n");
    assert!(words.contains("known only when it was over, so nobody was paged"), "{words}");
    assert!(!words.contains("so this pages"), "{words}");
    assert_eq!(stage.said(), []);
    assert_eq!(stage.verdict().state, State::Up);
}

/// A page that nobody can see the check does not hide what was to be seen, and is itself no outage.
#[test]
fn an_outage_while_nobody_could_see_it_is_put_on_record_beside_that() {
    let mut check = shop();
    check.alert.alerts_no_quorum = true;
    let mut stage = after_silence_of(check.clone(), |_, second| (400..700).contains(&second));
    stage.run(secs(1_600));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    let past: Vec<Incident> = incidents(&stage).into_iter().filter(|found| found.is_past).collect();
    assert_eq!(past.len(), 1, "{past:?}");
    assert_eq!(past[0].verdict.state, State::Down);

    let mut stage = after_silence_of(check, |agent, second| agent == 2 && second >= 400);
    stage.run(secs(1_600));
    assert!(incidents(&stage).iter().all(|found| !found.is_past), "{:?}", incidents(&stage));
}

/// The results of one region that was cut off for half a day say nothing of the others.
#[test]
fn one_region_that_was_cut_off_for_long_has_lost_sight_of_nothing() {
    let mut check = shop();
    check.alert.alerts_no_quorum = true;
    let mut stage = Stage::with(check, &FIVE, vec![fault(200, 30_000, "c", What::Dead)]);
    stage.run(secs(30_010));
    for turn in 0..490 {
        let second = 229 + turn * 60;
        let outcome = if turn == 3 { REFUSED } else { OK };
        let mut result = stage.result(2, None, outcome, Duration::from_millis(50));
        result.started = stage.now.before(secs(30_010 - second));
        result.received = stage.now;
        stage.apply(Event::Result(Box::new(result)));
    }
    stage.run(secs(30_500));
    assert_eq!(incidents(&stage), []);
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

#[test]
fn an_outage_soon_after_one_that_was_found_late_is_told_as_what_it_is() {
    let mut stage = after_silence(|_, second| (400..700).contains(&second));
    stage.run(secs(1_500));
    stage.faults.push(crate::stage::sees(1_500, 1_700, "all", REFUSED));
    stage.run(secs(1_600));
    assert_eq!(stage.said(), [AlertKind::Page]);
    let open = incidents(&stage).pop().expect("an incident");
    assert_eq!((open.state, open.reopened, open.is_past), (IncidentState::Open, 0, false));
    assert!(!open.verdict.summary.contains("afterwards"), "{open:?}");
    assert_eq!(stage.incidents().len(), 2);
}

#[test]
fn checks_whose_past_is_due_at_once_are_all_judged() {
    let ids = ["shop", "shop-2", "shop-3", "shop-4"];
    let mut stage = Stage::with(shop(), &FIVE, vec![fault(200, 1_200, "all", What::Dead)]);
    let mut fleet = (*stage.fleet).clone();
    for id in ids {
        let check = Check { id: id.parse().expect("an id"), ..shop() };
        fleet.checks.insert(check.id.clone(), Arc::new(check));
    }
    stage.apply(Event::Configured(Arc::new(fleet)));
    stage.run(secs(1_210));
    let mut results = Vec::new();
    for agent in 0..FIVE.len() {
        for turn in 0..16 {
            let second = 205 + turn * 60 + agent as u64 * 12;
            let outcome = if (400..700).contains(&second) { REFUSED } else { OK };
            for id in ids {
                let mut result = stage.result(agent, None, outcome, Duration::from_millis(50));
                result.check = id.parse().expect("an id");
                result.started = stage.now.before(secs(1_210 - second));
                results.push(result);
            }
        }
    }
    // All are well now.
    for agent in 0..FIVE.len() {
        for id in ids {
            let mut result = stage.result(agent, None, OK, Duration::from_millis(50));
            result.check = id.parse().expect("an id");
            results.push(result);
        }
    }
    for result in results {
        stage.apply(Event::Result(Box::new(result)));
    }
    stage.run(secs(1_280));
    let past = stage.log.iter().filter_map(|(_, effect)| match effect {
        Effect::Transition(change) => change.incident.as_ref().filter(|found| found.is_past),
        Effect::Confirm(_)
        | Effect::Operator(_)
        | Effect::Pace { .. }
        | Effect::Remember { .. } => None,
    });
    let checks: Vec<&str> = past.map(|found| found.check.as_str()).collect();
    assert_eq!(checks, ids);
}

#[test]
fn fewer_regions_than_the_quorum_that_report_late_are_not_believed() {
    let silent = |agent: usize| agent >= 3;
    let mut stage = Stage::with(shop(), &FIVE, vec![fault(200, 1_200, "d e", What::Dead)]);
    stage.run(secs(1_210));
    for agent in (0..FIVE.len()).filter(|agent| silent(*agent)) {
        for turn in 0..14 {
            let second = 205 + turn * 60 + agent as u64 * 12;
            let mut result = stage.result(agent, None, REFUSED, Duration::from_millis(50));
            result.started = stage.now.before(secs(1_210 - second));
            stage.apply(Event::Result(Box::new(result)));
        }
    }
    stage.run(secs(1_900));
    assert_eq!(incidents(&stage), []);
}
