//! Starting and stopping a coordinator.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_config::Configuration;
use quorate_store::StoreError;

use crate::{Mirror, Parts};

/// A coordinator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not give back what it holds.
    #[error("cannot read back what the store holds")]
    Restore {
        /// Why.
        #[source]
        source: std::sync::Arc<StoreError>,
    },
    /// A receiver cannot be made ready.
    #[error(transparent)]
    Receivers(#[from] ReceiversError),
    /// The operating system refused something.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Receivers that cannot be made ready.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.join("; "))]
pub struct ReceiversError {
    /// What is wrong, one sentence each: names the receiver and what to do.
    pub problems: Vec<String>,
}

/// A coordinator that runs.
#[derive(Debug)]
pub struct Running {
    agents: SocketAddr,
    join: SocketAddr,
    api: SocketAddr,
    mirror: Mirror,
}

/// Starts a coordinator: returns when it serves.
///
/// # Cancellation
///
/// Dropping it leaves tasks behind that end with `parts.tasks`.
pub async fn start(_parts: Parts) -> Result<Running, StartError> {
    std::future::pending().await
}

impl Running {
    /// Where it serves agents.
    pub fn agents_addr(&self) -> SocketAddr {
        self.agents
    }

    /// Where agents join.
    pub fn join_addr(&self) -> SocketAddr {
        self.join
    }

    /// Where it serves people and programs.
    pub fn api_addr(&self) -> SocketAddr {
        self.api
    }

    /// The present state of everything.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Goes over to another configuration, whole or not at all. What `server` says takes effect at
    /// the next start only.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves open whether it goes over.
    pub async fn reload(&self, _configuration: Configuration) -> Result<(), ReceiversError> {
        std::future::pending().await
    }

    /// Stops: takes in nothing new, tells agents to come back later, makes durable what is under
    /// way, waits for at most `grace`.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves tasks behind that end soon.
    pub async fn stop(self, _grace: Duration) {}
}
