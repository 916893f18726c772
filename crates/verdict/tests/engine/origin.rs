//! A check in front and the check of its origin: who is responsible, and what people are told.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AlertKind, AlertPolicy, BlockReason, Cause, Check, Doubt, Fleet, OriginFinding, Outcome, Phase,
    Reason, State, Timestamp,
};
use quorate_verdict::replay::Replay;
use quorate_verdict::{Effect, Event, explain};

use crate::stage::{
    Fault, OK, REFUSED, STATUS, Stage, TIMEOUT, What, fault, fleet_with_origin, secs, sees, shop,
};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
/// No statement about the target.
const SILENT: Outcome = Outcome::Inconclusive { reason: Doubt::PolicyDenied };

fn stage(front: Vec<Fault>, origin: Vec<Fault>) -> Stage {
    Stage::with_origin(&FIVE, front, origin)
}

/// The verdicts so far: when, what and why.
fn history(stage: &Stage) -> Vec<(u64, State, Cause)> {
    let said = stage.transitions().map(|(at, t)| (at.as_secs(), t.verdict.state, t.verdict.cause));
    said.collect()
}

/// The causes so far.
fn causes(stage: &Stage) -> Vec<Cause> {
    history(stage).into_iter().map(|(_, _, cause)| cause).collect()
}

/// When the agents were asked about a check.
fn asked(stage: &Stage, check: &str) -> Vec<Duration> {
    let rounds = stage.log.iter().filter_map(|(at, effect)| match effect {
        Effect::Confirm(round) if round.check.as_str() == check => Some(*at),
        Effect::Confirm(_)
        | Effect::Transition(_)
        | Effect::Operator(_)
        | Effect::Pace { .. }
        | Effect::Remember { .. } => None,
    });
    rounds.collect()
}

#[test]
fn the_network_in_front_is_blamed_when_the_origin_works() {
    let mut stage = stage(vec![sees(120, 400, "all", TIMEOUT)], vec![]);
    stage.run(secs(300));
    assert_eq!(stage.says(), "down 5/5 cdn");
    let page = stage.alerts(AlertKind::Page);
    let first = stage.transitions().find(|(at, _)| *at == page[0]).expect("the page");
    assert_eq!(first.1.verdict.cause, Cause::Cdn, "the page says so already");
    assert!(first.1.verdict.also.contains(&Cause::TargetNetwork));
    let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(words.contains("origin check shop-origin: works in 5 of 5 regions since"), "{words}");
    let plain = "shop-origin works although this fails, so what stands in front of the origin";
    assert!(words.contains(plain), "{words}");
    let known = stage.verdict().ballot.origin.clone().expect("an origin");
    assert_eq!(known.check.as_str(), "shop-origin");
    assert_eq!(known.finding, Some(OriginFinding::Works));
    assert_eq!((known.working, known.failing, known.configured), (5, 0, 5));
    assert!(known.since.is_some_and(|since| since >= START + secs(120)), "{known:?}");
    stage.run(secs(600));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.verdict().ballot.origin, None, "it does not matter any more");
}

#[test]
fn the_origin_is_blamed_when_it_fails_too() {
    for outcome in [TIMEOUT, REFUSED, STATUS] {
        let faults = || vec![sees(120, 400, "all", outcome)];
        let mut stage = stage(faults(), faults());
        stage.run(secs(300));
        assert_eq!(stage.says(), "down 5/5 origin", "{outcome}");
        let words = &stage.verdict().summary;
        assert!(words.contains("origin check shop-origin: fails in 5 of 5 regions"), "{words}");
        stage.run(secs(700));
        assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    }
}

#[test]
fn the_first_round_of_a_suspicion_asks_about_the_origin_too() {
    let mut stage = stage(vec![sees(120, 180, "b", REFUSED)], vec![]);
    stage.run(secs(200));
    assert_eq!(asked(&stage, "shop").len(), 1);
    assert_eq!(asked(&stage, "shop"), asked(&stage, "shop-origin"));
    assert_eq!(stage.said(), []);
}

