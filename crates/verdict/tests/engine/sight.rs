//! Nobody can see the check: who hears of it, and how it ends.

use quorate_model::{AlertKind, AlertPolicy, Check, Incident, Severity, State};

use crate::mute::{configure, window};
use crate::stage::{Fault, REFUSED, Stage, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
/// Six seconds until silence is believed, then as long as an agent must be silent to be lost.
const TOLD: u64 = 120 + 6 + 60;

fn watched() -> Check {
    Check { alert: AlertPolicy { alerts_no_quorum: true, ..shop().alert }, ..shop() }
}

fn stage(faults: Vec<Fault>) -> Stage {
    Stage::with(watched(), &FIVE, faults)
}

/// These agents are gone for a while.
fn gone(who: &'static str, to: u64) -> Fault {
    fault(120, to, who, What::Dead)
}

fn incident(stage: &Stage) -> Incident {
    let incidents = stage.transitions().filter_map(|(_, t)| t.incident.clone());
    incidents.last().expect("an incident")
}

#[test]
fn its_receivers_hear_once_that_nobody_can_see_it_and_once_that_it_is_seen_again() {
    let mut stage = stage(vec![gone("all", 900)]);
    stage.run(secs(TOLD - 3));
    assert_eq!((stage.verdict().state, stage.said()), (State::Unknown, vec![]));
    stage.run(secs(890));
    let pages = stage.alerts(AlertKind::Page);
    assert!(pages.len() == 1 && pages[0] <= secs(TOLD + 3), "{pages:?}");
    let (first, summary) = (incident(&stage), stage.verdict().summary.clone());
    assert_eq!(summary, "nobody can see it: 0 of 5 regions live, at least 2 needed");
    assert_eq!((first.severity, first.verdict.summary), (Severity::Page, summary));
    assert!(first.first_failure < first.opened, "since it is unseen");
    stage.run(secs(905));
    assert_eq!(stage.said(), [AlertKind::Page], "one success is no end");
    stage.run(secs(1_200));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!((stage.incidents().len(), incident(&stage).reopened), (1, 0));
}

#[test]
fn nobody_hears_of_it_unless_the_check_asks() {
    let mut stage = Stage::with(shop(), &FIVE, vec![gone("all", 900)]);
    stage.run(secs(1_200));
    assert_eq!(stage.said(), []);
    assert!(stage.incidents().is_empty());
}

#[test]
fn the_one_region_that_is_left_gives_a_hint() {
    for (what, hint) in [
        (None, "; a, the one left, finds it fine"),
        (Some(sees(130, 900, "a", REFUSED)), "; a, the one left, sees connect refused"),
    ] {
        let mut stage = stage(what.into_iter().chain([gone("b c d e", 900)]).collect());
        stage.run(secs(600));
        assert_eq!(stage.said(), [AlertKind::Page]);
        let summary = incident(&stage).verdict.summary;
        assert!(
            summary.starts_with("nobody can see it: 1 of 5") && summary.ends_with(hint),
            "{summary}"
        );
    }
}

#[test]
fn what_comes_back_in_time_is_not_told() {
    let mut stage = stage(vec![gone("all", TOLD - 10)]);
    stage.run(secs(1_200));
    assert_eq!(stage.said(), []);
}

#[test]
fn seen_again_and_down_the_same_incident_goes_on() {
    let mut stage = stage(vec![gone("all", 600), sees(300, 1_500, "all", REFUSED)]);
    stage.run(secs(590));
    assert_eq!(stage.said(), [AlertKind::Page]);
    stage.run(secs(1_400));
    assert_eq!(stage.says(), "down 5/5 target.refused");
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Page]);
    let found = incident(&stage);
    assert_eq!((found.verdict.state, found.reopened), (State::Down, 0));
    let onset = found.first_failure.since(stage.now) + found.opened.since(found.first_failure);
    assert!(onset < secs(60), "of the failure, not of the silence: {found:#?}");
    stage.run(secs(2_200));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn seen_again_with_one_region_failing_it_is_over_and_that_is_told_by_itself() {
    let mut stage = stage(vec![gone("all", 600), sees(300, 1_500, "a", REFUSED)]);
    stage.run(secs(1_400));
    assert_eq!(stage.says(), "partial 1/5 path");
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved, AlertKind::Notice]);
    assert_eq!((stage.incidents().len(), incident(&stage).severity), (2, Severity::Notice));
    stage.run(secs(2_200));
    assert_eq!(stage.said().last(), Some(&AlertKind::Resolved));
}

