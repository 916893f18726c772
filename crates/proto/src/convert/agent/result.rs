//! Results and their evidence.

use std::net::IpAddr;
use std::time::Duration;

use quorate_model::{
    AgentId, BlockReason, BootId, Doubt, Evidence, HttpHop, MeasuredResult, Observation,
    OtherFamily, Outcome, Phase, PhaseTiming, ProbeResult, Reason, RegionId, ResolverUse, ResultId,
    Revision, RoundId, Timestamp,
};

use super::facts;
use super::scalar::{cut, id_from_wire, non_empty};
use super::tls::{tls_from_wire, tls_to_wire};
use super::{
    WireError, duration_from_wire, duration_to_wire, health_from_wire, health_to_wire,
    timestamp_from_wire, timestamp_to_wire, word_from_wire,
};
use crate::agent::v1 as wire;

/// The most bytes kept of the sentence that says what happened.
const MESSAGE_MAX: usize = 1_024;
/// The most bytes kept of a URL or a `Location`.
const URL_MAX: usize = 2_048;
/// The most bytes kept of a short text, such as a method or a protocol.
const SHORT_MAX: usize = 128;
/// The most addresses kept of a name.
const RESOLVED_MAX: usize = 16;
/// The most answers kept of an exchange: ten redirects, the final one, and what it took to get a
/// token twice.
const HOPS_MAX: usize = 14;
/// The most answers before the final one that are kept.
const INTERIM_MAX: usize = 8;
/// The most phases kept, of a probe or of a hop: each once.
const PHASES_MAX: usize = Phase::ALL.len();

/// What the coordinator knows of a message beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who sent it, from the certificate.
    pub agent: AgentId,
    /// From where, from the certificate.
    pub region: RegionId,
    /// In which run of its process, from the Hello.
    pub boot: BootId,
    /// When it came.
    pub received: Timestamp,
    /// When it was sent, on the monotonic clock of the agent's boot.
    pub sent_at: Duration,
    /// Half the smallest round trip seen on the stream.
    pub half_round_trip: Duration,
}

impl Received {
    /// The instant, on the coordinator's clock, that was `age` ago when the message was sent.
    pub(super) fn start_of(&self, age: Duration) -> Timestamp {
        self.received.before(age).before(self.half_round_trip)
    }
}

/// The wire's form of a result. Text and lists are cut at the sizes that the other side keeps.
pub fn measured_to_wire(result: &MeasuredResult) -> wire::Result {
    let (phase, reason) = phase_and_reason(result.observation.outcome);
    wire::Result {
        sequence: result.sequence,
        check: result.check.to_string(),
        revision: result.revision.0,
        round: result.round.map_or(0, |round| round.0),
        started_at: Some(duration_to_wire(result.started_at)),
        ended_at: Some(duration_to_wire(result.ended_at)),
        outcome: result.observation.outcome.word().to_owned(),
        phase: phase.to_owned(),
        reason: reason.to_owned(),
        phases: phases_to_wire(&result.observation.phases),
        evidence: Some(evidence_to_wire(&result.observation.evidence)),
        health: health_to_wire(result.health),
    }
}

/// A result as the agent measured it. Its `observation.total` is the time from start to end.
pub fn measured_from_wire(result: wire::Result) -> Result<MeasuredResult, WireError> {
    let started_at = duration_from_wire("started_at", result.started_at)?;
    let ended_at = duration_from_wire("ended_at", result.ended_at)?;
    let total = ended_at
        .checked_sub(started_at)
        .ok_or(WireError::Invalid { field: "ended_at", problem: "is before started_at" })?;
    if result.sequence == 0 {
        return Err(WireError::Invalid { field: "sequence", problem: "must be at least 1" });
    }
    Ok(MeasuredResult {
        sequence: result.sequence,
        check: id_from_wire("check", &result.check)?,
        revision: Revision(result.revision),
        round: (result.round != 0).then_some(RoundId(result.round)),
        started_at,
        ended_at,
        health: health_from_wire(result.health)?,
        observation: Observation {
            outcome: outcome(&result.outcome, &result.phase, &result.reason)?,
            total,
            phases: phases_from_wire(result.phases)?,
            evidence: evidence_from_wire(result.evidence.unwrap_or_default())?,
        },
    })
}

