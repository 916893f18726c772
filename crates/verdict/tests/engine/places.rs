//! Regions behind one public prefix are one witness.

use std::sync::Arc;

use quorate_model::{
    AlertKind, BallotEntry, Check, Counted, Fleet, FleetPolicy, NoticeKind, Quorum, RegionId, State,
};
use quorate_verdict::{Effect, Event, explain};

use crate::stage::{Fault, OK, REFUSED, Stage, TIMEOUT, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

fn by(quorum: Quorum) -> Check {
    Check { quorum, ..shop() }
}

/// Two regions are enough, and what they share does not matter.
fn two_alone() -> Check {
    let mut check = by(Quorum::Count(2));
    check.alert.ignores_evidence = true;
    check
}

/// Five regions of which a and b are behind one prefix.
fn stage(check: Check, faults: Vec<Fault>) -> Stage {
    let mut stage = Stage::with(check, &FIVE, faults);
    for (number, agent) in (1..).zip(FIVE) {
        stage.moves(agent, &format!("198.51.{}.7", if agent == "b1" { 1 } else { number }));
    }
    stage
}

fn notices(stage: &Stage) -> Vec<(bool, String)> {
    let mut notices = Vec::new();
    for (_, effect) in &stage.log {
        if let Effect::Operator(notice) = effect
            && notice.kind == NoticeKind::ConfigError
        {
            assert_eq!(notice.region.as_ref().map(RegionId::as_str), Some("b"));
            notices.push((notice.resolved, notice.message.clone()));
        }
    }
    notices
}

fn entry(stage: &Stage, region: &str) -> BallotEntry {
    let verdict = stage.engine.look(&stage.check, stage.now).expect("a verdict");
    let mut entries = verdict.ballot.entries.into_iter();
    entries.find(|entry| entry.region.as_str() == region).expect("an entry")
}

#[test]
fn one_machine_that_comes_back_is_no_witness_of_its_own_for_a_moment() {
    let faults = vec![fault(600, 604, "b", What::Dead), sees(120, 4_000, "a b", REFUSED)];
    let mut stage = stage(two_alone(), faults);
    stage.run(secs(1_000));
    assert_eq!(stage.alerts(AlertKind::Page), []);
    assert_eq!(stage.says(), "partial 1/4 path");
}

#[test]
fn one_machine_under_three_names_is_one_as_soon_as_it_is_back_after_a_restart() {
    let mut stage = Stage::with(two_alone(), &FIVE, vec![sees(120, 4_000, "a b c", REFUSED)]);
    for agent in FIVE {
        stage.moves(agent, "198.51.1.7");
    }
    stage.run(secs(600));
    assert_eq!(stage.verdict().state, State::Unknown, "one place is no quorum");
    stage.restart();
    stage.run(secs(1_000));
    assert_eq!(stage.alerts(AlertKind::Page), []);
}

#[test]
fn one_machine_under_two_names_is_no_quorum_of_two() {
    let faults = vec![sees(120, 4_000, "a b", REFUSED)];
    let mut alone = Stage::with(two_alone(), &FIVE, faults.clone());
    alone.run(secs(3_000));
    assert_eq!(alone.alerts(AlertKind::Page).len(), 1, "two places are a quorum of two");

    let mut stage = stage(two_alone(), faults);
    stage.run(secs(3_000));
    assert_eq!(stage.says(), "partial 1/4 path");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    let (a, b) = (entry(&stage, "a"), entry(&stage, "b"));
    assert_eq!((a.counted, b.counted), (Counted::Yes, Counted::SamePlace));
    assert_eq!((b.message.as_str(), b.outcome), ("same place as a", Some(REFUSED)));
    assert_eq!(b.evidence_milli_nats, 0);
    let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(
        words.contains("not counted (shares its place with another region): same place as a"),
        "{words}"
    );
    assert!(words.contains("no vote from b (same place as a)"), "{words}");
}

#[test]
fn the_success_of_either_is_the_vote_of_the_place() {
    for (failing, speaks, other) in [("a", "b", "a"), ("b", "a", "b")] {
        let mut stage = stage(by(Quorum::Count(2)), vec![sees(120, 900, failing, REFUSED)]);
        stage.run(secs(800));
        assert_eq!(stage.says(), "up 0/4 none", "{failing}");
        assert_eq!(entry(&stage, speaks).counted, Counted::Yes);
        assert_eq!(entry(&stage, other).counted, Counted::SamePlace);
        assert_eq!(stage.said(), []);
    }
}

#[test]
fn a_real_outage_is_found_with_one_vote_less() {
    let mut stage = stage(shop(), vec![sees(120, 900, "all", TIMEOUT)]);
    stage.run(secs(200));
    assert_eq!(stage.says(), "down 4/4 target.network");
    let paged = stage.alerts(AlertKind::Page);
    assert!(paged.len() == 1 && paged[0] <= secs(145), "{paged:?}");
    let failing =
        stage.verdict().ballot.entries.iter().filter(|entry| entry.evidence_milli_nats > 0);
    assert_eq!(failing.count(), 4);
}

#[test]
fn the_quorum_stays_that_of_the_regions_configured() {
    let mut stage = stage(shop(), vec![fault(120, 2_000, "c d e", What::Dead)]);
    stage.run(secs(100));
    assert_eq!(stage.verdict().ballot.quorum, 3);
    stage.run(secs(600));
    assert_eq!(stage.verdict().state, State::Unknown, "one witness is left, under two names");
    assert_eq!(stage.told(NoticeKind::NoQuorum).0.len(), 1);
}

#[test]
fn a_thin_quorum_says_what_would_help() {
    let mut stage = stage(shop(), vec![fault(120, 2_000, "e", What::Island)]);
    stage.run(secs(600));
    let messages: Vec<&str> = stage
        .log
        .iter()
        .filter_map(|(_, effect)| {
            let Effect::Operator(notice) = effect else { return None };
            (notice.kind == NoticeKind::ReducedQuorum).then_some(notice.message.as_str())
        })
        .collect();
    assert_eq!(
        messages,
        [
            "one more faulty region could hide an outage of 1 of 1 checks: bring back e, give a place \
          of its own to b"
        ]
    );
}

#[test]
fn the_operators_hear_of_it_once_until_the_regions_part() {
    let mut stage = stage(shop(), vec![fault(300, 420, "b", What::Dead)]);
    stage.run(secs(60));
    assert_eq!(
        notices(&stage),
        [(
            false,
            "regions a and b are one place: agents of both reach the coordinator from \
             198.51.1.0/24, so together they are one vote; give b a network of its own, or join its \
             agents in a; if a proxy before the coordinator hides where agents are, set \
             `policy.merge_places: false`"
                .to_owned()
        )]
    );
    stage.run(secs(280));
    // Both go to another network, still together; then one is silent for a while.
    stage.moves("b1", "198.51.9.1");
    stage.moves("a1", "198.51.9.2");
    stage.run(secs(600));
    assert_eq!(notices(&stage).len(), 1, "{:?}", notices(&stage));
    assert_eq!(stage.verdict().ballot.scope.live, 4);
    stage.moves("b1", "198.51.10.1");
    stage.run(secs(620));
    assert_eq!(notices(&stage).len(), 1, "it must hold for a while");
    stage.run(secs(700));
    assert_eq!(
        notices(&stage)[1..],
        [(true, "regions a and b are no longer one place".to_owned())]
    );
    let verdict = stage.engine.look(&stage.check, stage.now).expect("a verdict");
    assert_eq!(verdict.ballot.scope.live, 5);
    assert_eq!(stage.said(), []);
}

#[test]
fn regions_are_one_place_after_a_restart_too() {
    let mut stage = stage(by(Quorum::Count(2)), vec![sees(120, 2_000, "a b", REFUSED)]);
    stage.run(secs(400));
    stage.restart();
    stage.run(secs(1_500));
    assert_eq!(stage.says(), "partial 1/4 path");
    assert_eq!(stage.alerts(AlertKind::Page), []);
}

#[test]
fn private_addresses_merge_nothing_and_neither_does_a_policy_that_says_so() {
    let faults = vec![sees(120, 2_000, "a b", REFUSED)];
    let mut private = Stage::with(shop(), &FIVE, faults.clone());
    for (number, agent) in (1..).zip(FIVE) {
        private.moves(agent, &format!("10.0.0.{number}"));
    }
    private.run(secs(300));
    assert_eq!(private.says(), "partial 2/5 path.provider");

    let mut proxied = stage(shop(), faults);
    let policy = FleetPolicy { merge_places: false, ..FleetPolicy::default() };
    let fleet = Fleet { policy, ..(*proxied.fleet).clone() };
    proxied.fleet = Arc::new(fleet);
    proxied.apply(Event::Configured(Arc::clone(&proxied.fleet)));
    proxied.run(secs(300));
    assert_eq!(proxied.says(), "partial 2/5 path.provider");
    assert_eq!(notices(&proxied), []);
}

#[test]
fn a_region_is_where_any_of_its_agents_is() {
    // a2 is elsewhere, but a1 shares the prefix of b: the vote of a may be that of the same machine.
    let faults = vec![sees(120, 2_000, "b", REFUSED), fault(600, 2_000, "a1", What::Dead)];
    let mut stage = Stage::with(shop(), &["a1", "a2", "b1", "c1", "d1", "e1"], faults);
    stage.moves("a1", "2001:db8:7::1");
    stage.moves("a2", "2001:db8:8::1");
    stage.moves("b1", "2001:db8:7:9::1");
    stage.run(secs(500));
    assert_eq!(entry(&stage, "b").counted, Counted::SamePlace);
    assert_eq!(stage.says(), "up 0/4 none");
    stage.run(secs(900));
    assert_eq!(entry(&stage, "b").counted, Counted::Yes, "what is left of a is elsewhere");
    assert_eq!(stage.says(), "partial 1/5 path");
}

#[test]
fn failures_now_and_then_at_one_place_do_not_make_a_check_intermittent() {
    // Every third minute both fail once, together, and c does so now and then.
    let both = (0..40).map(|turn| sees(120 + turn * 180, 180 + turn * 180, "a b", REFUSED));
    let other = (0..13).map(|turn| sees(200 + turn * 540, 290 + turn * 540, "c", REFUSED));
    let faults: Vec<Fault> = both.chain(other).collect();
    let mut alone = Stage::with(shop(), &FIVE, faults.clone());
    alone.run(secs(7_000));
    assert!(!alone.alerts(AlertKind::Notice).is_empty(), "three places are enough for that");
    let mut stage = stage(shop(), faults);
    stage.run(secs(7_000));
    assert!(stage.transitions().all(|(_, change)| change.verdict.state != State::Degraded));
    assert_eq!(stage.said(), []);
    assert_eq!(stage.verdict().ballot.entries[2].outcome, Some(OK));
}

/// Three regions; c lies, from the networks of others.
fn liar(agents: &[&str], addresses: &[(&str, &str)], faults: Vec<Fault>) -> Stage {
    let regions = shop().regions[..3].to_vec();
    let mut stage = Stage::with(Check { regions, ..shop() }, agents, faults);
    for (agent, address) in addresses {
        stage.moves(agent, address);
    }
    stage
}

const BESIDE_B: [(&str, &str); 3] =
    [("a1", "198.51.1.1"), ("b1", "198.51.2.1"), ("c1", "198.51.2.9")];

/// c with an agent in the network of each of the others.
const BESIDE_BOTH: [(&str, &str); 4] =
    [("a1", "198.51.1.1"), ("b1", "198.51.2.1"), ("c1", "198.51.1.9"), ("c2", "198.51.2.9")];

#[test]
fn a_region_that_lies_from_the_network_of_another_hides_no_outage() {
    for (agents, addresses) in
        [(&["a1", "b1", "c1"][..], &BESIDE_B[..]), (&["a1", "b1", "c1", "c2"], &BESIDE_BOTH)]
    {
        let mut stage = liar(agents, addresses, vec![sees(120, 900, "a b", REFUSED)]);
        stage.run(secs(800));
        assert_eq!(stage.alerts(AlertKind::Page).len(), 1, "{}", stage.says());
        stage.run(secs(1_200));
        assert_eq!(stage.verdict().state, State::Up, "{}", stage.says());
    }
}

#[test]
fn a_region_that_lies_from_the_network_of_another_keeps_no_check_down() {
    let faults = vec![sees(120, 600, "a b", REFUSED), sees(120, 4_000, "c", REFUSED)];
    for (agents, addresses) in
        [(&["a1", "b1", "c1"][..], &BESIDE_B[..]), (&["a1", "b1", "c1", "c2"], &BESIDE_BOTH)]
    {
        let mut stage = liar(agents, addresses, faults.clone());
        stage.run(secs(590));
        assert_eq!(stage.verdict().state, State::Down, "{}", stage.says());
        stage.run(secs(900));
        assert_eq!(stage.verdict().state, State::Up, "{}", stage.says());
    }
}

#[test]
fn what_shares_a_place_with_two_does_not_make_them_one() {
    let mut stage = liar(&["a1", "b1", "c1", "c2"], &BESIDE_BOTH, vec![]);
    stage.run(secs(300));
    assert_eq!(stage.says(), "up 0/2 none");
    assert_eq!(entry(&stage, "c").message, "same place as a");
    assert_eq!(stage.told(NoticeKind::NoQuorum).0.len(), 0);
}

#[test]
fn an_agent_that_comes_from_two_networks_in_turn_does_not_have_all_judged_each_time() {
    let mut stage = stage(shop(), vec![]);
    stage.run(secs(100));
    let mut changes = 0;
    let live = |stage: &Stage| {
        let verdict = stage.engine.look(&stage.check, stage.now).expect("a verdict");
        verdict.ballot.scope.live
    };
    let mut before = live(&stage);
    for turn in 0..1_000_u64 {
        stage.moves("b1", if turn % 2 == 0 { "198.51.100.1" } else { "198.51.1.9" });
        stage.run(secs(100) + std::time::Duration::from_millis(10 * turn));
        let now = live(&stage);
        changes += usize::from(now != before);
        before = now;
    }
    // A parting at most every six seconds, and a joining after each.
    assert!(changes <= 4, "{changes} in ten seconds");
    // What it is in the end is known soon.
    stage.moves("b1", "198.51.100.1");
    stage.run(secs(117));
    assert_eq!(live(&stage), 5);
}
