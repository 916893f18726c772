//! How urgently people are told of what is no outage.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_model::{AlertKind, AlertPolicy, Check, Outcome, PartialPolicy, ReceiverId, State};
use quorate_verdict::explain;

use crate::stage::{REFUSED, Stage, TIMEOUT, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
const PAGE: AlertKind = AlertKind::Page;
const RESOLVED: AlertKind = AlertKind::Resolved;

fn eager() -> Check {
    let team = vec!["team".parse().expect("an id")];
    Check { partial: PartialPolicy { pages: true, to: team, ..PartialPolicy::default() }, ..shop() }
}

/// Who was sent what, in order.
fn to(stage: &Stage) -> Vec<(AlertKind, String)> {
    let alerts = stage.transitions().flat_map(|(_, change)| &change.alerts);
    alerts.map(|(receiver, alert)| (alert.kind, receiver.to_string())).collect()
}

fn sent(kind: AlertKind, receiver: &str) -> (AlertKind, String) {
    (kind, receiver.to_owned())
}

#[test]
fn a_region_that_keeps_failing_pages_those_who_are_to_hear_of_it_if_asked() {
    let mut stage = Stage::with(eager(), &FIVE, vec![sees(120, 840, "a", TIMEOUT)]);
    stage.run(secs(600));
    assert_eq!(stage.says(), "partial 1/5 path");
    let pages = stage.alerts(PAGE);
    assert_eq!(pages.len(), 1);
    assert!(pages[0] >= secs(420) && pages[0] < secs(510), "{pages:?}");
    stage.run(secs(1_200));
    assert_eq!(to(&stage), [sent(PAGE, "team"), sent(RESOLVED, "team")]);
}

#[test]
fn an_outage_after_that_pages_once_more_and_is_the_same_incident() {
    let faults = vec![sees(120, 1_200, "a", TIMEOUT), sees(700, 900, "b c d e", REFUSED)];
    let mut stage = Stage::with(eager(), &FIVE, faults);
    stage.run(secs(800));
    assert_eq!(stage.verdict().state, State::Down);
    assert_eq!(to(&stage), [sent(PAGE, "team"), sent(PAGE, "oncall")]);
    stage.restart();
    stage.run(secs(1_600));
    let told: BTreeSet<ReceiverId> = stage
        .transitions()
        .flat_map(|(_, change)| &change.alerts)
        .filter(|(_, alert)| alert.kind == RESOLVED)
        .map(|(receiver, _)| receiver.clone())
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((stage.alerts(PAGE).len(), stage.incidents().len()), (2, 1));
    let last = stage.transitions().filter_map(|(_, change)| change.incident.as_ref()).last();
    let incident = last.expect("an incident");
    assert_eq!((incident.verdict.state, incident.reopened), (State::Down, 0));
}

#[test]
fn what_was_a_notice_is_raised_to_a_page_once_some_regions_keep_failing() {
    let faults = vec![sees(120, 420, "all", Outcome::Slow), sees(420, 1_500, "a", TIMEOUT)];
    let mut stage = Stage::with(eager(), &FIVE, faults);
    stage.run(secs(1_400));
    assert_eq!(stage.says(), "partial 1/5 path");
    assert_eq!(to(&stage), [sent(AlertKind::Notice, "team"), sent(PAGE, "team")]);
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn a_target_that_answers_only_some_requests_pages_if_asked() {
    for pages in [false, true] {
        // Each region fails in every third turn of its schedule, and every confirmation succeeds.
        let mut faults = Vec::new();
        for turn in (0..40).step_by(3) {
            for (place, who) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
                let from = 120 + (turn + place as u64) * 60;
                faults.push(fault(from, from + 60, who, What::Sees(REFUSED, Duration::ZERO)));
            }
        }
        let alert = AlertPolicy { pages_intermittent: pages, ..shop().alert };
        let mut stage = Stage::with(Check { alert, ..shop() }, &FIVE, faults);
        stage.run(secs(1_800));
        assert_eq!(stage.verdict().state, State::Degraded, "{}", stage.says());
        assert_eq!(stage.said(), [if pages { PAGE } else { AlertKind::Notice }]);
        let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
        assert!(words.contains("`alert.intermittent` says otherwise"), "{words}");
    }
}

#[test]
fn a_slow_target_is_a_notice_also_where_an_intermittent_one_pages() {
    let alert = AlertPolicy { pages_intermittent: true, ..shop().alert };
    let faults = vec![sees(120, 600, "all", Outcome::Slow)];
    let mut stage = Stage::with(Check { alert, ..shop() }, &FIVE, faults);
    stage.run(secs(500));
    assert_eq!(stage.verdict().state, State::Degraded, "{}", stage.says());
    assert_eq!(stage.said(), [AlertKind::Notice]);
}
