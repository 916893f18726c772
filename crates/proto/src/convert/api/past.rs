//! Results and verdicts of the past.

use quorate_model::{
    Health, Observation, ProbeResult, ResultId, Revision, RoundId, Timestamp, Verdict,
};

use super::{
    agent_from_name, agent_name, check_from_name, check_name, region_from_name, region_name,
    verdict_to_wire,
};
use crate::convert::agent::{
    WireError, duration_from_wire, duration_to_wire, evidence_from_wire, evidence_to_wire, outcome,
    phase_and_reason, phases_from_wire, phases_to_wire, timestamp_from_wire, timestamp_to_wire,
    word_from_wire,
};
use crate::v1 as wire;

/// The wire's form of a verdict that has ended, or is in force; with its ballot if `full`.
pub fn past_verdict_to_wire(
    verdict: &Verdict,
    ended: Option<Timestamp>,
    full: bool,
) -> wire::PastVerdict {
    wire::PastVerdict {
        verdict: Some(verdict_to_wire(verdict, full)),
        end_time: ended.map(timestamp_to_wire),
    }
}

/// The wire's form of a result. Text and lists are cut as when an agent sends them.
pub fn result_to_wire(result: &ProbeResult) -> wire::Result {
    let observation = &result.observation;
    let (phase, reason) = phase_and_reason(observation.outcome);
    wire::Result {
        check: check_name(&result.check),
        region: region_name(&result.region),
        agent: agent_name(&result.id.agent),
        boot: result.id.boot.to_string(),
        sequence: i64::try_from(result.id.sequence).unwrap_or(i64::MAX),
        revision: format!("{:016x}", result.revision.0),
        round: result.round.map_or(0, |round| i64::try_from(round.0).unwrap_or(i64::MAX)),
        start_time: Some(timestamp_to_wire(result.started)),
        receive_time: Some(timestamp_to_wire(result.received)),
        elapsed: Some(duration_to_wire(observation.total)),
        outcome: observation.outcome.word().to_owned(),
        phase: phase.to_owned(),
        reason: reason.to_owned(),
        health: result.health.to_string(),
        phases: phases_to_wire(&observation.phases),
        evidence: Some(evidence_to_wire(&observation.evidence)),
    }
}

/// A result of the past.
pub fn result_from_wire(result: wire::Result) -> Result<ProbeResult, WireError> {
    let name = |field| WireError::Invalid { field, problem: "is not a valid name" };
    let number = |field, number: i64| {
        u64::try_from(number).map_err(|_| WireError::Invalid { field, problem: "is below zero" })
    };
    let boot = WireError::Invalid { field: "boot", problem: "is not a UUID" };
    let revision = WireError::Invalid { field: "revision", problem: "is not a hexadecimal number" };
    let round = number("round", result.round)?;
    Ok(ProbeResult {
        id: ResultId {
            agent: agent_from_name(&result.agent).ok_or(name("agent"))?,
            boot: result.boot.parse().map_err(|_| boot)?,
            sequence: number("sequence", result.sequence)?,
        },
        region: region_from_name(&result.region).ok_or(name("region"))?,
        check: check_from_name(&result.check).ok_or(name("check"))?,
        revision: u64::from_str_radix(&result.revision, 16).map(Revision).map_err(|_| revision)?,
        round: (round != 0).then_some(RoundId(round)),
        started: instant("start_time", result.start_time)?,
        received: instant("receive_time", result.receive_time)?,
        health: word_from_wire("health", &result.health, Health::from_word)?,
        observation: Observation {
            outcome: outcome(&result.outcome, &result.phase, &result.reason)?,
            total: duration_from_wire("elapsed", result.elapsed)?,
            phases: phases_from_wire(result.phases)?,
            evidence: evidence_from_wire(result.evidence.unwrap_or_default())?,
        },
    })
}

fn instant(
    field: &'static str,
    at: Option<prost_types::Timestamp>,
) -> Result<Timestamp, WireError> {
    timestamp_from_wire(field, at.ok_or(WireError::Missing { field })?)
}
