//! The target breaks, in one way or another.

use std::time::Duration;

use quorate_model::{
    AlertKind, AlertPolicy, BlockReason, Check, Flag, Outcome, PartialPolicy, Quorum, State,
};
use quorate_verdict::{Effect, Event, explain};

use crate::stage::{OK, REFUSED, STATUS, Stage, TIMEOUT, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

#[test]
fn an_error_everywhere_pages_once_and_resolves_once() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 420, "all", STATUS)]);
    stage.run(secs(300));
    assert_eq!(stage.says(), "down 5/5 target.http");
    stage.run(secs(900));
    let pages = stage.alerts(AlertKind::Page);
    assert_eq!(pages.len(), 1);
    assert!(pages[0] < secs(120 + 13), "{pages:?}");
    let resolved = stage.alerts(AlertKind::Resolved);
    assert_eq!(resolved.len(), 1);
    assert!(resolved[0] > secs(450) && resolved[0] < secs(465), "{resolved:?}");
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.incidents().len(), 1);
}

fn patient() -> Check {
    let alert = AlertPolicy { ignore_shorter_than: secs(60), ..shop().alert };
    Check { alert, ..shop() }
}

#[test]
fn an_outage_that_is_too_short_to_tell_is_shown_and_pages_nobody() {
    let mut stage = Stage::with(patient(), &FIVE, vec![sees(120, 160, "all", STATUS)]);
    stage.run(secs(150));
    assert_eq!(stage.says(), "down 5/5 target.http brief");
    let looked = stage.engine.look(&stage.check, stage.now).expect("a verdict");
    for verdict in [stage.verdict(), &looked] {
        let summary = &verdict.summary;
        assert!(summary.ends_with("; nobody is told unless it lasts 1m"), "{summary}");
        let words = explain::ballot_in_words(&stage.check, verdict).join("\n");
        assert!(words.contains("that pages once it has lasted"), "{words}");
        assert!(!words.contains("so this pages"), "{words}");
    }
    stage.run(secs(185));
    assert!(stage.says().ends_with("recovering brief"), "{}", stage.says());
    let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(words.contains("so nobody is paged"), "{words}");
    assert!(!words.contains("was paged"), "{words}");
    stage.run(secs(900));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!((stage.said(), stage.incidents().len()), (vec![], 0));
}

#[test]
fn an_outage_that_lasts_is_told_when_it_has_be_it_over_a_restart() {
    for restarts in [false, true] {
        let mut stage = Stage::with(patient(), &FIVE, vec![sees(120, 420, "all", STATUS)]);
        stage.run(secs(170));
        let (down, _) =
            stage.transitions().find(|(_, t)| t.verdict.state == State::Down).expect("down");
        if restarts {
            stage.restart();
        }
        stage.run(secs(300));
        assert_eq!(stage.alerts(AlertKind::Page), [down + secs(60)], "{restarts}");
        assert!(!stage.verdict().summary.contains("nobody"), "{}", stage.verdict().summary);
        assert_eq!(stage.says(), "down 5/5 target.http", "{restarts}");
        stage.run(secs(900));
        assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    }
}

#[test]
fn a_black_hole_pages_one_timeout_after_the_suspicion() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 420, "all", TIMEOUT)]);
    stage.run(secs(240));
    let asked = stage
        .log
        .iter()
        .find_map(|(at, effect)| matches!(effect, Effect::Confirm(_)).then_some(*at));
    let pages = stage.alerts(AlertKind::Page);
    assert_eq!(pages.len(), 1);
    let delay = pages[0].saturating_sub(asked.expect("a confirmation"));
    assert!(delay < secs(10) + Duration::from_millis(200), "{delay:?}");
    assert!(pages[0] <= secs(120) + Duration::from_millis(24_400), "{pages:?}");
    assert_eq!(stage.says(), "down 5/5 target.network");
    let (_, down) =
        stage.transitions().find(|(_, t)| t.verdict.state == State::Down).expect("a page");
    let incident = down.incident.as_ref().expect("an incident");
    assert!(incident.last_success.expect("was up") < incident.first_failure);
}

