//! What is accepted, what is refused, and what a refusal leaves alone.

use std::time::Duration;

use quorate_proto::convert::agent::duration_to_wire;

use super::*;
use crate::testing::{gate_with, spec};

fn reasons(applied: &Applied) -> Vec<(&str, &str)> {
    let rejections = applied.rejections.iter();
    rejections.map(|rejection| (rejection.check.as_str(), rejection.reason.as_str())).collect()
}

#[test]
fn each_refusal_has_its_reason_and_spares_the_others() {
    let mut config = Config::default();
    let mut unknown = spec("unknown", 1, "ok");
    unknown.kind = "telepathy".into();
    let mut hasty = spec("hasty", 1, "ok");
    hasty.interval = Some(duration_to_wire(Duration::from_millis(900)));
    let mut endless = spec("endless", 1, "ok");
    endless.timeout = endless.interval;
    let upserts = vec![
        unknown,
        hasty,
        endless,
        spec("wrong", 1, "nonsense"),
        spec("denied", 1, "denied"),
        spec("good", 1, "ok"),
    ];
    let applied = config.apply(true, &[], upserts, &gate_with(Limits::default()));
    assert_eq!(
        reasons(&applied),
        [
            ("unknown", "KIND_UNKNOWN"),
            ("hasty", "LIMIT_EXCEEDED"),
            ("endless", "OPTIONS_INVALID"),
            ("wrong", "OPTIONS_INVALID"),
            ("denied", "POLICY_DENIED"),
        ]
    );
    assert!(applied.rejections.iter().all(|rejection| !rejection.message.is_empty()));
    assert_eq!(config.revisions(), [("good".to_owned(), 1)].into());
}

#[test]
fn a_refused_check_keeps_its_revision_even_in_a_full_update() {
    let mut config = Config::default();
    let gate = gate_with(Limits::default());
    config.apply(true, &[], vec![spec("shop", 1, "ok"), spec("blog", 1, "ok")], &gate);
    let applied = config.apply(true, &[], vec![spec("shop", 2, "nonsense")], &gate);
    assert_eq!(reasons(&applied), [("shop", "OPTIONS_INVALID")]);
    assert_eq!(applied.removed, ["blog".parse().unwrap()]);
    assert_eq!(config.revisions(), [("shop".to_owned(), 1)].into());
}

#[test]
fn only_removals_remove_in_a_partial_update() {
    let mut config = Config::default();
    let gate = gate_with(Limits::default());
    config.apply(true, &[], vec![spec("shop", 1, "ok"), spec("blog", 1, "ok")], &gate);
    let applied = config.apply(false, &["blog".into()], vec![spec("news", 1, "ok")], &gate);
    assert_eq!(applied.removed, ["blog".parse().unwrap()]);
    let names: Vec<_> = config.revisions().into_keys().collect();
    assert_eq!(names, ["news", "shop"]);
}

#[test]
fn limits_count_checks_and_their_rate_once() {
    let mut config = Config::default();
    let gate = gate_with(Limits { checks: 2, ..Limits::default() });
    let three = ["a", "b", "c"].map(|check| spec(check, 1, "ok"));
    let applied = config.apply(true, &[], three.to_vec(), &gate);
    assert_eq!(reasons(&applied), [("c", "LIMIT_EXCEEDED")]);
    let again = config.apply(false, &[], vec![spec("a", 2, "ok")], &gate);
    assert!(again.rejections.is_empty());

    let mut config = Config::default();
    let gate = gate_with(Limits { rate: 2, ..Limits::default() });
    let fast = |check: &str| {
        let mut spec = spec(check, 1, "ok");
        spec.interval = Some(duration_to_wire(Duration::from_secs(1)));
        spec.timeout = Some(duration_to_wire(Duration::from_millis(900)));
        spec
    };
    let applied = config.apply(true, &[], ["a", "b", "c"].map(fast).to_vec(), &gate);
    assert_eq!(reasons(&applied), [("c", "LIMIT_EXCEEDED")]);
    let again = config.apply(false, &["b".into()], vec![fast("a"), fast("c")], &gate);
    assert!(again.rejections.is_empty());
}
