//! What is stored is there when the store is opened again.

use super::DurableCase;
use super::sample::{at, attempted, id, incident, notice, result, transition};
use crate::{ApiToken, DeliveryState, JoinToken, Role, Store, VerdictQuery, Write};

pub(super) const CASES: &[DurableCase] = &[
    DurableCase { name: "all is the same after it was opened again", run: same },
    DurableCase { name: "what was used up or stored before stays so", run: still_once },
];

fn writes() -> Vec<Write> {
    let open = incident("shop", 0, None);
    vec![
        Write::Results(vec![result("fra-1", 1, 1, 0), result("iad-1", 9, 4, 5)]),
        Write::Transition(Box::new(transition(&open, &["oncall", "team"]))),
        Write::Deliveries(vec![notice("team", 7)]),
        attempted(&notice("team", 7).key, 8, DeliveryState::Pending, Some(70)),
        Write::JoinToken(JoinToken {
            hash: [1; 32],
            agent: id("fra-1"),
            region: id("fra"),
            expires: at(100),
        }),
        Write::Remember { check: None, memory: serde_json::json!([1, "x"]) },
        Write::ApiToken(ApiToken { hash: [2; 32], name: "laptop".to_owned(), role: Role::Admin }),
    ]
}

fn same(open: &mut dyn FnMut() -> Box<dyn Store>) {
    let shop = incident("shop", 0, None);
    let all = |store: &mut dyn Store| {
        (
            store.restore(at(0)).expect("restore"),
            store.due(at(1_000), None, 10).expect("due"),
            store.deliveries(shop.id).expect("deliveries"),
            store.incident(shop.id).expect("incident"),
            store.verdicts(&VerdictQuery::latest(shop.check.clone(), 10)).expect("verdicts"),
            store.agents().expect("agents"),
            store.api_token(&[2; 32]).expect("token"),
        )
    };
    let mut store = open();
    store.commit(&writes()).expect("commit");
    store.redeem(&[1; 32], at(10)).expect("redeem").expect("a good token");
    let before = all(store.as_mut());
    assert_eq!(before.0.results.len(), 2);
    drop(store);
    assert_eq!(all(open().as_mut()), before);
}

fn still_once(open: &mut dyn FnMut() -> Box<dyn Store>) {
    let mut store = open();
    store.commit(&writes()).expect("commit");
    store.redeem(&[1; 32], at(10)).expect("redeem").expect("a good token");
    drop(store);
    let mut store = open();
    assert_eq!(store.redeem(&[1; 32], at(11)).expect("redeem again"), None);
    store
        .commit(&[Write::Results(vec![result("fra-1", 1, 1, 90), result("fra-1", 1, 2, 91)])])
        .expect("commit");
    assert_eq!(store.restore(at(0)).expect("restore").results.len(), 3);
}
