//! Joining: a one-time token and a key become a certificate.
//!
//! The request is checked before the token is used up, so that a broken request does not cost the
//! token. The token decides name and region; the request decides nothing but the key.

mod rate;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::join_service_server::{JoinService, JoinServiceServer};
use quorate_runtime::Clock;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use crate::acceptor::{self, Serving};
use crate::api::errors;
use crate::pki::{Authority, PkiError};
use crate::{AgentView, Mirror, PeerAddress, StoreHandle, token};
use rate::Rate;

/// What every join token begins with, for secret scanners.
pub(crate) const TOKEN_PREFIX: &str = "qjt_";
/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1_024;
/// Attempts that one address may make at once, and the time after which it may make one more.
const ATTEMPTS: u32 = 10;
const ATTEMPT_EVERY: Duration = Duration::from_secs(1);
/// Time for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

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

struct Join {
    parts: JoinParts,
    clock: Clock,
    attempts: Rate,
}

/// Serves agents that join, until told to stop.
///
/// # Cancellation
///
/// Dropping it cuts all connections.
pub async fn serve(listener: TcpListener, parts: JoinParts, serving: Serving) {
    let join = Join { parts, clock: serving.clock, attempts: Rate::new(ATTEMPTS, ATTEMPT_EVERY) };
    let service = JoinServiceServer::new(join)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    acceptor::serve(listener, Routes::new(service), serving).await;
}

#[tonic::async_trait]
impl JoinService for Join {
    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinResponse>, Status> {
        let address = request.extensions().get::<PeerAddress>();
        let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        if let Err(wait) = self.attempts.attempt(address, self.clock.uptime()) {
            return Err(too_often(wait));
        }
        let admitted = self.admit(request.into_inner(), address);
        tokio::time::timeout(ANSWER_WITHIN, admitted)
            .await
            .unwrap_or_else(|_| {
                let message = "the coordinator took too long to answer";
                Err(errors::status(Code::DeadlineExceeded, "ANSWER_TIMEOUT", message, []))
            })
            .map(Response::new)
    }
}

impl Join {
    async fn admit(
        &self,
        request: wire::JoinRequest,
        address: IpAddr,
    ) -> Result<wire::JoinResponse, Status> {
        let parts = &self.parts;
        parts.authority.check_csr(&request.csr_der).map_err(|error| csr_invalid(&error))?;
        let (hash, now) = (token::hash(&request.token), self.clock.now());
        let redeemed = parts.store.read(move |store| store.redeem(&hash, now));
        let redeemed = redeemed.await.map_err(|error| errors::store_failed(&error))?;
        let Some(invitation) = redeemed else {
            tracing::warn!(%address, "somebody tried to join with a token that is not valid");
            return Err(token_invalid());
        };
        let (agent, region) = (invitation.agent, invitation.region);
        let issued = parts
            .authority
            .sign_agent(&request.csr_der, &region, &agent, now)
            .map_err(|error| csr_invalid(&error))?;
        parts.mirror.update(|view| {
            let joined = || AgentView {
                agent: agent.clone(),
                region: region.clone(),
                joined: now,
                connected: false,
                health: None,
                version: None,
                last_seen: None,
                spooled: 0,
                dropped: 0,
                round_trip: None,
                clock_ahead_micros: None,
                rejections: std::collections::BTreeMap::new(),
            };
            view.agents.entry(agent.clone()).or_insert_with(joined);
        });
        tracing::info!(%agent, %region, %address, not_after = %issued.not_after, "agent joined");
        Ok(wire::JoinResponse {
            certificate_pem: issued.certificate_pem,
            ca_pem: parts.authority.ca_pem().to_owned(),
            agent: agent.to_string(),
            region: region.to_string(),
        })
    }
}

/// The same words for unknown, used and expired: nobody learns which it was.
fn token_invalid() -> Status {
    let message = "this join token is unknown, used or expired: make a new one with \
                   `quorate agent token`";
    errors::status(Code::Unauthenticated, "TOKEN_INVALID", message, [])
}

fn csr_invalid(error: &PkiError) -> Status {
    let message = error.to_string();
    errors::status(Code::InvalidArgument, "CSR_INVALID", message, [])
}

fn too_often(wait: Duration) -> Status {
    let seconds = wait.as_secs().saturating_add(1).to_string();
    errors::status(
        Code::ResourceExhausted,
        "JOIN_RATE",
        format!("too many attempts from this address: wait {seconds} s"),
        [("seconds", seconds.as_str())],
    )
}
