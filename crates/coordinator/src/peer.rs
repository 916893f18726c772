//! Who is at the other end of a connection.

use std::net::SocketAddr;

use quorate_model::{AgentId, RegionId, Timestamp};

/// The agent at the other end, as its certificate says. In the extensions of every request on the
/// listener for agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub agent: AgentId,
    /// Where it votes.
    pub region: RegionId,
    /// When its certificate stops being valid: its streams must end then.
    pub not_after: Timestamp,
    /// Where it comes from.
    pub address: SocketAddr,
}

/// The address at the other end. In the extensions of every request on the other listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);
