//! Joining: a one-time token and a key become a certificate.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::acceptor::Serving;
use crate::pki::Authority;
use crate::{Mirror, StoreHandle};

/// What joining needs.
#[derive(Debug, Clone)]
pub struct JoinParts {
    /// Where agents that have joined are shown.
    pub mirror: Mirror,
    /// Where tokens are kept.
    pub store: StoreHandle,
    /// Who signs.
    pub authority: Arc<Authority>,
}

/// Serves agents that join, until told to stop.
///
/// # Cancellation
///
/// Dropping it cuts all connections.
pub async fn serve(_listener: TcpListener, _parts: JoinParts, _serving: Serving) {}
