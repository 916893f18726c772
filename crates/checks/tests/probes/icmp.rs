//! The kind `icmp`. Where this machine lets nobody open a socket for it, that is said and counted.

use std::time::Duration;

use quorate_checks::Egress;
use quorate_model::{Doubt, Observation, Outcome, Phase, Reason};
use serde_json::{Value, json};

use super::{assert_denied, assert_fails, assert_ok, context, loopback, probe, probe_in};

/// `None` if this machine does not let us.
async fn ping(options: Value) -> Option<Observation> {
    let seen = probe("icmp", options).await;
    if seen.outcome == (Outcome::Inconclusive { reason: Doubt::NoPrivilege }) {
        let said = &seen.evidence.message;
        assert!(
            said.contains("net.ipv4.ping_group_range") && said.contains("CAP_NET_RAW"),
            "{said}"
        );
        println!("SKIPPED: ICMP on loopback: no ping sockets and no raw ones");
        return None;
    }
    Some(seen)
}

#[tokio::test]
async fn packets_come_back_over_both_families() {
    for host in ["127.0.0.1", "::1"] {
        let options = json!({"host": host, "interval": "100ms", "expect": {"max_lost": 0}});
        let Some(seen) = ping(options).await else {
            return;
        };
        assert_ok(&seen);
        let facts = seen.evidence.ping.as_deref().expect("facts");
        assert_eq!((facts.sent, facts.received), (3, 3));
        let trips = facts.round_trips.expect("round trips");
        assert!(Duration::ZERO < trips.shortest, "{trips:?}");
        assert!(trips.shortest <= trips.mean && trips.mean <= trips.longest, "{trips:?}");
        assert!(trips.longest < seen.total, "{trips:?}");
        assert_eq!(seen.evidence.address, host.parse().ok());
        let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
        assert_eq!(phases, [Phase::Send, Phase::Ttfb, Phase::Assert]);
    }
    let slow = ping(json!({"host": "127.0.0.1", "count": 1, "expect": {"round_trip": "0s"}})).await;
    assert_fails(&slow.expect("as before"), Phase::Assert, Reason::Latency, "mean round trip");
}

#[tokio::test]
async fn probes_at_once_do_not_take_each_others_replies() {
    let one = |size: u16| {
        ping(
            json!({"host": "127.0.0.1", "size": size, "interval": "100ms", "expect": {"max_lost": 0}}),
        )
    };
    let all = [one(16), one(16), one(56), one(56), one(1472), one(1472)];
    let mut pending = tokio::task::JoinSet::new();
    for probe in all {
        pending.spawn(probe);
    }
    while let Some(seen) = pending.join_next().await {
        let Some(seen) = seen.expect("no panic") else {
            return;
        };
        assert_ok(&seen);
        assert_eq!(seen.evidence.ping.expect("facts").received, 3);
    }
}

#[tokio::test]
async fn no_proxy_is_gone_round_and_the_policy_holds() {
    let proxied = context(Egress::Socks5(([127, 0, 0, 1], 9).into()), loopback());
    let options = json!({"host": "127.0.0.1"});
    assert_denied(&probe_in(&proxied, "icmp", options.clone()).await, "carries no ICMP");
    let strict = context(Egress::Direct, quorate_checks::Policy::default());
    assert_denied(&probe_in(&strict, "icmp", options).await, "loopback");
}
