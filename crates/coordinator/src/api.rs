//! The operators' API: checks, incidents, agents and regions over gRPC, with health and
//! reflection, and two HTTP paths for supervisors.

mod auth;
mod check;
pub(crate) mod errors;
mod fleet;
mod health;
mod history;
mod incident;
mod page;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use auth::new_token;

use std::sync::Arc;

use arc_swap::ArcSwap;
use quorate_config::Configuration;
use quorate_proto::v1::check_service_server::CheckServiceServer;
use quorate_proto::v1::fleet_service_server::FleetServiceServer;
use quorate_proto::v1::history_service_server::HistoryServiceServer;
use quorate_proto::v1::incident_service_server::IncidentServiceServer;
use quorate_runtime::Clock;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::acceptor::{self, MESSAGE_BYTES_MAX, Serving};
use crate::pki::Authority;
use crate::{Access, Mirror, StoreHandle};

/// The longest answer, in bytes: a page of 1,000 checks with ballots of 20 regions.
const ANSWER_BYTES_MAX: usize = 16 * MESSAGE_BYTES_MAX;

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

/// The services. Clones are the same ones.
#[derive(Debug, Clone)]
struct Api {
    parts: ApiParts,
    clock: Clock,
    pager: page::Pager,
    watchers: Arc<Semaphore>,
}

/// Serves the API until told to stop.
///
/// # Cancellation
///
/// Dropping it cuts all connections.
pub async fn serve(listener: TcpListener, parts: ApiParts, serving: Serving) {
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let clock = serving.clock;
    let api = Api {
        parts: parts.clone(),
        clock,
        pager: page::Pager::new(),
        watchers: Arc::new(Semaphore::new(watch::WATCHERS_MAX)),
    };
    let health = health::Health::new(&parts.store, &parts.draining).await;
    let router = health
        .add_to(Routes::default())
        .add_service(
            CheckServiceServer::new(api.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        )
        .add_service(
            IncidentServiceServer::new(api.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        )
        .add_service(
            HistoryServiceServer::new(api.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        )
        .add_service(
            FleetServiceServer::new(api)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        );
    let guard = auth::Guard::new(&parts, clock, loopback);
    let router = guard.protect(health.http_paths(router.into_axum_router()));
    tokio::join!(
        acceptor::serve(listener, Routes::from(router), serving.clone()),
        health.follow(serving.stop),
    );
}
