//! Recorded results, judged once more.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use quorate_model::{
    AlertKind, BootId, Check, CheckId, Fleet, Health, ProbeResult, Quorum, ResultId, Revision,
    State, Timestamp,
};
use quorate_verdict::replay::{Change, Message, Replay, compare};
use quorate_verdict::{Transition, explain};

use crate::stage::{
    Fault, REFUSED, STATUS, Stage, TIMEOUT, What, fault, fleet_of, secs, sees, shop,
};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

fn start() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000)
}

/// The messages of some transitions, once each whoever gets them.
fn messages<'a>(transitions: impl Iterator<Item = &'a Transition>) -> Vec<Message> {
    let said = transitions.flat_map(|transition| &transition.alerts).map(|(_, alert)| Message {
        at: alert.at,
        check: alert.incident.check.clone(),
        kind: alert.kind,
        incident: alert.incident.id,
    });
    said.collect()
}

/// Plays five regions for so long, and returns what was recorded and what was said.
fn recorded(faults: Vec<Fault>, until: u64) -> (Vec<ProbeResult>, Vec<Message>) {
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(until));
    let did = messages(stage.transitions().map(|(_, transition)| transition));
    (stage.results, did)
}

fn replayed(fleet: Fleet, results: &[ProbeResult], until: u64) -> Vec<Transition> {
    let mut replay = Replay::new(Arc::new(fleet), start());
    results.iter().cloned().for_each(|result| replay.take(result));
    replay.advance(start() + secs(until));
    replay.transitions().into_iter().map(|(_, transition)| transition).collect()
}

fn with(quorum: Quorum, change: impl FnOnce(&mut Check)) -> Fleet {
    let mut check = Check { quorum, ..shop() };
    change(&mut check);
    fleet_of(check)
}

fn kinds(messages: &[Message]) -> Vec<AlertKind> {
    messages.iter().map(|message| message.kind).collect()
}

#[test]
fn the_same_policy_says_the_same() {
    for how in [TIMEOUT, REFUSED, STATUS] {
        let (results, did) = recorded(vec![sees(200, 500, "all", how)], 900);
        assert_eq!(kinds(&did), [AlertKind::Page, AlertKind::Resolved]);
        let would = messages(replayed(fleet_of(shop()), &results, 900).iter());
        for difference in compare(&did, &would) {
            let Change::Same(did, would) = difference.change else {
                panic!("{difference:?}");
            };
            // What a late probe hastens is recorded only when it is over.
            assert!(did.since(would) + would.since(did) < secs(2), "{difference:?}");
        }
    }
}

#[test]
fn another_quorum_says_something_else() {
    // Three of five fail: a page by majority, a notice if all must.
    let (results, did) = recorded(vec![sees(200, 2_000, "c d e", REFUSED)], 1_000);
    assert_eq!(kinds(&did), [AlertKind::Page]);
    let would = messages(replayed(with(Quorum::All, |_| ()), &results, 1_000).iter());
    assert_eq!(kinds(&would), [AlertKind::Notice]);
    let changes: Vec<_> =
        compare(&did, &would).into_iter().map(|it| (it.kind, it.change)).collect();
    assert!(matches!(changes[0], (AlertKind::Page, Change::Gone(_))), "{changes:?}");
    assert!(matches!(changes[1], (AlertKind::Notice, Change::New(_))), "{changes:?}");
    assert_eq!(changes.len(), 2);
}

#[test]
fn another_budget_says_it_sooner() {
    // Two of five are enough for the quorum, but not for the budget until they have lasted.
    let strict = || with(Quorum::Count(2), |_| ());
    let lax = || with(Quorum::Count(2), |check| check.alert.ignores_evidence = true);
    let (results, _) = recorded(vec![sees(200, 900, "c d", REFUSED)], 1_200);
    let page = |fleet| {
        let would = messages(replayed(fleet, &results, 1_200).iter());
        would.iter().find(|it| it.kind == AlertKind::Page).map(|it| it.at - start())
    };
    let (strict, lax) = (page(strict()).expect("paged"), page(lax()).expect("paged"));
    assert!(lax < secs(262) && strict > lax + secs(200), "{lax:?} {strict:?}");
}

#[test]
fn regions_that_fall_silent_or_are_cut_off_page_nobody_in_a_replay_either() {
    let faults = vec![fault(200, 700, "a b", What::Dead), fault(300, 700, "c", What::Island)];
    let (results, did) = recorded(faults, 1_000);
    assert_eq!(did, []);
    assert_eq!(messages(replayed(fleet_of(shop()), &results, 1_000).iter()), []);
    // Dead regions are no votes: the two that are left decide, and with one there is no statement.
    let mut faults = vec![fault(200, 900, "a b c d", What::Dead)];
    faults.push(sees(300, 900, "e", REFUSED));
    let (results, _) = recorded(faults, 900);
    let last = replayed(fleet_of(shop()), &results, 900).pop().expect("a transition");
    assert_eq!(last.verdict.state, State::Unknown);
}

