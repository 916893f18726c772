//! Looking back: verdicts and results of a time.

use quorate_model::{ProbeResult, State, Timestamp};

use super::Case;
use super::sample::{at, id, incident, result, transition, verdict};
use crate::{ResultQuery, Store, Transition, VerdictQuery, Write};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "every verdict of a check stays, and says when the next took its place",
        run: all,
    },
    Case {
        name: "verdicts are listed from the latest, page by page, of a span of time",
        run: spans,
    },
    Case { name: "the verdict in force at a time is the last one reached by then", run: in_force },
    Case { name: "results of a span of time come page by page, each once", run: results },
    Case { name: "results of one check are found among those of others", run: of_one_check },
    Case { name: "a question about results looks at no more of them than it may", run: bounded },
    Case { name: "results that are forgotten do not stop a reading", run: forgotten },
];

fn judged(store: &mut dyn Store, check: &str, millis: i64) {
    let change = Transition {
        verdict: verdict(State::Partial, millis, &[]),
        ..transition(&incident(check, 0, None), &[])
    };
    store.commit(&[Write::Transition(Box::new(change))]).expect("commit a verdict");
}

/// Four verdicts of one check among those of another.
fn history(store: &mut dyn Store) {
    for millis in [0, 1_000, 2_000, 3_000] {
        judged(store, "shop", millis);
        judged(store, "mail", millis + 500);
    }
}

/// When each was reached, and when it ended.
fn found(store: &mut dyn Store, query: &VerdictQuery) -> Vec<(Timestamp, Option<Timestamp>)> {
    let verdicts = store.verdicts(query).expect("verdicts");
    assert!(verdicts.is_sorted_by(|one, next| one.number > next.number), "{verdicts:?}");
    verdicts.iter().map(|past| (past.verdict.ballot.taken, past.ended)).collect()
}

fn all(store: &mut dyn Store) {
    history(store);
    let latest = VerdictQuery::latest(id("shop"), 10);
    let whole = [
        (at(3_000), None),
        (at(2_000), Some(at(3_000))),
        (at(1_000), Some(at(2_000))),
        (at(0), Some(at(1_000))),
    ];
    assert_eq!(found(store, &latest), whole);
    let verdicts = store.verdicts(&latest).expect("verdicts");
    assert_eq!(verdicts[1].verdict, verdict(State::Partial, 2_000, &[]), "with its ballot");
    assert_eq!(found(store, &VerdictQuery::latest(id("shop"), 1)), whole[..1]);
    assert_eq!(found(store, &VerdictQuery::latest(id("none"), 10)), []);
}

fn spans(store: &mut dyn Store) {
    history(store);
    let mut page = VerdictQuery::latest(id("shop"), 3);
    let first = store.verdicts(&page).expect("verdicts");
    page.before = first.last().map(|past| past.number);
    assert_eq!(found(store, &page), [(at(0), Some(at(1_000)))], "the rest");
    let span = VerdictQuery {
        from: Some(at(1_000)),
        until: Some(at(3_000)),
        ..VerdictQuery::latest(id("shop"), 10)
    };
    let within = [(at(2_000), Some(at(3_000))), (at(1_000), Some(at(2_000)))];
    assert_eq!(found(store, &span), within, "from is in it, until is not");
}

fn in_force(store: &mut dyn Store) {
    history(store);
    let mut reached = |millis| {
        let past = store.verdict_at(&id("shop"), at(millis)).expect("a verdict");
        past.map(|past| (past.verdict.ballot.taken, past.ended))
    };
    assert_eq!(reached(-1), None);
    assert_eq!(reached(0), Some((at(0), Some(at(1_000)))));
    assert_eq!(reached(999), Some((at(0), Some(at(1_000)))));
    assert_eq!(reached(1_000), Some((at(1_000), Some(at(2_000)))));
    assert_eq!(reached(1_000_000), Some((at(3_000), None)));
}

fn query() -> ResultQuery {
    ResultQuery {
        check: None,
        from: Timestamp::EPOCH,
        until: at(1_000_000_000),
        after: None,
        limit: 10,
        scan: 1_000,
    }
}

/// All pages of the results asked for; how many there were.
fn pages(store: &mut dyn Store, mut query: ResultQuery) -> (Vec<ProbeResult>, usize) {
    let (mut all, mut count) = (Vec::new(), 0);
    loop {
        let page = store.results(&query).expect("results");
        assert!(page.results.len() <= query.limit, "{page:?}");
        all.extend(page.results.into_iter().map(|(_, result)| result));
        count += 1;
        assert!(count < 1_000, "it ends");
        match page.next {
            None => return (all, count),
            Some(next) => query.after = Some(next),
        }
    }
}

/// A result every second for two minutes, in commits of seven, and what was committed.
fn two_minutes(store: &mut dyn Store) -> Vec<ProbeResult> {
    let results: Vec<ProbeResult> = (1..=120)
        .zip(0..)
        .map(|(number, second)| ProbeResult {
            check: id(if number % 5 == 0 { "mail" } else { "shop" }),
            ..result("fra-1", 1, number, second * 1_000)
        })
        .collect();
    for some in results.chunks(7) {
        store.commit(&[Write::Results(some.to_vec())]).expect("commit results");
    }
    results
}

fn results(store: &mut dyn Store) {
    assert_eq!(pages(store, query()), (vec![], 1), "an empty store");
    let results = two_minutes(store);
    for limit in [1, 7, 50, 120, 121] {
        assert_eq!(pages(store, ResultQuery { limit, ..query() }).0, results, "limit {limit}");
    }
    let span = ResultQuery { from: at(33_000), until: at(77_000), limit: 9, ..query() };
    assert_eq!(pages(store, span).0, results[33..77], "from is in it, until is not");
    let later = ResultQuery { from: at(500_000), ..query() };
    assert_eq!(pages(store, later).0, []);
}

fn of_one_check(store: &mut dyn Store) {
    let results = two_minutes(store);
    let mail = ResultQuery { check: Some(id("mail")), limit: 5, ..query() };
    let expected: Vec<_> =
        results.iter().filter(|result| result.check == id("mail")).cloned().collect();
    assert_eq!(pages(store, mail).0, expected);
    let none = ResultQuery { check: Some(id("none")), ..query() };
    assert_eq!(pages(store, none).0, []);
}

fn bounded(store: &mut dyn Store) {
    let results = two_minutes(store);
    let shop = ResultQuery { check: Some(id("shop")), limit: 1_000, scan: 10, ..query() };
    let first = store.results(&shop).expect("results");
    assert_eq!(first.results.len(), 8, "two of ten are of another check");
    let expected: Vec<_> =
        results.iter().filter(|result| result.check == id("shop")).cloned().collect();
    let (all, count) = pages(store, shop);
    assert_eq!(all, expected);
    assert!(count >= 12, "{count} pages of 120 results");
    let none = ResultQuery { check: Some(id("none")), scan: 10, ..query() };
    assert_eq!(pages(store, none).0, [], "pages without a result do not end a reading");
}

fn forgotten(store: &mut dyn Store) {
    let results = two_minutes(store);
    let first = store.results(&query()).expect("results");
    store.forget_results(at(60_500)).expect("forget");
    assert_eq!(pages(store, query()).0, results[61..]);
    let rest = ResultQuery { after: first.next, scan: 7, ..query() };
    assert_eq!(pages(store, rest).0, results[61..], "what was begun goes on");
}