/// A result as the coordinator has it: started at `received` less the age that the agent measured,
/// less half the round trip. A start after the sending counts as an age of zero.
pub fn result(result: wire::Result, received: &Received) -> Result<ProbeResult, WireError> {
    let measured = measured_from_wire(result)?;
    let age = received.sent_at.saturating_sub(measured.started_at);
    Ok(ProbeResult {
        id: ResultId {
            agent: received.agent.clone(),
            boot: received.boot,
            sequence: measured.sequence,
        },
        region: received.region.clone(),
        check: measured.check,
        revision: measured.revision,
        round: measured.round,
        started: received.start_of(age),
        received: received.received,
        health: measured.health,
        observation: measured.observation,
    })
}

/// The words for phase and reason; empty for those that an outcome has not.
pub(in crate::convert) fn phase_and_reason(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Ok | Outcome::Slow => ("", ""),
        Outcome::Fail { phase, reason } => (phase.as_str(), reason.as_str()),
        Outcome::Blocked { reason } => ("", reason.as_str()),
        Outcome::Inconclusive { reason } => ("", reason.as_str()),
    }
}

/// The outcome that words describe.
pub(in crate::convert) fn outcome(
    word: &str,
    phase: &str,
    reason: &str,
) -> Result<Outcome, WireError> {
    Ok(match word {
        "ok" => Outcome::Ok,
        "slow" => Outcome::Slow,
        "fail" => Outcome::Fail {
            phase: word_from_wire("phase", phase, Phase::from_word)?,
            reason: word_from_wire("reason", reason, Reason::from_word)?,
        },
        "blocked" => {
            Outcome::Blocked { reason: word_from_wire("reason", reason, BlockReason::from_word)? }
        }
        "inconclusive" => {
            Outcome::Inconclusive { reason: word_from_wire("reason", reason, Doubt::from_word)? }
        }
        other => return word_from_wire("outcome", other, |_| None),
    })
}

pub(in crate::convert) fn phases_to_wire(phases: &[PhaseTiming]) -> Vec<wire::PhaseTiming> {
    let timings = phases.iter().take(PHASES_MAX);
    timings
        .map(|timing| wire::PhaseTiming {
            phase: timing.phase.as_str().to_owned(),
            elapsed: Some(duration_to_wire(timing.elapsed)),
        })
        .collect()
}

pub(in crate::convert) fn phases_from_wire(
    phases: Vec<wire::PhaseTiming>,
) -> Result<Vec<PhaseTiming>, WireError> {
    let timings = phases.into_iter().take(PHASES_MAX);
    timings
        .map(|timing| {
            Ok(PhaseTiming {
                phase: word_from_wire("phases.phase", &timing.phase, Phase::from_word)?,
                elapsed: duration_from_wire("phases.elapsed", timing.elapsed)?,
            })
        })
        .collect()
}

pub(in crate::convert) fn evidence_to_wire(evidence: &Evidence) -> wire::Evidence {
    let text = |text: &str, max| cut(text.to_owned(), max);
    let optional = |value: &Option<String>| {
        value.as_deref().map_or_else(String::new, |value| text(value, SHORT_MAX))
    };
    wire::Evidence {
        message: text(&evidence.message, MESSAGE_MAX),
        resolved: evidence.resolved.iter().take(RESOLVED_MAX).map(IpAddr::to_string).collect(),
        address: address_to_wire(evidence.address),
        status: evidence.status.map_or(0, i32::from),
        hops: evidence.hops.iter().take(HOPS_MAX).map(hop_to_wire).collect(),
        protocol: optional(&evidence.protocol),
        cert_not_after: evidence.cert_not_after.map(timestamp_to_wire),
        pop_hint: optional(&evidence.pop_hint),
        retry_after: evidence.retry_after.map(duration_to_wire),
        body_bytes: evidence.body_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        resolver: evidence.resolver.map_or_else(String::new, |used| used.to_string()),
        other_family: evidence.other_family.map(|other| {
            let (phase, reason) = phase_and_reason(other.outcome);
            wire::OtherFamily {
                address: other.address.to_string(),
                outcome: other.outcome.word().to_owned(),
                phase: phase.to_owned(),
                reason: reason.to_owned(),
            }
        }),
        tls: evidence.tls.as_deref().map(tls_to_wire),
        dns: evidence.dns.as_deref().map(facts::dns_to_wire),
        ping: evidence.ping.as_deref().map(facts::ping_to_wire),
        grpc: evidence.grpc.as_deref().map(facts::grpc_to_wire),
        close_code: evidence.close_code.map_or(0, i32::from),
        wire_bytes: evidence.wire_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        allow: optional(&evidence.allow),
        interim: evidence.interim.iter().take(INTERIM_MAX).copied().map(i32::from).collect(),
    }
}

