use quorate_model::Timestamp;
use quorate_proto::agent::v1::join_service_client::JoinServiceClient;
use quorate_store::{JoinToken, Write};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use super::*;
use crate::acceptor::{Door, Limits};
use crate::pki::Identity;
use crate::store_thread;

struct Site {
    client: JoinServiceClient<Channel>,
    parts: JoinParts,
    clock: Clock,
    _stop: DropGuard,
}

async fn site() -> Site {
    let clock = Clock::start();
    let (store, _) = store_thread::spawn(quorate_store::open("memory:").unwrap()).unwrap();
    let parts = JoinParts {
        mirror: Mirror::default(),
        store,
        authority: Arc::new(Authority::ephemeral(&[], clock.now()).unwrap()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let channel = Channel::from_shared(url).unwrap().connect_lazy();
    let stop = CancellationToken::new();
    // TLS is the acceptor's, and tested there.
    let serving = Serving { door: Door::Plain, limits: Limits::join(), clock, stop: stop.clone() };
    let tasks = quorate_runtime::Tasks::new();
    tasks.spawn("join", serve(listener, parts.clone(), serving));
    Site { client: JoinServiceClient::new(channel), parts, clock, _stop: stop.drop_guard() }
}

impl Site {
    async fn invite(&self, secret: &str, agent: &str, expires: Timestamp) {
        let token = JoinToken {
            hash: token::hash(secret),
            agent: agent.parse().unwrap(),
            region: "fra".parse().unwrap(),
            expires,
        };
        let writes = vec![Write::JoinToken(token)];
        self.parts.store.commit(writes).await.unwrap();
    }

    async fn join(&self, token: &str, csr_der: Vec<u8>) -> Result<wire::JoinResponse, Status> {
        let token = token.to_owned();
        let request = wire::JoinRequest { token, csr_der };
        let answer = self.client.clone().join(request).await;
        answer.map(Response::into_inner)
    }
}

fn csr() -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let request = CertificateParams::default().serialize_request(&key);
    request.unwrap().der().to_vec()
}

fn refused(answer: Result<wire::JoinResponse, Status>, code: Code, reason: &str) -> Status {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "quorate"));
    status
}

#[tokio::test]
async fn a_token_works_once() {
    let site = site().await;
    let soon = site.clock.now() + Duration::from_secs(600);
    site.invite("qjt_one", "fra-1", soon).await;
    let joined = site.join("qjt_one", csr()).await.unwrap();
    assert_eq!((joined.agent.as_str(), joined.region.as_str()), ("fra-1", "fra"));
    assert_eq!(joined.ca_pem, site.parts.authority.ca_pem());
    let certificate = CertificateDer::from_pem_slice(joined.certificate_pem.as_bytes()).unwrap();
    let identity = Identity::of(&certificate).unwrap();
    assert_eq!(identity.agent.as_str(), "fra-1");
    let shown = site.parts.mirror.read(|view| view.agents.len());
    assert_eq!(shown, 1);

    let again = site.join("qjt_one", csr()).await;
    let used = refused(again, Code::Unauthenticated, "TOKEN_INVALID");
    let unknown = site.join("qjt_two", csr()).await;
    let unknown = refused(unknown, Code::Unauthenticated, "TOKEN_INVALID");
    assert_eq!(used.message(), unknown.message());
    assert!(!used.message().contains("qjt_"));
}

#[tokio::test]
async fn an_expired_token_does_not_work() {
    let site = site().await;
    let past = site.clock.now().before(Duration::from_secs(1));
    site.invite("qjt_old", "fra-1", past).await;
    let answer = site.join("qjt_old", csr()).await;
    refused(answer, Code::Unauthenticated, "TOKEN_INVALID");
    assert_eq!(site.parts.mirror.read(|view| view.agents.len()), 0);
}

#[tokio::test]
async fn a_broken_request_does_not_cost_the_token() {
    let site = site().await;
    let soon = site.clock.now() + Duration::from_secs(600);
    site.invite("qjt_one", "fra-1", soon).await;
    let answer = site.join("qjt_one", b"nonsense".to_vec()).await;
    refused(answer, Code::InvalidArgument, "CSR_INVALID");
    site.join("qjt_one", csr()).await.unwrap();
}

#[tokio::test]
async fn two_that_race_with_one_token_do_not_both_win() {
    let site = site().await;
    let soon = site.clock.now() + Duration::from_secs(600);
    site.invite("qjt_one", "fra-1", soon).await;
    let (first, second) = tokio::join!(site.join("qjt_one", csr()), site.join("qjt_one", csr()));
    assert!(first.is_ok() ^ second.is_ok());
}

#[tokio::test]
async fn attempts_are_limited_and_messages_are_short() {
    let site = site().await;
    let long = site.join("qjt_x", vec![0; 70 * 1_024]).await;
    assert_eq!(long.unwrap_err().code(), Code::OutOfRange);
    let mut last = None;
    for _ in 0..=ATTEMPTS {
        last = Some(site.join("qjt_x", csr()).await);
    }
    refused(last.unwrap(), Code::ResourceExhausted, "JOIN_RATE");
}
