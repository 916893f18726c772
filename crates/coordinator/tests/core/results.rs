//! Results: kept before they are acknowledged, and kept once.

use std::time::Duration;

use quorate_model::Timestamp;
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::connect_response::Message as Down;
use quorate_store::StoreError;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::bench::{Bench, Coordinator};
use crate::fake_agent::result;
use crate::faulty_store::Mood;

async fn stored(coordinator: &Coordinator) -> Vec<u64> {
    let store = coordinator.running.store();
    let restored = store.read(|store| store.restore(Timestamp::EPOCH)).await;
    let results = restored.unwrap().results;
    results.iter().map(|result| result.id.sequence).collect()
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_durable() {
    let bench = Bench::new().await;
    let coordinator = bench.start().await;
    let agent = bench.agent("fra");
    let (mut stream, update) = agent.settle(coordinator.running.agents_addr()).await;
    coordinator.fault.set(Mood::Stuck);
    stream.send(vec![result(&update, 1, "shop"), result(&update, 2, "door")]).await;
    // The rest of the coordinator goes on meanwhile.
    stream.beat().await;
    let early = tokio::time::timeout(Duration::from_millis(200), stream.next()).await;
    assert!(early.is_err(), "{early:?}");
    coordinator.fault.set(Mood::Fine);
    assert_eq!(stream.acked().await, 2);
    assert_eq!(stored(&coordinator).await, [1, 2]);

    // A repetition is acknowledged, and kept once.
    stream.send(vec![result(&update, 2, "door"), result(&update, 3, "shop")]).await;
    assert_eq!(stream.acked().await, 3);
    assert_eq!(stored(&coordinator).await, [1, 2, 3]);
    drop(stream);
    coordinator.stop().await;
}

#[tokio::test]
async fn what_a_full_store_refused_is_accepted_once_when_there_is_room() {
    let mut bench = Bench::new().await;
    let coordinator = bench.start().await;
    let agent = bench.agent("fra");
    let address = coordinator.running.agents_addr();
    let (mut stream, update) = agent.settle(address).await;
    stream.send(vec![result(&update, 1, "shop")]).await;
    assert_eq!(stream.acked().await, 1);

    coordinator.fault.set(Mood::Full);
    stream.send(vec![result(&update, 2, "shop")]).await;
    stream.send(vec![result(&update, 3, "shop")]).await;
    let end = stream.end().await;
    assert_eq!(end.code(), Code::ResourceExhausted);
    let details = end.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "STORE_FULL");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    let notice = bench.arrival().await;
    assert_eq!(notice.kind(), "operator.notice");
    assert!(notice.body.to_string().contains("store_failing"));

    coordinator.fault.set(Mood::Fine);
    let (mut stream, welcome) = agent.connect(address).await;
    assert_eq!(welcome.resume_after_sequence, 1);
    let again = (2..=3).map(|number| result(&update, number, "shop"));
    stream.send(again.collect()).await;
    assert_eq!(stream.acked().await, 3);
    assert_eq!(stored(&coordinator).await, [1, 2, 3]);
    let resolved = bench.arrival().await;
    assert_eq!(resolved.kind(), "operator.resolved");
    drop(stream);
    coordinator.stop().await;
}

#[tokio::test]
async fn what_follows_a_refused_batch_is_not_acknowledged_in_its_place() {
    let mut bench = Bench::new().await;
    let coordinator = bench.start().await;
    let agent = bench.agent("fra");
    let address = coordinator.running.agents_addr();
    let (mut stream, update) = agent.settle(address).await;
    coordinator.fault.set(Mood::Full);
    stream.send(vec![result(&update, 1, "shop")]).await;
    assert_eq!(bench.arrival().await.kind(), "operator.notice");

    // There is room for what was under way behind it.
    coordinator.fault.set(Mood::Fine);
    stream.send(vec![result(&update, 2, "shop")]).await;
    // The stream is of use until it ends.
    stream.beat().await;
    loop {
        match stream.next().await {
            Ok(Down::ResultAck(ack)) => panic!("{ack:?}: result 1 would be lost"),
            Ok(_) => {}
            Err(end) => {
                assert_eq!(end.code(), Code::ResourceExhausted);
                break;
            }
        }
    }
    let (mut stream, welcome) = agent.connect(address).await;
    assert_eq!(welcome.resume_after_sequence, 0);
    stream.send(vec![result(&update, 1, "shop"), result(&update, 2, "shop")]).await;
    assert_eq!(stream.acked().await, 2);
    assert_eq!(stored(&coordinator).await, [1, 2]);
    drop(stream);
    coordinator.stop().await;
}

