//! Facts that only some kinds of checks see.

use quorate_model::{DnsFacts, GrpcFacts, PingFacts, RoundTrips};

use super::scalar::cut;
use super::{WireError, duration_from_wire, duration_to_wire};
use crate::agent::v1 as wire;

/// The most records kept of an answer.
const ANSWERS_MAX: usize = 16;
/// The most bytes kept of a record.
const ANSWER_MAX: usize = 256;
/// The most flags kept, and their longest word.
const FLAGS_MAX: usize = 8;
/// The most bytes kept of a word.
const WORD_MAX: usize = 32;
/// The highest status code of gRPC.
const GRPC_STATUS_MAX: u8 = 16;

fn texts(texts: &[String], count_max: usize, bytes_max: usize) -> Vec<String> {
    texts.iter().take(count_max).map(|text| cut(text.clone(), bytes_max)).collect()
}

pub(super) fn dns_to_wire(facts: &DnsFacts) -> wire::DnsFacts {
    wire::DnsFacts {
        rcode: cut(facts.rcode.clone(), WORD_MAX),
        flags: texts(&facts.flags, FLAGS_MAX, WORD_MAX),
        answers: texts(&facts.answers, ANSWERS_MAX, ANSWER_MAX),
        answer_count: facts.answer_count.into(),
        authority_count: facts.authority_count.into(),
        additional_count: facts.additional_count.into(),
        serial: facts.serial,
    }
}

pub(super) fn dns_from_wire(facts: wire::DnsFacts) -> Result<Box<DnsFacts>, WireError> {
    let count = |field, count: i32| {
        let problem = "is not a number of records";
        u16::try_from(count).map_err(|_| WireError::Invalid { field, problem })
    };
    Ok(Box::new(DnsFacts {
        rcode: cut(facts.rcode, WORD_MAX),
        flags: texts(&facts.flags, FLAGS_MAX, WORD_MAX),
        answers: texts(&facts.answers, ANSWERS_MAX, ANSWER_MAX),
        answer_count: count("evidence.dns.answer_count", facts.answer_count)?,
        authority_count: count("evidence.dns.authority_count", facts.authority_count)?,
        additional_count: count("evidence.dns.additional_count", facts.additional_count)?,
        serial: facts.serial,
    }))
}

pub(super) fn ping_to_wire(facts: &PingFacts) -> wire::PingFacts {
    let trip = |pick: fn(&RoundTrips) -> std::time::Duration| {
        facts.round_trips.as_ref().map(|trips| duration_to_wire(pick(trips)))
    };
    wire::PingFacts {
        sent: facts.sent,
        received: facts.received,
        shortest: trip(|trips| trips.shortest),
        mean: trip(|trips| trips.mean),
        longest: trip(|trips| trips.longest),
    }
}

pub(super) fn ping_from_wire(facts: wire::PingFacts) -> Result<Box<PingFacts>, WireError> {
    let is_answered = facts.shortest.is_some() || facts.mean.is_some() || facts.longest.is_some();
    let round_trips = is_answered
        .then(|| {
            Ok(RoundTrips {
                shortest: duration_from_wire("evidence.ping.shortest", facts.shortest)?,
                mean: duration_from_wire("evidence.ping.mean", facts.mean)?,
                longest: duration_from_wire("evidence.ping.longest", facts.longest)?,
            })
        })
        .transpose()?;
    Ok(Box::new(PingFacts { sent: facts.sent, received: facts.received, round_trips }))
}

pub(super) fn grpc_to_wire(facts: &GrpcFacts) -> wire::GrpcFacts {
    let serving = cut(facts.serving.clone(), WORD_MAX);
    wire::GrpcFacts { status: facts.status.into(), serving }
}

pub(super) fn grpc_from_wire(facts: wire::GrpcFacts) -> Result<Box<GrpcFacts>, WireError> {
    let status = u8::try_from(facts.status).ok().filter(|status| *status <= GRPC_STATUS_MAX);
    let problem = "is not a status code of gRPC";
    let status = status.ok_or(WireError::Invalid { field: "evidence.grpc.status", problem })?;
    Ok(Box::new(GrpcFacts { status, serving: cut(facts.serving, WORD_MAX) }))
}

pub(super) fn close_code_from_wire(code: i32) -> Result<Option<u16>, WireError> {
    let problem = "is not a code of a WebSocket";
    match u16::try_from(code) {
        Ok(0) => Ok(None),
        Ok(code) => Ok(Some(code)),
        Err(_) => Err(WireError::Invalid { field: "evidence.close_code", problem }),
    }
}
