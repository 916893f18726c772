//! Deliveries.

use quorate_model::AlertKind;

use super::Case;
use super::sample::{at, attempted, entry, incident, notice, transition};
use crate::{DeliveryState, OutboxEntry, Store, Write};

pub(super) const CASES: &[Case] = &[
    Case { name: "a delivery is due from its time on, the oldest decision first", run: due },
    Case {
        name: "what is due is read up to a limit for each receiver, or for one",
        run: due_of_each,
    },
    Case { name: "a key that is stored again changes nothing", run: idempotent },
    Case { name: "an attempt counts, and says whether there will be another", run: attempts },
    Case {
        name: "the deliveries of an incident are listed in the order of decision",
        run: of_incident,
    },
];

fn keys(entries: &[OutboxEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

fn due(store: &mut dyn Store) {
    let [first, second, third] = [notice("a", 30), notice("b", 10), notice("c", 20)];
    let entries = vec![first.clone(), second.clone(), third.clone()];
    store.commit(&[Write::Deliveries(entries.clone())]).expect("commit");
    assert_eq!(store.next_due().expect("next due"), Some(at(10)));
    assert_eq!(store.due(at(9), None, 10).expect("due"), []);
    assert_eq!(keys(&store.due(at(10), None, 10).expect("due")), [&second.key]);
    assert_eq!(keys(&store.due(at(29), None, 10).expect("due")), [&second.key, &third.key]);
    assert_eq!(store.due(at(30), None, 10).expect("due"), entries);
}

fn due_of_each(store: &mut dyn Store) {
    let dead = [1, 2, 3, 4].map(|due| notice("dead", due));
    let [other, later] = [notice("other", 5), notice("other", 6)];
    let entries = [&dead[..], &[other.clone(), later.clone()]].concat();
    store.commit(&[Write::Deliveries(entries)]).expect("commit");
    store
        .commit(&[attempted(&dead[0].key, 7, DeliveryState::Sent, None)])
        .expect("commit an attempt");
    let due = store.due(at(9), None, 2).expect("due");
    assert_eq!(keys(&due), [&dead[1].key, &dead[2].key, &other.key, &later.key]);
    let due = store.due(at(9), Some(&dead[0].receiver), 2).expect("due");
    assert_eq!(keys(&due), [&dead[1].key, &dead[2].key]);
    let due = store.due(at(9), Some(&other.receiver), 10).expect("due");
    assert_eq!(keys(&due), [&other.key, &later.key]);
    assert_eq!(store.due(at(9), None, 0).expect("due"), []);
}

fn idempotent(store: &mut dyn Store) {
    let held = notice("team", 10);
    store.commit(&[Write::Deliveries(vec![held.clone()])]).expect("commit");
    store
        .commit(&[attempted(&held.key, 11, DeliveryState::Sent, None)])
        .expect("commit an attempt");
    let again = OutboxEntry { next_attempt: at(0), ..held.clone() };
    store.commit(&[Write::Deliveries(vec![again])]).expect("commit the same key");
    assert_eq!(store.due(at(100), None, 10).expect("due"), []);

    let change = transition(&incident("shop", 0, None), &["oncall", "team"]);
    for _ in 0..2 {
        let write = Write::Transition(Box::new(change.clone()));
        store.commit(&[write]).expect("commit a transition");
    }
    assert_eq!(store.due(at(100), None, 10).expect("due"), change.deliveries);
}

fn attempts(store: &mut dyn Store) {
    let fault = incident("shop", 0, None);
    let sent = entry("oncall", &fault, AlertKind::Page, 0);
    let failed = entry("team", &fault, AlertKind::Page, 0);
    let mut attempt = |writes: &[Write]| {
        store.commit(writes).expect("commit");
        let records = store.deliveries(fault.id).expect("deliveries");
        let due = store.next_due().expect("next due");
        (records, due)
    };
    let entries = vec![sent.clone(), failed.clone()];
    let (records, _) = attempt(&[
        Write::Deliveries(entries),
        attempted(&sent.key, 1, DeliveryState::Pending, Some(50)),
        attempted(&failed.key, 2, DeliveryState::Pending, Some(60)),
    ]);
    assert_eq!(records[0].state, DeliveryState::Pending);
    assert_eq!(records[0].entry.attempts, 1);
    assert_eq!(records[0].entry.next_attempt, at(50));
    assert_eq!(records[0].last_attempt, Some(at(1)));
    assert_eq!(records[0].error.as_deref(), Some("status 500"));

    let (records, next) = attempt(&[attempted(&sent.key, 50, DeliveryState::Sent, None)]);
    assert_eq!(records[0].state, DeliveryState::Sent);
    assert_eq!(records[0].entry.attempts, 2);
    assert_eq!(records[0].error, None);
    assert_eq!(next, Some(at(60)));

    let (records, next) = attempt(&[attempted(&failed.key, 60, DeliveryState::Failed, None)]);
    assert_eq!(records[1].state, DeliveryState::Failed);
    assert_eq!(records[1].last_attempt, Some(at(60)));
    assert_eq!(next, None);
    assert_eq!(store.due(at(1_000_000), None, 10).expect("due"), []);
}

fn of_incident(store: &mut dyn Store) {
    let (open, over) = (incident("shop", 0, None), incident("shop", 0, Some(9)));
    let first = transition(&open, &["team", "oncall"]);
    let second = transition(&over, &["team"]);
    let other = transition(&incident("mail", 0, None), &["team"]);
    for change in [&first, &other, &second] {
        let write = Write::Transition(Box::new(change.clone()));
        store.commit(&[write, Write::Deliveries(vec![notice("team", 5)])]).expect("commit");
    }
    let found = store.deliveries(open.id).expect("deliveries");
    let entries: Vec<_> = found.into_iter().map(|record| record.entry).collect();
    assert_eq!(entries, [first.deliveries, second.deliveries].concat());
}
