//! When an incident began: between the last success anywhere and the first failure anywhere.

use std::time::Duration;

use quorate_model::{AlertKind, Incident, Outcome, Timestamp};

use crate::stage::{Fault, REFUSED, Stage, TIMEOUT, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

fn stage() -> Stage {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    stage.run(secs(119));
    stage
}

/// When the next scheduled probe of an agent starts.
fn next_probe(stage: &Stage, agent: &str) -> Duration {
    let of_agent = stage.results.iter().rev().find(|result| result.id.agent.as_str() == agent);
    let last = of_agent.expect("it has probed").started;
    secs(60) + (last - Timestamp::from_micros(1_700_000_000_000_000))
}

fn incident(stage: &Stage) -> Incident {
    let last = stage.transitions().filter_map(|(_, transition)| transition.incident.clone()).last();
    last.expect("an incident")
}

/// Whether the last incident began as the whole record of probes shows it, of which those count
/// as failures that `is_bad` says.
fn is_exact(stage: &Stage, is_bad: fn(Outcome) -> bool) {
    let bad = stage.results.iter().filter(|result| is_bad(result.observation.outcome));
    let first = bad.map(|result| result.started).min().expect("a failure");
    let before = stage.results.iter().map(|result| result.started).filter(|at| *at < first);
    let incident = incident(stage);
    let told = (incident.last_success, incident.first_failure);
    assert_eq!(told, (before.max(), first), "{incident:?}");
}

#[test]
fn a_success_that_started_after_a_slow_failure_is_not_before_it() {
    // The first probe of a takes ten seconds to fail; the others succeed in its confirmation.
    let mut stage = stage();
    let at = next_probe(&stage, "a1").as_secs();
    stage.faults = vec![sees(at, 600, "a", TIMEOUT), sees(at + 5, 600, "b c d e", TIMEOUT)];
    stage.run(secs(400));
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1);
    is_exact(&stage, Outcome::is_fail);
}

#[test]
fn a_slow_failure_that_is_reported_after_the_page_moves_the_onset_back() {
    // The others are refused at once when they are asked because the probe of a is late.
    let mut stage = stage();
    let at = next_probe(&stage, "a1").as_secs();
    stage.faults = vec![sees(at, 600, "a", TIMEOUT), sees(at + 1, 600, "b c d e", REFUSED)];
    stage.run(secs(400));
    let pages = stage.alerts(AlertKind::Page);
    assert!(pages.len() == 1 && pages[0] < secs(at + 9), "{pages:?}");
    is_exact(&stage, Outcome::is_fail);
}

#[test]
fn a_target_becomes_slow_with_its_first_slow_answer() {
    // Each region needs two such answers to be believed.
    let mut stage = stage();
    stage.faults = vec![fault(130, 900, "all", What::Sees(Outcome::Slow, secs(6)))];
    stage.run(secs(600));
    assert_eq!(stage.alerts(AlertKind::Notice).len(), 1);
    is_exact(&stage, |outcome| outcome == Outcome::Slow);
}

#[test]
fn a_failure_that_was_refuted_is_not_the_onset_of_the_next_incident() {
    let mut stage = stage();
    let from = next_probe(&stage, "c1");
    let to = from + Duration::from_millis(10);
    let what = What::Sees(REFUSED, Duration::ZERO);
    stage.faults = vec![Fault { from, to, who: "c", what }];
    stage.run(secs(299));
    assert_eq!(stage.rounds(), 1);
    stage.results.retain(|result| result.observation.outcome.is_success());
    stage.faults = vec![sees(300, 600, "all", REFUSED)];
    stage.run(secs(400));
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1);
    is_exact(&stage, Outcome::is_fail);
}
