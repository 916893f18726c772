//! What is watched during a handshake: the certificates that come, and whether one is wanted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::{CHAIN_MAX, Sent};
use crate::wall::WallClock;

/// Remembers the certificates, then lets the real verifier judge, or nobody.
#[derive(Debug)]
pub(super) struct Recorder {
    verifier: Arc<WebPkiServerVerifier>,
    insecure: bool,
    wall: WallClock,
    sent: Mutex<Option<Sent>>,
}

impl Recorder {
    /// Judges by `verifier` at the time of `wall`; not at all if `insecure`.
    pub(super) fn new(
        verifier: &Arc<WebPkiServerVerifier>,
        insecure: bool,
        wall: &WallClock,
    ) -> Self {
        let (verifier, wall) = (Arc::clone(verifier), wall.clone());
        Self { verifier, insecure, wall, sent: Mutex::default() }
    }

    /// What the server has sent.
    pub(super) fn take(&self) -> Option<Sent> {
        self.sent.lock().ok().and_then(|mut sent| sent.take())
    }
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
        if let Ok(mut sent) = self.sent.lock() {
            *sent = Some(Sent::read(end_entity, intermediates, ocsp_response));
        }
        if self.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        let seconds = u64::try_from(self.wall.seconds()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        // A path is looked for among as many as a reasonable server sends.
        let others = intermediates.get(..CHAIN_MAX - 1).unwrap_or(intermediates);
        self.verifier.verify_server_cert(end_entity, others, server_name, ocsp_response, now)
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

/// Hands out the check's certificate, if it has one, and remembers that it was asked to.
#[derive(Debug)]
pub(super) struct ClientAuth {
    own: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl ClientAuth {
    /// With a certificate or without.
    pub(super) fn new(own: Option<Arc<CertifiedKey>>) -> Self {
        Self { own, asked: AtomicBool::new(false) }
    }

    /// Whether the server has asked for a certificate.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for ClientAuth {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.own.clone().filter(|own| own.key.choose_scheme(schemes).is_some())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
