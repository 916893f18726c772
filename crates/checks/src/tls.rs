//! TLS handshakes that say exactly what is wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_model::{OptionProblem, Phase, Reason, Timestamp};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error,
    PeerIncompatible, RootCertStore, SignatureScheme,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::context::Environment;
use crate::phase::{Stop, Trace, cut};
use crate::wall::WallClock;

/// The options of TLS, for every kind that speaks it.
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
}

/// TLS options after validation.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsPlan {
    insecure: bool,
    verifier: Option<Arc<WebPkiServerVerifier>>,
    server_name: Option<ServerName<'static>>,
}

impl TlsOptions {
    /// Validates; adds what is wrong to `problems`.
    pub(crate) fn plan(&self, problems: &mut Vec<OptionProblem>) -> TlsPlan {
        let verifier = self.ca.as_deref().and_then(|pem| {
            verifier_of(pem)
                .map_err(|problem| problems.push(OptionProblem::at(&["tls", "ca"], problem)))
                .ok()
        });
        let server_name = self.server_name.as_ref().and_then(|name| {
            ServerName::try_from(name.clone())
                .map_err(|_| {
                    let problem = format!("{name:?} is neither a host name nor an address");
                    problems.push(OptionProblem::at(&["tls", "server_name"], problem));
                })
                .ok()
        });
        TlsPlan { insecure: self.verify == Some(false), verifier, server_name }
    }
}

fn verifier_of(pem: &str) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a certificate cannot be read: {error}"))?;
    }
    if roots.is_empty() {
        return Err("holds no certificate: write PEM text".to_owned());
    }
    verifier(roots).map_err(|error| error.to_string())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn verifier(
    roots: RootCertStore,
) -> Result<Arc<WebPkiServerVerifier>, rustls::client::VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()
}

/// The TLS settings that all probes of an agent share.
#[derive(Debug, Clone)]
pub(crate) struct TlsBase {
    verifier: Arc<WebPkiServerVerifier>,
    config: Arc<ClientConfig>,
}

