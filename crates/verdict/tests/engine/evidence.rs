//! How much must be seen before anybody is woken: the worked table, with a fleet around it.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{AlertKind, AlertPolicy, Check, NoticeKind, Quorum, Revision, State};
use quorate_verdict::{Effect, Event, explain};

use crate::stage::{Fault, REFUSED, STATUS, Stage, TIMEOUT, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
const ONSET: u64 = 300;

fn with(check: Check, faults: Vec<Fault>) -> Stage {
    Stage::with(check, &FIVE, faults)
}

fn of_two() -> Check {
    Check { quorum: Quorum::Count(2), ..shop() }
}

/// Seconds from the onset to the page.
fn delay(check: Check, faults: Vec<Fault>) -> u64 {
    let mut stage = with(check, faults);
    stage.run(secs(ONSET + 1_000));
    let pages = stage.alerts(AlertKind::Page);
    assert_eq!(pages.len(), 1, "{}", stage.says());
    pages[0].saturating_sub(secs(ONSET)).as_secs()
}

fn outage(who: &'static str, how: quorate_model::Outcome) -> Vec<Fault> {
    vec![sees(ONSET, 10_000, who, how)]
}

#[test]
fn the_more_regions_fail_the_sooner_it_pages() {
    for (who, how, most) in [
        ("all", TIMEOUT, 24),
        ("all", REFUSED, 13),
        ("a b c d", TIMEOUT, 37),
        ("b c d e", TIMEOUT, 37),
        ("c d e", TIMEOUT, 47),
        ("c d e", REFUSED, 37),
    ] {
        let took = delay(shop(), outage(who, how));
        assert!(took <= most, "{who}: {took} s");
    }
}

#[test]
fn regions_of_one_provider_must_fail_for_longer() {
    let kin = delay(shop(), outage("a b c", TIMEOUT));
    assert!((72..139).contains(&kin), "{kin} s");
}

#[test]
fn two_of_five_must_fail_for_minutes() {
    let took = delay(of_two(), outage("a c", TIMEOUT));
    assert!((253..=318).contains(&took), "{took} s");
    let took = delay(of_two(), outage("c d e", REFUSED));
    assert!(took <= 46, "{took} s");
}

#[test]
fn two_of_five_are_partial_until_they_are_proven() {
    let mut stage = with(of_two(), outage("a c", REFUSED));
    stage.run(secs(ONSET + 120));
    assert_eq!(stage.says(), "partial 2/5 target.refused");
    let words = explain::ballot_in_words(&stage.check, stage.verdict()).join("\n");
    assert!(words.contains("could still be chance"), "{words}");
    assert!(words.contains("your budget of false alerts allows 1 in 260 million"), "{words}");
    assert!(stage.rounds() < 12, "{} rounds in two minutes", stage.rounds());
    stage.run(secs(ONSET + 330));
    assert_eq!(stage.says(), "down 2/5 target.refused");
    assert!(explain::proves_down(&stage.verdict().ballot));
}

#[test]
fn without_evidence_the_number_decides() {
    let alert = AlertPolicy { ignores_evidence: true, ..shop().alert };
    let took = delay(Check { alert, ..of_two() }, outage("a c", REFUSED));
    assert!(took <= 49, "{took} s");
}

#[test]
fn a_larger_budget_pages_sooner() {
    let budget = |milli| {
        let alert = AlertPolicy { false_alerts_per_year_milli: Some(milli), ..shop().alert };
        Check { alert, ..of_two() }
    };
    let (rare, often) = (budget(1_000), budget(1_000_000));
    let how = || outage("a c", REFUSED);
    assert!(delay(often, how()) + 100 < delay(rare, how()));
}

#[test]
fn a_budget_that_cannot_be_reached_never_pages_and_stops_asking() {
    let alert = AlertPolicy { false_alerts_per_year_milli: Some(1), ..shop().alert };
    let mut stage = with(Check { alert, ..of_two() }, outage("a c", REFUSED));
    stage.run(secs(ONSET + 600));
    assert_eq!(stage.says(), "partial 2/5 target.refused");
    let rounds = stage.rounds();
    stage.run(secs(ONSET + 3_000));
    assert_eq!(stage.rounds(), rounds, "more rounds would change nothing");
    assert_eq!(stage.said(), [AlertKind::Notice]);
}

#[test]
fn more_agents_in_a_region_do_not_make_an_outage_intermittent() {
    // Four of five regions share a provider, and the budget is small: the proof takes a while.
    let took = |agents: &[&str]| {
        let alert = AlertPolicy { false_alerts_per_year_milli: Some(1), ..shop().alert };
        let check = Check { interval: secs(20), timeout: secs(2), alert, ..of_two() };
        let mut faults = outage("b c", REFUSED);
        faults.extend(outage("d", STATUS));
        faults.push(fault(ONSET, 10_000, "a e", What::Sees(TIMEOUT, secs(2))));
        let mut stage = Stage::with(check, agents, faults);
        let mut fleet = (*stage.fleet).clone();
        for region in fleet.regions.values_mut().take(4) {
            region.labels.insert("provider".to_owned(), "aws".to_owned());
        }
        stage.fleet = Arc::new(fleet);
        stage.apply(Event::Configured(Arc::clone(&stage.fleet)));
        stage.run(secs(ONSET + 1_000));
        stage.alerts(AlertKind::Page)[0].saturating_sub(secs(ONSET)).as_secs()
    };
    assert_eq!(took(&FIVE), 35);
    let three_each = ["a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3", "d1", "d2", "d3"];
    let agents: Vec<&str> = three_each.into_iter().chain(["e1", "e2", "e3"]).collect();
    assert_eq!(took(&agents), 35, "not minutes later, as something that fails now and then");
}

#[test]
fn every_other_request_is_degraded_and_an_outage_on_top_is_still_down() {
    // Each region fails in every third turn of its schedule, and every confirmation succeeds.
    let mut faults = Vec::new();
    for turn in (0..40).step_by(3) {
        for (place, who) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            let from = 120 + (turn + place as u64) * 60;
            faults.push(fault(from, from + 60, who, What::Sees(REFUSED, Duration::ZERO)));
        }
    }
    faults.push(sees(1_800, 3_000, "all", REFUSED));
    let mut stage = with(shop(), faults);
    stage.run(secs(1_790));
    assert_eq!(stage.verdict().state, State::Degraded, "{}", stage.says());
    assert!(stage.says().contains("target.intermittent"), "{}", stage.says());
    assert_eq!(stage.said(), [AlertKind::Notice]);
    stage.restart();
    stage.run(secs(1_799));
    assert!(stage.says().contains("target.intermittent"), "{}", stage.says());
    stage.run(secs(2_400));
    assert_eq!(stage.verdict().state, State::Down);
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Page]);
}

