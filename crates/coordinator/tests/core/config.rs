//! What agents are told to do.

use std::collections::BTreeMap;

use quorate_proto::agent::v1 as wire;

use crate::bench::Bench;

fn names(update: &wire::ConfigUpdate) -> Vec<&str> {
    let upserts = update.upserts.iter();
    upserts.map(|spec| spec.check.as_str()).collect()
}

#[tokio::test]
async fn an_agent_gets_the_checks_of_its_kinds_then_only_differences() {
    let bench = Bench::new().await;
    let coordinator = bench.start().await;
    let address = coordinator.running.agents_addr();
    let mut agent = bench.agent("fra");
    agent.hello.kinds = vec!["http".to_owned()];
    let (mut stream, first) = agent.settle(address).await;
    assert!(first.full);
    assert_eq!(names(&first), ["shop"]);
    assert_eq!(first.assignments.len(), 1);
    assert_eq!(first.assignments[0].every.map(|every| every.seconds), Some(60));

    coordinator.running.reload(bench.configuration("30s")).await.unwrap();
    let changed = stream.update().await;
    assert!(!changed.full);
    assert_eq!(names(&changed), ["shop"]);
    assert_ne!(changed.upserts[0].revision, first.upserts[0].revision);
    assert_eq!(changed.config_version, 2);
    stream.ack(&changed, Vec::new()).await;
    stream.beat().await;
    drop(stream);

    // It comes back with what it has, and a check that is gone meanwhile.
    agent.hello.known_revisions =
        BTreeMap::from([("shop".to_owned(), changed.upserts[0].revision), ("old".to_owned(), 5)]);
    let (mut stream, _) = agent.connect(address).await;
    let update = stream.update().await;
    assert!(!update.full && update.upserts.is_empty());
    assert_eq!(update.removals, ["old"]);
    assert_eq!(update.assignments.len(), 1);
    coordinator.stop().await;
}

#[tokio::test]
async fn a_refusal_is_shown_told_and_not_repeated() {
    let mut bench = Bench::new().await;
    let coordinator = bench.start().await;
    let address = coordinator.running.agents_addr();
    let agent = bench.agent("fra");
    let (mut stream, _) = agent.connect(address).await;
    let update = stream.update().await;
    assert_eq!(names(&update), ["door", "shop"]);
    let rejection = wire::ConfigRejection {
        check: "shop".to_owned(),
        revision: update.upserts[1].revision,
        reason: "POLICY_DENIED".to_owned(),
        message: "loopback is not allowed".to_owned(),
    };
    stream.ack(&update, vec![rejection]).await;
    let notice = bench.arrival().await;
    assert!(notice.body.to_string().contains("loopback is not allowed"));
    let (shown, refused_by) = coordinator.running.mirror().read(|view| {
        let agent = &view.agents[&"fra-1".parse().unwrap()];
        let check = &view.checks[&"shop".parse().unwrap()];
        (agent.rejections.clone(), check.rejected_by.clone())
    });
    assert_eq!(shown.len(), 1);
    assert_eq!(refused_by.len(), 1);

    // A reload that changes nothing does not ask again; one that changes the check does.
    let same = bench.configuration("60s");
    coordinator.running.reload(same).await.unwrap();
    let other = bench.configuration("45s");
    coordinator.running.reload(other).await.unwrap();
    let update = stream.update().await;
    assert_eq!(update.config_version, 3);
    assert_eq!(names(&update), ["door", "shop"]);
    coordinator.stop().await;
}