#[test]
fn one_transient_failure_changes_nothing_that_anybody_sees() {
    let blip = fault(120, 131, "c", What::Sees(REFUSED, Duration::from_millis(20)));
    let mut stage = Stage::with(shop(), &FIVE, vec![blip.clone()]);
    // Whichever probe of c falls into the fault must be refuted by its retry.
    stage.run(secs(119));
    let before = stage.transitions().count();
    let now = stage.now;
    let mut failed = stage.result(2, None, REFUSED, secs(0));
    failed.started = now;
    stage.faults.clear();
    stage.apply(Event::Result(Box::new(failed)));
    assert_eq!(stage.rounds(), 1);
    stage.run(secs(600));
    assert_eq!(stage.transitions().count(), before);
    assert_eq!(stage.rounds(), 1);
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn a_broken_path_is_partial_and_a_notice_after_five_minutes() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 840, "a", TIMEOUT)]);
    stage.run(secs(600));
    assert_eq!(stage.says(), "partial 1/5 path");
    let notices = stage.alerts(AlertKind::Notice);
    assert_eq!(notices.len(), 1);
    assert!(notices[0] >= secs(420) && notices[0] < secs(510), "{notices:?}");
    assert_eq!(stage.rounds(), 1, "a region known to fail asks nobody again");
    stage.run(secs(900));
    let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(words.contains("the end is told once success has lasted"), "{words}");
    stage.run(secs(1200));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Resolved]);
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn a_short_partial_tells_nobody() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 300, "a b", REFUSED)]);
    stage.run(secs(240));
    assert_eq!(stage.says(), "partial 2/5 path.provider");
    stage.run(secs(600));
    assert_eq!(stage.said(), []);
    assert_eq!(stage.says(), "up 0/5 none");
    assert!(stage.incidents().is_empty());
}

#[test]
fn nobody_is_told_of_a_partial_that_is_to_be_ignored() {
    let partial = PartialPolicy { notify: false, ..PartialPolicy::default() };
    let check = Check { partial, ..shop() };
    let mut stage = Stage::with(check, &FIVE, vec![sees(120, 1_000, "a", REFUSED)]);
    stage.run(secs(900));
    assert_eq!(stage.says(), "partial 1/5 path");
    assert_eq!(stage.said(), []);
}