#[test]
fn what_the_origin_said_before_the_failure_is_not_known_after_it() {
    // Its last successes are fresh, but nobody can ask it again.
    let mute = fault(115, 400, "all", What::Sees(SILENT, secs(0)));
    let mut stage = stage(vec![sees(120, 400, "all", REFUSED)], vec![mute]);
    stage.run(secs(170));
    assert!(!causes(&stage).contains(&Cause::Cdn), "{:?}", causes(&stage));
    assert_eq!(stage.says(), "down 5/5 target.refused");
    let words = &stage.verdict().summary;
    assert!(words.contains("shop-origin: nothing known since the failure"), "{words}");
    let known = stage.verdict().ballot.origin.as_ref().expect("an origin");
    assert_eq!((known.finding, known.working, known.failing), (None, 0, 0));
    let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(words.contains("what shop-origin shows is not enough to tell"), "{words}");
}

#[test]
fn a_cache_that_serves_while_the_origin_is_down_is_one_notice() {
    let mut stage = stage(vec![], vec![sees(120, 700, "all", TIMEOUT)]);
    stage.run(secs(130));
    assert_eq!(stage.said(), [], "nothing is known yet of what users get");
    stage.run(secs(500));
    assert_eq!(stage.says(), "degraded 0/5 origin");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    let told = stage.alerts(AlertKind::Notice)[0];
    assert!(told < secs(210), "within a turn of the schedule: {told:?}");
    let words = &stage.verdict().summary;
    let said = "origin check shop-origin: fails in 5 of 5 regions since";
    assert!(words.starts_with(said), "{words}");
    assert!(words.contains("fine from 5 of 5 regions"), "{words}");
    let (_, opened) = stage.transitions().find(|(_, t)| t.incident.is_some()).expect("one");
    let incident = opened.incident.as_ref().expect("it");
    let broke = incident.first_failure;
    assert!(broke < START + secs(140), "the onset is the origin's: {broke}");
    assert!(incident.last_success.is_some_and(|last| last < broke));
    stage.run(secs(1_000));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Resolved]);
    assert!(stage.alerts(AlertKind::Resolved)[0] < secs(800));
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn a_front_whose_successes_are_older_than_the_failure_is_not_served_from_a_cache() {
    // The front answers nothing that counts from the moment at which the origin breaks.
    let mute = fault(118, 400, "all", What::Sees(SILENT, secs(0)));
    let mut stage = stage(vec![mute], vec![sees(120, 400, "all", REFUSED)]);
    stage.run(secs(300));
    assert_eq!(stage.said(), []);
    assert!(history(&stage).iter().all(|(_, state, _)| *state != State::Degraded));
}

#[test]
fn a_region_that_fails_does_not_make_a_front_without_its_origin_milder() {
    for outcome in [OK, REFUSED] {
        let front = vec![fault(0, 900, "d e", What::Dead), sees(60, 900, "c", outcome)];
        let mut stage = stage(front, vec![sees(120, 900, "all", TIMEOUT)]);
        stage.run(secs(600));
        assert_eq!(stage.verdict().state, State::Degraded, "{outcome}");
        assert_eq!(stage.verdict().cause, Cause::Origin, "{outcome}");
    }
}

