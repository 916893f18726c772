//! Failing regions must differ: two providers, or whatever the check asks.

use std::time::Duration;

use quorate_model::{AlertKind, Ballot, Check, Distinct, NoticeKind, Quorum, State, Verdict};
use quorate_verdict::explain;

use crate::stage::{Fault, REFUSED, Stage, TIMEOUT, What, fault, fleet_of, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

fn demand(label: &str, values: u32) -> Distinct {
    Distinct { label: label.to_owned(), values }
}

/// Two of five regions must fail, of two providers; a and b are of one.
fn two_of_two() -> Check {
    let mut check =
        Check { quorum: Quorum::Count(2), distinct: vec![demand("provider", 2)], ..shop() };
    check.alert.ignores_evidence = true;
    check
}

/// Regions a, b and c are of one provider, d and e of another.
fn lopsided(check: Check, faults: Vec<Fault>) -> Stage {
    let mut fleet = fleet_of(check);
    for (id, region) in &mut fleet.regions {
        let provider = if id.as_str() < "d" { "aws" } else { "ovh" };
        region.labels.insert("provider".to_owned(), provider.to_owned());
    }
    Stage::of(fleet, &shop().id, &FIVE, faults)
}

fn majority_of_two() -> Check {
    Check { distinct: vec![demand("provider", 2)], ..shop() }
}

fn words(stage: &Stage) -> String {
    explain::ballot_in_words(&stage.check, stage.verdict()).join("\n")
}

/// The ballot as it is read back from the store.
fn stored(verdict: &Verdict) -> Ballot {
    let text = serde_json::to_string(&verdict.ballot).expect("a ballot");
    serde_json::from_str(&text).expect("the same ballot")
}

#[test]
fn regions_of_one_provider_alone_are_partial() {
    let faults = vec![sees(120, 4_000, "a b", REFUSED)];
    let mut free =
        Stage::with(Check { distinct: Vec::new(), ..two_of_two() }, &FIVE, faults.clone());
    free.run(secs(1_000));
    assert_eq!(free.alerts(AlertKind::Page).len(), 1, "without the demand it pages");

    let mut stage = Stage::with(two_of_two(), &FIVE, faults);
    stage.run(secs(1_000));
    assert_eq!(stage.says(), "partial 2/5 path.provider");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    let notice = stage.alerts(AlertKind::Notice)[0];
    assert!((secs(420)..secs(500)).contains(&notice), "as for fewer than the quorum: {notice:?}");
    let ballot = stored(stage.verdict());
    assert!(!explain::proves_down(&ballot), "{ballot:#?}");
    let count = &ballot.distinct[0];
    assert_eq!((count.label.as_str(), count.asked, count.live), ("provider", 2, 4));
    assert_eq!(count.failing, ["aws"]);
    let words = words(&stage);
    for part in [
        "a and b fail, all of provider aws; a page needs failures in 2 providers",
        "at least 2 must fail for down, in at least 2 providers",
        "nobody is paged because those that fail are too alike",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let summary = &stage.verdict().summary;
    assert!(summary.contains("; all of provider aws; a page needs failures in 2"), "{summary}");
}

#[test]
fn a_second_provider_makes_it_a_page() {
    let faults = vec![sees(120, 4_000, "a b", REFUSED), sees(900, 4_000, "d", REFUSED)];
    let mut stage = Stage::with(two_of_two(), &FIVE, faults);
    stage.run(secs(890));
    assert_eq!(stage.said(), [AlertKind::Notice]);
    stage.run(secs(980));
    assert_eq!(stage.says(), "down 3/5 target.refused");
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Page]);
    assert_eq!(stage.incidents().len(), 1);
    let ballot = stored(stage.verdict());
    assert!(explain::proves_down(&ballot));
    assert_eq!(ballot.distinct[0].failing, ["aws", "ovh"]);
    let mut forged = ballot;
    forged.distinct[0].failing.pop();
    assert!(!explain::proves_down(&forged), "the ballot alone says whether they differ");
}

#[test]
fn a_full_outage_is_found_as_fast_as_without_the_demand() {
    for check in [shop(), majority_of_two()] {
        let mut stage = lopsided(check, vec![sees(300, 4_000, "all", TIMEOUT)]);
        stage.run(secs(600));
        let page = stage.alerts(AlertKind::Page)[0];
        assert!(page <= secs(325), "{page:?}");
    }
}

