use super::*;
use proptest::prelude::*;
use quorate_model::{AlertPolicy, CertificatePolicy, Counted, PartialPolicy, Quorum, Revision};
use std::time::Duration;

fn check() -> Check {
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
        quorum: Quorum::Majority,
        distinct: Vec::new(),
        alert: AlertPolicy::default(),
        partial: PartialPolicy::default(),
        certificate: CertificatePolicy::default(),
        labels: BTreeMap::new(),
        depends_on: Vec::new(),
        origin: None,
        runbook: None,
    }
}

/// What a live region says, twice in a row.
fn reading(say: Say) -> Reading {
    Reading {
        say: Some(say),
        counted: Counted::Yes,
        state: RegionState::Live,
        decisive: Some(0),
        in_a_row: 2,
        longest: 2,
        slow_in_a_row: if say == Say::Slow { 2 } else { 0 },
        since: Timestamp::EPOCH,
        last: Timestamp::EPOCH,
        until: None,
    }
}

/// The votes, so long after they began; the first two regions share a provider.
fn count(says: &[Say], age: u64, intermittent_ppm: Option<u32>) -> Count {
    let aws = [("provider".to_owned(), "aws".to_owned())].into();
    let peer = |place| Peer { labels: (place < 2).then_some(&aws), alone_ppm: 5_000, wavers: true };
    let now = Timestamp::EPOCH + Duration::from_secs(age);
    let readings = says.iter().map(|say| reading(*say)).collect();
    Count::of(&check(), readings, &Scale { now, is_early: false, intermittent_ppm, peer: &peer })
}

/// How bad the votes are: `down` above all that is milder.
fn state(says: &[Say]) -> State {
    let count = count(says, 3_600, None);
    if count.ruling == Ruling::Down {
        State::Down
    } else {
        count.condition().unwrap_or(State::Unknown)
    }
}

fn say() -> impl Strategy<Value = Say> {
    prop::sample::select(vec![
        Say::Ok,
        Say::Slow,
        Say::OneFamily,
        Say::Limited,
        Say::Forbidden,
        Say::Fail,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The same with votes of any age, providers that are shared, and an intermittent target.
    #[test]
    fn more_failures_are_never_milder_at_any_age(
        mut says in prop::collection::vec(say(), 5),
        place in 0_usize..5,
        age in 0_u64..600,
        intermittent_ppm in prop::option::of(10_000_u32..500_000),
    ) {
        let severity = |says: &[Say]| {
            let count = count(says, age, intermittent_ppm);
            let is_down = count.ruling == Ruling::Down;
            let state = if is_down { Some(State::Down) } else { count.condition() };
            (state, count.proof.map_or(i64::MIN, |proof| proof.evidence - proof.need))
        };
        says[place] = Say::Ok;
        let before = severity(&says);
        says[place] = Say::Fail;
        let after = severity(&says);
        prop_assert!(before.0 <= after.0, "{:?}: {:?} {:?}", says, before, after);
        prop_assert!(before.1 <= after.1, "{:?}: {:?} {:?}", says, before, after);
    }

    /// A success that turns into a failure never makes the verdict milder, nor the other way round.
    #[test]
    fn more_failures_are_never_milder(mut says in prop::collection::vec(say(), 5), place in 0_usize..5) {
        says[place] = Say::Ok;
        let before = state(&says);
        says[place] = Say::Fail;
        prop_assert!(before <= state(&says), "{:?}", says);
    }
}

#[test]
fn a_refusal_is_a_failure_only_if_nobody_gets_anything_else() {
    use Say::{Fail, Forbidden, Limited, Ok};
    for (says, expected) in [
        ([Forbidden; 5], State::Down),
        ([Forbidden, Forbidden, Forbidden, Fail, Fail], State::Down),
        ([Forbidden, Ok, Ok, Ok, Ok], State::Partial),
        ([Forbidden, Forbidden, Forbidden, Forbidden, Ok], State::Degraded),
        ([Limited; 5], State::Degraded),
        ([Limited, Limited, Limited, Fail, Fail], State::Degraded),
        ([Limited, Ok, Ok, Ok, Ok], State::Partial),
        ([Ok; 5], State::Up),
        ([Fail, Fail, Ok, Ok, Ok], State::Partial),
        ([Fail, Fail, Fail, Ok, Ok], State::Down),
    ] {
        assert_eq!(state(&says), expected, "{says:?}");
    }
}
