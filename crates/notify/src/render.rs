//! Messages as people read them: one line, and a plain text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use quorate_model::{
    Alert, AlertKind, Ballot, BallotEntry, Cause, Counted, Delivery, HumanDuration, Incident, Odds,
    OperatorNotice, Outcome, Phase, Reason, State,
};

use crate::Content;

/// Characters of one piece of evidence that are shown.
const MESSAGE_MAX: usize = 300;

/// The message in one line, such as `[DOWN] shop (3/5 regions): connect timeout`.
pub fn subject(content: &Content) -> String {
    match content {
        Content::Single(Delivery::Alert(alert)) => alert_subject(alert),
        Content::Single(Delivery::Operator(notice)) => operator_subject(notice),
        Content::Group(alerts) => group_subject(alerts),
    }
}

/// The message as a plain text of several lines, without the subject.
pub fn text(content: &Content) -> String {
    match content {
        Content::Single(Delivery::Alert(alert)) => alert_text(alert),
        Content::Single(Delivery::Operator(notice)) => {
            let message = escape(&notice.message, 2 * MESSAGE_MAX);
            format!("{message}\n\nDecided at {}\n", notice.at)
        }
        Content::Group(alerts) => group_text(alerts),
    }
}

/// `text` on one line and at most `max` characters long, with every character escaped that could
/// move the cursor, change the direction of writing or otherwise mislead a reader.
pub fn escape(text: &str, max: usize) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == max {
            shown.push('\u{2026}');
            break;
        }
        match character {
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => shown.extend(character.escape_unicode()),
            control if control.is_control() => shown.extend(control.escape_default()),
            plain => shown.push(plain),
        }
    }
    shown
}

/// What a message is marked with, such as `DOWN`.
fn mark(alert: &Alert) -> String {
    match alert.kind {
        AlertKind::Digest => "DIGEST".to_owned(),
        AlertKind::Resolved => "RESOLVED".to_owned(),
        AlertKind::Page | AlertKind::Notice => {
            alert.incident.verdict.state.as_str().to_ascii_uppercase()
        }
    }
}

fn alert_subject(alert: &Alert) -> String {
    let incident = &alert.incident;
    let check = &incident.check;
    if alert.kind == AlertKind::Resolved {
        return match lasted(incident) {
            Some(lasted) => format!("[RESOLVED] {check}: over after {lasted}"),
            None => format!("[RESOLVED] {check}"),
        };
    }
    let verdict = &incident.verdict;
    let state = mark(alert);
    // A certificate near its end is a symptom of no probe.
    let is_dated = verdict.state == State::Degraded && verdict.cause == Cause::TargetTls;
    // What the one region that is left sees is no symptom of the target.
    if verdict.state == State::Unknown {
        return format!("[{state}] {check}: {}", escape(&verdict.summary, MESSAGE_MAX));
    }
    let why = symptom(&verdict.ballot.entries)
        .filter(|_| !is_dated)
        .unwrap_or_else(|| escape(&verdict.summary, MESSAGE_MAX));
    format!("[{state}] {check} ({} regions): {why}", verdict.ballot.scope)
}

/// The first few checks, and how many there are.
fn group_subject(alerts: &[Alert]) -> String {
    /// More names make no subject.
    const NAMED: usize = 3;
    let mut marks: Vec<String> = alerts.iter().map(mark).collect();
    marks.dedup();
    let mark = if let [mark] = &marks[..] { mark.as_str() } else { "TROUBLE" };
    let names: Vec<&str> =
        alerts.iter().take(NAMED).map(|alert| alert.incident.check.as_str()).collect();
    let names = names.join(", ");
    match alerts.len().saturating_sub(NAMED) {
        0 => format!("[{mark}] {} checks: {names}", alerts.len()),
        more => format!("[{mark}] {} checks: {names} and {more} more", alerts.len()),
    }
}