#[test]
fn a_majority_of_one_provider_is_no_page_however_long_it_lasts() {
    let mut stage = lopsided(majority_of_two(), vec![sees(300, 8_000, "a b c", TIMEOUT)]);
    stage.run(secs(4_000));
    assert_eq!(stage.says(), "partial 3/5 path.provider");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    assert!(words(&stage).contains("a, b and c fail, all of provider aws; a page needs"));
}

#[test]
fn one_lost_packet_of_another_provider_is_no_second_provider() {
    let mut stage = lopsided(majority_of_two(), vec![sees(300, 8_000, "a b c", REFUSED)]);
    for turn in 1..6 {
        stage.run(secs(1_000 * turn));
        let start = stage.now.before(secs(1_000 * turn));
        let mut probes = stage.results.iter().rev().filter(|probe| probe.id.agent.as_str() == "d1");
        let next = probes.next().expect("a probe").started - start + secs(60);
        let blip = What::Sees(REFUSED, Duration::from_millis(50));
        let to = next + Duration::from_millis(60);
        stage.faults.push(Fault { from: next, to, who: "d", what: blip });
        stage.run(secs(1_000 * turn + 200));
        let failed = stage.results.iter().filter(|probe| probe.region.as_str() == "d");
        let failed = failed.filter(|probe| probe.observation.outcome == REFUSED).count();
        assert_eq!(failed, usize::try_from(turn).expect("few"), "its retry succeeds");
        assert_eq!(stage.alerts(AlertKind::Page), [], "blip {turn}");
    }
    stage.faults.push(sees(6_000, 7_000, "d", REFUSED));
    stage.run(secs(6_100));
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1, "one that lasts is");
}

#[test]
fn a_region_that_succeeds_without_its_anchors_keeps_its_provider_there() {
    let alone = fault(120, 4_000, "d e", What::Unanchored);
    let mut stage = lopsided(majority_of_two(), vec![alone, sees(300, 4_000, "a b c", REFUSED)]);
    stage.run(secs(2_000));
    let count = &stage.verdict().ballot.distinct[0];
    assert_eq!((count.live, count.failing.len()), (2, 1));
    assert_eq!(stage.alerts(AlertKind::Page), []);
}

#[test]
fn when_a_provider_is_gone_all_that_are_left_must_fail() {
    let gone = fault(120, 8_000, "d e", What::Dead);
    let mut stage = lopsided(majority_of_two(), vec![gone, sees(600, 4_000, "all", TIMEOUT)]);
    stage.run(secs(590));
    assert_eq!(stage.says(), "up 0/3 none");
    stage.run(secs(2_000));
    assert_eq!(stage.says(), "down 3/3 target.network reduced_quorum");
    assert!(explain::proves_down(&stored(stage.verdict())));
    let words = words(&stage);
    assert!(words.contains("and all of them, because fewer than 2 providers are left"), "{words}");
}

#[test]
fn when_a_provider_is_gone_one_success_of_those_left_is_enough_against_it() {
    let mut check = majority_of_two();
    check.quorum = Quorum::Count(2);
    let gone = fault(120, 8_000, "d e", What::Dead);
    let mut stage = lopsided(check, vec![gone, sees(600, 4_000, "a b", TIMEOUT)]);
    stage.run(secs(3_000));
    assert_eq!(stage.says(), "partial 2/3 target.network");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    let words = words(&stage);
    let part = "a and b fail, all of provider aws; of 2 providers that a page needs only 1 is left, \
                so all 3 live regions must fail";
    assert!(words.contains(part), "{words}");
}

#[test]
fn operators_hear_when_one_more_region_could_hide_an_outage() {
    // e is the last of its provider beside d: without it d alone can contradict all others.
    let mut check = majority_of_two();
    check.quorum = Quorum::Count(2);
    let faults = vec![fault(120, 2_000, "e", What::Dead)];
    let mut free = lopsided(Check { distinct: Vec::new(), ..check.clone() }, faults.clone());
    free.run(secs(600));
    assert_eq!(free.told(NoticeKind::ReducedQuorum).0, [] as [Duration; 0]);
    let mut stage = lopsided(check, faults);
    stage.run(secs(600));
    assert_eq!(stage.told(NoticeKind::ReducedQuorum).0.len(), 1);
}

