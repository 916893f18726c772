//! Everything in one process.

use quorate_demo::props::{Arrival, Mode};
use quorate_tests::cluster::{Cluster, SHOP};

fn of_shop(arrival: &Arrival, kind: &str) -> bool {
    arrival.data["check"] == SHOP && arrival.data["kind"] == kind
}

fn operator(arrival: &Arrival, kind: &str, region: &str) -> bool {
    arrival.kind == "operator.notice"
        && arrival.data["kind"] == kind
        && arrival.data["region"] == region
}

fn count(cluster: &mut Cluster, kind: &str) -> usize {
    cluster.messages().iter().filter(|arrival| of_shop(arrival, kind)).count()
}

async fn started() -> Cluster {
    Cluster::start().await.expect("the cluster starts and all is up")
}

/// Everything that must not come would have come before this: a later probe of every region has
/// been judged, because another outage was detected and repaired meanwhile.
async fn let_pass(cluster: &mut Cluster) {
    cluster.other.become_mode(Mode::Unavailable);
    cluster.until("other", |view| view.verdict.state.as_str() == "down").await.expect("down");
    cluster.other.become_mode(Mode::Fine);
    cluster.until("other", |view| view.open_incident.is_none()).await.expect("resolved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_pages_once_and_resolves_once() {
    let mut cluster = started().await;
    cluster.shop.become_mode(Mode::Unavailable);
    let page = cluster.message(|arrival| of_shop(arrival, "page")).await.expect("a page");
    assert_eq!(page.data["cause"], "target.http");
    let failing = page.data["regions"].as_array().expect("a ballot").iter();
    assert!(failing.filter(|vote| vote["outcome"] == "fail").count() >= 3, "{page:?}");

    cluster.shop.become_mode(Mode::Fine);
    let resolved =
        cluster.message(|arrival| of_shop(arrival, "resolved")).await.expect("a resolve");
    assert_eq!(resolved.data["incident"], page.data["incident"]);
    let_pass(&mut cluster).await;
    assert_eq!((count(&mut cluster, "page"), count(&mut cluster, "resolved")), (1, 1));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_a_network_cause() {
    let mut cluster = started().await;
    cluster.shop.become_mode(Mode::BlackHole);
    let page = cluster.message(|arrival| of_shop(arrival, "page")).await.expect("a page");
    assert_eq!(page.data["cause"], "target.timeout", "{page:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_cut_off_pages_nobody_and_is_named() {
    let mut cluster = started().await;
    cluster.networks[2].cut();
    let notice = cluster.message(|arrival| operator(arrival, "region_isolated", "gru")).await;
    notice.expect("the operator hears of the region");
    let_pass(&mut cluster).await;
    assert!(!cluster.messages().iter().any(|arrival| arrival.data["check"] == SHOP));
    cluster.until(SHOP, |view| view.verdict.state.as_str() == "up").await.expect("still up");
    cluster.networks[2].restore();
    cluster.message(|arrival| arrival.kind == "operator.resolved").await.expect("all clear");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_path_is_partial_and_no_page() {
    let mut cluster = started().await;
    let shop = cluster.shop.address();
    cluster.networks[0].black_hole(shop);
    let view = cluster.until(SHOP, |view| view.verdict.state.as_str() == "partial").await;
    assert_eq!(view.expect("partial").verdict.cause.as_str(), "path");
    cluster.message(|arrival| of_shop(arrival, "notice")).await.expect("a notice, not a page");
    assert_eq!(count(&mut cluster, "page"), 0);
    cluster.networks[0].restore();
    cluster.until(SHOP, |view| view.verdict.state.as_str() == "up").await.expect("up again");
    assert_eq!(count(&mut cluster, "page"), 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_an_outage_neither_pages_twice_nor_resolves() {
    let mut cluster = started().await;
    cluster.shop.become_mode(Mode::Unavailable);
    cluster.message(|arrival| of_shop(arrival, "page")).await.expect("a page");
    let before =
        cluster.until(SHOP, |view| view.open_incident.is_some()).await.expect("an incident");

    cluster.restart_coordinator().await.expect("it starts again");
    let after = cluster.until(SHOP, |view| view.verdict.state.as_str() == "down").await;
    assert_eq!(after.expect("still down").open_incident, before.open_incident);
    let_pass(&mut cluster).await;
    assert_eq!((count(&mut cluster, "page"), count(&mut cluster, "resolved")), (1, 0));

    cluster.shop.become_mode(Mode::Fine);
    cluster.message(|arrival| of_shop(arrival, "resolved")).await.expect("a resolve");
    assert_eq!((count(&mut cluster, "page"), count(&mut cluster, "resolved")), (1, 1));
    cluster.stop().await;
}
