//! Joining: what an agent gets for its token, and from whom it takes it.
#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use quorate_agent::{JoinError, Joined};
use quorate_proto::JoinBundle;
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::join_service_server::{JoinService, JoinServiceServer};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    PublicKeyData as _,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateSigningRequestDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

const TOKEN: &str = "token-that-is-good";

/// A coordinator's side of joining.
struct Desk {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
}

#[tonic::async_trait]
impl JoinService for Desk {
    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinResponse>, Status> {
        let request = request.into_inner();
        if request.token != TOKEN {
            return Err(Status::unauthenticated("the token is unknown, used or expired"));
        }
        let der = CertificateSigningRequestDer::from(request.csr_der);
        let request = CertificateSigningRequestParams::from_der(&der).expect("a request");
        let certificate = request.signed_by(&self.issuer).expect("a certificate");
        Ok(Response::new(wire::JoinResponse {
            certificate_pem: certificate.pem(),
            ca_pem: self.ca_pem.clone(),
            agent: "fra-1".into(),
            region: "fra".into(),
        }))
    }
}

/// Serves a desk on loopback; its tasks, and the bundle that leads to it.
async fn desk() -> (JoinSet<()>, JoinBundle) {
    let key = KeyPair::generate().expect("a key");
    let pin = digest::digest(&digest::SHA256, &key.subject_public_key_info());
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("a certificate");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let name = "coordinator.quorate.internal".to_owned();
    let leaf = CertificateParams::new(vec![name])
        .expect("a name")
        .signed_by(&key, &issuer)
        .expect("a certificate");
    let chain = vec![leaf.der().clone(), authority.der().clone()];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
        .expect("a server");
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let (sender, streams) = mpsc::channel(4);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            // Who does not trust this desk leaves during the handshake.
            if let Ok(stream) = acceptor.accept(stream).await {
                let stream: Result<_, std::io::Error> = Ok(stream);
                sender.send(stream).await.expect("the server takes it");
            }
        }
    });
    let desk = Desk { issuer, ca_pem: authority.pem() };
    tasks.spawn(async move {
        tonic::transport::Server::builder()
            .add_service(JoinServiceServer::new(desk))
            .serve_with_incoming(ReceiverStream::new(streams))
            .await
            .expect("the server runs");
    });
    let bundle = JoinBundle {
        token: TOKEN.into(),
        ca_pin: pin.as_ref().try_into().expect("32 bytes"),
        join: vec![address],
        agents: vec!["coordinator.example.com:7441".into()],
    };
    (tasks, bundle)
}

fn is_empty(folder: &Path) -> bool {
    !folder.join("identity.json").exists() && !folder.join("agent.key").exists()
}

#[tokio::test]
async fn a_good_token_makes_an_identity_that_is_kept() {
    let (_desk, mut bundle) = desk().await;
    // The first address of a bundle may be out of order.
    bundle.join.insert(0, "127.0.0.1:1".into());
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("state");
    let joined = quorate_agent::join(&bundle.encode(), Some(&folder)).await.expect("joined");
    assert_eq!(joined.identity.agent.as_str(), "fra-1");
    assert_eq!(joined.coordinators, ["coordinator.example.com:7441"]);
    assert_eq!(Joined::load(&folder).expect("kept"), joined);
}

#[tokio::test]
async fn another_authority_never_sees_the_token() {
    let (_desk, mut bundle) = desk().await;
    bundle.ca_pin = [7; 32];
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("state");
    let error = quorate_agent::join(&bundle.encode(), Some(&folder)).await;
    assert!(matches!(error, Err(JoinError::Dial(_))), "{error:?}");
    assert!(is_empty(&folder));
}

#[tokio::test]
async fn a_bad_token_is_refused_with_the_next_step() {
    let (_desk, mut bundle) = desk().await;
    bundle.token = "token-that-is-used".into();
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("state");
    let error = quorate_agent::join(&bundle.encode(), Some(&folder)).await;
    let text = error.expect_err("refused").to_string();
    assert!(text.contains("quorate agent token"), "{text}");
    assert!(!text.contains("token-that-is-used"), "{text}");
    assert!(is_empty(&folder));
}

#[tokio::test]
async fn an_unusable_folder_does_not_cost_the_token() {
    let (_desk, bundle) = desk().await;
    let base = tempfile::tempdir().expect("a folder");
    let file = base.path().join("file");
    std::fs::write(&file, "not a folder").expect("written");
    let error = quorate_agent::join(&bundle.encode(), Some(&file)).await;
    assert!(matches!(error, Err(JoinError::Folder(_))), "{error:?}");
}