/// When the scheduled probes of each of the five start, from the start of the stage.
fn slots() -> Vec<(&'static str, u64)> {
    let mut stage = with(shop(), vec![]);
    stage.run(secs(100));
    let begin = stage.now.before(secs(100));
    let slot = |who: &'static str| {
        let first = stage.results.iter().find(|result| result.id.agent.as_str() == who);
        (who, (first.expect("a probe").started - begin).as_secs())
    };
    FIVE.into_iter().map(slot).collect()
}

/// Scheduled probes that get no answer, in each turn that is chosen; their retries, two seconds
/// later, all succeed.
fn refuted(turns: impl Fn(&str, u64) -> bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (who, slot) in slots() {
        for turn in (2..3_000).filter(|turn| turns(who, *turn)) {
            faults.push(sees(slot + turn * 60, slot + turn * 60 + 1, who, TIMEOUT));
        }
    }
    faults
}

#[test]
fn a_failure_that_a_retry_refutes_is_learned_from_all_the_same() {
    let mut stage = with(shop(), refuted(|who, turn| who == "a1" && turn % 10 == 0));
    stage.run(secs(1_200 * 60));
    assert_eq!(stage.said(), []);
    stage.faults = vec![sees(72_000, 72_200, "all", REFUSED)];
    stage.run(secs(72_100));
    assert_eq!(stage.verdict().state, State::Down);
    let entries = &stage.verdict().ballot.entries;
    let (noisy, quiet) = (entries[0].evidence_milli_nats, entries[2].evidence_milli_nats);
    assert!(noisy + 2_000 < quiet, "{noisy} {quiet}");
}

