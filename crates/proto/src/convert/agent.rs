//! The messages of agents and the types of the model, in both directions.
//!
//! Into the wire is total. Out of the wire is checked: unknown words and impossible values are a
//! [`WireError`] that names the field; text and lists that are too long are cut, because they come
//! from targets and are evidence only.

mod facts;
mod options;
mod result;
mod scalar;
mod tls;

use std::time::Duration;

use quorate_model::{
    AgentSettings, AnchorSet, Health, Heartbeat, Phase, ProbeSpec, Revision, Suspicion, Timestamp,
};

use crate::agent::v1 as wire;

pub use options::{options_from_wire, options_to_wire};
pub use result::{Received, measured_from_wire, measured_to_wire, result};
pub(super) use result::{
    evidence_from_wire, evidence_to_wire, outcome, phase_and_reason, phases_from_wire,
    phases_to_wire,
};
pub(super) use scalar::id_from_wire;
pub use scalar::{
    duration_from_wire, duration_to_wire, micros_to_wire, timestamp_from_wire, timestamp_to_wire,
    word_from_wire,
};

/// The longest `host:port`, in bytes. Source: RFC 1035, section 2.3.4, plus the port.
const ANCHOR_BYTES_MAX: usize = 262;

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field that must be there is not.
    #[error("field {field} is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A word that is not one of those known.
    #[error("field {field} holds the unknown word {word:?}")]
    UnknownWord {
        /// Its name.
        field: &'static str,
        /// The word, cut at 64 bytes.
        word: String,
    },
    /// A value that cannot be.
    #[error("field {field} {problem}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// What is wrong: continues a sentence about the field.
        problem: &'static str,
    },
}

/// The wire's form of an agent's opinion of itself.
pub fn health_to_wire(health: Health) -> i32 {
    let health = match health {
        Health::Fine => wire::Health::Fine,
        Health::Island => wire::Health::Island,
        Health::Overloaded => wire::Health::Overloaded,
    };
    health.into()
}

/// An agent's opinion of itself; unspecified is an error.
pub fn health_from_wire(health: i32) -> Result<Health, WireError> {
    match wire::Health::try_from(health) {
        Ok(wire::Health::Fine) => Ok(Health::Fine),
        Ok(wire::Health::Island) => Ok(Health::Island),
        Ok(wire::Health::Overloaded) => Ok(Health::Overloaded),
        Ok(wire::Health::Unspecified) | Err(_) => {
            Err(WireError::Invalid { field: "health", problem: "is unspecified or unknown" })
        }
    }
}

/// What an agent's sign of life tells of it, if it came when the coordinator's wall clock was
/// `received`. `half_round_trip` is how long it was on its way, if that is known.
pub fn heartbeat(
    heartbeat: &wire::Heartbeat,
    received: Timestamp,
    half_round_trip: Option<Duration>,
) -> Result<Heartbeat, WireError> {
    let health = health_from_wire(heartbeat.health)?;
    let failing = heartbeat.failing_anchors.map(AnchorSet::from_bits);
    if failing == Some(None) {
        return Err(WireError::Invalid {
            field: "failing_anchors",
            problem: "has a bit above those of 16 anchors",
        });
    }
    let sent = heartbeat.send_time.map(|at| timestamp_from_wire("send_time", at)).transpose()?;
    let clock_ahead_micros =
        sent.zip(half_round_trip).map(|(sent, half)| clock_ahead(sent, received, half));
    Ok(Heartbeat { health, failing_anchors: failing.flatten(), clock_ahead_micros })
}

/// How far the clock by which something was sent is ahead of the clock by which it was received,
/// in microseconds, if it was so long on its way.
pub fn clock_ahead(sent: Timestamp, received: Timestamp, way: Duration) -> i64 {
    sent.as_micros().saturating_sub(received.before(way).as_micros())
}

/// The wire's form of timers and anchors.
pub fn settings_to_wire(settings: &AgentSettings) -> wire::AgentSettings {
    wire::AgentSettings {
        heartbeat_interval: Some(duration_to_wire(settings.heartbeat)),
        anchor_interval: Some(duration_to_wire(settings.anchor_interval)),
        anchor_timeout: Some(duration_to_wire(settings.anchor_timeout)),
        anchors: settings.anchors.clone(),
    }
}

/// Timers and anchors: each timer above zero, at most 16 anchors.
pub fn settings_from_wire(settings: wire::AgentSettings) -> Result<AgentSettings, WireError> {
    let timer = |field, value| positive(field, duration_from_wire(field, value)?);
    if settings.anchors.len() > AnchorSet::MAX {
        return Err(WireError::Invalid { field: "anchors", problem: "has more than 16 entries" });
    }
    if settings.anchors.iter().any(|anchor| anchor.len() > ANCHOR_BYTES_MAX) {
        return Err(WireError::Invalid {
            field: "anchors",
            problem: "has an entry longer than 262 bytes",
        });
    }
    Ok(AgentSettings {
        heartbeat: timer("heartbeat_interval", settings.heartbeat_interval)?,
        anchor_interval: timer("anchor_interval", settings.anchor_interval)?,
        anchor_timeout: timer("anchor_timeout", settings.anchor_timeout)?,
        anchors: settings.anchors,
    })
}

/// The wire's form of what an agent must know of a check.
pub fn spec_to_wire(spec: &ProbeSpec) -> wire::CheckSpec {
    wire::CheckSpec {
        check: spec.check.to_string(),
        revision: spec.revision.0,
        kind: spec.kind.to_string(),
        options: Some(options_to_wire(&spec.options)),
        interval: Some(duration_to_wire(spec.interval)),
        timeout: Some(duration_to_wire(spec.timeout)),
        slow_after: Some(duration_to_wire(spec.slow_after)),
        suspect_after: Some(duration_to_wire(spec.suspect_after)),
    }
}

/// What an agent must know of a check: good names, each time above zero.
pub fn spec_from_wire(spec: wire::CheckSpec) -> Result<ProbeSpec, WireError> {
    let time = |field, value| positive(field, duration_from_wire(field, value)?);
    let options = spec.options.ok_or(WireError::Missing { field: "options" })?;
    Ok(ProbeSpec {
        check: id_from_wire("check", &spec.check)?,
        revision: Revision(spec.revision),
        kind: id_from_wire("kind", &spec.kind)?,
        options: options_from_wire(options)?,
        interval: time("interval", spec.interval)?,
        timeout: time("timeout", spec.timeout)?,
        slow_after: time("slow_after", spec.slow_after)?,
        suspect_after: time("suspect_after", spec.suspect_after)?,
    })
}

/// A suspicion as the coordinator has it: its probe started at `received` less the age that the
/// agent measured, less half the round trip. `received.sent_at` is not used.
pub fn suspicion(suspect: &wire::Suspect, received: &Received) -> Result<Suspicion, WireError> {
    let age = duration_from_wire("age", suspect.age)?;
    Ok(Suspicion {
        agent: received.agent.clone(),
        region: received.region.clone(),
        check: id_from_wire("check", &suspect.check)?,
        revision: Revision(suspect.revision),
        phase: word_from_wire("phase", &suspect.phase, Phase::from_word)?,
        started: received.start_of(age),
        health: health_from_wire(suspect.health)?,
    })
}

fn positive(field: &'static str, value: Duration) -> Result<Duration, WireError> {
    if value.is_zero() {
        return Err(WireError::Invalid { field, problem: "must be more than zero" });
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