#[test]
fn a_notice_becomes_a_page_of_the_same_incident() {
    let faults = vec![sees(600, 900, "all", REFUSED), sees(120, 900, "a", REFUSED)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(1_200));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn part_of_the_fleet_recovers_and_the_incident_stays_open() {
    let faults = vec![sees(120, 300, "all", REFUSED), sees(120, 600, "a", REFUSED)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(500));
    assert_eq!(stage.says(), "partial 1/5 path");
    assert_eq!(stage.said(), [AlertKind::Page]);
    stage.run(secs(900));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn an_outage_that_some_regions_saw_ends_like_any_other() {
    let faults = vec![sees(120, 900, "c d e", REFUSED)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(960));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn a_region_recovers_although_one_of_its_agents_never_failed() {
    // Two of three agents make a region fail; the third was well all along.
    let check = Check { regions: vec!["a".parse().expect("an id")], ..shop() };
    let faults = vec![sees(120, 300, "a1 a2", REFUSED)];
    let mut stage = Stage::with(check, &["a1", "a2", "a3"], faults);
    stage.run(secs(250));
    assert_eq!(stage.says(), "down 1/1 target.refused");
    stage.run(secs(380));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn an_outage_ends_although_those_that_saw_it_are_gone() {
    let gone = fault(300, 2_000, "c d e", What::Dead);
    let mut stage = Stage::with(shop(), &FIVE, vec![gone, sees(120, 300, "c d e", REFUSED)]);
    stage.run(secs(310));
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1);
    // Their last votes end, the two that are left find the target fine, and go on doing so.
    stage.run(secs(320));
    assert_eq!(stage.says(), "down 0/2 target.refused recovering");
    stage.run(secs(400));
    assert_eq!(stage.says(), "up 0/2 none");
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn an_outage_goes_on_when_those_that_see_it_come_and_go() {
    // Silent for seven seconds of each twenty, between their probes.
    let blinks = (0..30).map(|n| fault(301 + n * 20, 308 + n * 20, "c d e", What::Dead));
    let mut faults: Vec<_> = blinks.collect();
    faults.push(sees(120, 900, "c d e", REFUSED));
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(880));
    assert_eq!(stage.verdict().state, State::Down);
    assert_eq!(stage.said(), [AlertKind::Page]);
    assert!(!stage.transitions().any(|(_, t)| t.verdict.flags.contains(&Flag::Flapping)));
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn a_failure_during_the_recovery_starts_it_again() {
    let faults = vec![sees(120, 300, "all", REFUSED), sees(322, 328, "all", REFUSED)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(320));
    assert_eq!(stage.verdict().state, State::Down);
    stage.run(secs(900));
    let resolved = stage.alerts(AlertKind::Resolved);
    assert_eq!(resolved.len(), 1);
    assert!(resolved[0] > secs(328 + 55), "R has doubled and begun again: {resolved:?}");
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn a_second_outage_soon_after_is_the_same_incident() {
    let faults = vec![sees(120, 300, "all", REFUSED), sees(500, 700, "all", REFUSED)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(1_200));
    let twice = [AlertKind::Page, AlertKind::Resolved];
    assert_eq!(stage.said(), twice.repeat(2));
    assert_eq!(stage.incidents().len(), 1);
    let (_, last) = stage.transitions().filter(|(_, t)| t.incident.is_some()).last().expect("one");
    assert_eq!(last.incident.as_ref().expect("one").reopened, 1);
}

#[test]
fn a_second_outage_much_later_is_another_incident() {
    let faults = vec![sees(120, 300, "all", REFUSED), sees(2_500, 2_700, "all", REFUSED)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(3_000));
    assert_eq!(stage.incidents().len(), 2);
}

#[test]
fn what_flaps_is_told_in_digests() {
    let faults = (0..60).map(|n| sees(120 + n * 120, 180 + n * 120, "all", REFUSED)).collect();
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(7_200));
    assert!(stage.says().contains("flapping"), "{}", stage.says());
    assert_eq!(stage.incidents().len(), 1);
    assert!(stage.alerts(AlertKind::Page).len() <= 3, "{:?}", stage.said());
    stage.run(secs(12_000));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said().last(), Some(&AlertKind::Resolved));
    assert!(stage.said().len() <= 10, "{:?}", stage.said());
}

#[test]
fn the_quorum_is_what_the_user_writes() {
    for (quorum, who, is_down) in [
        (Quorum::Any, "a", true),
        (Quorum::Count(2), "a", false),
        (Quorum::Count(2), "a c", true),
        (Quorum::Majority, "a c", false),
        (Quorum::Majority, "a c d", true),
        (Quorum::All, "a b c d", false),
        (Quorum::All, "all", true),
    ] {
        let check = Check { quorum, ..shop() };
        let mut stage = Stage::with(check, &FIVE, vec![sees(120, 900, who, REFUSED)]);
        // Two regions alone must last for longer to be more than chance.
        stage.run(secs(120 + 320));
        assert_eq!(
            stage.verdict().state == State::Down,
            is_down,
            "{quorum} {who}: {}",
            stage.says()
        );
        assert_eq!(stage.alerts(AlertKind::Page).len(), usize::from(is_down));
    }
}

#[test]
fn a_single_region_decides_after_its_own_retry() {
    let regions = vec!["a".parse().expect("an id")];
    let check = Check { regions, ..shop() };
    let mut stage = Stage::with(check, &["a1"], vec![sees(120, 400, "a", REFUSED)]);
    stage.run(secs(300));
    assert_eq!(stage.says(), "down 1/1 target.refused");
    assert_eq!(stage.rounds(), 1);
    stage.run(secs(900));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
}

#[test]
fn too_many_requests_everywhere_are_degraded_and_never_down() {
    let limited = Outcome::Blocked { reason: BlockReason::RateLimit };
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 600, "all", limited)]);
    stage.run(secs(300));
    assert_eq!(stage.says(), "degraded 5/5 blocked.rate_limit");
    assert_eq!(stage.rounds(), 0, "asking more often would add to it");
    stage.run(secs(1_200));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Resolved]);
}