#[test]
fn outages_teach_nothing_of_the_regions_that_see_them_first() {
    let mut stage = with(shop(), vec![]);
    let (_, slot) = slots()[2];
    let outage = |minute: u64| sees(minute * 60 + slot, minute * 60 + slot + 120, "all", REFUSED);
    // So far apart that each is an incident of its own.
    stage.faults = (0..20).map(|turn| outage(1_100 + turn * 45)).collect();
    stage.faults.push(outage(2_100));
    stage.run(secs(2_101 * 60));
    assert_eq!(stage.verdict().state, State::Down);
    let entries = &stage.verdict().ballot.entries;
    assert!(entries[2].evidence_milli_nats >= entries[3].evidence_milli_nats, "{entries:?}");
}

#[test]
fn a_region_that_fails_for_nothing_all_day_is_told_to_the_operators_until_it_is_better() {
    let hours = |count: u64| secs(count * 3_600);
    let mut stage = with(shop(), refuted(|who, turn| who == "a1" && turn % 8 == 0));
    stage.run(hours(49));
    let (told, over) = stage.told(NoticeKind::RegionUnreliable);
    assert_eq!((told.len(), over.len()), (1, 0));
    // A thousand probes until it is known, and the day.
    assert!((hours(38)..hours(43)).contains(&told[0]), "{told:?}");
    assert_eq!(stage.said(), []);
    stage.faults.clear();
    stage.run(hours(49 + 24 * 12));
    let (told, over) = stage.told(NoticeKind::RegionUnreliable);
    assert_eq!((told.len(), over.len()), (1, 1));
}

#[test]
fn a_coordinator_that_restarts_each_night_tells_of_a_region_that_fails_for_nothing() {
    let hours = |count: u64| secs(count * 3_600);
    let mut stage = with(shop(), refuted(|who, turn| who == "a1" && turn % 8 == 0));
    let mut told = 0;
    for night in [14, 26, 38, 46, 49] {
        stage.run(hours(night));
        told += stage.told(NoticeKind::RegionUnreliable).0.len();
        stage.log.retain(|(_, effect)| !matches!(effect, Effect::Operator(_)));
        stage.restart();
    }
    assert_eq!(told, 1);
}

#[test]
fn requests_that_time_out_now_and_then_are_seen_although_retries_refute_them() {
    let every_third = refuted(|who, turn| (turn + u64::from(who.as_bytes()[0])) % 3 == 0);
    let mut stage = with(shop(), every_third);
    stage.run(secs(120 + 15 * 60));
    assert!(stage.says().contains("target.intermittent"), "{}", stage.says());
    assert_eq!(stage.said(), [AlertKind::Notice]);
}

#[test]
fn what_was_learned_of_a_region_survives_a_restart() {
    // Region a fails alone in every tenth of its probes.
    let quick = Check { interval: secs(1), timeout: Duration::from_millis(500), ..shop() };
    let faults = (0..400).map(|n| fault(n * 10, n * 10 + 1, "a", What::Sees(REFUSED, secs(0))));
    let mut stage = Stage::with(quick, &FIVE, faults.collect());
    stage.run(secs(3_000));
    let weight = |stage: &mut Stage, now: u64| {
        stage.faults = vec![sees(now, now + 100, "a c", REFUSED)];
        stage.run(secs(now + 20));
        let weight = stage.verdict().ballot.entries[0].evidence_milli_nats;
        let other = stage.verdict().ballot.entries[2].evidence_milli_nats;
        stage.faults.clear();
        stage.run(secs(now + 200));
        (weight, other)
    };
    let (noisy, quiet) = weight(&mut stage, 3_000);
    assert!(noisy + 2_000 < quiet, "{noisy} {quiet}");
    stage.restart();
    let (noisy, quiet) = weight(&mut stage, 3_200);
    assert!(noisy + 2_000 < quiet, "after a restart: {noisy} {quiet}");
}

