//! The same data as JSON: times as RFC 3339 in UTC, spans in milliseconds, absent values as `null`.
//!
//! Keys are only ever added.

use std::time::Duration;

use quorate_model::{Check, Observation, Outcome, PhaseTiming, PingFacts, ResolverUse, TlsFacts};
use serde_json::{Value, json};

use super::table::{bare, incident_state, state_word};
use super::time::{instant, length};
use quorate_proto::v1;

fn time(wire: Option<&prost_types::Timestamp>) -> Value {
    wire.map_or(Value::Null, |wire| instant(wire).to_string().into())
}

fn millis(wire: Option<&prost_types::Duration>) -> Value {
    wire.map_or(Value::Null, |wire| {
        u64::try_from(length(wire).as_millis()).unwrap_or(u64::MAX).into()
    })
}

/// Milliseconds of a difference, which may be below zero.
fn signed_millis(wire: &prost_types::Duration) -> i64 {
    wire.seconds.saturating_mul(1_000).saturating_add(i64::from(wire.nanos) / 1_000_000)
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn id(name: &str) -> Value {
    text(&bare(name))
}

/// A check with its verdict.
pub(crate) fn check(check: &v1::Check) -> Value {
    json!({
        "check": bare(&check.name),
        "kind": check.kind,
        "target": check.target,
        "interval_ms": millis(check.interval.as_ref()),
        "timeout_ms": millis(check.timeout.as_ref()),
        "quorum": check.quorum,
        "distinct": check.distinct,
        "regions": check.regions.iter().map(|name| bare(name)).collect::<Vec<_>>(),
        "labels": check.labels,
        "runbook": text(&check.runbook),
        "open_incident": id(&check.open_incident),
        "rejected_by": check.rejected_by.iter().map(|name| bare(name)).collect::<Vec<_>>(),
        "verdict": check.verdict.as_ref().map(verdict),
    })
}

/// A verdict; its ballot only if it came along.
pub(crate) fn verdict(verdict: &v1::Verdict) -> Value {
    json!({
        "state": state_word(verdict.state),
        "flags": verdict.flags,
        "cause": text(&verdict.cause),
        "also": verdict.also,
        "summary": verdict.summary,
        "since": time(verdict.since_time.as_ref()),
        "failing_regions": verdict.failing_region_count,
        "live_regions": verdict.live_region_count,
        "configured_regions": verdict.configured_region_count,
        "ballot": verdict.ballot.as_ref().map(ballot),
    })
}

/// A verdict that has ended, or is in force.
pub(crate) fn past_verdict(past: &v1::PastVerdict) -> Value {
    let mut shape = past.verdict.as_ref().map_or_else(|| json!({}), verdict);
    shape["ended"] = time(past.end_time.as_ref());
    shape
}

fn ballot(ballot: &v1::Ballot) -> Value {
    json!({
        "taken": time(ballot.take_time.as_ref()),
        "quorum": ballot.quorum,
        "quorum_effective": ballot.quorum_effective,
        "evidence_milli_nats": ballot.evidence_milli_nats,
        "need_milli_nats": ballot.need_milli_nats,
        "distinct": ballot.distinct.iter().map(distinct).collect::<Vec<_>>(),
        "rounds": ballot.rounds,
        "origin": ballot.origin.as_ref().map(origin),
        "votes": ballot.votes.iter().map(vote).collect::<Vec<_>>(),
    })
}

fn origin(origin: &v1::BallotOrigin) -> Value {
    json!({
        "check": bare(&origin.check),
        "finding": text(&origin.finding),
        "working_regions": origin.working_region_count,
        "failing_regions": origin.failing_region_count,
        "configured_regions": origin.configured_region_count,
        "since": time(origin.since_time.as_ref()),
        "hold": text(&origin.hold),
    })
}

fn distinct(distinct: &v1::DistinctCount) -> Value {
    json!({
        "label": distinct.label,
        "asked": distinct.asked_count,
        "live": distinct.live_count,
        "failing_values": distinct.failing_values,
    })
}

fn vote(vote: &v1::Vote) -> Value {
    json!({
        "region": bare(&vote.region),
        "agent": id(&vote.agent),
        "outcome": text(&vote.outcome),
        "phase": text(&vote.phase),
        "reason": text(&vote.reason),
        "started": time(vote.start_time.as_ref()),
        "age_ms": millis(vote.age.as_ref()),
        "failed_in_a_row": vote.failed_in_a_row,
        "counted": vote.counted,
        "message": vote.message,
        "address": text(&vote.address),
        "evidence_milli_nats": vote.evidence_milli_nats,
    })
}

/// An agent.
pub(crate) fn agent(agent: &v1::Agent) -> Value {
    let errors = agent.config_errors.iter().map(|error| {
        json!({"check": bare(&error.check), "reason": error.reason, "message": error.message})
    });
    json!({
        "agent": bare(&agent.name),
        "region": bare(&agent.region),
        "connected": agent.connected,
        "health": text(&agent.health),
        "version": text(&agent.version),
        "last_seen": time(agent.last_seen_time.as_ref()),
        "joined": time(agent.join_time.as_ref()),
        "spooled_results": agent.spooled_result_count,
        "dropped_results": agent.dropped_result_count,
        "round_trip_ms": millis(agent.round_trip.as_ref()),
        "clock_ahead_ms": agent.clock_ahead.as_ref().map(signed_millis),
        "config_errors": errors.collect::<Vec<_>>(),
    })
}

/// A region.
pub(crate) fn region(region: &v1::Region) -> Value {
    json!({
        "region": bare(&region.name),
        "state": region.state,
        "labels": region.labels,
        "agents": region.agent_count,
        "connected_agents": region.connected_agent_count,
    })
}

/// An incident.
pub(crate) fn incident(incident: &v1::Incident) -> Value {
    let deliveries = incident.deliveries.iter().map(|delivery| {
        json!({
            "receiver": delivery.receiver,
            "kind": delivery.kind,
            "state": delivery.state,
            "attempts": delivery.attempt_count,
            "decided": time(delivery.decide_time.as_ref()),
            "last_attempt": time(delivery.last_attempt_time.as_ref()),
            "error": text(&delivery.error),
        })
    });
    json!({
        "incident": bare(&incident.name),
        "check": bare(&incident.check),
        "state": incident_state(incident.state),
        "severity": incident.severity,
        "opened": time(incident.open_time.as_ref()),
        "resolved": time(incident.resolve_time.as_ref()),
        "last_success": time(incident.last_success_time.as_ref()),
        "first_failure": time(incident.first_failure_time.as_ref()),
        "time_to_detect_ms": millis(incident.time_to_detect.as_ref()),
        "reopened": incident.reopened_count,
        "withheld_by": incident.withheld_by,
        "is_past": incident.is_past,
        "verdict": incident.verdict.as_ref().map(verdict),
        "deliveries": deliveries.collect::<Vec<_>>(),
    })
}

/// A document as text, for people who look at it too.
pub(crate) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// What one probe saw. Milliseconds here have decimals.
pub(crate) fn observation(check: &Check, seen: &Observation) -> Value {
    let (phase, reason) = match seen.outcome {
        Outcome::Ok | Outcome::Slow => (None, None),
        Outcome::Fail { phase, reason } => (Some(phase.as_str()), Some(reason.as_str())),
        Outcome::Blocked { reason } => (None, Some(reason.as_str())),
        Outcome::Inconclusive { reason } => (None, Some(reason.as_str())),
    };
    let evidence = &seen.evidence;
    let hops = evidence.hops.iter().map(|hop| {
        json!({
            "method": hop.method,
            "url": hop.url,
            "status": hop.status,
            "address": hop.address,
            "location": hop.location,
            "phases": phases(&hop.phases),
        })
    });
    json!({
        "check": check.id,
        "kind": check.kind,
        "target": check.target,
        "outcome": seen.outcome.word(),
        "phase": phase,
        "reason": reason,
        "message": text(&evidence.message),
        "total_ms": fine_millis(seen.total),
        "phases": phases(&seen.phases),
        "resolved": evidence.resolved,
        "resolver": evidence.resolver.map(ResolverUse::as_str),
        "other_family": evidence.other_family.map(|other| {
            json!({ "address": other.address, "outcome": other.outcome.to_string() })
        }),
        "address": evidence.address,
        "status": evidence.status,
        "protocol": evidence.protocol,
        "cert_not_after": evidence.cert_not_after.map(|at| at.to_string()),
        "tls": evidence.tls.as_deref().map(handshake),
        "pop_hint": evidence.pop_hint,
        "retry_after_ms": evidence.retry_after.map(fine_millis),
        "body_bytes": evidence.body_bytes,
        "dns": evidence.dns,
        "ping": evidence.ping.as_deref().map(ping),
        "grpc": evidence.grpc,
        "close_code": evidence.close_code,
        "wire_bytes": evidence.wire_bytes,
        "allow": evidence.allow,
        "interim": evidence.interim,
        "hops": hops.collect::<Vec<_>>(),
    })
}

fn handshake(tls: &TlsFacts) -> Value {
    let chain = tls.chain.iter().map(|one| {
        json!({
            "subject": one.subject,
            "issuer": one.issuer,
            "names": one.names,
            "names_total": one.names_total,
            "serial": one.serial,
            "key": one.key,
            "key_bits": one.key_bits,
            "signature": one.signature,
            "not_before": one.not_before.to_string(),
            "not_after": one.not_after.to_string(),
            "sha256": one.sha256,
        })
    });
    json!({
        "version": tls.version,
        "cipher": tls.cipher,
        "alpn": tls.alpn,
        "ocsp_stapled": tls.ocsp_stapled,
        "client_certificate_asked": tls.client_certificate_asked,
        "sent": tls.sent,
        "chain_not_after": tls.chain_not_after().map(|at| at.to_string()),
        "chain": chain.collect::<Vec<_>>(),
    })
}

fn ping(facts: &PingFacts) -> Value {
    let trips = facts.round_trips.as_ref();
    json!({
        "sent": facts.sent,
        "received": facts.received,
        "shortest_ms": trips.map(|trips| fine_millis(trips.shortest)),
        "mean_ms": trips.map(|trips| fine_millis(trips.mean)),
        "longest_ms": trips.map(|trips| fine_millis(trips.longest)),
    })
}

fn phases(timings: &[PhaseTiming]) -> Value {
    let entries = timings.iter().map(|timing| {
        json!({ "phase": timing.phase.as_str(), "elapsed_ms": fine_millis(timing.elapsed) })
    });
    entries.collect()
}

fn fine_millis(span: Duration) -> f64 {
    // To the microsecond, without the digits that a sum of fractions leaves behind.
    (span.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::sample;
    use super::*;

    #[test]
    fn check_with_ballot() {
        assert_snapshot!(pretty(&check(&sample::checks()[1])));
    }

    #[test]
    fn check_without_verdict() {
        assert_snapshot!(pretty(&check(&sample::checks()[0])));
    }

    #[test]
    fn agents() {
        assert_snapshot!(pretty(&sample::agents().iter().map(agent).collect()));
    }

    #[test]
    fn regions() {
        assert_snapshot!(pretty(&sample::regions().iter().map(region).collect()));
    }

    #[test]
    fn incidents() {
        let mut incidents = sample::incidents();
        for verdict in incidents.iter_mut().filter_map(|incident| incident.verdict.as_mut()) {
            verdict.ballot = None;
        }
        assert_snapshot!(pretty(&incidents.iter().map(incident).collect()));
    }
}
