//! Verdicts and incidents.

use quorate_model::{Incident, IncidentState, State};

use super::Case;
use super::sample::{at, id, incident, transition, verdict};
use crate::{IncidentQuery, Store, Transition, Write};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "the last verdict of a check comes back with its memory and latest incident",
        run: last_verdict,
    },
    Case { name: "what is remembered stands until the next verdict of the check", run: remembered },
    Case {
        name: "an incident that was found when it was over comes back as none",
        run: found_late,
    },
    Case { name: "an incident is opened once and changed afterwards", run: upsert },
    Case {
        name: "incidents are listed from the latest opened, page by page, filtered",
        run: queries,
    },
];

fn commit(store: &mut dyn Store, change: Transition) {
    store.commit(&[Write::Transition(Box::new(change))]).expect("commit a transition");
}

fn opened(store: &mut dyn Store, incident: &Incident) {
    commit(store, transition(incident, &[]));
}

fn last_verdict(store: &mut dyn Store) {
    opened(store, &incident("shop", 0, Some(500)));
    opened(store, &incident("shop", 1_000, None));
    let quiet = Transition {
        incident: None,
        verdict: verdict(State::Partial, 2_000, &[]),
        memory: serde_json::json!({ "version": 1, "held": [1, null, "x"] }),
        ..transition(&incident("shop", 0, None), &[])
    };
    commit(store, quiet.clone());
    commit(store, Transition { check: id("mail"), ..quiet.clone() });
    let checks = store.restore(at(0)).expect("restore").checks;
    assert_eq!(checks.len(), 2);
    let shop = &checks[&id("shop")];
    assert_eq!(shop.verdict, quiet.verdict);
    assert_eq!(shop.memory, quiet.memory);
    assert_eq!(shop.incident, Some(incident("shop", 1_000, None)));
    assert_eq!(checks[&id("mail")].incident, None);
}

/// What was found when it was over hides neither what is still open nor what was over before.
fn found_late(store: &mut dyn Store) {
    let late =
        |check, opened| Incident { is_past: true, ..incident(check, opened, Some(opened + 500)) };
    for (check, resolved) in [("shop", None), ("mail", Some(300))] {
        opened(store, &incident(check, 0, resolved));
        opened(store, &late(check, 1_000));
        opened(store, &late(check, 2_000));
    }
    opened(store, &late("only", 1_000));
    let checks = store.restore(at(0)).expect("restore").checks;
    assert_eq!(checks[&id("shop")].incident, Some(incident("shop", 0, None)));
    assert_eq!(checks[&id("mail")].incident, Some(incident("mail", 0, Some(300))));
    assert_eq!(checks[&id("only")].incident, None);
}

fn remembered(store: &mut dyn Store) {
    let restore = |store: &mut dyn Store| store.restore(at(0)).expect("restore");
    let remember = |store: &mut dyn Store, check: Option<&str>, word: &str| {
        let memory = serde_json::json!({ "learned": word });
        let check = check.map(id);
        store.commit(&[Write::Remember { check, memory }]).expect("commit a memory");
    };
    let of_shop =
        |store: &mut dyn Store| restore(store).checks[&id("shop")].memory["learned"].clone();
    assert_eq!(restore(store).memory, None);
    remember(store, Some("shop"), "before any verdict");
    assert!(restore(store).checks.is_empty(), "a check without a verdict has no memory");

    opened(store, &incident("shop", 0, None));
    assert_eq!(of_shop(store), serde_json::Value::Null, "a verdict brings its own");
    let verdict = restore(store).checks[&id("shop")].verdict.clone();
    remember(store, Some("shop"), "first");
    remember(store, Some("shop"), "second");
    remember(store, None, "of all");
    assert_eq!(of_shop(store), "second");
    assert_eq!(restore(store).checks[&id("shop")].verdict, verdict);
    assert_eq!(restore(store).memory, Some(serde_json::json!({ "learned": "of all" })));

    opened(store, &incident("shop", 1_000, None));
    assert_eq!(of_shop(store), serde_json::Value::Null);
    assert!(restore(store).memory.is_some(), "that of the whole stays");
}

fn upsert(store: &mut dyn Store) {
    let open = incident("shop", 0, None);
    opened(store, &open);
    assert_eq!(store.incident(open.id).expect("incident"), Some(open.clone()));
    let over = incident("shop", 0, Some(9_000));
    opened(store, &over);
    assert_eq!(store.incident(open.id).expect("incident"), Some(over));
    let other = incident("mail", 0, None);
    assert_eq!(store.incident(other.id).expect("incident"), None);
}

fn queries(store: &mut dyn Store) {
    let mut all = Vec::new();
    for n in 0..6 {
        let check = if n % 2 == 0 { "shop" } else { "mail" };
        all.push(incident(check, n * 1_000, (n < 4).then_some(n * 1_000 + 500)));
    }
    // Stored in another order than opened.
    for n in [3, 0, 5, 1, 4, 2] {
        opened(store, &all[n]);
    }
    all.reverse();
    let base = IncidentQuery { limit: 10, ..IncidentQuery::default() };
    let expect = |store: &mut dyn Store, query: &IncidentQuery, expected: Vec<&Incident>| {
        let found = store.incidents(query).expect("incidents");
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
    };
    expect(store, &base, all.iter().collect());
    expect(store, &IncidentQuery { limit: 0, ..base.clone() }, vec![]);
    let mut paged = Vec::new();
    let mut page = IncidentQuery { limit: 4, ..base.clone() };
    loop {
        let found = store.incidents(&page).expect("incidents");
        page.after = found.last().map(|incident| incident.id);
        let more = found.len() == 4;
        paged.extend(found);
        if !more {
            break;
        }
    }
    assert_eq!(paged, all);
    let shop = IncidentQuery { check: Some(id("shop")), ..base.clone() };
    expect(store, &shop, vec![&all[1], &all[3], &all[5]]);
    let is_open = |incident: &&Incident| incident.state == IncidentState::Open;
    let open = IncidentQuery { open_only: true, ..base };
    expect(store, &open, all.iter().filter(is_open).collect());
    expect(store, &IncidentQuery { open_only: true, ..shop.clone() }, vec![&all[1]]);
    let after = IncidentQuery { after: Some(all[2].id), ..shop };
    expect(store, &after, vec![&all[3], &all[5]]);
}