#[test]
fn a_refuted_suspicion_can_be_looked_at() {
    let mut stage = Stage::with(shop(), &FIVE, vec![]);
    stage.run(secs(119));
    let transitions = stage.transitions().count();
    let last = stage.results.iter().rev().find(|it| it.id.agent.as_str() == "c1");
    let from = last.expect("probes").started + secs(60) - start();
    let to = from + Duration::from_millis(10);
    let what = What::Sees(REFUSED, Duration::ZERO);
    stage.faults = vec![Fault { from, to, who: "c", what }];
    stage.run(secs(300));
    assert_eq!((stage.rounds(), stage.transitions().count()), (1, transitions), "only recorded");

    let mut replay = Replay::new(Arc::new(fleet_of(shop())), start());
    let failed = stage.results.iter().position(|it| it.observation.outcome.is_fail());
    let failed = failed.expect("a failure");
    stage.results[..=failed].iter().cloned().for_each(|result| replay.take(result));
    let verdict = replay.look(&stage.check).expect("a verdict");
    assert_eq!(verdict.state, State::Up);
    let words = explain::ballot_in_words(&stage.check, &verdict).join("\n");
    assert!(words.contains("c: fail (connect: refused)"), "{words}");
    assert!(words.contains("nobody is paged because"), "{words}");
}

#[test]
fn a_new_revision_begins_anew_and_late_results_of_the_old_one_are_history() {
    let (mut results, _) = recorded(vec![], 400);
    let changed = start() + secs(200);
    for result in &mut results {
        result.revision = Revision(if result.started < changed { 1 } else { 2 });
    }
    let of_old = |agent: &str, at: u64| {
        let at = start() + secs(at);
        let old = results.iter().find(|it| it.id.agent.as_str() == agent).expect("a result");
        let mut late = ProbeResult { started: at, received: at, ..old.clone() };
        late.observation.outcome = REFUSED;
        late
    };
    let late = ["a1", "b1", "c1", "d1", "e1"].map(|agent| of_old(agent, 390));
    let mut all = results.clone();
    all.extend(late);
    all.sort_by_key(|result| result.received);
    let mut replay = Replay::new(Arc::new(fleet_of(shop())), start());
    all.iter().cloned().for_each(|result| replay.take(result));
    replay.advance(start() + secs(420));
    assert!(replay.of_other_revisions() > 0);
    let said = replay.transitions();
    let is_up = |transition: &Transition| transition.verdict.state == State::Up;
    assert!(said.iter().all(|(_, it)| is_up(it)), "no outage, and no moment without a verdict");
}

#[test]
fn what_the_fleet_does_not_know_is_left_out_and_counted() {
    let (results, _) = recorded(vec![], 130);
    let mut fleet = fleet_of(shop());
    let check: CheckId = "shop".parse().expect("an id");
    let few = Check { regions: vec!["a".parse().expect("an id")], ..shop() };
    fleet.checks.insert(check, Arc::new(few));
    let mut replay = Replay::new(Arc::new(fleet), start());
    results.iter().cloned().for_each(|result| replay.take(result));
    let of_others = results.iter().filter(|result| result.region.as_str() != "a").count();
    assert_eq!(replay.left_out(), u64::try_from(of_others).expect("few"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was recorded, a replay says the same twice, and time never goes back in it.
    #[test]
    fn a_replay_is_the_same_every_time(
        said in prop::collection::vec(
            (0_usize..5, 0_u64..600, 0_u64..90, 0_usize..4, any::<bool>(), 0_u64..3, 0_u64..4), 0..60),
    ) {
        let outcomes = [crate::stage::OK, REFUSED, TIMEOUT, STATUS];
        let results: Vec<ProbeResult> = said.iter().zip(1..).map(
            |((agent, received, age, outcome, is_island, revision, round), sequence)| {
                ProbeResult {
                    id: ResultId {
                        agent: FIVE[*agent].parse().expect("an id"),
                        boot: BootId(1),
                        sequence,
                    },
                    region: FIVE[*agent][..1].parse().expect("an id"),
                    check: "shop".parse().expect("an id"),
                    revision: Revision(*revision),
                    round: (*round > 0).then_some(quorate_model::RoundId(*round)),
                    started: start() + secs(received.saturating_sub(*age)),
                    received: start() + secs(*received),
                    health: if *is_island { Health::Island } else { Health::Fine },
                    observation: quorate_model::Observation {
                        outcome: outcomes[*outcome],
                        total: secs(0),
                        phases: Vec::new(),
                        evidence: quorate_model::Evidence::default(),
                    },
                }
            }
        ).collect();
        let once = replayed(fleet_of(shop()), &results, 700);
        prop_assert_eq!(&once, &replayed(fleet_of(shop()), &results, 700));
        let times: Vec<Timestamp> = once.iter().map(|it| it.verdict.ballot.taken).collect();
        prop_assert!(times.is_sorted(), "{times:?}");
    }
}
