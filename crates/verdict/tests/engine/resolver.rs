//! A region cannot look up names by itself: its vote is that of the second resolver, and the
//! operators are told.

use std::sync::Arc;

use quorate_model::{AlertKind, Fleet, NoticeKind, Outcome, Phase, Reason, RegionId, ResolverUse};
use quorate_verdict::{Effect, Event};

use crate::stage::{Fault, OK, Stage, What, fault, secs};

const NO_ANSWER: Outcome = Outcome::Fail { phase: Phase::Dns, reason: Reason::Timeout };
const ANOTHER_PAGE: Outcome = Outcome::Fail { phase: Phase::Assert, reason: Reason::Body };

fn by_second(from: u64, to: u64, who: &'static str, outcome: Outcome) -> Fault {
    fault(from, to, who, What::Looks(ResolverUse::Second, outcome, secs(1)))
}

fn by_nobody(from: u64, to: u64, who: &'static str) -> Fault {
    fault(from, to, who, What::Looks(ResolverUse::Neither, NO_ANSWER, secs(10)))
}

/// What the operators were told of resolvers: whether it was taken back, and what it says.
fn told(stage: &Stage) -> Vec<(bool, String)> {
    let mut notices = Vec::new();
    for (_, effect) in &stage.log {
        if let Effect::Operator(notice) = effect
            && notice.kind == NoticeKind::ResolverBad
        {
            assert_eq!(notice.region.as_ref().map(RegionId::as_str), Some("b"));
            notices.push((notice.resolved, notice.message.clone()));
        }
    }
    notices
}

#[test]
fn the_second_resolver_votes_and_the_operators_hear_of_the_first() {
    let mut stage = Stage::new(vec![by_second(120, 720, "b", OK)]);
    stage.run(secs(700));
    assert_eq!(stage.says(), "up 0/5 resolver");
    assert_eq!(
        told(&stage),
        [(
            false,
            "the resolver of region b fails for b1: shop can be probed from there only by the \
             second resolver; see /etc/resolv.conf there, and the name servers that it names"
                .to_owned()
        )]
    );
    let at = stage.told(NoticeKind::ResolverBad).0[0];
    assert!(at > secs(240) && at < secs(120 + 180 + 10), "the third probe says it, not {at:?}");
    let verdict = stage.engine.look(&stage.check, stage.now).expect("a verdict");
    assert_eq!(
        verdict.summary,
        "fine from 5 of 5 regions: a, b, c, d, e; only by the second resolver from b"
    );
    let said: Vec<&str> =
        verdict.ballot.entries.iter().map(|entry| entry.message.as_str()).collect();
    assert_eq!(said, ["", "resolved by the second resolver", "", "", ""]);

    stage.run(secs(720 + 180 + 300 + 10));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(told(&stage)[1..], [(true, "the resolver of region b works again".to_owned())]);
    assert_eq!(stage.said(), []);
    assert_eq!(stage.rounds(), 0);
}

#[test]
fn one_slow_lookup_is_nothing() {
    let mut stage = Stage::new(vec![by_second(120, 180, "all", OK), by_second(300, 400, "b", OK)]);
    stage.run(secs(900));
    assert_eq!(told(&stage), []);
    assert!(stage.transitions().all(|(_, change)| change.verdict.cause.as_str() == "none"));
}

#[test]
fn a_name_that_nobody_can_resolve_is_the_targets_trouble() {
    let mut stage = Stage::new(vec![by_nobody(120, 500, "all")]);
    stage.run(secs(480));
    assert_eq!(stage.says(), "down 5/5 target.dns");
    assert_eq!(stage.alerts(AlertKind::Page).len(), 1);
    assert!(stage.alerts(AlertKind::Page)[0] <= secs(145), "{:?}", stage.alerts(AlertKind::Page));
    assert_eq!(told(&stage), []);
}

#[test]
fn a_name_that_is_gone_does_not_prove_the_resolver_well() {
    let mut stage = Stage::new(vec![
        by_second(120, 500, "b", OK),
        by_nobody(500, 900, "all"),
        by_second(900, 1_500, "b", OK),
    ]);
    stage.run(secs(1_500));
    assert_eq!(told(&stage).len(), 1, "{:?}", told(&stage));
    assert_eq!(stage.says(), "up 0/5 resolver");
    stage.run(secs(1_500 + 180 + 300 + 10));
    assert_eq!(told(&stage).len(), 2);
}

#[test]
fn a_second_resolver_that_lies_is_one_regions_failure() {
    let mut stage = Stage::new(vec![by_second(120, 900, "b", ANOTHER_PAGE)]);
    stage.run(secs(850));
    assert_eq!(stage.says(), "partial 1/5 path");
    assert_eq!(stage.said(), [AlertKind::Notice]);
    assert_eq!(told(&stage).len(), 1);
}

#[test]
fn a_resolver_that_comes_and_goes_is_one_notice() {
    let trouble = (0..6).map(|turn| by_second(120 + turn * 600, 360 + turn * 600, "b", OK));
    let mut stage = Stage::new(trouble.collect());
    stage.run(secs(120 + 5 * 600 + 240));
    assert_eq!(told(&stage).len(), 1, "{:?}", told(&stage));
    stage.run(secs(120 + 5 * 600 + 240 + 180 + 310));
    assert_eq!(told(&stage).len(), 2);
}

#[test]
fn silence_does_not_mend_a_resolver_but_the_end_of_its_checks_does() {
    let faults = vec![by_second(120, 400, "b", OK), fault(400, 2_000, "b", What::Dead)];
    let mut stage = Stage::new(faults);
    stage.run(secs(1_000));
    assert_eq!(told(&stage).len(), 1, "{:?}", told(&stage));
    let fleet = Fleet { checks: [].into(), ..(*stage.fleet).clone() };
    stage.apply(Event::Configured(Arc::new(fleet)));
    assert_eq!(told(&stage).len(), 1, "it must hold for a while");
    stage.now = stage.now + secs(301);
    stage.apply(Event::Tick);
    assert_eq!(told(&stage).len(), 2, "{:?}", told(&stage));
}
