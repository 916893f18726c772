//! Results, watermarks, rounds, and commits as wholes.

use std::collections::BTreeMap;

use quorate_model::{BootId, ProbeResult, RoundId, State, Timestamp};

use super::Case;
use super::sample::{at, attempted, id, incident, notice, result, transition, verdict};
use crate::{DeliveryState, IncidentQuery, Store, StoreError, Transition, VerdictQuery, Write};

pub(super) const CASES: &[Case] = &[
    Case { name: "an empty store restores nothing", run: empty },
    Case {
        name: "results come back whole, in the order in which they were stored",
        run: whole_and_in_order,
    },
    Case { name: "restoring begins at the instant of receipt that was asked for", run: since },
    Case { name: "a result that is stored again is passed over", run: repetition },
    Case { name: "each run of each agent has its own watermark", run: watermarks },
    Case {
        name: "an agent was heard when its last result was received, in whichever run",
        run: heard,
    },
    Case { name: "the next round is above every round ever stored", run: next_round },
    Case { name: "a commit with one bad write changes nothing", run: all_or_none },
    Case { name: "old results are forgotten, the others stay", run: forget },
];

fn empty(store: &mut dyn Store) {
    let restored = store.restore(Timestamp::EPOCH).expect("restore");
    assert!(restored.checks.is_empty() && restored.watermarks.is_empty());
    assert!(restored.results.is_empty());
    assert_eq!(restored.next_round, 1);
    assert_eq!(store.next_due().expect("next due"), None);
    store.commit(&[]).expect("an empty commit");
}

fn stored(store: &mut dyn Store, since: Timestamp) -> Vec<ProbeResult> {
    store.restore(since).expect("restore").results
}

fn commit(store: &mut dyn Store, results: &[ProbeResult]) {
    store.commit(&[Write::Results(results.to_vec())]).expect("commit results");
}

fn whole_and_in_order(store: &mut dyn Store) {
    // The second was received first: sessions race to the store, and their order there counts.
    let results = [
        result("fra-1", 1, 1, 200),
        result("iad-1", u128::MAX, 1, 100),
        result("fra-1", 1, 2, 300),
    ];
    commit(store, &results[..2]);
    commit(store, &results[2..]);
    assert_eq!(stored(store, Timestamp::EPOCH), results);
}

fn since(store: &mut dyn Store) {
    // A minute of results, a jump of a day, and a clock that was set back by an hour.
    let times: Vec<i64> = (0..60).chain([86_400, 86_401, 82_800, 82_801]).collect();
    let results: Vec<_> =
        (1..).zip(&times).map(|(n, s)| result("fra-1", 1, n, s * 1_000)).collect();
    for one in results.chunks(1) {
        commit(store, one);
    }
    for since in [0, 1, 30, 59, 60, 82_800, 82_801, 86_400, 86_401, 90_000] {
        let since = at(since * 1_000);
        let expected: Vec<_> =
            results.iter().filter(|result| result.received >= since).cloned().collect();
        assert_eq!(stored(store, since), expected, "since {since}");
    }
}

