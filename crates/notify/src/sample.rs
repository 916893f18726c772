//! Messages to send.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_model::{
    Alert, AlertKind, Ballot, BallotEntry, Cause, Counted, Delivery, Incident, IncidentId,
    IncidentState, NoticeKind, OperatorNotice, Outcome, Phase, Reason, Scope, Severity, State,
    Timestamp, Verdict,
};

use crate::Content;

/// So many seconds into the story.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + seconds * 1_000_000)
}

fn vote(region: &str, outcome: Outcome, counted: Counted, message: &str) -> BallotEntry {
    let fails = outcome.is_fail();
    BallotEntry {
        region: region.parse().unwrap(),
        agent: Some(format!("{region}-1").parse().unwrap()),
        outcome: Some(outcome),
        started: Some(at(0)),
        age: Some(Duration::from_secs(10)),
        failed_in_a_row: u32::from(fails),
        evidence_milli_nats: if fails { 5_288 } else { 0 },
        counted,
        message: message.into(),
        address: fails.then(|| [192, 0, 2, 1].into()),
        one_family: false,
    }
}

pub(crate) fn alert(kind: AlertKind) -> Alert {
    let resolved = (kind == AlertKind::Resolved).then(|| at(754));
    let timeout = Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout };
    let mut votes: Vec<_> = ["fra", "iad", "nrt"]
        .iter()
        .map(|region| vote(region, timeout, Counted::Yes, "no answer to \u{1b}[31mSYN"))
        .collect();
    votes.push(vote("gru", Outcome::Ok, Counted::Stale, ""));
    votes.push(vote("syd", Outcome::Ok, Counted::Yes, ""));
    let check = "shop".parse().unwrap();
    Alert {
        kind,
        at: resolved.unwrap_or_else(|| at(18)),
        target: "https://shop.example.com/health".into(),
        labels: BTreeMap::from([("team".into(), "web".into())]),
        runbook: Some("https://wiki.example.com/shop".into()),
        held_until: None,
        incident: Incident {
            id: IncidentId::derive(&check, at(18)),
            check,
            severity: Severity::Page,
            state: match resolved {
                Some(_) => IncidentState::Resolved,
                None => IncidentState::Open,
            },
            last_success: Some(at(-5)),
            first_failure: at(0),
            opened: at(18),
            resolved,
            reopened: 0,
            withheld_by: BTreeSet::new(),
            is_past: false,
            verdict: Verdict {
                state: State::Down,
                flags: BTreeSet::new(),
                cause: Cause::TargetNetwork,
                also: vec![Cause::PathProvider],
                summary: "3 of 5 regions get no answer to their connection attempts".into(),
                since: at(18),
                ballot: Ballot {
                    taken: at(18),
                    quorum: 3,
                    quorum_effective: 3,
                    evidence_milli_nats: 20_661,
                    need_milli_nats: 19_388,
                    origin: None,
                    scope: Scope { failing: 3, live: 5, configured: 5 },
                    rounds: vec![],
                    distinct: Vec::new(),
                    entries: votes,
                },
            },
        },
    }
}

pub(crate) fn single(alert: Alert) -> Content {
    Content::Single(Delivery::Alert(Box::new(alert)))
}

pub(crate) fn about(kind: AlertKind) -> Content {
    single(alert(kind))
}

/// The same of so many checks.
pub(crate) fn group(kind: AlertKind, count: usize) -> Content {
    let of = |number: usize| {
        let mut alert = alert(kind);
        alert.incident.check = format!("shop-{number}").parse().unwrap();
        alert
    };
    Content::Group((1..=count).map(of).collect())
}

pub(crate) fn notice(resolved: bool) -> Content {
    Content::Single(Delivery::Operator(OperatorNotice {
        kind: NoticeKind::AgentLost,
        at: at(60),
        resolved,
        region: Some("fra".parse().unwrap()),
        agent: Some("fra-1".parse().unwrap()),
        check: None,
        message: "agent fra-1 has been silent for 60 s: see whether it runs".into(),
    }))
}
