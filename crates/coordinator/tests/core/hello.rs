//! Who is let in.

use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::connect_request::Message as Up;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::bench::Bench;
use crate::fake_agent::FakeAgent;

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "quorate");
    info.reason
}

#[tokio::test]
async fn a_stream_must_start_with_hello() {
    let bench = Bench::new().await;
    let coordinator = bench.start().await;
    let agent = bench.agent("fra");
    let goodbye = Up::Goodbye(wire::Goodbye::default());
    let address = coordinator.running.agents_addr();
    let mut stream = agent.open(address, goodbye).await.unwrap();
    let end = stream.end().await;
    assert_eq!(end.code(), Code::FailedPrecondition);
    assert_eq!(reason(&end), "HELLO_REQUIRED");
    coordinator.stop().await;
}

#[tokio::test]
async fn an_agent_that_has_not_joined_or_claims_another_region_is_refused() {
    let bench = Bench::new().await;
    let coordinator = bench.start().await;
    let address = coordinator.running.agents_addr();
    for (name, region) in [("stranger", "fra"), ("fra-1", "iad")] {
        let agent = FakeAgent::new(&bench, name, region);
        let first = Up::Hello(agent.hello.clone());
        let refused = agent.open(address, first).await.err().expect("refused");
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(reason(&refused), "AGENT_NOT_ENROLLED");
    }
    let agent = bench.agent("fra");
    let first = Up::Hello(wire::Hello { region: "iad".to_owned(), ..agent.hello.clone() });
    let mut stream = agent.open(address, first).await.unwrap();
    let end = stream.end().await;
    assert_eq!(end.code(), Code::PermissionDenied);
    assert_eq!(reason(&end), "REGION_MISMATCH");
    coordinator.stop().await;
}

#[tokio::test]
async fn a_new_stream_of_an_agent_ends_the_old_one() {
    let bench = Bench::new().await;
    let coordinator = bench.start().await;
    let address = coordinator.running.agents_addr();
    let agent = bench.agent("fra");
    let (mut first, _) = agent.settle(address).await;
    let (mut second, _) = agent.settle(address).await;
    let end = first.end().await;
    assert_eq!(end.code(), Code::Aborted);
    assert_eq!(reason(&end), "SESSION_SUPERSEDED");
    second.beat().await;
    let connected = coordinator
        .running
        .mirror()
        .read(|view| view.agents.values().filter(|agent| agent.connected).count());
    assert_eq!(connected, 1);
    coordinator.stop().await;
    assert_eq!(reason(&second.end().await), "DRAINING");
}