#[tokio::test]
async fn a_round_that_nobody_has_given_out_is_not_believed() {
    let bench = Bench::new().await;
    let coordinator = bench.start().await;
    let agent = bench.agent("fra");
    let (mut stream, update) = agent.settle(coordinator.running.agents_addr()).await;
    let round = u64::MAX / 2;
    stream.send(vec![wire::Result { round, ..result(&update, 1, "shop") }]).await;
    assert_eq!(stream.acked().await, 1);
    let restored = coordinator.running.store().read(|store| store.restore(Timestamp::EPOCH)).await;
    assert!(restored.unwrap().next_round < 1_000, "after a restart, rounds would go on from there");
    drop(stream);
    coordinator.stop().await;
}

#[tokio::test]
async fn a_store_that_breaks_is_not_used_again() {
    let mut bench = Bench::new().await;
    let coordinator = bench.start().await;
    let agent = bench.agent("fra");
    let (stream, update) = agent.settle(coordinator.running.agents_addr()).await;
    coordinator.fault.set(Mood::Broken);
    stream.send(vec![result(&update, 1, "shop")]).await;
    let broken = coordinator.running.store_broken().await;
    assert!(matches!(*broken, StoreError::Broken { .. }), "{broken}");
    let notice = bench.arrival().await;
    assert!(notice.body.to_string().contains("the coordinator ends"), "{}", notice.body);

    coordinator.fault.set(Mood::Fine);
    assert!(coordinator.running.store().read(|store| store.agents()).await.is_err());
    drop(stream);
    coordinator.stop().await;

    let coordinator = bench.start().await;
    let (mut stream, welcome) = agent.connect(coordinator.running.agents_addr()).await;
    assert_eq!(welcome.resume_after_sequence, 0);
    stream.send(vec![result(&update, 1, "shop")]).await;
    assert_eq!(stream.acked().await, 1);
    drop(stream);
    coordinator.stop().await;
}

#[tokio::test]
async fn a_restart_remembers_what_was_acknowledged() {
    let bench = Bench::new().await;
    let coordinator = bench.start().await;
    let agent = bench.agent("fra");
    let (mut stream, update) = agent.settle(coordinator.running.agents_addr()).await;
    stream.send(vec![result(&update, 1, "shop"), result(&update, 2, "shop")]).await;
    assert_eq!(stream.acked().await, 2);
    drop(stream);
    coordinator.stop().await;

    let coordinator = bench.start().await;
    let address = coordinator.running.agents_addr();
    let (mut stream, welcome) = agent.connect(address).await;
    assert_eq!(welcome.resume_after_sequence, 2);
    let again = (1..=3).map(|number| result(&update, number, "shop"));
    stream.send(again.collect()).await;
    assert_eq!(stream.acked().await, 3);
    assert_eq!(stored(&coordinator).await, [1, 2, 3]);

    // One that is not fit to be kept does not hold up the others.
    let mut bad = result(&update, 4, "shop");
    bad.outcome = "splendid".to_owned();
    stream.send(vec![bad, result(&update, 5, "shop")]).await;
    assert_eq!(stream.acked().await, 5);
    assert_eq!(stored(&coordinator).await, [1, 2, 3, 5]);
    drop(stream);
    coordinator.stop().await;
}