/// One paragraph for each check.
fn group_text(alerts: &[Alert]) -> String {
    let paragraph = |alert: &Alert| {
        let target = escape(&alert.target, MESSAGE_MAX);
        format!("{}\n  {target}\n  incident {}\n", alert_subject(alert), alert.incident.id)
    };
    let intro = "More was decided at once than is worth a message each. All of it:\n".to_owned();
    let paragraphs = alerts.iter().map(paragraph);
    std::iter::once(intro).chain(paragraphs).collect::<Vec<_>>().join("\n")
}

fn operator_subject(notice: &OperatorNotice) -> String {
    let mark = if notice.resolved { "OPERATOR RESOLVED" } else { "OPERATOR" };
    let about = notice.kind.as_str().replace('_', " ");
    let names = [
        notice.region.as_ref().map(|id| format!("region {id}")),
        notice.agent.as_ref().map(|id| format!("agent {id}")),
        notice.check.as_ref().map(|id| format!("check {id}")),
    ];
    let names: Vec<_> = names.into_iter().flatten().collect();
    if names.is_empty() {
        format!("[{mark}] {about}")
    } else {
        format!("[{mark}] {about}: {}", names.join(", "))
    }
}

/// What most of the counted failures have in common, in words.
fn symptom(entries: &[BallotEntry]) -> Option<String> {
    let mut votes: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.counted == Counted::Yes) {
        let words = match entry.outcome {
            Some(Outcome::Fail { phase, reason }) => failure(phase, reason),
            Some(Outcome::Blocked { reason }) => {
                format!("blocked by {}", reason.as_str().replace('_', " "))
            }
            Some(Outcome::Slow) => "slow".to_owned(),
            Some(Outcome::Ok | Outcome::Inconclusive { .. }) | None => continue,
        };
        *votes.entry(words).or_default() += 1;
    }
    let most = votes.values().copied().max()?;
    votes.into_iter().find(|(_, count)| *count == most).map(|(words, _)| words)
}

/// A failure in words: the phase is said where the reason leaves it open.
fn failure(phase: Phase, reason: Reason) -> String {
    let said = reason.as_str().replace('_', " ");
    match reason {
        Reason::Timeout | Reason::Reset | Reason::Unreachable | Reason::Protocol => {
            format!("{phase} {said}")
        }
        Reason::Refused => "connection refused".to_owned(),
        Reason::Status => "unexpected status".to_owned(),
        Reason::Header => "unexpected header".to_owned(),
        Reason::Body => "unexpected body".to_owned(),
        Reason::Json => "unexpected JSON".to_owned(),
        Reason::Latency => "slower than asserted".to_owned(),
        Reason::Certificate => "unexpected certificate".to_owned(),
        Reason::Address => "unexpected address".to_owned(),
        Reason::Url => "unexpected URL".to_owned(),
        Reason::Size => "unexpected size".to_owned(),
        Reason::Range => "unexpected range".to_owned(),
        Reason::Auth => "no token".to_owned(),
        Reason::Encoding => "broken encoding".to_owned(),
        Reason::TlsClientCert => "client certificate missing or refused".to_owned(),
        Reason::NoRecords => "no such DNS records".to_owned(),
        Reason::Answer => "unexpected DNS answer".to_owned(),
        Reason::Dangling => "dangling DNS".to_owned(),
        Reason::CertWeak => "certificate weaker than asserted".to_owned(),
        Reason::CertNotPinned => "certificate not pinned".to_owned(),
        Reason::OcspMissing => "no OCSP staple".to_owned(),
        Reason::GrpcStatus => "unexpected gRPC status".to_owned(),
        Reason::CloseCode => "unexpected close code".to_owned(),
        Reason::Loss => "packets lost".to_owned(),
        Reason::NameNotFound
        | Reason::NoAddress
        | Reason::DnsFailed
        | Reason::CertExpired
        | Reason::CertNotYetValid
        | Reason::CertUntrusted
        | Reason::CertSelfSigned
        | Reason::CertHostMismatch
        | Reason::CertIncompleteChain
        | Reason::CertRevoked
        | Reason::CertExpiresSoon
        | Reason::NotServing
        | Reason::TlsVersion
        | Reason::TlsHandshake
        | Reason::RedirectInvalid
        | Reason::RedirectDowngrade
        | Reason::RedirectLimit
        | Reason::BodyIncomplete => said,
    }
}