fn repetition(store: &mut dyn Store) {
    let results = [result("fra-1", 1, 1, 0), result("fra-1", 1, 2, 10)];
    commit(store, &results);
    let again = [result("fra-1", 1, 2, 20), result("fra-1", 1, 3, 20), result("fra-1", 1, 3, 20)];
    commit(store, &again);
    let numbers: Vec<_> = stored(store, at(0)).iter().map(|result| result.id.sequence).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

fn watermarks(store: &mut dyn Store) {
    let writes = [
        Write::Results(vec![result("fra-1", 1, 1, 0), result("iad-1", 1, 1, 0)]),
        Write::Results(vec![result("fra-1", 1, 2, 0), result("fra-1", 2, u64::MAX, 0)]),
    ];
    store.commit(&writes).expect("commit");
    let key = |agent: &str, boot| (id(agent), BootId(boot));
    let expected =
        BTreeMap::from([(key("fra-1", 1), 2), (key("fra-1", 2), u64::MAX), (key("iad-1", 1), 1)]);
    assert_eq!(store.restore(at(0)).expect("restore").watermarks, expected);
}

fn heard(store: &mut dyn Store) {
    assert!(store.restore(at(0)).expect("restore").heard.is_empty());
    commit(store, &[result("fra-1", 1, 1, 500), result("iad-1", 1, 1, 100)]);
    commit(store, &[result("fra-1", 2, 1, 300)]);
    let heard = BTreeMap::from([(id("fra-1"), at(500)), (id("iad-1"), at(100))]);
    assert_eq!(store.restore(at(10_000)).expect("restore").heard, heard, "however old");
}

fn next_round(store: &mut dyn Store) {
    let mut next = |write: Write| {
        store.commit(&[write]).expect("commit");
        store.restore(at(0)).expect("restore").next_round
    };
    let answer = |sequence, round| {
        let round = Some(RoundId(round));
        Write::Results(vec![ProbeResult { round, ..result("fra-1", 1, sequence, 0) }])
    };
    assert_eq!(next(answer(1, 7)), 8);
    assert_eq!(next(answer(2, 3)), 8);
    let judged = Transition {
        verdict: verdict(State::Down, 0, &[7, 9]),
        ..transition(&incident("shop", 0, None), &[])
    };
    assert_eq!(next(Write::Transition(Box::new(judged))), 10);
    // No coordinator has ever counted so far: an agent made this up, and must not use them all up.
    assert_eq!(next(answer(3, u64::MAX)), 10);
}

fn all_or_none(store: &mut dyn Store) {
    let fault = incident("shop", 0, None);
    let before = [
        Write::Results(vec![result("fra-1", 1, 1, 0)]),
        Write::Deliveries(vec![notice("team", 5)]),
    ];
    store.commit(&before).expect("commit");
    let held = store.restore(at(0)).expect("restore");
    let bad = [
        Write::Results(vec![result("fra-1", 1, 2, 0)]),
        Write::Transition(Box::new(transition(&fault, &["oncall"]))),
        attempted(&notice("team", 5).key, 6, DeliveryState::Sent, None),
        attempted("never stored", 6, DeliveryState::Sent, None),
    ];
    let error = store.commit(&bad).expect_err("a delivery that does not exist");
    assert!(
        matches!(&error, StoreError::NoSuchDelivery { key, .. } if key == "never stored"),
        "{error:?}"
    );
    assert_eq!(store.restore(at(0)).expect("restore"), held);
    let all = IncidentQuery { limit: 10, ..IncidentQuery::default() };
    assert_eq!(store.incidents(&all).expect("incidents"), []);
    let latest = VerdictQuery::latest(fault.check.clone(), 10);
    assert_eq!(store.verdicts(&latest).expect("verdicts"), []);
    assert_eq!(store.due(at(9), None, 10).expect("due"), [notice("team", 5)]);
    // The rest of the same commit is good.
    store.commit(&bad[..3]).expect("the same without the bad write");
    assert_eq!(stored(store, at(0)).len(), 2);
}

fn forget(store: &mut dyn Store) {
    let ten = |boot: u128, from: i64| -> Vec<_> {
        (1..).zip(from..from + 10).map(|(n, s)| result("fra-1", boot, n, s * 1_000)).collect()
    };
    commit(store, &ten(1, 0));
    commit(store, &ten(2, 5));
    commit(store, &ten(3, 3_600));
    assert_eq!(store.forget_results(at(8_000)).expect("forget"), 8 + 3);
    assert_eq!(store.forget_results(at(8_000)).expect("forget again"), 0);
    assert_eq!(stored(store, Timestamp::EPOCH).len(), 30 - 11);
    assert_eq!(store.forget_results(at(60_000)).expect("forget"), 2 + 7);
    assert_eq!(stored(store, Timestamp::EPOCH), ten(3, 3_600));
    let marks = store.restore(at(0)).expect("restore").watermarks;
    assert_eq!(marks, BTreeMap::from([((id("fra-1"), BootId(3)), 10)]));
}