#[test]
fn a_cache_that_runs_out_becomes_a_page_for_the_same_incident() {
    let mut stage =
        stage(vec![sees(400, 700, "all", STATUS)], vec![sees(120, 700, "all", TIMEOUT)]);
    stage.run(secs(390));
    assert_eq!(stage.says(), "degraded 0/5 origin");
    stage.run(secs(600));
    assert_eq!(stage.says(), "down 5/5 origin");
    stage.run(secs(1_100));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn a_network_that_is_back_before_its_origin_is_served_from_the_cache() {
    let mut stage =
        stage(vec![sees(120, 300, "all", TIMEOUT)], vec![sees(120, 700, "all", TIMEOUT)]);
    stage.run(secs(290));
    assert_eq!(stage.says(), "down 5/5 origin");
    stage.run(secs(600));
    assert_eq!(stage.says(), "degraded 0/5 origin");
    assert_eq!(stage.said(), [AlertKind::Page], "it is not over");
    stage.run(secs(1_100));
    assert_eq!(stage.said(), [AlertKind::Page, AlertKind::Resolved]);
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn an_origin_that_comes_back_leaves_the_network_to_blame() {
    let mut stage = stage(vec![sees(120, 900, "all", STATUS)], vec![sees(120, 400, "all", STATUS)]);
    stage.run(secs(390));
    assert_eq!(stage.says(), "down 5/5 origin");
    stage.run(secs(600));
    assert_eq!(stage.says(), "down 5/5 cdn");
    assert_eq!(stage.said(), [AlertKind::Page]);
}

#[test]
fn an_origin_that_flaps_behind_a_cache_is_not_a_stream_of_messages() {
    let down = (0..20).map(|n| sees(120 + n * 240, 240 + n * 240, "all", REFUSED)).collect();
    let mut stage = stage(vec![], down);
    stage.run(secs(4_800));
    let said = stage.said();
    let notices = said.iter().filter(|kind| **kind == AlertKind::Notice).count();
    assert!((1..=4).contains(&notices), "{said:?}");
    assert!(!said.contains(&AlertKind::Page), "{said:?}");
    assert!(said.len() <= 12, "{said:?}");
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn nothing_is_concluded_without_enough_of_the_origins_regions() {
    let mute = |who| fault(0, 900, who, What::Sees(SILENT, secs(0)));
    let front = || vec![sees(120, 900, "all", TIMEOUT)];
    // Two of five know something.
    let mut few = stage(front(), vec![mute("a b c")]);
    few.run(secs(300));
    assert_eq!(few.says(), "down 5/5 target.network");
    // They do not agree.
    let mut split = stage(front(), vec![mute("a"), sees(120, 900, "b c", TIMEOUT)]);
    split.run(secs(300));
    assert_eq!(split.says(), "down 5/5 target.network");
    let words = &split.verdict().summary;
    assert!(words.contains("no conclusion, works in 2 and fails in 2 of 5 regions"), "{words}");
    // Nobody may ask.
    let mut never = stage(front(), vec![mute("all")]);
    never.run(secs(300));
    assert_eq!(never.says(), "down 5/5 target.network");
    // The origin refuses everybody who does not come through the network: no word about itself.
    let limited = Outcome::Blocked { reason: BlockReason::RateLimit };
    let mut refused = stage(front(), vec![fault(0, 900, "all", What::Sees(limited, secs(0)))]);
    refused.run(secs(300));
    assert_eq!(refused.says(), "down 5/5 target.network");
}

#[test]
fn a_check_of_the_origin_that_is_gone_says_nothing() {
    let mut stage = stage(vec![], vec![sees(120, 900, "all", REFUSED)]);
    stage.run(secs(400));
    assert_eq!(stage.says(), "degraded 0/5 origin");
    let mut fleet = (*stage.fleet).clone();
    let shop = fleet.checks[&stage.check].clone();
    fleet.checks = [(shop.id.clone(), Arc::new(Check { origin: None, ..(*shop).clone() }))].into();
    stage.fleet = Arc::new(fleet);
    stage.apply(Event::Configured(Arc::clone(&stage.fleet)));
    stage.run(secs(410));
    assert_eq!(stage.verdict().state, State::Degraded, "what was told is taken back after a while");
    stage.run(secs(500));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Resolved]);
}

#[test]
fn a_front_that_is_an_origin_itself_forgets_the_origin_that_it_no_longer_has() {
    let mut fleet = fleet_with_origin();
    let shop = Arc::clone(&fleet.checks[&shop().id]);
    let page = Check {
        id: "page".parse().expect("an id"),
        target: "https://page.example".to_owned(),
        alert: AlertPolicy::default(),
        origin: Some(shop.id.clone()),
        ..(*shop).clone()
    };
    fleet.checks.insert(page.id.clone(), Arc::new(page));
    let mut stage = Stage::of(fleet, &shop.id, &FIVE, vec![]);
    stage.origin_faults = vec![sees(120, 900, "all", REFUSED)];
    stage.run(secs(400));
    assert_eq!(stage.says(), "degraded 0/5 origin");
    let mut fleet = (*stage.fleet).clone();
    fleet.checks.insert(shop.id.clone(), Arc::new(Check { origin: None, ..(*shop).clone() }));
    stage.fleet = Arc::new(fleet);
    stage.apply(Event::Configured(Arc::clone(&stage.fleet)));
    stage.run(secs(500));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Resolved]);
}

