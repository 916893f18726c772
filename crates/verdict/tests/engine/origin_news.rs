//! An origin that is down as planned, or not for long: what people hear of the checks in front.

use std::collections::BTreeSet;
use std::sync::Arc;

use quorate_model::{
    AlertKind, AlertPolicy, Cause, Check, Fleet, Mute, MuteKind, OriginFinding, OriginHold,
    Outcome, Period, State, Timestamp,
};

use quorate_verdict::{Event, explain};

use crate::mute::configure;
use crate::stage::{
    Fault, REFUSED, STATUS, Stage, TIMEOUT, What, fault, fleet_with_origin, secs, sees, shop,
};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// A mute of the origin alone.
fn mute(kind: MuteKind, from: u64, to: u64) -> Vec<Arc<Mute>> {
    let period = Period::Once { from: START + secs(from), to: START + secs(to) };
    let checks = BTreeSet::from(["shop-origin".parse().expect("an id")]);
    let id = "move".parse().expect("an id");
    vec![Arc::new(Mute { kind, id, checks, period, reason: None })]
}

/// The origin is down from 120 s until then, and muted from when to when.
fn planned((from, to): (u64, u64), until: u64, front: Vec<Fault>) -> Stage {
    let mut stage = Stage::with_origin(&FIVE, front, vec![sees(120, until, "all", TIMEOUT)]);
    configure(&mut stage, mute(MuteKind::Maintenance, from, to));
    stage
}

/// The origin is down from 120 s until then, and is to be for five minutes before that is told.
fn patient(until: u64) -> Stage {
    let mut fleet = fleet_with_origin();
    for check in fleet.checks.values_mut().filter(|check| check.id != shop().id) {
        let alert = AlertPolicy { ignore_shorter_than: secs(300), ..AlertPolicy::default() };
        *check = Arc::new(Check { alert, ..(**check).clone() });
    }
    let mut stage = Stage::of(fleet, &shop().id, &FIVE, vec![]);
    stage.origin_faults = vec![sees(120, until, "all", TIMEOUT)];
    stage
}

/// That it was seen to be degraded by its origin, and that nobody was told.
fn is_shown_and_not_told(stage: &Stage) {
    let mut seen = stage.transitions().map(|(_, t)| (t.verdict.state, t.verdict.cause));
    assert!(seen.any(|seen| seen == (State::Degraded, Cause::Origin)), "it is shown");
    assert_eq!(stage.said(), []);
    assert!(stage.incidents().is_empty());
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn a_planned_outage_of_the_origin_behind_a_cache_is_shown_and_told_to_nobody() {
    let mut stage = planned((100, 700), 500, vec![]);
    stage.run(secs(400));
    assert_eq!(stage.says(), "degraded 0/5 origin");
    let words = &stage.verdict().summary;
    assert!(words.contains("shop-origin: fails in 5 of 5 regions since"), "{words}");
    assert!(words.contains(", and is muted; fine from 5 of 5"), "{words}");
    let known = stage.verdict().ballot.origin.clone().expect("an origin");
    assert_eq!((known.finding, known.failing), (Some(OriginFinding::Fails), 5));
    assert_eq!(known.hold, Some(OriginHold::Muted));
    let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(words.contains("shop-origin is muted, so that is told to nobody yet"), "{words}");
    assert!(words.contains("only lacks its origin, of which nobody is told yet"), "{words}");
    stage.run(secs(900));
    is_shown_and_not_told(&stage);
}

#[test]
fn a_silenced_origin_is_known_to_be_down() {
    let mut stage = planned((0, 0), 500, vec![]);
    configure(&mut stage, mute(MuteKind::Silence, 100, 700));
    stage.run(secs(900));
    is_shown_and_not_told(&stage);
}

#[test]
fn an_outage_of_the_origin_that_outlasts_its_window_is_told_when_that_ends() {
    let mut stage = planned((100, 600), 900, vec![]);
    stage.run(secs(890));
    assert_eq!(stage.alerts(AlertKind::Notice), [secs(600)]);
    assert_eq!(stage.says(), "degraded 0/5 origin");
    assert!(!stage.verdict().summary.contains("muted"), "{}", stage.verdict().summary);
    let (_, told) = stage.transitions().find(|(_, t)| !t.alerts.is_empty()).expect("a notice");
    let incident = told.incident.as_ref().expect("an incident");
    assert!(incident.first_failure < START + secs(140), "the onset is the origin's");
    stage.run(secs(1_300));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Resolved]);
}