#[test]
fn a_notice_that_is_open_does_not_keep_it_from_being_paged() {
    let mut stage =
        stage(vec![sees(130, 3_000, "a", REFUSED), fault(900, 1_500, "all", What::Dead)]);
    stage.run(secs(890));
    assert_eq!(stage.said(), [AlertKind::Notice]);
    stage.run(secs(1_490));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Page]);
    let open = incident(&stage);
    assert_eq!((open.severity, open.verdict.state), (Severity::Page, State::Unknown));
    stage.run(secs(2_500));
    assert_eq!(stage.says(), "partial 1/5 path");
    let told = [AlertKind::Notice, AlertKind::Page, AlertKind::Resolved, AlertKind::Notice];
    assert_eq!(stage.said(), told);
}

#[test]
fn an_outage_pages_however_often_sight_was_lost_before() {
    let mut faults: Vec<Fault> =
        (0..5).map(|turn| fault(300 + turn * 600, 500 + turn * 600, "all", What::Dead)).collect();
    faults.push(sees(3_300, 4_000, "all", REFUSED));
    let mut stage = stage(faults);
    stage.run(secs(3_290));
    let before = stage.alerts(AlertKind::Page).len();
    assert!(before > 0 && stage.verdict().state == State::Up, "{:?}", stage.said());
    stage.run(secs(3_400));
    assert_eq!(stage.says(), "down 5/5 target.refused");
    assert_eq!(stage.alerts(AlertKind::Page).len(), before + 1, "{:?}", stage.said());
    assert_eq!((incident(&stage).reopened, incident(&stage).verdict.state), (0, State::Down));
}

#[test]
fn an_open_incident_stays_as_it_is_and_is_not_told_again() {
    let faults = vec![fault(400, 900, "all", What::Dead), sees(200, 1_200, "all", REFUSED)];
    let mut stage = stage(faults);
    stage.run(secs(890));
    assert_eq!(stage.verdict().state, State::Unknown);
    assert_eq!(stage.said(), [AlertKind::Page]);
    assert_eq!(incident(&stage).verdict.state, State::Down);
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn a_restart_neither_repeats_nor_forgets_it() {
    let mut before = stage(vec![gone("all", 900)]);
    before.run(secs(150));
    before.restart();
    before.run(secs(150 + 75));
    assert_eq!(before.said(), [], "in the grace after a start nobody can be seen yet");
    before.run(secs(150 + 80));
    assert_eq!(before.said(), [AlertKind::Page]);

    let mut after = stage(vec![gone("all", 900)]);
    after.run(secs(500));
    after.restart();
    after.run(secs(850));
    assert_eq!(after.said(), [AlertKind::Page]);
    after.restart();
    after.run(secs(1_400));
    assert_eq!(after.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(after.incidents().len(), 1);
}

#[test]
fn a_mute_withholds_it_until_it_ends() {
    let mut stage = stage(vec![gone("all", 900)]);
    configure(&mut stage, vec![window(100, 600)]);
    stage.run(secs(590));
    assert_eq!(stage.said(), []);
    assert_eq!(stage.incidents().len(), 1, "recorded all the same");
    stage.run(secs(700));
    assert_eq!(stage.alerts(AlertKind::Page), [secs(600)]);
    stage.run(secs(1_400));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);

    let mut over = self::stage(vec![gone("all", 500)]);
    configure(&mut over, vec![window(100, 900)]);
    over.run(secs(1_400));
    assert_eq!(over.said(), [], "what came and went is not told at all");
}

#[test]
fn soon_after_an_outage_it_is_the_same_incident_and_says_what_it_is() {
    let faults = vec![sees(130, 300, "all", REFUSED), fault(700, 1_200, "all", What::Dead)];
    let mut stage = stage(faults);
    stage.run(secs(1_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved, AlertKind::Page]);
    assert_eq!((stage.incidents().len(), incident(&stage).reopened), (1, 1));
    assert_eq!(incident(&stage).verdict.state, State::Unknown);
    stage.run(secs(1_800));
    assert_eq!(stage.said().last(), Some(&AlertKind::Resolved));
}