#[test]
fn one_lying_region_turns_neither_cause_nor_state() {
    let wrong_phase = Outcome::Fail { phase: Phase::Tls, reason: Reason::TlsHandshake };
    for liar in FIVE {
        let liar = &liar[..1];
        // It says that the origin fails although it works...
        let all = vec![sees(120, 600, "all", TIMEOUT)];
        let mut works = stage(all.clone(), vec![sees(0, 600, liar, REFUSED)]);
        works.run(secs(300));
        assert_eq!(works.says(), "down 5/5 cdn", "{liar}");
        // ...or works although it fails...
        let lie = sees(120, 600, liar, OK);
        let mut fails = stage(all.clone(), vec![lie, all[0].clone()]);
        fails.run(secs(300));
        assert_eq!(fails.says(), "down 5/5 origin", "{liar}");
        // ...or that the origin is down behind a front that is well...
        let mut well = stage(vec![], vec![sees(120, 900, liar, TIMEOUT)]);
        well.run(secs(900));
        assert_eq!(well.says(), "up 0/5 none", "{liar}");
        assert_eq!(well.said(), []);
        // ...or that a front fails that is served from the cache.
        let lie = fault(100, 900, liar, What::Sees(wrong_phase, secs(0)));
        let mut cached = stage(vec![lie], vec![sees(120, 900, "all", TIMEOUT)]);
        cached.run(secs(600));
        assert_eq!(cached.says(), "degraded 1/5 origin", "{liar}");
    }
}

#[test]
fn a_suspicion_that_claims_to_be_old_makes_old_successes_of_the_origin_no_newer() {
    // Both break at once, the origin without an answer: for ten seconds its old successes are all
    // there is. One region says just before that its failure began a minute ago.
    let quiet = fault(40, 120, "e", What::Sees(SILENT, secs(0)));
    let mut stage =
        stage(vec![quiet, sees(120, 600, "all", STATUS)], vec![sees(120, 600, "all", TIMEOUT)]);
    stage.run(Duration::from_millis(119_980));
    let mut lie = stage.result(4, None, REFUSED, secs(0));
    lie.started = stage.now.before(secs(70));
    stage.apply(Event::Result(Box::new(lie)));
    stage.run(secs(300));
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1);
    assert!(stage.alerts(AlertKind::Page)[0] < secs(121), "before the origin could be known");
    assert!(!causes(&stage).contains(&Cause::Cdn), "{:?}", causes(&stage));
    assert_eq!(stage.says(), "down 5/5 origin");
}

#[test]
fn an_outage_on_top_of_a_partial_one_begins_anew_for_the_origin() {
    // The two that failed all along are the first to answer.
    let late = fault(400, 900, "all", What::Sees(STATUS, secs(1)));
    let front = vec![sees(120, 900, "d e", REFUSED), late];
    let mut stage = stage(front, vec![sees(400, 900, "all", TIMEOUT)]);
    stage.run(secs(700));
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1);
    assert!(!causes(&stage).contains(&Cause::Cdn), "{:?}", causes(&stage));
    assert_eq!(stage.says(), "down 5/5 origin");
}

