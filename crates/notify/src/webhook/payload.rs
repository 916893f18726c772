//! The body: `{type, timestamp, data}`, below 20 kB.

use std::collections::BTreeMap;
use std::net::IpAddr;

use quorate_model::{
    Alert, AlertKind, Ballot, BallotEntry, Counted, Delivery, IncidentState, NoticeKind, Odds,
    OperatorNotice, Outcome, Scope, Severity, State, Timestamp,
};
use serde::Serialize;

use crate::Content;
use crate::render::is_weighed;

/// Bytes below which a body stays. Source: Standard Webhooks 1.0.0, "Payload size".
pub(super) const BODY_BYTES_MAX: usize = 20_000;

/// How much is said, from all to the least that still tells what happened.
const CUTS: [Cut; 3] = [
    Cut { text: 1_000, regions: 64, labels: 64 },
    Cut { text: 200, regions: 32, labels: 16 },
    Cut { text: 100, regions: 8, labels: 0 },
];

/// The same of each incident among many.
const GROUP_CUTS: [Cut; 3] = [
    Cut { text: 200, regions: 0, labels: 64 },
    Cut { text: 60, regions: 0, labels: 8 },
    Cut { text: 20, regions: 0, labels: 0 },
];

/// Bounds on what is said.
#[derive(Clone, Copy)]
struct Cut {
    /// Characters of each text.
    text: usize,
    regions: usize,
    labels: usize,
}

#[derive(Serialize)]
struct Body<T> {
    #[serde(rename = "type")]
    event: &'static str,
    timestamp: String,
    data: T,
}

#[derive(Serialize)]
struct AlertData {
    incident: String,
    check: String,
    target: String,
    kind: AlertKind,
    severity: Severity,
    /// Of the incident.
    state: IncidentState,
    /// Of the check, when the incident was opened or became more severe.
    verdict: State,
    cause: &'static str,
    /// What else would fit.
    also: Vec<&'static str>,
    summary: String,
    scope: Scope,
    quorum: u32,
    /// How likely the failures are by chance; absent if it was not weighed.
    coincidence: Option<Coincidence>,
    opened: String,
    resolved: Option<String>,
    onset: Onset,
    /// From the last success to the opening: at most so long has passed unnoticed.
    time_to_detect_ms: Option<u64>,
    reopened: u32,
    labels: BTreeMap<String, String>,
    runbook: Option<String>,
    regions: Vec<RegionVote>,
    /// Regions that are not listed, to keep the message short.
    regions_left_out: usize,
}

/// The evidence against the budget of false alerts, in words and in thousandths of a nat.
#[derive(Serialize)]
struct Coincidence {
    chance: String,
    budget: String,
    evidence_milli_nats: u32,
    need_milli_nats: u32,
}

/// Between these two it began.
#[derive(Serialize)]
struct Onset {
    last_success: Option<String>,
    first_failure: String,
}

#[derive(Serialize)]
struct RegionVote {
    region: String,
    outcome: Option<&'static str>,
    phase: Option<&'static str>,
    reason: Option<&'static str>,
    counted: Counted,
    message: String,
    address: Option<IpAddr>,
    /// What its failure adds to the evidence.
    evidence_milli_nats: u32,
}

/// Several incidents in one message.
#[derive(Serialize)]
struct GroupData {
    kind: Option<AlertKind>,
    count: usize,
    incidents: Vec<Grouped>,
}

/// One of several incidents: what tells them apart. The rest is in the record of incidents.
#[derive(Serialize)]
struct Grouped {
    incident: String,
    check: String,
    target: String,
    severity: Severity,
    state: IncidentState,
    verdict: State,
    cause: &'static str,
    summary: String,
    scope: Scope,
    opened: String,
    resolved: Option<String>,
    labels: BTreeMap<String, String>,
    runbook: Option<String>,
}

#[derive(Serialize)]
struct OperatorData {
    kind: NoticeKind,
    resolved: bool,
    region: Option<String>,
    agent: Option<String>,
    check: Option<String>,
    message: String,
}

/// The body of a message.
pub(super) fn render(content: &Content) -> Result<String, serde_json::Error> {
    let delivery = match content {
        Content::Single(delivery) => delivery,
        Content::Group(alerts) => return render_group(content, alerts),
    };
    let mut body = String::new();
    for cut in CUTS {
        body = match delivery {
            Delivery::Alert(alert) => write(content, alert.at, alert_data(alert, cut))?,
            Delivery::Operator(notice) => write(content, notice.at, operator_data(notice, cut))?,
        };
        if body.len() < BODY_BYTES_MAX {
            break;
        }
    }
    Ok(body)
}

