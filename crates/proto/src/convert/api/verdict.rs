//! Verdicts and ballots.

use std::collections::BTreeSet;

use quorate_model::{
    Ballot, BallotEntry, BallotOrigin, Cause, Counted, DistinctCount, Flag, OriginFinding,
    OriginHold, RoundId, Scope, State, Timestamp, Verdict,
};

use super::{agent_name, check_from_name, check_name, region_name};
use crate::convert::agent::{
    WireError, duration_from_wire, duration_to_wire, id_from_wire, outcome, phase_and_reason,
    timestamp_from_wire, timestamp_to_wire, word_from_wire,
};
use crate::v1 as wire;

/// The wire's form of a state.
pub fn state_to_wire(state: State) -> wire::State {
    match state {
        State::Unknown => wire::State::Unknown,
        State::Up => wire::State::Up,
        State::Partial => wire::State::Partial,
        State::Degraded => wire::State::Degraded,
        State::Down => wire::State::Down,
    }
}

/// A state; unspecified is an error.
pub fn state_from_wire(state: i32) -> Result<State, WireError> {
    match wire::State::try_from(state) {
        Ok(wire::State::Unknown) => Ok(State::Unknown),
        Ok(wire::State::Up) => Ok(State::Up),
        Ok(wire::State::Partial) => Ok(State::Partial),
        Ok(wire::State::Degraded) => Ok(State::Degraded),
        Ok(wire::State::Down) => Ok(State::Down),
        Ok(wire::State::Unspecified) | Err(_) => {
            Err(WireError::Invalid { field: "state", problem: "is unspecified or unknown" })
        }
    }
}

/// The wire's form of a verdict, with its ballot if `full`.
pub fn verdict_to_wire(verdict: &Verdict, full: bool) -> wire::Verdict {
    let scope = verdict.ballot.scope;
    wire::Verdict {
        state: state_to_wire(verdict.state).into(),
        flags: verdict.flags.iter().map(Flag::to_string).collect(),
        cause: verdict.cause.to_string(),
        also: verdict.also.iter().map(Cause::to_string).collect(),
        summary: verdict.summary.clone(),
        since_time: Some(timestamp_to_wire(verdict.since)),
        failing_region_count: count_to_wire(scope.failing),
        live_region_count: count_to_wire(scope.live),
        configured_region_count: count_to_wire(scope.configured),
        ballot: full.then(|| ballot_to_wire(&verdict.ballot)),
    }
}

/// A verdict. Without a ballot (basic view) it gets one without entries, taken at `since_time`.
pub fn verdict_from_wire(verdict: wire::Verdict) -> Result<Verdict, WireError> {
    let since = instant("since_time", verdict.since_time)?;
    let scope = Scope {
        failing: count("failing_region_count", verdict.failing_region_count)?,
        live: count("live_region_count", verdict.live_region_count)?,
        configured: count("configured_region_count", verdict.configured_region_count)?,
    };
    let ballot = match verdict.ballot {
        Some(ballot) => ballot_from_wire(ballot, scope)?,
        None => Ballot {
            taken: since,
            quorum: 0,
            quorum_effective: 0,
            scope,
            rounds: Vec::new(),
            distinct: Vec::new(),
            entries: Vec::new(),
            evidence_milli_nats: 0,
            need_milli_nats: 0,
            origin: None,
        },
    };
    let flags: Result<BTreeSet<Flag>, WireError> =
        verdict.flags.iter().map(|flag| word_from_wire("flags", flag, Flag::from_word)).collect();
    let also: Result<Vec<Cause>, WireError> =
        verdict.also.iter().map(|word| word_from_wire("also", word, Cause::from_word)).collect();
    Ok(Verdict {
        state: state_from_wire(verdict.state)?,
        flags: flags?,
        cause: word_from_wire("cause", &verdict.cause, Cause::from_word)?,
        also: also?,
        summary: verdict.summary,
        since,
        ballot,
    })
}

/// The wire's form of a ballot.
pub fn ballot_to_wire(ballot: &Ballot) -> wire::Ballot {
    wire::Ballot {
        take_time: Some(timestamp_to_wire(ballot.taken)),
        quorum: count_to_wire(ballot.quorum),
        quorum_effective: count_to_wire(ballot.quorum_effective),
        rounds: ballot
            .rounds
            .iter()
            .map(|round| i64::try_from(round.0).unwrap_or(i64::MAX))
            .collect(),
        votes: ballot.entries.iter().map(vote_to_wire).collect(),
        distinct: ballot.distinct.iter().map(distinct_to_wire).collect(),
        evidence_milli_nats: count_to_wire(ballot.evidence_milli_nats),
        need_milli_nats: count_to_wire(ballot.need_milli_nats),
        origin: ballot.origin.as_deref().map(origin_to_wire),
    }
}

fn origin_to_wire(origin: &BallotOrigin) -> wire::BallotOrigin {
    wire::BallotOrigin {
        check: check_name(&origin.check),
        finding: origin.finding.map_or("", OriginFinding::as_str).to_owned(),
        working_region_count: count_to_wire(origin.working),
        failing_region_count: count_to_wire(origin.failing),
        configured_region_count: count_to_wire(origin.configured),
        since_time: origin.since.map(timestamp_to_wire),
        hold: origin.hold.map_or("", OriginHold::as_str).to_owned(),
    }
}

