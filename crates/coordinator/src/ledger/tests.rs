use std::collections::BTreeSet;

use quorate_model::{Ballot, Cause, Incident, IncidentId, IncidentState, Scope, Severity, State};
use quorate_model::{CheckId, Delivery, NoticeKind, OperatorNotice, Verdict};

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn verdict(state: State) -> Verdict {
    Verdict {
        state,
        flags: BTreeSet::new(),
        cause: Cause::None,
        also: Vec::new(),
        summary: String::new(),
        since: NOW,
        ballot: Ballot {
            taken: NOW,
            quorum: 1,
            quorum_effective: 1,
            evidence_milli_nats: 0,
            need_milli_nats: 0,
            origin: None,
            scope: Scope::default(),
            rounds: Vec::new(),
            distinct: Vec::new(),
            entries: Vec::new(),
        },
    }
}

fn entry(key: &str) -> OutboxEntry {
    let notice = OperatorNotice {
        kind: NoticeKind::AgentLost,
        at: NOW,
        resolved: false,
        region: None,
        agent: None,
        check: None,
        message: String::new(),
    };
    OutboxEntry {
        key: key.to_owned(),
        ..crate::outbox::entry("ops".parse().unwrap(), Delivery::Operator(notice), NOW)
    }
}

fn change(check: &str, state: State, incident: Option<u128>, key: &str) -> Decided {
    let check: CheckId = check.parse().unwrap();
    let incident = incident.map(|number| Incident {
        id: IncidentId(number),
        check: check.clone(),
        severity: Severity::Page,
        state: IncidentState::Open,
        last_success: None,
        first_failure: NOW,
        opened: NOW,
        resolved: None,
        reopened: 0,
        withheld_by: BTreeSet::new(),
        is_past: false,
        verdict: verdict(state),
    });
    Decided::Transition(Box::new(Transition {
        check,
        verdict: verdict(state),
        incident,
        memory: serde_json::Value::Null,
        deliveries: vec![entry(key)],
    }))
}

fn ledger() -> Ledger {
    let store = quorate_store::open("memory:").unwrap();
    Ledger::new(crate::store_thread::spawn(store).unwrap().0)
}

fn shape(owed: &VecDeque<Decided>) -> Vec<(String, State, Option<u128>, Vec<String>)> {
    let line = |decided: &Decided| match decided {
        Decided::Transition(change) => (
            change.check.to_string(),
            change.verdict.state,
            change.incident.as_ref().map(|incident| incident.id.0),
            change.deliveries.iter().map(|entry| entry.key.clone()).collect(),
        ),
        Decided::Notices(_) | Decided::Learned { .. } => panic!("{decided:?} was not owed"),
    };
    owed.iter().map(line).collect()
}

#[tokio::test]
async fn what_is_owed_is_merged_without_losing_a_message_or_an_incident() {
    let mut ledger = ledger();
    ledger.owe(change("a", State::Partial, None, "1"));
    ledger.owe(change("b", State::Up, None, "2"));
    ledger.owe(change("a", State::Down, Some(7), "3"));
    ledger.owe(change("a", State::Up, Some(7), "4"));
    ledger.owe(change("a", State::Down, Some(8), "5"));
    let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        shape(&ledger.owed),
        [
            ("a".into(), State::Up, Some(7), keys(&["1", "3", "4"])),
            ("b".into(), State::Up, None, keys(&["2"])),
            ("a".into(), State::Down, Some(8), keys(&["5"])),
        ]
    );
}

#[tokio::test]
async fn decisions_of_a_failed_commit_come_before_those_owed_since() {
    let mut ledger = ledger();
    let refused = {
        let (done, answer) = oneshot::channel();
        assert!(done.send(Err(ended())).is_ok());
        answer
    };
    ledger.under_way.push_back(Entry {
        answer: Some(refused),
        ack: None,
        decided: vec![
            Decided::Learned { check: None, memory: serde_json::Value::Null },
            change("a", State::Down, Some(1), "first"),
        ],
        owed: 0,
    });
    ledger.owe(change("b", State::Down, None, "second"));
    let clock = quorate_runtime::Clock::start();
    assert!(matches!(ledger.next(clock).await, Settled::Failed { .. }));
    let owed: Vec<String> = shape(&ledger.owed).into_iter().map(|line| line.0).collect();
    assert_eq!(owed, ["a", "b"], "what was learned is not owed to anybody");
    // Not before the delay; then it is paid, and announced only then.
    assert!(ledger.under_way.is_empty());
    let at = ledger.retry_at().unwrap();
    ledger.retry(at);
    let Settled::Durable { decided, .. } = ledger.next(clock).await else {
        panic!("the store takes it");
    };
    assert_eq!(decided.len(), 2);
    assert!(ledger.is_idle());
}
