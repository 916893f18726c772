//! Joining: a one-time token for a certificate.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::Secret;
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::join_service_client::JoinServiceClient;
use quorate_proto::{BundleError, JoinBundle};
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::Path;
use tonic::{Code, Status};

use crate::dial::{self, DialError};
use crate::identity::{Identity, IdentityError, Joined};
use crate::tls::{self, TlsSetupError};

/// The time for the coordinator's answer.
const ANSWER: Duration = Duration::from_secs(10);

/// An agent cannot join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The text is not a join bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No key can be made.
    #[error("cannot make a key")]
    Key(#[source] rcgen::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// No coordinator can be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The token is unknown, used or expired.
    #[error(
        "the coordinator does not accept this join bundle ({message}): it can be used once and for \
         a short time only; make another with `quorate agent token`"
    )]
    TokenRefused {
        /// What the coordinator said.
        message: String,
    },
    /// The coordinator refused for another reason, or did not answer.
    #[error("joining failed at {address}: {message}; the bundle may still be good, try again")]
    Failed {
        /// `host:port`.
        address: String,
        /// What the coordinator said.
        message: String,
    },
    /// The answer is not what it must be.
    #[error("the coordinator's answer cannot be used: {problem}")]
    Answer {
        /// What is wrong.
        problem: &'static str,
    },
    /// The identity cannot be kept. The bundle has been used.
    #[error(
        "{source}; the join bundle has been used up: make the folder usable, then join with another"
    )]
    Keep {
        /// Why.
        #[source]
        source: IdentityError,
    },
    /// The state folder cannot be used. The bundle has not been used.
    #[error(transparent)]
    Folder(IdentityError),
}

/// Exchanges a join bundle for an identity: makes a key, which never leaves the agent, and has the
/// coordinator certify it. The coordinator must show the authority that the bundle names. With
/// `state`, the identity is kept there.
///
/// # Cancellation
///
/// Dropping it may use up the bundle without an identity.
pub async fn join(bundle: &str, state: Option<&Path>) -> Result<Joined, JoinError> {
    let bundle = JoinBundle::decode(bundle)?;
    if let Some(folder) = state {
        // Before the token is spent.
        Joined::probe_folder(folder).map_err(JoinError::Folder)?;
    }
    let key = KeyPair::generate().map_err(JoinError::Key)?;
    let request = CertificateParams::default().serialize_request(&key).map_err(JoinError::Key)?;
    let request =
        wire::JoinRequest { token: bundle.token.clone(), csr_der: request.der().to_vec() };
    let tls = Arc::new(tls::pinned(bundle.ca_pin)?);
    let answer = ask(&bundle.join, &tls, request).await?;
    let joined =
        Joined { identity: identity(answer, &key, bundle.ca_pin)?, coordinators: bundle.agents };
    // Key and certificate belong together, or nothing is kept.
    tls::mutual(&joined.identity)?;
    if let Some(folder) = state {
        joined.save(folder).map_err(|source| JoinError::Keep { source })?;
    }
    Ok(joined)
}

/// Asks one coordinator after the other, until one answers. A refused token is final.
async fn ask(
    addresses: &[String],
    tls: &Arc<ClientConfig>,
    request: wire::JoinRequest,
) -> Result<wire::JoinResponse, JoinError> {
    let mut last = JoinError::Answer { problem: "the bundle names no coordinator" };
    for address in addresses {
        let channel = match dial::dial(address, tls).await {
            Ok(channel) => channel,
            Err(error) => {
                last = error.into();
                continue;
            }
        };
        let mut client =
            JoinServiceClient::new(channel).max_decoding_message_size(dial::MESSAGE_MAX);
        let answer = tokio::time::timeout(ANSWER, client.join(request.clone())).await;
        match answer {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) if is_final(&status) => {
                return Err(JoinError::TokenRefused { message: shown(&status) });
            }
            Ok(Err(status)) => {
                last = JoinError::Failed { address: address.clone(), message: shown(&status) };
            }
            Err(_) => {
                last = JoinError::Failed {
                    address: address.clone(),
                    message: format!("no answer within {} s", ANSWER.as_secs()),
                };
            }
        }
    }
    Err(last)
}

fn is_final(status: &Status) -> bool {
    matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)
}

fn shown(status: &Status) -> String {
    let message: String = status.message().chars().take(256).collect();
    message.escape_debug().to_string()
}

/// Checks that the answer is from the pinned authority, and takes it.
fn identity(
    answer: wire::JoinResponse,
    key: &KeyPair,
    pin: [u8; 32],
) -> Result<Identity, JoinError> {
    let problem = |problem| JoinError::Answer { problem };
    let authority = CertificateDer::from_pem_slice(answer.ca_pem.as_bytes())
        .map_err(|_| problem("the authority's certificate is not PEM"))?;
    if !tls::pin_of(&authority).is_ok_and(|found| found == pin) {
        return Err(problem("it is from another authority than the bundle names"));
    }
    Ok(Identity {
        agent: answer.agent.parse().map_err(|_| problem("the agent's name is not a valid name"))?,
        region: answer.region.parse().map_err(|_| problem("the region is not a valid name"))?,
        certificate_pem: answer.certificate_pem,
        key_pem: Secret::new(key.serialize_pem()),
        ca_pem: answer.ca_pem,
    })
}
