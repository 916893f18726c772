//! The sentences that a page carries, and that explain why there was one or none.

use std::sync::Arc;

use quorate_model::{Cause, Check, Fleet, Quorum, State};
use quorate_verdict::{Event, explain};

use crate::stage::{REFUSED, STATUS, Stage, TIMEOUT, What, fault, fleet_of, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];

fn explained(stage: &Stage) -> String {
    explain::ballot_in_words(&stage.check, stage.verdict()).join("\n")
}

#[test]
fn a_page_says_why_it_is_not_chance() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 600, "all", TIMEOUT)]);
    let anchors = vec!["anchor.example:443".to_owned()];
    stage.apply(Event::Configured(Arc::new(Fleet { anchors, ..fleet_of(shop()) })));
    stage.run(secs(150));
    assert_eq!(
        stage.verdict().summary,
        "5 of 5 regions: connect timeout from a, b, c, d, e within 100ms; chance of \
         coincidence 1 in 53 billion, your budget 1 in 26 million; no common provider; anchors fine in all 5"
    );
    assert_eq!(stage.verdict().also, []);
}

#[test]
fn without_self_tests_nothing_is_said_of_anchors_and_each_symptom_is_named() {
    let faults = vec![sees(120, 600, "a b", REFUSED), sees(120, 600, "c d", STATUS)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(200));
    let summary = &stage.verdict().summary;
    assert!(summary.contains("connect refused from a, b; status 503 from c, d; all within "));
    assert!(summary.ends_with("no common provider"), "{summary}");
}

#[test]
fn what_else_would_fit_is_kept_and_told() {
    // Both regions of one provider, and no other: the provider, or the target from there.
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 900, "a b", TIMEOUT)]);
    stage.run(secs(400));
    let verdict = stage.verdict();
    assert_eq!((verdict.state, verdict.cause), (State::Partial, Cause::PathProvider));
    assert_eq!(verdict.also, [Cause::TargetNetwork]);
    let words = explained(&stage);
    assert!(words.contains("what is seen also fits: target.network"), "{words}");
    // Nobody pages on what fewer than the quorum see: no odds are given for it.
    assert!(!verdict.summary.contains("chance"), "{}", verdict.summary);
}

#[test]
fn a_check_that_recovers_keeps_its_cause_and_claims_no_proof() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 300, "all", STATUS)]);
    stage.run(secs(310));
    let verdict = stage.verdict();
    assert_eq!((verdict.state, verdict.cause), (State::Down, Cause::TargetHttp));
    assert!(verdict.summary.starts_with("recovering, "), "{}", verdict.summary);
    assert!(!verdict.summary.contains("chance"), "{}", verdict.summary);
}

#[test]
fn why_nobody_was_paged_names_who_failed_and_what_was_missing() {
    let mut stage = Stage::with(shop(), &FIVE, vec![sees(120, 900, "a c", STATUS)]);
    stage.run(secs(400));
    let words = explained(&stage);
    assert!(words.contains("a, c fail; a page needs 1 more region to fail"), "{words}");
    assert!(words.contains("nobody is paged because fewer regions are affected"), "{words}");

    let check = Check { quorum: Quorum::Count(2), ..shop() };
    let mut stage = Stage::with(check, &FIVE, vec![sees(120, 900, "a c", STATUS)]);
    stage.run(secs(200));
    let words = explained(&stage);
    assert_eq!(stage.verdict().state, State::Partial, "{words}");
    assert!(
        words.contains(
            "a, c fail, which is enough regions but not enough evidence: the chance of \
             coincidence is 1 in "
        ),
        "{words}"
    );
    assert!(words.contains("your budget of false alerts allows 1 in 260 million"), "{words}");
    assert!(words.contains("so nobody is paged yet"), "{words}");
}

#[test]
fn a_failure_that_does_not_count_is_told_with_its_reason() {
    let faults = vec![sees(160, 171, "c", STATUS), fault(171, 900, "c", What::Island)];
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.run(secs(178));
    let now = stage.engine.look(&stage.check, stage.now).expect("a verdict");
    let words = explain::ballot_in_words(&stage.check, &now).join("\n");
    assert!(words.contains("the failure of c does not count (cut off)"), "{words}");
}
