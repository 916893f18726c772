//! What a coordinator is made of: handed in, so that a test or the demo hands in other things.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use quorate_config::{Configuration, Problem};
use quorate_runtime::{Clock, Tasks};
use quorate_store::Store;
use tokio::net::TcpListener;

use crate::pki;

/// Everything that a coordinator needs.
#[derive(Debug)]
pub struct Parts {
    /// What it watches, and whom it tells.
    pub configuration: Configuration,
    /// Where it reads its configuration again on SIGHUP; without one it ignores the signal.
    pub source: Option<Box<dyn ConfigSource>>,
    /// Where it keeps what must survive a restart.
    pub store: Box<dyn Store>,
    /// Who vouches for agents.
    pub authority: Arc<pki::Authority>,
    /// Where it listens.
    pub listeners: Listeners,
    /// Who may use the API.
    pub access: Access,
    /// The clock of the process.
    pub clock: Clock,
    /// The tasks of the process.
    pub tasks: Tasks,
    /// Where it keeps its files; `None` if it keeps none.
    pub data: Option<PathBuf>,
}

/// Where a configuration is read from.
pub trait ConfigSource: Debug + Send + Sync {
    /// Reads it again: a configuration, or all that is wrong with it.
    fn read(&self) -> Result<Configuration, Vec<Problem>>;
}

/// The three listeners, bound already.
#[derive(Debug)]
pub struct Listeners {
    /// For the streams of agents: mutual TLS.
    pub agents: TcpListener,
    /// For agents that join: server TLS.
    pub join: TcpListener,
    /// For people and programs.
    pub api: TcpListener,
}

/// Who may use the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever has a token, as far as the token's role goes.
    Tokens,
    /// Everybody, as an administrator: for the demo, on a loopback address only.
    LoopbackOpen,
}