#[test]
fn five_agents_that_fail_once_are_no_retry() {
    let agents = ["a1", "a2", "a3", "a4", "a5", "b1", "c1", "d1", "e1"];
    let mut stage = Stage::with(Check { quorum: Quorum::All, ..shop() }, &agents, vec![]);
    stage.run(secs(ONSET));
    stage.faults = outage("all", REFUSED);
    let failed = stage.result(6, None, REFUSED, secs(0));
    stage.apply(Event::Result(Box::new(failed)));
    stage.run(secs(ONSET + 1));
    assert_eq!(stage.verdict().state, State::Down);
    let weights: Vec<u32> =
        stage.verdict().ballot.entries.iter().map(|entry| entry.evidence_milli_nats).collect();
    assert_eq!(weights, [5_288, 1_599, 6_887, 5_288, 5_288]);
}

#[test]
fn two_regions_that_seem_intermittent_do_not_hide_the_outage_of_the_others() {
    // Every second probe of a and c fails; together with one blip of b that raises the detector.
    let mut faults = Vec::new();
    for (who, slot) in slots() {
        for turn in 1..30 {
            let is_lie = matches!(who, "a1" | "c1") && turn % 2 == 0;
            if is_lie || who == "b1" && turn == 13 {
                faults.push(sees(slot + turn * 60, slot + turn * 60 + 1, who, REFUSED));
            }
        }
    }
    faults.extend(["b1", "d1", "e1"].map(|who| sees(900, 1_200, who, TIMEOUT)));
    let mut stage = with(shop(), faults);
    stage.run(secs(890));
    assert!(stage.says().contains("target.intermittent"), "{}", stage.says());
    stage.run(secs(980));
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Page], "{}", stage.says());
}

/// Three of five regions see every third probe fail, for a while.
fn now_and_then(turns: std::ops::Range<u64>) -> Vec<Fault> {
    refuted(|who, turn| turns.contains(&turn) && (turn + u64::from(who.as_bytes()[0])) % 3 == 0)
}

#[test]
fn what_regions_saw_that_are_gone_does_not_keep_a_check_degraded() {
    let mut faults = now_and_then(2..20);
    faults.push(fault(1_200, 100_000, "a b", What::Dead));
    let mut stage = with(shop(), faults);
    stage.run(secs(1_190));
    assert!(stage.says().contains("target.intermittent"), "{}", stage.says());
    // The levels of three fall by 0.095 nats a minute from at most 12.
    stage.run(secs(1_200 + 100 * 60));
    assert_eq!(stage.says(), "up 0/3 none");
    assert_eq!(stage.said(), [AlertKind::Notice, AlertKind::Resolved]);
    // What they saw is forgotten when they come back.
    stage.faults.clear();
    stage.run(secs(1_200 + 110 * 60));
    assert_eq!(stage.says(), "up 0/5 none");
}

#[test]
fn a_new_definition_of_a_check_is_judged_by_what_it_sees() {
    let mut stage = with(shop(), now_and_then(2..20));
    stage.run(secs(1_190));
    assert!(stage.says().contains("target.intermittent"), "{}", stage.says());
    let check = Check { revision: Revision(7), target: "https://new.example".to_owned(), ..shop() };
    let mut fleet = (*stage.fleet).clone();
    fleet.checks.insert(check.id.clone(), Arc::new(check));
    stage.fleet = Arc::new(fleet);
    stage.apply(Event::Configured(Arc::clone(&stage.fleet)));
    stage.run(secs(1_190 + 300));
    assert_eq!(stage.says(), "up 0/5 none");
}