fn origin_from_wire(origin: &wire::BallotOrigin) -> Result<BallotOrigin, WireError> {
    let is_no_check = || WireError::Invalid { field: "check", problem: "is no name of a check" };
    let since = origin.since_time.map(|at| timestamp_from_wire("since_time", at));
    Ok(BallotOrigin {
        check: check_from_name(&origin.check).ok_or_else(is_no_check)?,
        finding: word_if_any("finding", &origin.finding, OriginFinding::from_word)?,
        working: count("working_region_count", origin.working_region_count)?,
        failing: count("failing_region_count", origin.failing_region_count)?,
        configured: count("configured_region_count", origin.configured_region_count)?,
        since: since.transpose()?,
        hold: word_if_any("hold", &origin.hold, OriginHold::from_word)?,
    })
}

fn word_if_any<T>(
    field: &'static str,
    word: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, WireError> {
    if word.is_empty() { Ok(None) } else { word_from_wire(field, word, read).map(Some) }
}

/// A ballot. Its scope stands in the verdict.
pub fn ballot_from_wire(ballot: wire::Ballot, scope: Scope) -> Result<Ballot, WireError> {
    let rounds: Result<Vec<RoundId>, WireError> = ballot
        .rounds
        .into_iter()
        .map(|round| u64::try_from(round).map(RoundId).map_err(|_| below_zero("rounds")))
        .collect();
    let entries: Result<Vec<BallotEntry>, WireError> =
        ballot.votes.into_iter().map(vote_from_wire).collect();
    let distinct: Result<Vec<DistinctCount>, WireError> =
        ballot.distinct.into_iter().map(distinct_from_wire).collect();
    Ok(Ballot {
        taken: instant("take_time", ballot.take_time)?,
        quorum: count("quorum", ballot.quorum)?,
        quorum_effective: count("quorum_effective", ballot.quorum_effective)?,
        scope,
        rounds: rounds?,
        distinct: distinct?,
        entries: entries?,
        evidence_milli_nats: count("evidence_milli_nats", ballot.evidence_milli_nats)?,
        need_milli_nats: count("need_milli_nats", ballot.need_milli_nats)?,
        origin: ballot.origin.as_ref().map(origin_from_wire).transpose()?.map(Box::new),
    })
}

fn distinct_to_wire(distinct: &DistinctCount) -> wire::DistinctCount {
    wire::DistinctCount {
        label: distinct.label.clone(),
        asked_count: count_to_wire(distinct.asked),
        live_count: count_to_wire(distinct.live),
        failing_values: distinct.failing.clone(),
    }
}

fn distinct_from_wire(distinct: wire::DistinctCount) -> Result<DistinctCount, WireError> {
    Ok(DistinctCount {
        label: distinct.label,
        asked: count("asked_count", distinct.asked_count)?,
        live: count("live_count", distinct.live_count)?,
        failing: distinct.failing_values,
    })
}

fn vote_to_wire(entry: &BallotEntry) -> wire::Vote {
    let (phase, reason) = entry.outcome.map_or(("", ""), phase_and_reason);
    wire::Vote {
        region: region_name(&entry.region),
        agent: entry.agent.as_ref().map(agent_name).unwrap_or_default(),
        outcome: entry.outcome.map_or("", |outcome| outcome.word()).to_owned(),
        phase: phase.to_owned(),
        reason: reason.to_owned(),
        start_time: entry.started.map(timestamp_to_wire),
        age: entry.age.map(duration_to_wire),
        failed_in_a_row: count_to_wire(entry.failed_in_a_row),
        counted: entry.counted.to_string(),
        message: entry.message.clone(),
        address: entry.address.map(|address| address.to_string()).unwrap_or_default(),
        evidence_milli_nats: count_to_wire(entry.evidence_milli_nats),
        one_family: entry.one_family,
    }
}

fn vote_from_wire(vote: wire::Vote) -> Result<BallotEntry, WireError> {
    let part = |name: &str, collection| name.strip_prefix(collection).map(str::to_owned);
    let region = part(&vote.region, "regions/").unwrap_or_default();
    let agent = match vote.agent.as_str() {
        "" => None,
        name => {
            let agent = part(name, "agents/").unwrap_or_default();
            Some(id_from_wire("agent", &agent)?)
        }
    };
    let outcome = match vote.outcome.as_str() {
        "" => None,
        word => Some(outcome(word, &vote.phase, &vote.reason)?),
    };
    let address = match vote.address.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| WireError::Invalid {
            field: "address",
            problem: "is not an IP address",
        })?),
    };
    Ok(BallotEntry {
        region: id_from_wire("region", &region)?,
        agent,
        outcome,
        started: vote.start_time.map(|at| timestamp_from_wire("start_time", at)).transpose()?,
        age: vote.age.map(|age| duration_from_wire("age", Some(age))).transpose()?,
        failed_in_a_row: count("failed_in_a_row", vote.failed_in_a_row)?,
        counted: word_from_wire("counted", &vote.counted, Counted::from_word)?,
        message: vote.message,
        address,
        evidence_milli_nats: count("evidence_milli_nats", vote.evidence_milli_nats)?,
        one_family: vote.one_family,
    })
}

fn count_to_wire(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn count(field: &'static str, count: i32) -> Result<u32, WireError> {
    u32::try_from(count).map_err(|_| below_zero(field))
}

fn below_zero(field: &'static str) -> WireError {
    WireError::Invalid { field, problem: "is below zero" }
}

fn instant(
    field: &'static str,
    at: Option<prost_types::Timestamp>,
) -> Result<Timestamp, WireError> {
    timestamp_from_wire(field, at.ok_or(WireError::Missing { field })?)
}
