//! Check kinds: one file for each; each runs one probe and returns what it saw.
//!
//! A probe is cold: it resolves, connects and shakes hands anew, so that it measures what it says.
//! It never decides anything beyond its own outcome, and a target that is down is an
//! [`Observation`](quorate_model::Observation), never an error.

mod answer;
mod certificate;
mod connect;
mod context;
mod datagram;
mod dns;
mod escape;
mod grpc;
mod http;
mod icmp;
mod network;
mod options;
mod phase;
mod policy;
mod registry;
mod resolve;
mod starttls;
mod status;
mod tcp;
mod tls;
mod udp;
mod wall;
mod websocket;

pub use connect::{ReachError, is_exhausted, reach};
pub use context::{Egress, Environment, EnvironmentError, PhaseCell, ProbeContext};
pub use network::Network;
pub use policy::Policy;
pub use registry::{CheckKind, Families, KINDS, Probe, kind};
pub use resolve::{Resolver, second_after};
pub use tls::TlsError;
pub use wall::WallClock;
