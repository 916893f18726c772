//! TLS towards the coordinator: 1.3 only, no resumption, and one authority that is trusted.

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, version,
};

use crate::Identity;

/// The name that the coordinator's certificate bears, whatever address an agent dials.
pub(crate) const COORDINATOR: &str = "coordinator.quorate.internal";
/// What is spoken over TLS. Source: RFC 9113, section 3.2.
const ALPN: &[u8] = b"h2";

/// TLS towards the coordinator cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A PEM text cannot be read.
    #[error("the {what} cannot be read as PEM: join anew")]
    Pem {
        /// Which text.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Key, certificate and authority do not make a client.
    #[error("the agent's key and certificate cannot be used: join anew")]
    Rustls(#[from] rustls::Error),
    /// The authority's certificate cannot be used.
    #[error("the authority's certificate cannot be used: join anew")]
    Authority(#[source] rustls::client::VerifierBuilderError),
}

/// The TLS of the stream: the agent proves who it is, and trusts its own authority only.
pub(crate) fn mutual(identity: &Identity) -> Result<ClientConfig, TlsSetupError> {
    let pem = |what| move |source| TlsSetupError::Pem { what, source };
    let authority = CertificateDer::from_pem_slice(identity.ca_pem.as_bytes())
        .map_err(pem("authority's certificate"))?;
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem("agent's certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.reveal().as_bytes())
        .map_err(pem("agent's key"))?;
    let mut roots = RootCertStore::empty();
    roots.add(authority)?;
    let config = ClientConfig::builder_with_provider(crypto())
        .with_protocol_versions(&[&version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(finished(config))
}

/// The TLS of joining: no certificate of one's own yet, and trust in the authority whose key has
/// this SHA-256, which the other side must show.
pub(crate) fn pinned(pin: [u8; 32]) -> Result<ClientConfig, TlsSetupError> {
    let crypto = crypto();
    let config = ClientConfig::builder_with_provider(Arc::clone(&crypto))
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedAuthority { pin, crypto }))
        .with_no_client_auth();
    Ok(finished(config))
}

fn crypto() -> Arc<CryptoProvider> {
    Arc::new(provider::default_provider())
}

fn finished(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

/// SHA-256 of the DER form of a certificate's `SubjectPublicKeyInfo`.
pub(crate) fn pin_of(certificate: &CertificateDer<'_>) -> Result<[u8; 32], rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let hash = digest::digest(&digest::SHA256, parsed.subject_public_key_info().as_ref());
    <[u8; 32]>::try_from(hash.as_ref())
        .map_err(|_| rustls::Error::General("SHA-256 has 32 bytes".to_owned()))
}

/// Accepts a chain that leads to the one authority whose key is pinned.
#[derive(Debug)]
struct PinnedAuthority {
    pin: [u8; 32],
    crypto: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authority = intermediates
            .iter()
            .find(|certificate| pin_of(certificate).is_ok_and(|pin| pin == self.pin))
            .ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.crypto))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto.signature_verification_algorithms.supported_schemes()
    }
}