/// Why the TLS settings cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The roots are not usable.
    #[error("cannot use the trusted root certificates")]
    Roots(#[from] rustls::client::VerifierBuilderError),
    /// The provider does not fit the protocol versions.
    #[error("cannot set up TLS")]
    Provider(#[from] Error),
}

impl TlsBase {
    /// Trusts the system's roots or, if there are none, those of Mozilla that are built in.
    pub(crate) fn system() -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(native.certs);
        if added == 0 {
            tracing::warn!("the system has no trusted root certificates, using those built in");
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let verifier = verifier(roots)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_no_client_auth();
        // Each probe pays for a whole handshake, so that it measures and verifies one.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { verifier, config: Arc::new(config) })
    }
}

/// Shakes hands on `stream`, offering `alpn` protocols; notes phase, protocol and certificate.
pub(crate) async fn handshake(
    trace: &mut Trace,
    environment: &Environment,
    plan: &TlsPlan,
    (host, alpn): (&str, &[&str]),
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Stop> {
    trace.watch.enter(Phase::Tls);
    let name = match &plan.server_name {
        Some(name) => name.clone(),
        None => ServerName::try_from(host.to_owned()).map_err(|_| {
            let message = format!("{host} cannot be a name in a certificate");
            Stop::fail(Phase::Tls, Reason::CertHostMismatch, message)
        })?,
    };
    let recorder = Arc::new(Recorder {
        verifier: Arc::clone(plan.verifier.as_ref().unwrap_or(&environment.tls.verifier)),
        insecure: plan.insecure,
        wall: environment.wall.clone(),
        leaf: Mutex::default(),
    });
    let mut config = ClientConfig::clone(&environment.tls.config);
    config.dangerous().set_certificate_verifier(Arc::clone(&recorder) as _);
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await;
    let leaf = recorder.leaf.lock().ok().and_then(|leaf| leaf.clone());
    trace.evidence.cert_not_after = leaf.as_ref().map(|leaf| leaf.not_after);
    match shaken {
        Ok(stream) => {
            let version = stream.get_ref().1.protocol_version();
            trace.evidence.protocol =
                version.and_then(|version| version.as_str()).map(|name| name.replace('_', "."));
            Ok(stream)
        }
        Err(error) => {
            let self_signed = leaf.is_some_and(|leaf| leaf.self_signed);
            let (reason, message) = told(&error, &name, self_signed);
            Err(Stop::fail(Phase::Tls, reason, message))
        }
    }
}

/// The reason and the sentence for a failed handshake.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of errors grow; what is unknown is told in its own words"
)]
fn told(error: &std::io::Error, name: &ServerName<'_>, self_signed: bool) -> (Reason, String) {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                (Reason::Reset, "connection closed in the TLS handshake".to_owned())
            }
            _ => (Reason::Reset, format!("TLS handshake: {error}")),
        };
    };
    match error {
        Error::InvalidCertificate(wrong) => certificate_told(wrong, name, self_signed),
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => (Reason::TlsVersion, "the server speaks neither TLS 1.2 nor TLS 1.3".to_owned()),
        Error::InvalidMessage(_) => {
            (Reason::TlsHandshake, format!("the answer is not TLS ({error})"))
        }
        _ => (Reason::TlsHandshake, format!("TLS handshake: {error}")),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of errors grow; what is unknown is told in its own words"
)]
fn certificate_told(
    wrong: &CertificateError,
    name: &ServerName<'_>,
    self_signed: bool,
) -> (Reason, String) {
    let day = |time: &UnixTime| {
        jiff::Timestamp::from_second(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
            .map_or_else(|_| "an unknown day".to_owned(), |at| at.strftime("%F").to_string())
    };
    match wrong {
        CertificateError::Expired => (Reason::CertExpired, "certificate has expired".to_owned()),
        CertificateError::ExpiredContext { not_after, .. } => {
            (Reason::CertExpired, format!("certificate expired on {}", day(not_after)))
        }
        CertificateError::NotValidYet => {
            (Reason::CertNotYetValid, "certificate is not valid yet".to_owned())
        }
        CertificateError::NotValidYetContext { not_before, .. } => (
            Reason::CertNotYetValid,
            format!("certificate is not valid before {}", day(not_before)),
        ),
        CertificateError::Revoked => {
            (Reason::CertRevoked, "certificate has been revoked".to_owned())
        }
        CertificateError::NotValidForName => {
            (Reason::CertHostMismatch, format!("certificate is not for {}", name.to_str()))
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            // They come as `DnsName("a.example")` and the like.
            let names = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name));
            let names = cut(names.collect::<Vec<_>>().join(", "), 200);
            let message = format!("certificate is for {names}, not for {}", name.to_str());
            (Reason::CertHostMismatch, message)
        }
        CertificateError::UnknownIssuer | CertificateError::Other(_) if self_signed => {
            (Reason::CertSelfSigned, "certificate is self-signed".to_owned())
        }
        CertificateError::UnknownIssuer => (
            Reason::CertUntrusted,
            "certificate's issuer is not trusted, or the server leaves out the intermediate \
             certificates"
                .to_owned(),
        ),
        _ => (Reason::CertUntrusted, format!("certificate is not acceptable: {wrong}")),
    }
}

/// What is remembered of a leaf certificate.
#[derive(Debug, Clone)]
struct Leaf {
    not_after: Timestamp,
    self_signed: bool,
}

fn read_leaf(certificate: &CertificateDer<'_>) -> Option<Leaf> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let seconds = parsed.validity().not_after.timestamp();
    Some(Leaf {
        not_after: Timestamp::from_micros(seconds.saturating_mul(1_000_000)),
        self_signed: parsed.issuer().as_raw() == parsed.subject().as_raw(),
    })
}

/// Remembers the leaf certificate, then lets the real verifier judge, or nobody.
#[derive(Debug)]
struct Recorder {
    verifier: Arc<WebPkiServerVerifier>,
    insecure: bool,
    wall: WallClock,
    leaf: Mutex<Option<Leaf>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _machine: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Ok(mut leaf) = self.leaf.lock() {
            *leaf = read_leaf(end_entity);
        }
        if self.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        let seconds = u64::try_from(self.wall.seconds()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
