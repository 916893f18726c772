//! The coordinator: owns the engine, assigns checks to agents, performs the engine's effects, and
//! serves the operators' API.

pub mod acceptor;
pub mod api;
pub mod args;
mod assign;
pub mod bus;
mod engine_task;
pub mod init;
pub mod join;
mod ledger;
mod mirror;
mod outbox;
mod parts;
mod peer;
pub mod pki;
mod receivers;
mod reload;
mod run;
mod secrets;
mod session;
mod start;
mod store_thread;
mod token;

pub use mirror::{AgentView, CheckView, Mirror, RegionState, RegionView, View};
pub use parts::{Access, ConfigSource, Listeners, Parts};
pub use peer::{Peer, PeerAddress};
pub use run::run;
pub use start::{ReceiversError, Running, StartError, start};
pub use store_thread::StoreHandle;
