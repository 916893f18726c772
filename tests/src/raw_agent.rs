//! An agent that speaks the wire and nothing else: for tests and benchmarks that need to say what a
//! real agent never would, or faster than it ever could.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use quorate_coordinator::pki::Authority;
use quorate_model::{AgentId, RegionId, Timestamp};
use quorate_proto::agent::v1::agent_service_client::AgentServiceClient;
use quorate_store::{JoinToken, Store, Write};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// The name that the certificate of every coordinator bears.
const COORDINATOR: &str = "coordinator.quorate.internal";

/// Anything that goes wrong.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A certificate and its key.
#[derive(Debug)]
pub struct Credentials {
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
    /// Whom it trusts, PEM.
    pub ca_pem: String,
}

impl Credentials {
    /// Has `authority` sign a certificate for an agent, which the coordinator need not know.
    pub fn sign(
        authority: &Authority,
        region: &RegionId,
        agent: &AgentId,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let key = rcgen::KeyPair::generate()?;
        let request = rcgen::CertificateParams::default().serialize_request(&key)?;
        let issued = authority.sign_agent(request.der(), region, agent, now)?;
        Ok(Self {
            certificate_pem: issued.certificate_pem,
            key_pem: key.serialize_pem(),
            ca_pem: authority.ca_pem().to_owned(),
        })
    }

    /// Opens a channel to the coordinator's listener for agents.
    ///
    /// # Cancellation
    ///
    /// Dropping it closes the connection.
    pub async fn connect(
        &self,
        address: SocketAddr,
    ) -> Result<AgentServiceClient<Channel>, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes())?)?;
        let chain = vec![CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsConnector::from(Arc::new(config));
        let connector = tower::service_fn(move |_| {
            let tls = tls.clone();
            async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let name = ServerName::try_from(COORDINATOR).map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(TokioIo::new(tls.connect(name, stream).await?))
            }
        });
        // Plain http: the connector itself speaks TLS.
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        Ok(AgentServiceClient::new(endpoint.connect_with_connector(connector).await?))
    }
}

/// Registers an agent as if it had joined.
pub fn register(
    store: &mut dyn Store,
    region: &RegionId,
    agent: &AgentId,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(agent.as_str().bytes()) {
        *to = from;
    }
    let expires = now + std::time::Duration::from_secs(60);
    let token = JoinToken { hash, agent: agent.clone(), region: region.clone(), expires };
    store.commit(&[Write::JoinToken(token)])?;
    store.redeem(&hash, now)?.map(drop).ok_or_else(|| "the token was not taken".into())
}
