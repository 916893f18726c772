//! What the coordinator keeps of the past.

use std::time::Duration;

use quorate_model::{
    AlertKind, CheckId, FleetPolicy, IncidentId, ProbeResult, ReceiverId, Timestamp,
};
use quorate_proto::convert::agent::timestamp_to_wire;
use quorate_proto::convert::api::{check_from_name, incident_from_name, result_from_wire};
use quorate_proto::v1;

use super::get;
use crate::connection::{Connection, question};
use crate::exit::{Exit, Failure, bad};
use crate::output::time::{instant, length};
use crate::record::AlertLine;

/// Results asked for at a time.
const RESULTS_PAGE: i32 = 1_000;

/// The least time before a span of which results are wanted too, so that the votes with which it
/// begins are known, and what was failing already is not taken for new.
const LEAD_IN_MIN: Duration = Duration::from_secs(600);

/// A span of time, and some time before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Where the results begin.
    pub(super) from: Timestamp,
    /// Where it begins.
    pub(super) since: Timestamp,
    /// Where it ends.
    pub(super) until: Timestamp,
}

impl Span {
    /// A span with so much before it as checks of this freshness need.
    pub(super) fn new(since: Timestamp, until: Timestamp, freshness: Duration) -> Self {
        Self { from: since.before((freshness * 2).max(LEAD_IN_MIN)), since, until }
    }
}

/// The longest that a vote of any of these checks speaks.
pub(super) async fn freshness(connection: &Connection) -> Result<Duration, Failure> {
    let checks = get::checks(connection, None).await?;
    let of = |check: &v1::Check| {
        let span = |wire: &Option<prost_types::Duration>| wire.as_ref().map(length);
        Some(FleetPolicy::freshness(span(&check.interval)?, span(&check.timeout)?))
    };
    Ok(checks.iter().filter_map(of).max().unwrap_or_default())
}

/// Hands the results of a span, in the order in which they were stored, to `take`.
///
/// # Cancellation
///
/// Dropping it stops asking.
pub(super) async fn results(
    connection: &Connection,
    checks: &[CheckId],
    span: Span,
    mut take: impl FnMut(ProbeResult) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let newer = |error: &dyn std::error::Error| {
        bad("this program cannot read a result; use the coordinator's release of it", error)
    };
    // Across several checks the order in which results were judged counts, so all are read.
    let only = if let [check] = checks { get::check_name(check.as_str()) } else { String::new() };
    let mut page_token = String::new();
    loop {
        let request = v1::ListResultsRequest {
            page_size: RESULTS_PAGE,
            page_token,
            check: only.clone(),
            start_time: Some(timestamp_to_wire(span.from)),
            end_time: Some(timestamp_to_wire(span.until)),
        };
        let answer = connection.history().list_results(question(request)).await;
        let page = answer.map_err(|status| connection.failure(&status))?.into_inner();
        for result in page.results {
            let result = result_from_wire(result).map_err(|error| newer(&error))?;
            if checks.is_empty() || checks.contains(&result.check) {
                take(result)?;
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

/// What was said about incidents that were open in a span, in the order of decision.
///
/// # Cancellation
///
/// Dropping it stops asking.
pub(super) async fn alerts(
    connection: &Connection,
    checks: &[CheckId],
    span: Span,
) -> Result<Vec<AlertLine>, Failure> {
    let only = if let [check] = checks { Some(check.as_str()) } else { None };
    let mut said = Vec::new();
    for incident in get::incidents(connection, only, false, u32::MAX).await? {
        let opened = incident.open_time.as_ref().map(instant);
        let resolved = incident.resolve_time.as_ref().map(instant);
        let overlaps = opened.is_some_and(|opened| opened < span.until)
            && resolved.is_none_or(|resolved| resolved >= span.from);
        let check = check_from_name(&incident.check);
        let is_wanted = |check: &CheckId| checks.is_empty() || checks.contains(check);
        if let Some(check) = check.filter(|check| overlaps && is_wanted(check)) {
            let incident = one_incident(connection, &incident.name).await?;
            said.extend(messages(&check, &incident)?);
        }
    }
    said.retain(|alert| alert.at < span.until);
    said.sort_by(|one, other| {
        (one.at, &one.check, one.kind).cmp(&(other.at, &other.check, other.kind))
    });
    Ok(said)
}

/// One incident with what was sent about it, asked for by its bare name or as `incidents/…`.
pub(super) async fn one_incident(
    connection: &Connection,
    name: &str,
) -> Result<v1::Incident, Failure> {
    let name =
        if name.starts_with("incidents/") { name.to_owned() } else { format!("incidents/{name}") };
    let request = v1::GetIncidentRequest { name };
    match connection.incidents().get_incident(question(request)).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => {
            let mut failure = connection.failure(&status);
            if failure.exit == Exit::NotFound {
                failure.message.push_str("; `quorate get incidents` lists those there are");
            }
            Err(failure)
        }
    }
}

/// The messages about an incident, each once whoever got it.
fn messages(check: &CheckId, incident: &v1::Incident) -> Result<Vec<AlertLine>, Failure> {
    let unreadable = |what: &str| {
        Failure::new(
            Exit::Bad,
            format!("this program cannot read {what}; use the coordinator's release of it"),
        )
    };
    let id: IncidentId =
        incident_from_name(&incident.name).ok_or_else(|| unreadable("the name of an incident"))?;
    let mut said: Vec<AlertLine> = Vec::new();
    for delivery in &incident.deliveries {
        let kind = AlertKind::from_word(&delivery.kind);
        let at = delivery.decide_time.as_ref().map(instant);
        let receiver: Option<ReceiverId> = delivery.receiver.parse().ok();
        let (Some(kind), Some(at), Some(receiver)) = (kind, at, receiver) else {
            return Err(unreadable("a message about an incident"));
        };
        match said.iter_mut().find(|alert| (alert.kind, alert.at) == (kind, at)) {
            Some(alert) => alert.receivers.push(receiver),
            None => said.push(AlertLine {
                at,
                check: check.clone(),
                kind,
                incident: id,
                receivers: vec![receiver],
            }),
        }
    }
    Ok(said)
}