#[test]
fn a_window_that_begins_later_takes_nothing_back() {
    let mut stage = planned((400, 2_000), 900, vec![]);
    stage.run(secs(880));
    assert_eq!(stage.says(), "degraded 0/5 origin");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    stage.run(secs(1_300));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Resolved]);
}

#[test]
fn a_restart_in_the_window_tells_nobody() {
    let mut stage = planned((100, 900), 700, vec![]);
    stage.run(secs(400));
    stage.restart();
    stage.run(secs(1_000));
    is_shown_and_not_told(&stage);
}

#[test]
fn what_the_front_itself_shows_is_told_while_its_origin_is_muted() {
    let front = |who, outcome| planned((100, 1_500), 1_400, vec![sees(300, 1_400, who, outcome)]);
    let mut down = front("all", STATUS);
    down.run(secs(330));
    assert_eq!(down.said(), [AlertKind::Page]);
    assert_eq!(down.says(), "down 5/5 origin");
    let mut partial = front("d e", REFUSED);
    partial.run(secs(1_000));
    assert_eq!(partial.said(), [AlertKind::Notice]);
    assert!(partial.alerts(AlertKind::Notice)[0] >= secs(600), "after five minutes");
    let slow = fault(300, 1_400, "all", What::Sees(Outcome::Slow, secs(6)));
    let mut slow = planned((100, 1_500), 1_400, vec![slow]);
    slow.run(secs(600));
    assert_eq!(slow.said(), [AlertKind::Notice]);
}

#[test]
fn an_outage_of_the_origin_that_is_ignored_is_so_by_its_fronts_too() {
    let mut short = patient(300);
    short.run(secs(700));
    is_shown_and_not_told(&short);

    let mut long = patient(900);
    long.run(secs(440));
    assert_eq!(long.says(), "degraded 0/5 origin");
    assert_eq!(long.said(), []);
    let words = &long.verdict().summary;
    assert!(words.contains(", not for long enough to be told; fine from"), "{words}");
    let hold = |stage: &Stage| stage.verdict().ballot.origin.as_ref().and_then(|known| known.hold);
    assert_eq!(hold(&long), Some(OriginHold::Brief));
    long.restart();
    long.run(secs(890));
    assert_eq!(long.said(), [AlertKind::Notice]);
    assert_eq!(hold(&long), None);
    let told = long.alerts(AlertKind::Notice)[0];
    long.check = "shop-origin".parse().expect("an id");
    let opened = long.transitions().find(|(_, t)| t.incident.is_some()).map(|(at, _)| at);
    assert_eq!(opened, Some(told), "when its own would be told");
    long.check = shop().id;
    long.run(secs(1_300));
    assert_eq!(long.said(), [AlertKind::Notice, AlertKind::Resolved]);
}

#[test]
fn a_fleet_keeps_its_mutes_when_the_origin_is_configured_anew() {
    let mut stage = planned((100, 900), 700, vec![]);
    stage.run(secs(400));
    let fleet = Fleet { operators: Vec::new(), ..(*stage.fleet).clone() };
    stage.fleet = Arc::new(fleet);
    stage.apply(Event::Configured(Arc::clone(&stage.fleet)));
    stage.run(secs(1_000));
    is_shown_and_not_told(&stage);
}
