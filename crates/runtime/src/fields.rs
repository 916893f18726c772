//! The names of structured log fields, one spelling each.

/// A check.
pub const CHECK: &str = "check";
/// A region.
pub const REGION: &str = "region";
/// An agent.
pub const AGENT: &str = "agent";
/// An incident.
pub const INCIDENT: &str = "incident";