#[test]
fn a_restart_with_an_open_incident_changes_nothing_that_people_see() {
    let down = vec![sees(120, 900, "all", TIMEOUT)];
    let mut network = stage(down.clone(), vec![]);
    network.run(secs(300));
    network.restart();
    network.run(secs(700));
    assert_eq!(network.says(), "down 5/5 cdn");
    assert_eq!(network.said(), [AlertKind::Page]);
    let after = history(&network).into_iter().filter(|(at, ..)| *at > 200);
    assert!(after.clone().all(|(_, _, cause)| cause == Cause::Cdn), "{:?}", history(&network));

    let mut cache = stage(vec![], down);
    cache.run(secs(400));
    cache.restart();
    cache.run(secs(880));
    assert_eq!(cache.says(), "degraded 0/5 origin");
    assert_eq!(cache.said(), [AlertKind::Notice]);
    cache.restart();
    cache.run(secs(1_300));
    assert_eq!(cache.said(), [AlertKind::Notice, AlertKind::Resolved]);
    assert_eq!(cache.incidents().len(), 1);
}

#[test]
fn a_replay_of_both_checks_says_the_same() {
    let mut stage = stage(vec![], vec![sees(120, 500, "all", TIMEOUT)]);
    stage.run(secs(800));
    let fleet: Arc<Fleet> = Arc::new(fleet_with_origin());
    let mut replay = Replay::new(fleet, START);
    stage.results.iter().cloned().for_each(|result| replay.take(result));
    replay.advance(START + secs(800));
    let said: Vec<AlertKind> = replay
        .transitions()
        .iter()
        .filter(|(_, transition)| transition.check == stage.check)
        .flat_map(|(_, transition)| transition.alerts.iter().map(|(_, alert)| alert.kind))
        .collect();
    assert_eq!(said, stage.said());
    assert_eq!(said, [AlertKind::Notice, AlertKind::Resolved]);
}

#[test]
fn one_edge_that_fails_is_not_the_path_and_not_the_network() {
    let edges = || vec![("a", "iad"), ("b", "dub"), ("c", "bom"), ("d", "gru"), ("e", "gru")];
    let mut one = Stage::with_origin(&FIVE, vec![sees(120, 900, "d e", STATUS)], vec![]);
    one.edges = edges();
    one.run(secs(600));
    assert_eq!(one.says(), "partial 2/5 cdn.edge");
    assert!(one.verdict().summary.contains("only at edge gru"), "{}", one.verdict().summary);
    // Of two regions that land there one is served: then it is the way from the other.
    let mut path = Stage::with_origin(&FIVE, vec![sees(120, 900, "d", STATUS)], vec![]);
    path.edges = edges();
    path.run(secs(600));
    assert_eq!(path.says(), "partial 1/5 path");
    // Without an answer nothing tells the edge of one region from its path.
    let mut silent = Stage::with_origin(&FIVE, vec![sees(120, 900, "c", TIMEOUT)], vec![]);
    silent.edges = edges();
    silent.run(secs(600));
    assert_eq!(silent.says(), "partial 1/5 path");
    let mut alone = Stage::with_origin(&FIVE, vec![sees(120, 900, "c", STATUS)], vec![]);
    alone.edges = edges();
    alone.run(secs(600));
    assert_eq!(alone.says(), "partial 1/5 cdn.edge");
}

#[test]
fn one_region_does_not_clear_an_edge_that_fails_for_the_others_there() {
    let edges = [("a", "iad"), ("b", "dub"), ("c", "gru"), ("d", "gru"), ("e", "gru")];
    // Whoever it is: c is served from a cache, or lies about where a and b land.
    for liar in ["a", "b", "c"] {
        let lie = (liar, "gru");
        let mut stage = Stage::with_origin(&FIVE, vec![sees(120, 900, "d e", STATUS)], vec![]);
        stage.edges = [lie].into_iter().chain(edges).collect();
        if liar != "c" {
            stage.edges[3] = ("c", "bom");
        }
        stage.run(secs(600));
        assert_eq!(stage.says(), "partial 2/5 cdn.edge", "{liar}");
        let words = &stage.verdict().summary;
        assert!(words.contains("mostly at edge gru"), "{words}");
    }
}

#[test]
fn one_region_does_not_make_an_edge_of_a_target_that_is_down() {
    let mut stage = Stage::new(vec![sees(120, 900, "a b c d", STATUS)]);
    stage.edges = vec![("e", "nowhere"), ("all", "gru")];
    stage.run(secs(600));
    assert_eq!(stage.says(), "down 4/5 target.http");
}
