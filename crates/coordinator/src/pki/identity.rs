//! Who a client certificate names.

use quorate_model::{AgentId, RegionId, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// What the URI of an agent's certificate begins with.
const PREFIX: &str = "spiffe://quorate/agent/";

/// An agent, as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub agent: AgentId,
    /// Where it votes.
    pub region: RegionId,
    /// When the certificate stops being valid.
    pub not_after: Timestamp,
}

/// A certificate that our authority signed does not name an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("the client certificate cannot be read: {detail}")]
    Unreadable {
        /// Why.
        detail: String,
    },
    /// It has no subject alternative name, or several, or one of another type.
    #[error("the client certificate must have exactly one name, a URI; it has {found}")]
    NotOneUri {
        /// What it has.
        found: String,
    },
    /// Its name is not one of ours.
    #[error("the client certificate names {uri:?}, not {PREFIX}<region>/<agent>")]
    NotAnAgent {
        /// The name.
        uri: String,
    },
}

impl Identity {
    /// The URI that a certificate for this agent bears.
    pub fn uri(region: &RegionId, agent: &AgentId) -> String {
        format!("{PREFIX}{region}/{agent}")
    }

    /// The agent that a certificate (DER) names. The caller has verified its signature and dates.
    ///
    /// Strict: one name, compared byte for byte. What is only nearly ours is refused.
    pub fn of(certificate: &[u8]) -> Result<Self, IdentityError> {
        let unreadable = |detail| IdentityError::Unreadable { detail };
        let parsed = parse(certificate).map_err(unreadable)?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| unreadable(error.to_string()))?
            .map(|extension| extension.value.general_names.as_slice())
            .unwrap_or_default();
        let [GeneralName::URI(uri)] = names else {
            return Err(IdentityError::NotOneUri {
                found: format!("{} of them, not one URI", names.len()),
            });
        };
        let (region, agent) = parse_uri(uri)
            .ok_or_else(|| IdentityError::NotAnAgent { uri: uri.chars().take(200).collect() })?;
        Ok(Self { agent, region, not_after: not_after(&parsed) })
    }
}

fn parse_uri(uri: &str) -> Option<(RegionId, AgentId)> {
    let (region, agent) = uri.strip_prefix(PREFIX)?.split_once('/')?;
    Some((region.parse().ok()?, agent.parse().ok()?))
}

pub(super) fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) => Err("there is something after it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn not_after(certificate: &X509Certificate<'_>) -> Timestamp {
    let seconds = certificate.validity().not_after.timestamp();
    Timestamp::from_micros(seconds.saturating_mul(1_000_000))
}
