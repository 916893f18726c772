//! Resource names, such as `checks/shop`.

use std::str::FromStr;

use quorate_model::{AgentId, CheckId, IncidentId, RegionId};

/// The name of a check.
pub fn check_name(id: &CheckId) -> String {
    format!("checks/{id}")
}

/// The name of a region.
pub fn region_name(id: &RegionId) -> String {
    format!("regions/{id}")
}

/// The name of an agent.
pub fn agent_name(id: &AgentId) -> String {
    format!("agents/{id}")
}

/// The name of an incident.
pub fn incident_name(id: IncidentId) -> String {
    format!("incidents/{id}")
}

/// The check of this name; `None` if it is not the name of a check.
pub fn check_from_name(name: &str) -> Option<CheckId> {
    id(name, "checks/")
}

/// The region of this name; `None` if it is not the name of a region.
pub fn region_from_name(name: &str) -> Option<RegionId> {
    id(name, "regions/")
}

/// The agent of this name; `None` if it is not the name of an agent.
pub fn agent_from_name(name: &str) -> Option<AgentId> {
    id(name, "agents/")
}

/// The incident of this name; `None` if it is not the name of an incident.
pub fn incident_from_name(name: &str) -> Option<IncidentId> {
    id(name, "incidents/")
}

fn id<T: FromStr>(name: &str, collection: &str) -> Option<T> {
    name.strip_prefix(collection)?.parse().ok()
}
