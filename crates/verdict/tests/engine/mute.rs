//! Maintenance windows and silences: what is judged, and who hears of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AlertKind, Flag, Fleet, Mute, MuteKind, Period, State, Timestamp, Weekday, Zone,
};
use quorate_verdict::{Event, explain};

use crate::stage::{Fault, REFUSED, STATUS, Stage, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn mute(kind: MuteKind, period: Period) -> Arc<Mute> {
    let checks = BTreeSet::from(["shop".parse().expect("an id")]);
    Arc::new(Mute { kind, id: "move".parse().expect("an id"), checks, period, reason: None })
}

fn once(kind: MuteKind, from: u64, to: u64) -> Arc<Mute> {
    mute(kind, Period::Once { from: START + secs(from), to: START + secs(to) })
}

pub(crate) fn window(from: u64, to: u64) -> Arc<Mute> {
    once(MuteKind::Maintenance, from, to)
}

pub(crate) fn configure(stage: &mut Stage, mutes: Vec<Arc<Mute>>) {
    stage.fleet = Arc::new(Fleet { mutes, ..(*stage.fleet).clone() });
    stage.apply(Event::Configured(stage.fleet.clone()));
}

fn stage(mutes: Vec<Arc<Mute>>, faults: Vec<Fault>) -> Stage {
    let mut stage = Stage::with(shop(), &FIVE, faults);
    configure(&mut stage, mutes);
    stage
}

fn withheld(stage: &Stage) -> Vec<String> {
    let incidents = stage.transitions().filter_map(|(_, t)| t.incident.as_ref());
    incidents.last().expect("an incident").withheld_by.iter().cloned().collect()
}

#[test]
fn an_outage_in_a_window_is_recorded_and_told_to_nobody() {
    let mut stage = stage(vec![window(100, 900)], vec![sees(200, 500, "all", STATUS)]);
    stage.run(secs(300));
    assert_eq!(stage.says(), "down 5/5 target.http maintenance");
    assert_eq!(withheld(&stage), ["maintenance/move"]);
    let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(words.contains("nobody is messaged of it now"), "{words}");
    stage.run(secs(1_000));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said(), []);
    assert_eq!(stage.incidents().len(), 1);
    let (_, last) = stage.transitions().filter(|(_, t)| t.incident.is_some()).last().expect("one");
    assert!(last.incident.as_ref().expect("it").resolved.is_some());
}

