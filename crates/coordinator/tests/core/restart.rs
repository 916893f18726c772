//! What a coordinator takes over a restart.

use quorate_model::Timestamp;
use serde_json::Value;

use crate::bench::{Bench, Coordinator};
use crate::decisions::fleet;
use crate::fake_agent::result;

async fn learned(coordinator: &Coordinator) -> Option<Value> {
    let store = coordinator.running.store();
    store.read(|store| store.restore(Timestamp::EPOCH)).await.unwrap().memory
}

#[tokio::test]
async fn what_was_learned_is_stored_though_no_verdict_changes() {
    let mut bench = Bench::new().await;
    bench.policy = "{ remember_every: 100ms }";
    let coordinator = bench.start().await;
    let mut fleet = fleet(&bench, &coordinator).await;
    let (stream, update) = &mut fleet[0];
    let mut known = None;
    for number in 2..5_000 {
        stream.send(vec![result(update, number, "shop")]).await;
        assert_eq!(stream.acked().await, number);
        known = learned(&coordinator).await;
        if known.is_some() {
            break;
        }
    }
    let known = known.expect("it is stored with the results that taught it");
    // Whichever region taught something first.
    assert!(known["baselines"]["http"].as_object().is_some_and(|it| !it.is_empty()), "{known}");
    drop(fleet);
    coordinator.stop().await;

    let coordinator = bench.start().await;
    assert!(learned(&coordinator).await.is_some());
    coordinator.stop().await;
}

#[tokio::test]
async fn an_agent_that_does_not_come_back_after_a_restart_is_told_lost() {
    let mut bench = Bench::new().await;
    let coordinator = bench.start().await;
    let agents = fleet(&bench, &coordinator).await;
    drop(agents);
    coordinator.stop().await;

    bench.policy = "{ heartbeat: 100ms, absent_after: 300ms, lost_after: 500ms }";
    let coordinator = bench.start().await;
    let mut lost: Vec<String> = Vec::new();
    while lost.len() < 3 {
        let arrival = bench.arrival().await;
        assert_eq!(arrival.kind(), "operator.notice", "{}", arrival.body);
        if arrival.body["data"]["kind"] == "agent_lost" {
            lost.push(arrival.body["data"]["agent"].as_str().unwrap().to_owned());
        }
    }
    lost.sort_unstable();
    assert_eq!(lost, ["fra-1", "iad-1", "syd-1"]);
    coordinator.stop().await;
}
