//! Wall clocks that differ.

use std::sync::Arc;
use std::time::Duration;

use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::connect_request::Message as Up;
use quorate_proto::agent::v1::connect_response::Message as Down;
use quorate_proto::convert::agent::{duration_to_wire, timestamp_from_wire, timestamp_to_wire};

use crate::bench::Bench;

#[tokio::test]
async fn an_agent_whose_clock_is_wrong_is_told_and_told_the_time() {
    let mut bench = Bench::new().await;
    let coordinator = bench.start().await;
    let mut configuration = bench.configuration("60s");
    Arc::make_mut(&mut configuration.fleet).policy.isolated_after = Duration::from_millis(100);
    coordinator.running.reload(configuration).await.unwrap();
    let agent = bench.agent("fra");
    let (mut stream, _) = agent.settle(coordinator.running.agents_addr()).await;

    let wrong = bench.clock.wall() + Duration::from_secs(600);
    let beat = wire::Heartbeat {
        sequence: 7,
        health: wire::Health::Fine.into(),
        round_trip: Some(duration_to_wire(Duration::from_millis(2))),
        send_time: Some(timestamp_to_wire(wrong)),
        ..wire::Heartbeat::default()
    };
    stream.say(Up::Heartbeat(beat)).await;
    let told = stream
        .find(|message| match message {
            Down::HeartbeatAck(ack) if ack.sequence == 7 => ack.server_time,
            _ => None,
        })
        .await;
    let told = timestamp_from_wire("server_time", told).unwrap();
    assert!(told < wrong && told + Duration::from_secs(600) >= wrong, "{told} {wrong}");

    let notice = bench.arrival().await;
    assert_eq!(notice.kind(), "operator.notice");
    let text = notice.body.to_string();
    assert!(text.contains("agent_clock") && text.contains("10m ahead of"), "{text}");
    let ahead = coordinator
        .running
        .mirror()
        .read(|view| view.agents[&"fra-1".parse().unwrap()].clock_ahead_micros.unwrap());
    assert!((590_000_000..610_000_000).contains(&ahead), "{ahead}");
    coordinator.stop().await;
}