#[test]
fn what_is_down_is_partial_again_once_one_provider_is_left_failing() {
    let faults = vec![sees(300, 8_000, "a b c", REFUSED), sees(300, 900, "d", REFUSED)];
    let mut stage = lopsided(majority_of_two(), faults);
    stage.run(secs(890));
    assert_eq!(stage.says(), "down 4/5 target.refused");
    stage.run(secs(1_100));
    assert_eq!(stage.says(), "partial 3/5 path.provider");
    assert_eq!(stage.said(), [AlertKind::Page], "its incident stays open");
    stage.run(secs(4_000));
    assert_eq!(stage.said(), [AlertKind::Page]);
}

#[test]
fn each_label_that_is_asked_for_counts_on_its_own() {
    let mut check = majority_of_two();
    check.distinct.push(demand("country", 3));
    let mut fleet = fleet_of(check);
    for (id, region) in &mut fleet.regions {
        let country = match id.as_str() {
            "a" | "c" => "DE",
            "b" | "d" => "FR",
            _ => "US",
        };
        region.labels.insert("country".to_owned(), country.to_owned());
    }
    let faults = vec![sees(300, 8_000, "a b c d", REFUSED), sees(1_200, 8_000, "e", REFUSED)];
    let mut stage = Stage::of(fleet, &shop().id, &FIVE, faults);
    stage.run(secs(1_190));
    assert_eq!(stage.verdict().state.as_str(), "partial");
    let words = words(&stage);
    let part = "a, b, c and d fail, of the countries DE and FR only; a page needs failures in 3 \
                countries";
    assert!(words.contains(part), "{words}");
    stage.run(secs(1_300));
    assert_eq!(stage.verdict().state.as_str(), "down");
}

#[test]
fn the_demand_is_no_part_of_the_revision_and_works_on_votes_that_are_there() {
    assert_eq!(shop().revision, majority_of_two().revision);
    let mut stage = lopsided(
        Check { quorum: Quorum::Count(2), ..majority_of_two() },
        vec![sees(300, 8_000, "a b c", REFUSED)],
    );
    stage.run(secs(900));
    assert_eq!(stage.verdict().state.as_str(), "partial");
    let mut fleet = (*stage.fleet).clone();
    let free = Check { distinct: Vec::new(), ..(*fleet.checks[&stage.check]).clone() };
    fleet.checks.insert(free.id.clone(), free.into());
    stage.fleet = fleet.into();
    stage.apply(quorate_verdict::Event::Configured(stage.fleet.clone()));
    stage.run(secs(930));
    assert_eq!(stage.verdict().state.as_str(), "down");
}

#[test]
fn a_ballot_from_before_the_demand_is_still_read() {
    let mut stage = Stage::new(vec![sees(120, 900, "all", REFUSED)]);
    stage.run(secs(200));
    let mut document = serde_json::to_value(&stage.verdict().ballot).expect("a document");
    assert!(document.as_object_mut().expect("a map").remove("distinct").is_some());
    let ballot: Ballot = serde_json::from_value(document).expect("a ballot");
    assert!(explain::proves_down(&ballot));
}

#[test]
fn a_restart_does_not_make_a_page_of_who_comes_back_first() {
    // The others are back within the grace.
    let faults = vec![sees(300, 8_000, "a b c", REFUSED), fault(1_000, 1_040, "d e", What::Dead)];
    let mut stage = lopsided(majority_of_two(), faults);
    stage.run(secs(1_001));
    stage.restart();
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [AlertKind::Notice]);
    assert!(stage.transitions().all(|(_, t)| t.verdict.state != State::Down));
}

#[test]
fn a_restart_does_not_blind_it_when_a_provider_is_gone() {
    let gone = fault(600, 9_000, "d e", What::Dead);
    let mut stage = lopsided(majority_of_two(), vec![gone, sees(1_010, 8_000, "all", REFUSED)]);
    stage.run(secs(1_000));
    stage.restart();
    stage.run(secs(1_400));
    assert_eq!(stage.says(), "down 3/3 target.refused reduced_quorum");
}

#[test]
fn regions_of_one_place_are_of_one_provider() {
    // c says that it is of another provider than a, and comes from the same address.
    let mut stage = Stage::with(two_of_two(), &FIVE, vec![sees(120, 4_000, "a c", REFUSED)]);
    for (number, agent) in (1..).zip(FIVE) {
        stage.moves(agent, &format!("198.51.{}.7", if agent == "c1" { 1 } else { number }));
    }
    stage.run(secs(1_000));
    assert_eq!(stage.says(), "partial 1/4 path");
}
