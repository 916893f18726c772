//! A coordinator that does what a test says: mutual TLS, one stream at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_agent::Identity;
use quorate_model::{Secret, Timestamp};
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::agent_service_server::{AgentService, AgentServiceServer};
use quorate_proto::convert::agent::timestamp_to_wire;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wire::connect_request::Message;
use wire::connect_response::Message as Reply;

/// The longest that a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// An authority, and what it has signed.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    pub fn identity(&self) -> Identity {
        let (certificate_pem, key) = self.sign("agent", ExtendedKeyUsagePurpose::ClientAuth);
        Identity {
            agent: "fra-1".parse().expect("a name"),
            region: "fra".parse().expect("a name"),
            certificate_pem,
            key_pem: Secret::new(key),
            ca_pem: self.pem.clone(),
        }
    }

    fn server(&self) -> ServerConfig {
        let name = "coordinator.quorate.internal";
        let (certificate, key) = self.sign(name, ExtendedKeyUsagePurpose::ServerAuth);
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        let mut roots = RootCertStore::empty();
        roots.add(der(&self.pem)).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .expect("a verifier");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![der(&certificate)],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
            )
            .expect("a server");
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// The coordinator, on a port of its own.
pub struct Coordinator {
    pub address: SocketAddr,
    peers: mpsc::Receiver<Peer>,
    _server: JoinSet<()>,
}

/// The coordinator's end of a stream.
pub struct Peer {
    incoming: Streaming<wire::ConnectRequest>,
    outgoing: mpsc::Sender<Result<wire::ConnectResponse, Status>>,
    /// What it takes the time to be, if it says so.
    pub time: Option<Timestamp>,
}

struct Service(mpsc::Sender<Peer>);

#[tonic::async_trait]
impl AgentService for Service {
    type ConnectStream = ReceiverStream<Result<wire::ConnectResponse, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<wire::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (outgoing, receiver) = mpsc::channel(16);
        let peer = Peer { incoming: request.into_inner(), outgoing, time: None };
        self.0.send(peer).await.expect("the test listens");
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl Coordinator {
    pub async fn start(authority: &Authority) -> Self {
        Self::start_at(authority, "127.0.0.1:0".parse().expect("an address")).await
    }

    pub async fn start_at(authority: &Authority, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(Arc::new(authority.server()));
        let (streams, stream_queue) = mpsc::channel(4);
        let (sender, peers) = mpsc::channel(4);
        let mut server = JoinSet::new();
        server.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                // An agent may go away in the middle of a handshake.
                if let Ok(stream) = acceptor.accept(stream).await {
                    let stream: Result<_, std::io::Error> = Ok(stream);
                    streams.send(stream).await.expect("the server takes it");
                }
            }
        });
        server.spawn(async move {
            tonic::transport::Server::builder()
                .add_service(AgentServiceServer::new(Service(sender)))
                .serve_with_incoming(ReceiverStream::new(stream_queue))
                .await
                .expect("the server runs");
        });
        Self { address, peers, _server: server }
    }

    /// The next stream, and the hello on it.
    pub async fn hello(&mut self) -> (Peer, wire::Hello) {
        let mut peer = tokio::time::timeout(DEADLINE, self.peers.recv())
            .await
            .expect("an agent connects in time")
            .expect("the server runs");
        match peer.next().await {
            Message::Hello(hello) => (peer, hello),
            other => panic!("hello comes first, not {other:?}"),
        }
    }

    /// The next stream, greeted.
    pub async fn welcome(&mut self, resume_after_sequence: u64) -> (Peer, wire::Hello) {
        let (peer, hello) = self.hello().await;
        peer.send(Reply::Welcome(wire::Welcome {
            max_inflight_batches: 4,
            resume_after_sequence,
            settings: Some(settings(&[])),
            ..wire::Welcome::default()
        }))
        .await;
        (peer, hello)
    }
}

/// Quick timers, and these anchors.
pub fn settings(anchors: &[String]) -> wire::AgentSettings {
    let time = |millis: u64| {
        let time = Duration::from_millis(millis);
        Some(quorate_proto::convert::agent::duration_to_wire(time))
    };
    wire::AgentSettings {
        heartbeat_interval: time(100),
        anchor_interval: time(200),
        anchor_timeout: time(300),
        anchors: anchors.to_vec(),
    }
}

impl Peer {
    pub async fn send(&self, message: Reply) {
        let message = Some(message);
        let sent = self.outgoing.send(Ok(wire::ConnectResponse { message })).await;
        sent.expect("the stream is open");
    }

    /// The next message, whatever it is.
    pub async fn next(&mut self) -> Message {
        self.try_next().await.expect("the stream is open")
    }

    /// The next message; nothing when the agent has ended the stream.
    pub async fn try_next(&mut self) -> Option<Message> {
        let message = tokio::time::timeout(DEADLINE, self.incoming.message())
            .await
            .expect("a message comes in time");
        message.ok().flatten().map(|message| message.message.expect("a known message"))
    }

    /// The next message for which `pick` returns something. Heartbeats are answered on the way.
    pub async fn until<T>(&mut self, mut pick: impl FnMut(&Message) -> Option<T>) -> T {
        let search = async {
            loop {
                let message = self.next().await;
                if let Message::Heartbeat(beat) = &message {
                    let ack = wire::HeartbeatAck {
                        sequence: beat.sequence,
                        server_time: self.time.map(timestamp_to_wire),
                    };
                    self.send(Reply::HeartbeatAck(ack)).await;
                }
                if let Some(found) = pick(&message) {
                    return found;
                }
            }
        };
        tokio::time::timeout(DEADLINE, search).await.expect("the message comes in time")
    }

    /// The results of the next batch.
    pub async fn results(&mut self) -> Vec<wire::Result> {
        self.until(|message| match message {
            Message::ResultBatch(batch) => Some(batch.results.clone()),
            _ => None,
        })
        .await
    }

    pub async fn acknowledge(&self, through_sequence: u64) {
        self.send(Reply::ResultAck(wire::ResultAck { through_sequence })).await;
    }

    /// Sends a configuration; the answer to it.
    pub async fn configure(&mut self, update: wire::ConfigUpdate) -> wire::ConfigAck {
        self.send(Reply::ConfigUpdate(update)).await;
        self.until(|message| match message {
            Message::ConfigAck(ack) => Some(ack.clone()),
            _ => None,
        })
        .await
    }
}