#[test]
fn an_outage_that_outlasts_the_window_is_told_when_it_ends() {
    let mut stage = stage(vec![window(100, 500)], vec![sees(450, 800, "all", STATUS)]);
    stage.run(secs(790));
    assert_eq!(stage.alerts(AlertKind::Page), [secs(500)]);
    assert_eq!(stage.says(), "down 5/5 target.http");
    let (_, page) = stage.transitions().find(|(_, t)| !t.alerts.is_empty()).expect("a page");
    let (_, alert) = &page.alerts[0];
    assert!(!alert.incident.verdict.flags.contains(&Flag::Maintenance), "{alert:?}");
    assert_eq!(alert.incident.verdict.ballot.taken, START + secs(500), "as it now is");
    assert!(alert.incident.opened < START + secs(465), "{alert:?}");
    assert_eq!(withheld(&stage), ["maintenance/move"]);
    stage.run(secs(1_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn the_end_is_told_to_those_who_were_told_the_beginning() {
    let mut stage = stage(vec![window(300, 2_000)], vec![sees(200, 500, "all", STATUS)]);
    stage.run(secs(2_500));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    let resolved = stage.alerts(AlertKind::Resolved);
    assert!(resolved[0] < secs(600), "{resolved:?}");
    assert_eq!(withheld(&stage), Vec::<String>::new());
}

#[test]
fn a_silence_withholds_in_the_same_way_and_people_who_know_are_not_told_again() {
    let known = once(MuteKind::Silence, 300, 600);
    let mut stage = stage(vec![known], vec![sees(200, 900, "all", STATUS)]);
    stage.run(secs(400));
    assert_eq!(stage.says(), "down 5/5 target.http silenced");
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn what_has_just_come_back_is_not_told_because_the_window_ends() {
    let mut stage = stage(vec![window(100, 515)], vec![sees(200, 500, "all", STATUS)]);
    stage.run(secs(516));
    assert!(stage.says().ends_with(" target.http recovering"), "{}", stage.says());
    stage.run(secs(1_000));
    assert_eq!(stage.said(), []);
    assert_eq!(stage.verdict().state, State::Up);
}

#[test]
fn what_breaks_again_after_the_window_is_told() {
    let faults = vec![sees(200, 500, "all", STATUS), sees(900, 1_200, "all", STATUS)];
    let mut stage = stage(vec![window(100, 800)], faults);
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.incidents().len(), 1, "within the half hour it is the same");
}

#[test]
fn a_page_that_is_no_longer_due_becomes_a_notice() {
    // Down everywhere, then only for one region when the window ends.
    let faults = vec![sees(200, 400, "a b d e", STATUS), sees(200, 3_000, "c", STATUS)];
    let mut stage = stage(vec![window(100, 700)], faults);
    stage.run(secs(1_500));
    assert_eq!(stage.says(), "partial 1/5 path");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    assert_eq!(stage.alerts(AlertKind::Notice), [secs(700)]);
}

#[test]
fn who_was_noticed_before_and_paged_by_nobody_is_not_told_twice() {
    // A notice before the window; in it an outage that leaves the first trouble behind.
    let faults = vec![sees(120, 5_000, "c", STATUS), sees(700, 900, "a b d e", STATUS)];
    let mut stage = stage(vec![window(600, 1_200)], faults);
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [AlertKind::Notice]);
}

#[test]
fn a_restart_keeps_what_was_withheld() {
    let mut stage = stage(vec![window(100, 500)], vec![sees(200, 800, "all", STATUS)]);
    stage.run(secs(400));
    stage.restart();
    stage.run(secs(499));
    assert_eq!(stage.says(), "down 5/5 target.http maintenance");
    assert_eq!(stage.said(), []);
    stage.run(secs(501));
    assert_eq!(stage.alerts(AlertKind::Page), [secs(500)]);
    stage.restart();
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn a_window_is_taken_away_while_it_lasts() {
    let mut stage = stage(vec![window(100, 5_000)], vec![sees(200, 800, "all", REFUSED)]);
    stage.run(secs(400));
    assert_eq!(stage.said(), []);
    configure(&mut stage, vec![]);
    assert_eq!(stage.alerts(AlertKind::Page), [secs(400)]);
    assert_eq!(stage.says(), "down 5/5 target.refused");
}

#[test]
fn a_verdict_is_flagged_from_the_beginning_to_the_end() {
    let mut stage = stage(vec![window(300, 600)], vec![]);
    stage.run(secs(900));
    let flagged: Vec<(Duration, bool)> = stage
        .transitions()
        .map(|(at, t)| (at, t.verdict.flags.contains(&Flag::Maintenance)))
        .skip_while(|(_, flagged)| !flagged)
        .collect();
    assert_eq!(flagged, [(secs(300), true), (secs(600), false)]);
}

#[test]
fn a_weekly_window_comes_back() {
    // The stage begins on a Tuesday at 22:13:20 UTC.
    let daily = |days: &[Weekday]| Period::Weekly {
        days: days.iter().copied().collect(),
        at: secs(22 * 3_600 + 20 * 60),
        lasts: secs(600),
        zone: Zone::utc(),
    };
    let mutes = vec![mute(MuteKind::Maintenance, daily(&[Weekday::Tuesday, Weekday::Wednesday]))];
    let mut stage = stage(mutes, vec![]);
    stage.run(secs(3 * 86_400));
    let flagged = stage.transitions().filter(|(_, t)| t.verdict.flags.contains(&Flag::Maintenance));
    let at: Vec<Duration> = flagged.map(|(at, _)| at).collect();
    assert_eq!(at, [secs(400), secs(400 + 86_400)]);
}

#[test]
fn nobody_is_told_of_a_fleet_that_nobody_can_see_because_a_window_ends() {
    let silence = fault(400, 900, "all", What::Dead);
    let faults = vec![silence, sees(200, 400, "all", STATUS), sees(900, 1_100, "all", STATUS)];
    let mut stage = stage(vec![window(100, 600)], faults);
    stage.run(secs(890));
    assert_eq!(stage.said(), []);
    assert_eq!(stage.verdict().state, State::Unknown);
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved], "it is still down then");
}
