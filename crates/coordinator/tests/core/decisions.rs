//! From a failing probe to a message.

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{Fleet, State};
use quorate_proto::agent::v1 as wire;
use quorate_store::IncidentQuery;

use crate::bench::{Bench, Coordinator};
use crate::fake_agent::{Stream, failure, result};

/// All three agents, connected; each has reported a success of `shop`.
pub(crate) async fn fleet(
    bench: &Bench,
    coordinator: &Coordinator,
) -> Vec<(Stream, wire::ConfigUpdate)> {
    let address = coordinator.running.agents_addr();
    let mut fleet = Vec::new();
    for region in ["fra", "iad", "syd"] {
        let agent = bench.agent(region);
        fleet.push(agent.settle(address).await);
    }
    for (stream, update) in &mut fleet {
        stream.send(vec![result(update, 1, "shop")]).await;
        stream.acked().await;
    }
    coordinator.until("shop", State::Up).await;
    fleet
}

/// The first agent fails; all are asked, and fail as well.
async fn outage(fleet: &mut [(Stream, wire::ConfigUpdate)]) {
    let (first, update) = &fleet[0];
    first.send(vec![failure(update, 2, "shop")]).await;
    for (stream, update) in fleet.iter_mut() {
        let asked = stream.asked().await;
        assert_eq!(asked.check, "shop");
        let confirmed = wire::Result { round: asked.round, ..failure(update, 3, "shop") };
        stream.send(vec![confirmed]).await;
    }
}

#[tokio::test]
async fn one_failure_asks_all_and_a_quorum_pages_within_a_second() {
    let mut bench = Bench::new().await;
    let coordinator = bench.start().await;
    let mut fleet = fleet(&bench, &coordinator).await;
    let start = bench.clock.now();
    outage(&mut fleet).await;
    let page = bench.arrival().await;
    let took = bench.clock.now() - start;
    assert_eq!(page.kind(), "incident.opened");
    assert!(took < Duration::from_secs(1), "{took:?}");
    coordinator.until("shop", State::Down).await;
    let open = coordinator
        .running
        .mirror()
        .read(|view| view.checks[&"shop".parse().unwrap()].open_incident);
    assert!(open.is_some());

    // A restart neither pages again nor resolves.
    drop(fleet);
    coordinator.stop().await;
    let coordinator = bench.start().await;
    let still = coordinator.running.mirror().read(|view| {
        let check = &view.checks[&"shop".parse().unwrap()];
        (check.verdict.state, check.open_incident)
    });
    assert_eq!(still, (State::Down, open));
    let rest = coordinator.running.store();
    let due = rest.read(|store| store.next_due()).await.unwrap();
    assert_eq!(due, None, "nothing is left to be sent");
    coordinator.stop().await;
    assert!(bench.arrivals.try_recv().is_err());
    assert!(page.id.starts_with("msg_"));
}

#[tokio::test]
async fn removing_a_check_that_is_down_closes_its_incident() {
    let mut bench = Bench::new().await;
    let coordinator = bench.start().await;
    let mut fleet = fleet(&bench, &coordinator).await;
    outage(&mut fleet).await;
    let page = bench.arrival().await;
    assert_eq!(page.kind(), "incident.opened");

    let mut without = bench.configuration("60s");
    let mut checks = without.fleet.checks.clone();
    checks.remove(&"shop".parse().unwrap());
    without.fleet = Arc::new(Fleet { checks, ..(*without.fleet).clone() });
    coordinator.running.reload(without).await.unwrap();
    let end = bench.arrival().await;
    assert_eq!(end.kind(), "incident.resolved");
    assert_eq!(end.body["data"]["incident"], page.body["data"]["incident"]);
    assert!(end.body.to_string().contains("removed from the configuration"), "{}", end.body);

    // It comes back without its past.
    coordinator.running.reload(bench.configuration("60s")).await.unwrap();
    coordinator.until("shop", State::Unknown).await;
    drop(fleet);
    coordinator.stop().await;
    let coordinator = bench.start().await;
    coordinator.until("shop", State::Unknown).await;
    let open = IncidentQuery { open_only: true, limit: 9, ..IncidentQuery::default() };
    let open = coordinator.running.store().read(move |store| store.incidents(&open)).await;
    assert_eq!(open.unwrap(), []);
    coordinator.stop().await;
    assert!(bench.arrivals.try_recv().is_err());
}