#[test]
fn a_target_that_answers_again_but_limits_the_rate_is_no_longer_down() {
    let limited = Outcome::Blocked { reason: BlockReason::RateLimit };
    let faults = vec![sees(120, 300, "all", REFUSED), sees(300, 600, "all", limited)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(500));
    assert_eq!(stage.says(), "degraded 5/5 blocked.rate_limit");
    assert_eq!(stage.said(), [AlertKind::Page]);
    stage.run(secs(900));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn a_refusal_everywhere_is_down_and_in_one_region_a_matter_of_place() {
    let refused = Outcome::Blocked { reason: BlockReason::Forbidden };
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 600, "all", refused)]);
    stage.run(secs(300));
    assert_eq!(stage.says(), "down 5/5 target.http");
    assert!(stage.alerts(AlertKind::Page)[0] < secs(133));

    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 600, "d", refused)]);
    stage.run(secs(300));
    assert_eq!(stage.says(), "partial 1/5 blocked.geo");
}

#[test]
fn slow_everywhere_is_degraded_and_worse_is_down() {
    let slow = fault(120, 600, "all", What::Sees(Outcome::Slow, secs(8)));
    let mut stage = Stage::with(shop(), &FIVE, vec![slow, sees(600, 900, "all", REFUSED)]);
    stage.run(secs(500));
    assert_eq!(stage.says(), "degraded 5/5 target.slow");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    stage.run(secs(700));
    assert_eq!(stage.says(), "down 5/5 target.refused");
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Page]);
}

#[test]
fn late_but_well_is_up() {
    let late = fault(120, 180, "all", What::Sees(OK, secs(4)));
    let mut stage = Stage::with(shop(), &FIVE, vec![late]);
    stage.run(secs(400));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said(), []);
}

#[test]
fn an_outage_is_told_in_few_transitions_and_probed_faster_while_it_lasts() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 420, "all", TIMEOUT)]);
    stage.run(secs(900));
    let story: Vec<String> = stage
        .transitions()
        .map(|(_, transition)| {
            let verdict = &transition.verdict;
            let flags: Vec<&str> = verdict.flags.iter().map(|flag| flag.as_str()).collect();
            format!("{} {} {}", verdict.state, verdict.ballot.scope, flags.join(" "))
        })
        .collect();
    assert_eq!(
        story,
        [
            "up 0/5 ",
            "down 4/5 ",
            "down 5/5 ",
            "down 2/5 recovering",
            "down 0/5 recovering",
            "up 0/5 ",
        ]
    );
    let paces: Vec<Option<Duration>> = stage
        .log
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Pace { every, .. } => Some(*every),
            Effect::Confirm(_)
            | Effect::Transition(_)
            | Effect::Operator(_)
            | Effect::Remember { .. } => None,
        })
        .collect();
    assert_eq!(paces, [Some(secs(20)), None]);
}

fn without_checks() -> std::sync::Arc<quorate_model::Fleet> {
    std::sync::Arc::new(quorate_model::Fleet::default())
}

fn assert_ended(stage: &Stage) {
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    let (_, last) = stage.transitions().last().expect("an end");
    assert_eq!(last.verdict.summary, "the check is no longer configured");
    assert!(last.incident.as_ref().expect("the incident").resolved.is_some());
}

#[test]
fn an_incident_ends_with_its_check() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 900, "all", REFUSED)]);
    stage.run(secs(300));
    stage.apply(Event::Configured(without_checks()));
    assert_ended(&stage);

    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 900, "all", REFUSED)]);
    stage.run(secs(300));
    stage.fleet = without_checks();
    stage.restart();
    assert_ended(&stage);
}

#[test]
fn nothing_is_told_of_a_check_that_goes_while_all_is_well() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 200, "all", REFUSED)]);
    stage.run(secs(500));
    let before = stage.transitions().count();
    stage.apply(Event::Configured(without_checks()));
    assert_eq!(stage.transitions().count(), before);
}

#[test]
fn success_from_before_an_outage_is_no_part_of_its_recovery() {
    // d has failed for long, and a has come back since: neither says that it is over.
    let faults = vec![
        sees(120, 2_000, "d", REFUSED),
        sees(150, 210, "a", REFUSED),
        sees(400, 500, "b c", REFUSED),
    ];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(900));
    let states = stage.transitions().map(|(at, t)| (at, t.verdict.state)).collect::<Vec<_>>();
    let fell = states.iter().position(|(_, state)| *state == State::Down).expect("it is down");
    let over =
        states[fell..].iter().find(|(_, state)| *state != State::Down).expect("it is over").0;
    assert!(over >= secs(530), "half a minute after the first success, not at {over:?}");
    assert_eq!(stage.says(), "partial 1/5 path");
}
