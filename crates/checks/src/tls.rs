//! TLS handshakes that say exactly what is wrong.

mod certificate;
mod options;
mod recorder;
mod told;

use std::sync::Arc;

use quorate_model::{Phase, Reason, TlsFacts};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::certificate::Sent;
use self::recorder::{ClientAuth, Recorder};
use self::told::Failed;
use crate::context::Environment;
use crate::phase::{Stop, Trace};

pub(crate) use self::options::{TlsOptions, TlsPlan};
pub(crate) use self::told::refused_client;

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
    Provider(#[from] rustls::Error),
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
        let config = settings(&verifier, rustls::DEFAULT_VERSIONS)?;
        Ok(Self { verifier, config: Arc::new(config) })
    }
}

/// The settings for handshakes in these versions.
fn settings(
    verifier: &Arc<WebPkiServerVerifier>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(verifier) as _)
        .with_no_client_auth();
    // Each probe pays for a whole handshake, so that it measures and verifies one.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Shakes hands on `stream`, offering `alpn` protocols; notes phase, protocol and certificates.
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
    let verifier = plan.verifier.as_ref().unwrap_or(&environment.tls.verifier);
    let recorder = Arc::new(Recorder::new(verifier, plan.insecure, &environment.wall));
    let client = Arc::new(ClientAuth::new(plan.client.clone()));
    let base = plan.versions.config().map_or_else(
        || Ok(ClientConfig::clone(&environment.tls.config)),
        |versions| settings(verifier, versions),
    );
    let mut config = base.map_err(|error| {
        let message = format!("cannot set up TLS: {error}");
        Stop::doubt(quorate_model::Doubt::Internal, message)
    })?;
    config.dangerous().set_certificate_verifier(Arc::clone(&recorder) as _);
    config.client_auth_cert_resolver = Arc::clone(&client) as _;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await;
    let sent = recorder.take();
    let links = sent.as_ref().map(|sent| sent.links.clone());
    let connection = shaken.as_ref().ok().map(|stream| stream.get_ref().1);
    let facts = facts(sent, client.asked(), connection);
    trace.evidence.cert_not_after = facts.chain.first().map(|certificate| certificate.not_after);
    if connection.is_some() {
        trace.evidence.protocol.clone_from(&facts.version);
    }
    let seen = facts != TlsFacts::default();
    trace.evidence.tls = seen.then(|| Box::new(facts));
    shaken.map_err(|error| {
        let failed = Failed {
            name: &name,
            links,
            asked: client.asked(),
            has_own: plan.client.is_some(),
            versions: plan.versions.refused(),
        };
        let (reason, message) = failed.told(&error);
        Stop::fail(Phase::Tls, reason, message)
    })
}

/// What a handshake showed: the certificates, and of one that succeeded what was agreed on.
fn facts(sent: Option<Sent>, asked: bool, connection: Option<&ClientConnection>) -> TlsFacts {
    let mut facts = TlsFacts { client_certificate_asked: asked, ..TlsFacts::default() };
    if let Some(sent) = sent {
        facts.ocsp_stapled = sent.ocsp_stapled;
        facts.sent = u32::try_from(sent.count).unwrap_or(u32::MAX);
        facts.chain = sent.chain;
    }
    let Some(connection) = connection else {
        return facts;
    };
    let version = connection.protocol_version().and_then(|version| version.as_str());
    facts.version = version.map(|name| name.replace('_', "."));
    let suite = connection.negotiated_cipher_suite();
    facts.cipher = suite.and_then(|suite| suite.suite().as_str()).map(str::to_owned);
    facts.alpn = connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    facts
}
