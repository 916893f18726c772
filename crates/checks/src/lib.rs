//! Check kinds: one file for each; each runs one probe and returns what it saw.
//!
//! A probe is cold: it resolves, connects and shakes hands anew, so that it measures what it says.
//! It never decides anything beyond its own outcome, and a target that is down is an
//! [`Observation`](quorate_model::Observation), never an error.

mod context;
mod registry;

pub use context::{Egress, PhaseCell, ProbeContext};
pub use registry::{CheckKind, KINDS, Probe, kind};
