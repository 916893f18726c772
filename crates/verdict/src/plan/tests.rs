use std::sync::Arc;

use super::*;
use quorate_model::{
    AlertPolicy, CertificatePolicy, PartialPolicy, Quorum, Region, RegionId, Revision,
};

fn check(quorum: Quorum, within: Option<u64>) -> Check {
    Check {
        id: "shop".parse().unwrap(),
        revision: Revision(1),
        kind: "http".parse().unwrap(),
        options: serde_json::json!({}),
        target: "shop".to_owned(),
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(10),
        slow_after: Duration::from_secs(5),
        regions: ["a", "b", "c", "d", "e"].map(|id| id.parse().unwrap()).to_vec(),
        quorum,
        distinct: Vec::new(),
        alert: AlertPolicy { within: within.map(Duration::from_secs), ..AlertPolicy::default() },
        partial: PartialPolicy::default(),
        certificate: CertificatePolicy::default(),
        labels: BTreeMap::new(),
        depends_on: Vec::new(),
        origin: None,
        runbook: None,
    }
}

fn fleet(providers: [&str; 5]) -> Fleet {
    let regions = ["a", "b", "c", "d", "e"].into_iter().zip(providers);
    let regions = regions.map(|(id, provider)| {
        let id: RegionId = id.parse().unwrap();
        (id.clone(), Region { id, labels: [("provider".to_owned(), provider.to_owned())].into() })
    });
    Fleet { regions: regions.collect(), ..Fleet::default() }
}

const APART: [&str; 5] = ["aws", "gcp", "ovh", "vultr", "azure"];

fn millis(plan: &Plan) -> Vec<Option<u128>> {
    plan.steps.iter().map(|step| step.worst.map(|worst| worst.as_millis())).collect()
}

#[test]
fn the_worst_case_is_that_of_the_formulas() {
    let plan = plan(&check(Quorum::Majority, Some(30)), &fleet(APART));
    assert_eq!((plan.quorum, plan.tolerated), ((3, 5), 2));
    assert_eq!(millis(&plan), [Some(58_400), Some(36_200), Some(24_200)]);
    let mean = plan.steps.last().and_then(|step| step.mean).unwrap();
    assert_eq!(mean, Duration::from_millis(18_200), "as simulated");
    assert_eq!(plan.false_alerts_per_year_milli, 300);
    assert_eq!(plan.extra_load_ppm, 25_000);
    assert_eq!((plan.need_milli_nats, plan.shared, plan.refusal), (19_388, None, None));
}

#[test]
fn two_of_five_take_minutes() {
    let plan = plan(&check(Quorum::Count(2), Some(30)), &fleet(APART));
    assert_eq!(plan.tolerated, 1);
    let two = plan.steps[0].worst.unwrap().as_secs();
    assert!((305..=315).contains(&two), "{two} s");
    assert_eq!(millis(&plan)[3], Some(24_200));
}

#[test]
fn what_cannot_be_kept_is_refused_with_what_can() {
    let nearest = |within| {
        let refusal = plan(&check(Quorum::Majority, Some(within)), &fleet(APART)).refusal;
        refusal.map(|refusal| refusal.nearest)
    };
    assert_eq!(nearest(25), None);
    assert_eq!(nearest(15), Some(Some("interval: 14s".to_owned())));
    assert_eq!(nearest(14), Some(Some("timeout: 1.2s".to_owned())), "no interval is short enough");
    assert_eq!(nearest(10), Some(Some("timeout: 6s, interval: 9s".to_owned())));
    assert_eq!(nearest(1), Some(None));
    let plan = plan(&check(Quorum::Majority, Some(15)), &fleet(APART));
    assert_eq!(plan.refusal.unwrap().why, "an outage can take 24.2s to detect, not 15s");
}