fn lasted(incident: &Incident) -> Option<HumanDuration> {
    let span = incident.resolved?.since(incident.opened);
    Some(HumanDuration(Duration::from_secs(span.as_secs())))
}

fn alert_text(alert: &Alert) -> String {
    let incident = &alert.incident;
    let verdict = &incident.verdict;
    let ballot = &verdict.ballot;
    let mut lines = vec![escape(&verdict.summary, 2 * MESSAGE_MAX), String::new()];
    let mut line = |name: &str, value: String| lines.push(format!("{name:<13} {value}"));
    line("Check", incident.check.to_string());
    line("Target", escape(&alert.target, MESSAGE_MAX));
    line("Verdict", format!("{}, cause {}", verdict.state, verdict.cause));
    if !verdict.also.is_empty() {
        let also: Vec<&str> = verdict.also.iter().map(|cause| cause.as_str()).collect();
        line("Also fits", also.join(", "));
    }
    let scope = ballot.scope;
    let regions = if verdict.state == State::Unknown {
        format!("{} of {} live, too few to tell", scope.live, scope.configured)
    } else {
        format!("{} of {} fail, {} must agree", scope.failing, scope.live, ballot.quorum_effective)
    };
    line("Regions", regions);
    if is_weighed(ballot) {
        let (chance, budget) = (Odds(ballot.evidence_milli_nats), Odds(ballot.need_milli_nats));
        line("Coincidence", format!("{chance}, the budget of false alerts allows {budget}"));
    }
    let began = if verdict.state == State::Unknown { "Unseen since" } else { "First failure" };
    line(began, incident.first_failure.to_string());
    if let Some(success) = incident.last_success {
        line("Last success", success.to_string());
        let detected = HumanDuration(incident.opened.since(success));
        line("Opened", format!("{}, at most {detected} after its onset", incident.opened));
    } else {
        line("Opened", incident.opened.to_string());
    }
    if let Some(resolved) = incident.resolved {
        line("Resolved", resolved.to_string());
    }
    if !incident.withheld_by.is_empty() {
        let names: Vec<&str> = incident.withheld_by.iter().map(String::as_str).collect();
        line("Withheld by", names.join(", "));
    }
    if !alert.labels.is_empty() {
        let labels = alert.labels.iter().map(|(key, value)| format!("{key}={value}"));
        line("Labels", escape(&labels.collect::<Vec<_>>().join(" "), MESSAGE_MAX));
    }
    if let Some(runbook) = &alert.runbook {
        line("Runbook", escape(runbook, MESSAGE_MAX));
    }
    line("Incident", incident.id.to_string());
    lines.push(String::new());
    lines.extend(ballot.entries.iter().map(ballot_line));
    lines.push(String::new());
    lines.join("\n")
}

/// Whether it was weighed how likely the failures are by chance.
pub(crate) const fn is_weighed(ballot: &Ballot) -> bool {
    ballot.evidence_milli_nats > 0 && ballot.need_milli_nats > 0
}

/// A region's vote in one line.
fn ballot_line(entry: &BallotEntry) -> String {
    let outcome = match entry.outcome {
        Some(outcome) => outcome.to_string(),
        None => "no probe".to_owned(),
    };
    let mut line = format!("  {:<8} {outcome}", entry.region);
    // Writing to a string cannot fail.
    if entry.counted != Counted::Yes {
        let why = entry.counted.as_str().replace('_', " ");
        write!(line, ", not counted: {why}").ok();
    }
    if !entry.message.is_empty() {
        write!(line, ": {}", escape(&entry.message, MESSAGE_MAX)).ok();
    }
    if let Some(address) = entry.address {
        write!(line, " [{address}]").ok();
    }
    line
}

#[cfg(test)]
mod tests;
