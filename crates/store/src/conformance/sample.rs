//! Values to store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_model::{
    Alert, AlertKind, Ballot, BallotEntry, BallotOrigin, BootId, Cause, Counted, Delivery,
    Evidence, Health, Incident, IncidentId, IncidentState, NoticeKind, Observation, OperatorNotice,
    OriginFinding, OriginHold, Outcome, Phase, PhaseTiming, ProbeResult, Reason, ResultId,
    Revision, RoundId, Scope, Severity, State, Timestamp, Verdict,
};

use crate::{DeliveryState, OutboxEntry, Transition, Write};

/// So many milliseconds after the moment at which all samples begin.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + millis * 1_000)
}

/// An identifier that obeys the rule.
pub fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an identifier that obeys the rule")
}

/// A failed probe, received at [`at`]`(millis)`.
pub fn result(agent: &str, boot: u128, sequence: u64, millis: i64) -> ProbeResult {
    ProbeResult {
        id: ResultId { agent: id(agent), boot: BootId(boot), sequence },
        region: id("fra"),
        check: id("shop"),
        // Neither fits into the signed integers of an engine.
        revision: Revision(u64::MAX - sequence),
        round: None,
        started: at(millis - 10_000),
        received: at(millis),
        health: Health::Fine,
        observation: Observation {
            outcome: Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout },
            total: Duration::from_micros(10_000_123),
            phases: vec![PhaseTiming {
                phase: Phase::Connect,
                elapsed: Duration::from_micros(9_999_999),
            }],
            evidence: Evidence {
                message: "no answer to \u{1}'quoted' \u{fc}ml\u{e4}ut \u{0}".to_owned(),
                address: Some(std::net::Ipv4Addr::new(192, 0, 2, 1).into()),
                ..Evidence::default()
            },
        },
    }
}

/// A verdict that one region out of three failed, reached at [`at`]`(millis)`.
pub fn verdict(state: State, millis: i64, rounds: &[u64]) -> Verdict {
    let entry = |region: &str| BallotEntry {
        region: id(region),
        agent: Some(id(&format!("{region}-1"))),
        outcome: Some(Outcome::Ok),
        started: Some(at(millis - 100)),
        age: Some(Duration::from_millis(100)),
        failed_in_a_row: 0,
        evidence_milli_nats: 0,
        counted: Counted::Yes,
        message: String::new(),
        address: None,
        one_family: false,
    };
    Verdict {
        state,
        flags: BTreeSet::new(),
        cause: Cause::TargetTimeout,
        also: vec![Cause::PathProvider],
        summary: format!("judged at {millis}"),
        since: at(millis),
        ballot: Ballot {
            taken: at(millis),
            quorum: 2,
            quorum_effective: 2,
            evidence_milli_nats: 0,
            need_milli_nats: 0,
            origin: Some(Box::new(BallotOrigin {
                check: id("shop-origin"),
                finding: Some(OriginFinding::Fails),
                working: 1,
                failing: 2,
                configured: 3,
                since: Some(at(1_000)),
                hold: Some(OriginHold::Brief),
            })),
            scope: Scope { failing: 1, live: 3, configured: 3 },
            rounds: rounds.iter().copied().map(RoundId).collect(),
            distinct: Vec::new(),
            entries: ["fra", "iad", "nrt"].into_iter().map(entry).collect(),
        },
    }
}

/// An incident of `check`, opened at [`at`]`(opened)`.
pub fn incident(check: &str, opened: i64, resolved: Option<i64>) -> Incident {
    let check = id(check);
    Incident {
        id: IncidentId::derive(&check, at(opened)),
        check,
        severity: Severity::Page,
        state: match resolved {
            None => IncidentState::Open,
            Some(_) => IncidentState::Resolved,
        },
        last_success: Some(at(opened - 60_000)),
        first_failure: at(opened - 20_000),
        opened: at(opened),
        resolved: resolved.map(at),
        reopened: 0,
        withheld_by: BTreeSet::new(),
        is_past: false,
        verdict: verdict(State::Down, opened, &[]),
    }
}

/// A message about `incident` that is due at [`at`]`(due)`.
pub fn entry(receiver: &str, incident: &Incident, kind: AlertKind, due: i64) -> OutboxEntry {
    let alert = Alert {
        kind,
        at: incident.resolved.unwrap_or(incident.opened),
        target: "https://shop.example.com/".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "web".to_owned())]),
        runbook: None,
        held_until: None,
        incident: incident.clone(),
    };
    outbox(receiver, Delivery::Alert(Box::new(alert)), due)
}

/// An operator notice that is due at [`at`]`(due)`.
pub fn notice(receiver: &str, due: i64) -> OutboxEntry {
    let notice = OperatorNotice {
        kind: NoticeKind::AgentLost,
        at: at(due),
        resolved: false,
        region: Some(id("fra")),
        agent: Some(id("fra-1")),
        check: None,
        message: "fra-1 is silent".to_owned(),
    };
    outbox(receiver, Delivery::Operator(notice), due)
}

fn outbox(receiver: &str, delivery: Delivery, due: i64) -> OutboxEntry {
    let receiver = id(receiver);
    OutboxEntry {
        key: delivery.key(&receiver),
        receiver,
        delivery,
        attempts: 0,
        next_attempt: at(due),
    }
}

/// The transition that `incident` made, telling `receivers`; its memory is the time in
/// milliseconds.
pub fn transition(incident: &Incident, receivers: &[&str]) -> Transition {
    let (state, kind, at) = match incident.resolved {
        None => (State::Down, AlertKind::Page, incident.opened),
        Some(at) => (State::Up, AlertKind::Resolved, at),
    };
    let millis = at.as_micros() / 1_000 - 1_790_000_000_000;
    Transition {
        check: incident.check.clone(),
        verdict: verdict(state, millis, &[]),
        incident: Some(incident.clone()),
        memory: serde_json::json!({ "version": 1, "millis": millis }),
        deliveries: receivers
            .iter()
            .map(|receiver| entry(receiver, incident, kind, millis))
            .collect(),
    }
}

/// The write that reports an attempt at [`at`]`(millis)`.
pub fn attempted(key: &str, millis: i64, state: DeliveryState, next: Option<i64>) -> Write {
    Write::Attempted {
        key: key.to_owned(),
        at: at(millis),
        state,
        error: (state != DeliveryState::Sent).then(|| "status 500".to_owned()),
        next_attempt: next.map(at),
    }
}
