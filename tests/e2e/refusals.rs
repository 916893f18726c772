//! Who is turned away, and what they are told.

use quorate_coordinator::pki::Authority;
use quorate_coordinator::{Access, Listeners, Parts, Running};
use quorate_model::{AgentId, RegionId};
use quorate_proto::agent::v1 as wire;
use quorate_runtime::{Clock, Tasks};
use quorate_tests::raw_agent::{Credentials, register};
use std::sync::Arc;
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use wire::connect_request::Message;

const CONFIGURATION: &str = r#"
version: 1
server: { agents: { listen: "127.0.0.1:7444" } }
regions: { fra: { provider: a }, iad: { provider: b } }
anchors: []
checks:
  shop: { tcp: { address: "127.0.0.1:9" } }
"#;

struct Site {
    clock: Clock,
    authority: Arc<Authority>,
    running: Running,
}

/// A coordinator that knows the agent `fra-1` in `fra`.
async fn site() -> Site {
    let (clock, tasks) = (Clock::start(), Tasks::new());
    let authority = Arc::new(Authority::ephemeral(&[], clock.now()).expect("an authority"));
    let mut store = quorate_store::open("memory:").expect("a store");
    register(store.as_mut(), &region("fra"), &agent("fra-1"), clock.now()).expect("registered");
    let bind = || async { TcpListener::bind("127.0.0.1:0").await.expect("a free port") };
    let listeners = Listeners { agents: bind().await, join: bind().await, api: bind().await };
    let configuration =
        quorate_config::parse("site.yaml", CONFIGURATION).expect("a valid configuration");
    let parts = Parts {
        configuration,
        source: None,
        store,
        authority: Arc::clone(&authority),
        listeners,
        access: Access::LoopbackOpen,
        clock,
        tasks,
        data: None,
    };
    let running = quorate_coordinator::start(parts).await.expect("it starts");
    Site { clock, authority, running }
}

fn region(name: &str) -> RegionId {
    name.parse().expect("a valid name")
}

fn agent(name: &str) -> AgentId {
    name.parse().expect("a valid name")
}

/// What becomes of a stream that begins with `first`.
async fn first_answer(credentials: &Credentials, site: &Site, first: Message) -> Status {
    let mut client = credentials.connect(site.running.agents_addr()).await.expect("TLS lets it in");
    let first = wire::ConnectRequest { message: Some(first) };
    let requests =
        tokio_stream::StreamExt::chain(tokio_stream::once(first), tokio_stream::pending());
    match client.connect(requests).await {
        Err(status) => status,
        Ok(answers) => answers.into_inner().message().await.expect_err("it is refused"),
    }
}

fn hello() -> wire::Hello {
    wire::Hello { boot_id: vec![1; 16], version: "0.1.0".to_owned(), ..wire::Hello::default() }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_stream_must_start_with_hello() {
    let site = site().await;
    let known =
        Credentials::sign(&site.authority, &region("fra"), &agent("fra-1"), site.clock.now());
    let known = known.expect("a certificate");
    let status = first_answer(&known, &site, Message::Heartbeat(wire::Heartbeat::default())).await;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "HELLO_REQUIRED")
    );
}

#[tokio::test]
async fn an_agent_that_never_joined_is_refused() {
    let site = site().await;
    let (fra, stranger) = (region("fra"), agent("fra-9"));
    let stranger = Credentials::sign(&site.authority, &fra, &stranger, site.clock.now());
    let status =
        first_answer(&stranger.expect("a certificate"), &site, Message::Hello(hello())).await;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "AGENT_NOT_ENROLLED")
    );
}

#[tokio::test]
async fn an_agent_cannot_vote_for_another_region() {
    let site = site().await;
    let moved =
        Credentials::sign(&site.authority, &region("iad"), &agent("fra-1"), site.clock.now());
    let status = first_answer(&moved.expect("a certificate"), &site, Message::Hello(hello())).await;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "AGENT_NOT_ENROLLED")
    );

    let known =
        Credentials::sign(&site.authority, &region("fra"), &agent("fra-1"), site.clock.now());
    let claims = wire::Hello { region: "iad".to_owned(), ..hello() };
    let status = first_answer(&known.expect("a certificate"), &site, Message::Hello(claims)).await;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "REGION_MISMATCH")
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_does_not_get_past_tls() {
    let site = site().await;
    let other = Authority::ephemeral(&[], site.clock.now()).expect("another authority");
    let forged = Credentials::sign(&other, &region("fra"), &agent("fra-1"), site.clock.now());
    let mut forged = forged.expect("a certificate");
    site.authority.ca_pem().clone_into(&mut forged.ca_pem);
    // With TLS 1.3 a client learns of the refusal when it first reads.
    let refused = match forged.connect(site.running.agents_addr()).await {
        Err(_) => true,
        Ok(mut client) => client.connect(tokio_stream::pending()).await.is_err(),
    };
    assert!(refused);
}
