//! Results: kept before they are acknowledged, and kept once.

use std::time::Duration;

use quorate_model::Timestamp;
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