fn other_family_from_wire(other: &wire::OtherFamily) -> Result<OtherFamily, WireError> {
    Ok(OtherFamily {
        address: address_from_wire("evidence.other_family.address", &other.address)?,
        outcome: outcome(&other.outcome, &other.phase, &other.reason)?,
    })
}

pub(in crate::convert) fn evidence_from_wire(
    evidence: wire::Evidence,
) -> Result<Evidence, WireError> {
    let resolved = evidence.resolved.iter().take(RESOLVED_MAX);
    let hops = evidence.hops.into_iter().take(HOPS_MAX);
    Ok(Evidence {
        message: cut(evidence.message, MESSAGE_MAX),
        resolved: resolved
            .map(|text| address_from_wire("evidence.resolved", text))
            .collect::<Result<_, _>>()?,
        address: optional_address("evidence.address", &evidence.address)?,
        status: (evidence.status != 0)
            .then(|| status_from_wire("evidence.status", evidence.status))
            .transpose()?,
        hops: hops.map(hop_from_wire).collect::<Result<_, _>>()?,
        protocol: non_empty(evidence.protocol, SHORT_MAX),
        cert_not_after: evidence
            .cert_not_after
            .map(|at| timestamp_from_wire("evidence.cert_not_after", at))
            .transpose()?,
        pop_hint: non_empty(evidence.pop_hint, SHORT_MAX),
        retry_after: evidence
            .retry_after
            .map(|time| duration_from_wire("evidence.retry_after", Some(time)))
            .transpose()?,
        body_bytes: evidence
            .body_bytes
            .map(|bytes| bytes_from_wire("evidence.body_bytes", bytes))
            .transpose()?,
        resolver: (!evidence.resolver.is_empty())
            .then(|| {
                word_from_wire("evidence.resolver", &evidence.resolver, ResolverUse::from_word)
            })
            .transpose()?,
        other_family: evidence.other_family.as_ref().map(other_family_from_wire).transpose()?,
        tls: evidence.tls.map(tls_from_wire).transpose()?.map(Box::new),
        dns: evidence.dns.map(facts::dns_from_wire).transpose()?,
        ping: evidence.ping.map(facts::ping_from_wire).transpose()?,
        grpc: evidence.grpc.map(facts::grpc_from_wire).transpose()?,
        close_code: facts::close_code_from_wire(evidence.close_code)?,
        wire_bytes: evidence
            .wire_bytes
            .map(|bytes| bytes_from_wire("evidence.wire_bytes", bytes))
            .transpose()?,
        allow: non_empty(evidence.allow, SHORT_MAX),
        interim: evidence
            .interim
            .into_iter()
            .take(INTERIM_MAX)
            .map(|status| status_from_wire("evidence.interim", status))
            .collect::<Result<_, _>>()?,
    })
}

fn hop_to_wire(hop: &HttpHop) -> wire::HttpHop {
    wire::HttpHop {
        method: cut(hop.method.clone(), SHORT_MAX),
        url: cut(hop.url.clone(), URL_MAX),
        status: i32::from(hop.status),
        address: address_to_wire(hop.address),
        location: cut(hop.location.clone().unwrap_or_default(), URL_MAX),
        phases: phases_to_wire(&hop.phases),
    }
}

fn hop_from_wire(hop: wire::HttpHop) -> Result<HttpHop, WireError> {
    Ok(HttpHop {
        method: cut(hop.method, SHORT_MAX),
        url: cut(hop.url, URL_MAX),
        status: status_from_wire("evidence.hops.status", hop.status)?,
        address: optional_address("evidence.hops.address", &hop.address)?,
        location: non_empty(hop.location, URL_MAX),
        phases: phases_from_wire(hop.phases)?,
    })
}

fn bytes_from_wire(field: &'static str, bytes: i64) -> Result<u64, WireError> {
    u64::try_from(bytes).map_err(|_| WireError::Invalid { field, problem: "is below zero" })
}

/// A status code has three digits. Source: RFC 9110, section 15.
fn status_from_wire(field: &'static str, status: i32) -> Result<u16, WireError> {
    u16::try_from(status)
        .ok()
        .filter(|status| (100..=999).contains(status))
        .ok_or(WireError::Invalid { field, problem: "is not a status code" })
}

fn address_to_wire(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}

fn optional_address(field: &'static str, text: &str) -> Result<Option<IpAddr>, WireError> {
    if text.is_empty() {
        return Ok(None);
    }
    address_from_wire(field, text).map(Some)
}

fn address_from_wire(field: &'static str, text: &str) -> Result<IpAddr, WireError> {
    text.parse().map_err(|_| WireError::Invalid { field, problem: "is not an IP address" })
}