/// Lists all incidents, shorter if need be. As many as are ever grouped fit.
fn render_group(content: &Content, alerts: &[Alert]) -> Result<String, serde_json::Error> {
    let at = alerts.iter().map(|alert| alert.at).max().unwrap_or(Timestamp::EPOCH);
    let mut body = String::new();
    for cut in GROUP_CUTS {
        body = write(content, at, group_data(alerts, cut))?;
        if body.len() < BODY_BYTES_MAX {
            break;
        }
    }
    Ok(body)
}

fn write<T: Serialize>(
    content: &Content,
    at: Timestamp,
    data: T,
) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Body { event: content.event_type(), timestamp: at.to_string(), data })
}

/// At most `max` characters of `text`.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
    }
}

fn alert_data(alert: &Alert, to: Cut) -> AlertData {
    let incident = &alert.incident;
    let verdict = &incident.verdict;
    let entries = &verdict.ballot.entries;
    let time_to_detect_ms = incident
        .last_success
        .map(|success| incident.opened.since(success).as_millis())
        .map(|millis| u64::try_from(millis).unwrap_or(u64::MAX));
    AlertData {
        incident: incident.id.to_string(),
        check: incident.check.to_string(),
        target: cut(&alert.target, to.text),
        kind: alert.kind,
        severity: incident.severity,
        state: incident.state,
        verdict: verdict.state,
        cause: verdict.cause.as_str(),
        also: verdict.also.iter().map(|cause| cause.as_str()).collect(),
        summary: cut(&verdict.summary, to.text),
        scope: verdict.ballot.scope,
        quorum: verdict.ballot.quorum_effective,
        coincidence: coincidence(&verdict.ballot),
        opened: incident.opened.to_string(),
        resolved: incident.resolved.map(|at| at.to_string()),
        onset: Onset {
            last_success: incident.last_success.map(|at| at.to_string()),
            first_failure: incident.first_failure.to_string(),
        },
        time_to_detect_ms,
        reopened: incident.reopened,
        labels: labels(alert, to),
        runbook: alert.runbook.as_ref().map(|runbook| cut(runbook, to.text)),
        regions: entries.iter().take(to.regions).map(|entry| region(entry, to)).collect(),
        regions_left_out: entries.len().saturating_sub(to.regions),
    }
}

fn labels(alert: &Alert, to: Cut) -> BTreeMap<String, String> {
    let labels = alert.labels.iter().take(to.labels);
    labels.map(|(key, value)| (cut(key, to.text), cut(value, to.text))).collect()
}

fn group_data(alerts: &[Alert], to: Cut) -> GroupData {
    let grouped = |alert: &Alert| {
        let incident = &alert.incident;
        let verdict = &incident.verdict;
        Grouped {
            incident: incident.id.to_string(),
            check: incident.check.to_string(),
            target: cut(&alert.target, to.text),
            severity: incident.severity,
            state: incident.state,
            verdict: verdict.state,
            cause: verdict.cause.as_str(),
            summary: cut(&verdict.summary, to.text),
            scope: verdict.ballot.scope,
            opened: incident.opened.to_string(),
            resolved: incident.resolved.map(|at| at.to_string()),
            labels: labels(alert, to),
            runbook: alert.runbook.as_ref().map(|runbook| cut(runbook, to.text)),
        }
    };
    GroupData {
        kind: alerts.first().map(|alert| alert.kind),
        count: alerts.len(),
        incidents: alerts.iter().map(grouped).collect(),
    }
}

fn region(entry: &BallotEntry, to: Cut) -> RegionVote {
    let (phase, reason) = match entry.outcome {
        Some(Outcome::Fail { phase, reason }) => (Some(phase.as_str()), Some(reason.as_str())),
        Some(Outcome::Blocked { reason }) => (None, Some(reason.as_str())),
        Some(Outcome::Inconclusive { reason }) => (None, Some(reason.as_str())),
        Some(Outcome::Ok | Outcome::Slow) | None => (None, None),
    };
    RegionVote {
        region: entry.region.to_string(),
        outcome: entry.outcome.map(Outcome::word),
        phase,
        reason,
        counted: entry.counted,
        message: cut(&entry.message, to.text),
        address: entry.address,
        evidence_milli_nats: entry.evidence_milli_nats,
    }
}

fn coincidence(ballot: &Ballot) -> Option<Coincidence> {
    is_weighed(ballot).then(|| Coincidence {
        chance: Odds(ballot.evidence_milli_nats).to_string(),
        budget: Odds(ballot.need_milli_nats).to_string(),
        evidence_milli_nats: ballot.evidence_milli_nats,
        need_milli_nats: ballot.need_milli_nats,
    })
}

fn operator_data(notice: &OperatorNotice, to: Cut) -> OperatorData {
    OperatorData {
        kind: notice.kind,
        resolved: notice.resolved,
        region: notice.region.as_ref().map(ToString::to_string),
        agent: notice.agent.as_ref().map(ToString::to_string),
        check: notice.check.as_ref().map(ToString::to_string),
        message: cut(&notice.message, to.text),
    }
}
