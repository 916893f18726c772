//! The operators' API: checks, incidents, agents and regions over gRPC, with health and
//! reflection, and two HTTP paths for supervisors.

use std::sync::Arc;

use arc_swap::ArcSwap;
use quorate_config::Configuration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::acceptor::Serving;
use crate::pki::Authority;
use crate::{Access, Mirror, StoreHandle};

/// What the API needs.
#[derive(Debug, Clone)]
pub struct ApiParts {
    /// The present state of everything.
    pub mirror: Mirror,
    /// What has been.
    pub store: StoreHandle,
    /// Who may use it.
    pub access: Access,
    /// Whom agents that join must trust.
    pub authority: Arc<Authority>,
    /// The configuration in force.
    pub configuration: Arc<ArcSwap<Configuration>>,
    /// Cancelled when the coordinator begins to stop: from then on it is not ready.
    pub draining: CancellationToken,
}

/// Serves the API until told to stop.
///
/// # Cancellation
///
/// Dropping it cuts all connections.
pub async fn serve(_listener: TcpListener, _parts: ApiParts, _serving: Serving) {}
