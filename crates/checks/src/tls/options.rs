//! The options of TLS, for every kind that speaks it.

use std::borrow::Cow;
use std::sync::Arc;

use quorate_model::OptionProblem;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::{provider, verifier};
use crate::options::SecretText;

/// The options of TLS.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsOptions {
    /// Whether the certificate must be valid. Its end of validity is recorded in any case.
    #[schemars(extend("default" = true))]
    pub(crate) verify: Option<bool>,
    /// Certificates in PEM format that are trusted instead of the system's.
    #[schemars(extend("x-default" = "the system's"))]
    pub(crate) ca: Option<String>,
    /// The name sent (SNI) and looked for in the certificate.
    #[schemars(extend("x-default" = "the target's host"))]
    pub(crate) server_name: Option<String>,
    /// The oldest version of TLS to agree to, `1.2` or `1.3`.
    #[schemars(extend("default" = "1.2"))]
    pub(crate) min_version: Option<TlsVersion>,
    /// The newest version of TLS to offer, `1.2` or `1.3`.
    #[schemars(extend("default" = "1.3"))]
    pub(crate) max_version: Option<TlsVersion>,
    /// The certificate to show to a server that asks for one: the options below it.
    pub(crate) client: Option<ClientOptions>,
}

/// A certificate of the check's own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientOptions {
    /// The certificate in PEM format, and those of its issuers that the server may lack.
    #[schemars(required)]
    cert: Option<String>,
    /// Its private key in PEM format, without a password. Never shown.
    #[schemars(required)]
    key: Option<SecretText>,
}

/// A version of TLS that can be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl JsonSchema for TlsVersion {
    fn schema_name() -> Cow<'static, str> {
        "TlsVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["1.2", "1.3", 1.2, 1.3]})
    }
}

impl TryFrom<Value> for TlsVersion {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match text.as_str() {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            _ => Err(format!("{text} is not one of 1.2, 1.3")),
        }
    }
}

/// Which versions of TLS a check allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Versions {
    /// All that can be spoken.
    #[default]
    Any,
    /// TLS 1.2 only.
    Old,
    /// TLS 1.3 only.
    New,
}

impl Versions {
    /// The versions to set, if not all.
    pub(super) fn config(self) -> Option<&'static [&'static SupportedProtocolVersion]> {
        static OLD: [&SupportedProtocolVersion; 1] = [&TLS12];
        static NEW: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Any => None,
            Self::Old => Some(&OLD),
            Self::New => Some(&NEW),
        }
    }

    /// What a server speaks that agrees to none of them.
    pub(super) fn refused(self) -> &'static str {
        match self {
            Self::Any => "neither TLS 1.2 nor TLS 1.3",
            Self::Old => "no TLS 1.2",
            Self::New => "no TLS 1.3",
        }
    }
}

/// TLS options after validation.
#[derive(Clone, Default)]
pub(crate) struct TlsPlan {
    pub(super) insecure: bool,
    pub(super) verifier: Option<Arc<WebPkiServerVerifier>>,
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) versions: Versions,
    pub(super) client: Option<Arc<CertifiedKey>>,
}

impl TlsPlan {
    /// The same for a server other than the target: it is called and shown nothing special.
    pub(crate) fn elsewhere(&self) -> Self {
        Self { server_name: None, client: None, ..self.clone() }
    }

    /// Whether the check has a certificate of its own.
    pub(crate) fn has_client(&self) -> bool {
        self.client.is_some()
    }
}

/// A key is not shown.
impl std::fmt::Debug for TlsPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsPlan")
            .field("insecure", &self.insecure)
            .field("server_name", &self.server_name)
            .field("versions", &self.versions)
            .finish_non_exhaustive()
    }
}

impl TlsOptions {
    /// Validates; adds what is wrong to `problems`.
    pub(crate) fn plan(&self, problems: &mut Vec<OptionProblem>) -> TlsPlan {
        let mut note = |path: &[&str], problem: String| {
            let path = [&["tls"], path].concat();
            problems.push(OptionProblem::at(&path, problem));
        };
        let verifier = self
            .ca
            .as_deref()
            .and_then(|pem| verifier_of(pem).map_err(|problem| note(&["ca"], problem)).ok());
        let server_name = self.server_name.as_ref().and_then(|name| {
            ServerName::try_from(name.clone())
                .map_err(|_| {
                    let problem = format!("{name:?} is neither a host name nor an address");
                    note(&["server_name"], problem);
                })
                .ok()
        });
        let versions = match (self.min_version, self.max_version) {
            (Some(TlsVersion::V1_3), Some(TlsVersion::V1_2)) => {
                note(&["min_version"], "is newer than max_version".to_owned());
                Versions::Any
            }
            (Some(TlsVersion::V1_3), _) => Versions::New,
            (_, Some(TlsVersion::V1_2)) => Versions::Old,
            _ => Versions::Any,
        };
        let client = self.client.as_ref().and_then(|client| client.plan(&mut note));
        TlsPlan {
            insecure: self.verify == Some(false),
            verifier,
            server_name,
            versions,
            client: client.map(Arc::new),
        }
    }
}

impl ClientOptions {
    fn plan(&self, note: &mut impl FnMut(&[&str], String)) -> Option<CertifiedKey> {
        let chain = certificates(self.cert.as_deref()?)
            .map_err(|problem| note(&["client", "cert"], problem))
            .ok()?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_ref()?.reveal().as_bytes())
            .map_err(|_| {
                let problem = "holds no private key in PEM format without a password";
                note(&["client", "key"], problem.to_owned());
            })
            .ok()?;
        CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| note(&["client"], format!("cannot be used: {error}")))
            .ok()
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Err(error) => Err(format!("not PEM: {error}")),
        Ok(read) if read.is_empty() => Err("holds no certificate: write PEM text".to_owned()),
        Ok(read) => Ok(read),
    }
}

fn verifier_of(pem: &str) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| format!("a certificate cannot be read: {error}"))?;
    }
    verifier(roots).map_err(|error| error.to_string())
}
