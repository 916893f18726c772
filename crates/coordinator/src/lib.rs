//! The coordinator: owns the engine, assigns checks to agents, performs the engine's effects, and
//! serves the operators' API.

pub mod acceptor;
pub mod api;
pub mod bus;
pub mod join;
mod mirror;
mod parts;
mod peer;
pub mod pki;
mod start;
mod store_thread;
mod token;

pub use mirror::{AgentView, CheckView, Mirror, RegionState, RegionView, View};
pub use parts::{Access, ConfigSource, Listeners, Parts};
pub use peer::{Peer, PeerAddress};
pub use start::{ReceiversError, Running, StartError, start};
pub use store_thread::StoreHandle;
