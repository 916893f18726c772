//! TLS for the three listeners.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::{Authority, PkiError};

/// The name that every listener certificate bears, whatever the coordinator's address: agents
/// expect it together with the authority's pin.
pub const LISTENER_NAME: &str = "coordinator.quorate.internal";

/// The protocols that a listener offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 only.
    H2,
    /// HTTP/2, or HTTP/1.1 for those who ask for nothing else.
    H2AndHttp1,
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        let names: &[&str] = match self {
            Self::H2 => &["h2"],
            Self::H2AndHttp1 => &["h2", "http/1.1"],
        };
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Authority {
    /// TLS 1.3 for the listener of the agents: a client certificate of this authority is required.
    ///
    /// Sessions are never resumed: rustls does not look at the dates of a certificate again when
    /// they are, so that an agent whose certificate has expired would get in.
    pub fn agents_tls(&self) -> Result<Arc<ServerConfig>, PkiError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| PkiError::Tls {
            listener: "agents",
            source,
        };
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).map_err(|error| failed(error.into()))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| failed(error.into()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| failed(error.into()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.listener.clone(), self.key())
            .map_err(|error| failed(error.into()))?;
        config.alpn_protocols = Alpn::H2.protocols();
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }

    /// TLS for a listener whose clients have no certificate: joining, and the API.
    pub fn server_tls(&self, alpn: Alpn) -> Result<Arc<ServerConfig>, PkiError> {
        let failed = |source: rustls::Error| PkiError::Tls {
            listener: "clients without a certificate",
            source: source.into(),
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(self.listener.clone(), self.key())
            .map_err(failed)?;
        config.alpn_protocols = alpn.protocols();
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}
