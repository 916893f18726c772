//! The operators' messages and the types of the model.
//!
//! Into the wire is total. Back from it, for programs that show verdicts, words and names are
//! checked: a coordinator that is newer than its client is told apart from one that is broken.

mod name;
mod past;
mod verdict;

#[cfg(test)]
mod tests;

use quorate_model::{Check, Incident, IncidentState};

use super::agent::{duration_to_wire, timestamp_to_wire};
use crate::v1 as wire;

pub use name::{
    agent_from_name, agent_name, check_from_name, check_name, incident_from_name, incident_name,
    region_from_name, region_name,
};
pub use past::{past_verdict_to_wire, result_from_wire, result_to_wire};
pub use verdict::{
    ballot_from_wire, ballot_to_wire, state_from_wire, state_to_wire, verdict_from_wire,
    verdict_to_wire,
};

/// The wire's form of a check without its verdict, which is present state and not a part of it.
pub fn check_to_wire(check: &Check) -> wire::Check {
    wire::Check {
        name: check_name(&check.id),
        kind: check.kind.to_string(),
        target: check.target.clone(),
        interval: Some(duration_to_wire(check.interval)),
        timeout: Some(duration_to_wire(check.timeout)),
        quorum: check.quorum.to_string(),
        distinct: check.distinct.iter().map(ToString::to_string).collect(),
        regions: check.regions.iter().map(region_name).collect(),
        labels: check.labels.clone(),
        runbook: check.runbook.clone().unwrap_or_default(),
        verdict: None,
        open_incident: String::new(),
        rejected_by: Vec::new(),
    }
}

/// The wire's form of an incident without its deliveries; its verdict with the ballot if `full`.
pub fn incident_to_wire(incident: &Incident, full: bool) -> wire::Incident {
    let state = match incident.state {
        IncidentState::Open => wire::incident::IncidentState::Open,
        IncidentState::Resolved => wire::incident::IncidentState::Resolved,
    };
    let before = incident.last_success.filter(|_| !incident.is_past);
    let detected = before.map(|at| duration_to_wire(incident.opened.since(at)));
    wire::Incident {
        name: incident_name(incident.id),
        check: check_name(&incident.check),
        state: state.into(),
        severity: incident.severity.to_string(),
        open_time: Some(timestamp_to_wire(incident.opened)),
        resolve_time: incident.resolved.map(timestamp_to_wire),
        last_success_time: incident.last_success.map(timestamp_to_wire),
        first_failure_time: Some(timestamp_to_wire(incident.first_failure)),
        time_to_detect: detected,
        reopened_count: i32::try_from(incident.reopened).unwrap_or(i32::MAX),
        verdict: Some(verdict_to_wire(&incident.verdict, full)),
        deliveries: Vec::new(),
        withheld_by: incident.withheld_by.iter().cloned().collect(),
        is_past: incident.is_past,
    }
}
