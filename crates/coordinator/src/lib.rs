//! The coordinator: owns the engine, assigns checks to agents, performs the engine's effects, and
//! serves the operators' API.

mod mirror;
mod peer;
pub mod pki;

pub use mirror::{AgentView, CheckView, Mirror, RegionState, RegionView, View};
pub use peer::{Peer, PeerAddress};