#[test]
fn a_budget_that_nothing_can_meet_is_refused() {
    let mut two = check(Quorum::All, None);
    two.regions.truncate(2);
    two.interval = Duration::from_secs(1);
    two.timeout = Duration::from_millis(500);
    two.alert.false_alerts_per_year_milli = Some(1);
    let refusal = plan(&two, &fleet(["aws", "aws", "a", "b", "c"])).refusal.unwrap();
    assert!(refusal.why.contains("no outage could ever be proven"), "{refusal:?}");
    assert_eq!(refusal.nearest, Some("false_alerts: 10 per year".to_owned()));
}

#[test]
fn without_evidence_coincidences_are_counted() {
    let mut plain = check(Quorum::Majority, None);
    plain.alert.ignores_evidence = true;
    let plan_of = |check: &Check| plan(check, &fleet(APART));
    assert_eq!(plan_of(&plain).false_alerts_per_year_milli, 1_972);
    assert_eq!(millis(&plan_of(&plain)), [Some(48_200), Some(36_200), Some(24_200)]);
    plain.quorum = Quorum::Count(2);
    assert_eq!(plan_of(&plain).false_alerts_per_year_milli, 262_980);
    plain.quorum = Quorum::Any;
    assert_eq!(plan_of(&plain).false_alerts_per_year_milli, 2_629_800);
}

#[test]
fn the_weakest_dependency_is_named() {
    let of = |providers| plan(&check(Quorum::Majority, None), &fleet(providers)).shared.unwrap();
    let two = of(["aws", "aws", "gcp", "ovh", "vultr"]);
    assert_eq!((two.value.as_str(), two.regions, two.is_quorum), ("aws", 2, false));
    let three = of(["ovh", "aws", "aws", "aws", "ovh"]);
    assert_eq!((three.value.as_str(), three.regions, three.is_quorum), ("aws", 3, true));
    let slow = plan(&check(Quorum::Majority, None), &fleet(["aws", "aws", "gcp", "ovh", "vultr"]));
    assert!(slow.steps[0].worst.unwrap() > Duration::from_secs(110), "{:?}", slow.steps);
}

#[test]
fn an_origin_is_asked_along_with_the_checks_in_front_of_it() {
    let named = |id: &str, interval, origin: Option<&str>| {
        let origin = origin.map(|id| id.parse().unwrap());
        let interval = Duration::from_secs(interval);
        let id = id.parse().unwrap();
        Arc::new(Check { id, interval, origin, ..check(Quorum::Majority, None) })
    };
    let load = |checks: Vec<Arc<Check>>, id: &str| {
        let checks = checks.into_iter().map(|check| (check.id.clone(), check)).collect();
        let fleet = Fleet { checks, ..fleet(APART) };
        let plans = plan_all(&fleet);
        let found = plans.into_iter().find(|plan| plan.check.as_str() == id).unwrap();
        assert_eq!(found, plan(&fleet.checks[&found.check], &fleet), "alone or with all others");
        found.extra_load_ppm
    };
    let (behind, shop) = (named("behind", 60, None), named("shop", 60, Some("behind")));
    let quick = named("quick", 20, Some("behind"));
    let page = named("page", 60, Some("shop"));
    let all = || vec![behind.clone(), shop.clone(), quick.clone(), page.clone()];
    assert_eq!(load(all(), "page"), 25_000);
    assert_eq!(load(all(), "shop"), 50_000);
    assert_eq!(load(all(), "behind"), 25_000 * (1 + 1 + 3 + 1), "also along with those along");
    let many = (0..200).map(|n| named(&format!("n{n}"), 20, Some("behind")));
    let many = many.chain([behind.clone()]).collect();
    assert_eq!(load(many, "behind"), 25_000 + 2_000_000, "two rounds a minute at most");
    // What a configuration refuses is no endless loop.
    let (one, two) = (named("one", 60, Some("two")), named("two", 60, Some("one")));
    assert!(load(vec![one, two], "one") <= 25_000 * 17);
}
