//! The agent's policy holds for every kind: nothing forbidden is contacted, however it is written.

use quorate_checks::{Egress, KINDS, Policy, kind};
use serde_json::{Value, json};

use super::{assert_denied, context, probe_in};

/// Options of a kind that would contact `host`, an address in brackets if it is an IPv6 one. A new
/// kind needs a row, or the test fails.
fn options(kind: &str, host: &str) -> Option<Value> {
    let bare = host.trim_matches(['[', ']']);
    Some(match kind {
        "dns" => json!({"name": "shop.example", "resolver": format!("{host}:53")}),
        "grpc" | "tcp" | "tls" => json!({"address": format!("{host}:443")}),
        "http" => json!({"url": format!("http://{host}/")}),
        "icmp" => json!({"host": bare}),
        "udp" => json!({"address": format!("{host}:53"), "send": "x", "expect": "y"}),
        "websocket" => json!({"url": format!("ws://{host}/")}),
        _ => return None,
    })
}

#[tokio::test]
async fn no_kind_contacts_what_the_policy_forbids() {
    let context = context(Egress::Direct, Policy::default());
    for kind_name in KINDS.iter().map(|kind| kind.name()) {
        for (host, rule) in [
            ("169.254.169.254", "metadata service"),
            ("10.0.0.1", "private network"),
            ("127.0.0.1", "loopback"),
            ("[::1]", "loopback"),
            ("[::ffff:10.0.0.1]", "leads to 10.0.0.1"),
            ("[64:ff9b::a00:1]", "leads to 10.0.0.1"),
            ("[2002:a00:1::1]", "leads to 10.0.0.1"),
            ("[fd00:ec2::254]", "metadata service"),
            ("[fe80::1]", "link-local"),
            ("224.0.0.1", "multicast"),
        ] {
            let options =
                options(kind_name, host).unwrap_or_else(|| panic!("no row for {kind_name}"));
            let probe = kind(kind_name).expect("the kind").parse(&options).expect("valid options");
            // Before it runs, and as it runs.
            let refusal = probe.refused_by(context.environment.policy());
            assert!(refusal.is_some_and(|refusal| refusal.contains(rule)), "{kind_name} {host}");
            assert_denied(&probe_in(&context, kind_name, options).await, rule);
        }
    }
}

#[tokio::test]
async fn names_of_the_own_machine_are_judged_by_their_addresses() {
    let context = context(Egress::Direct, Policy::default());
    for kind_name in KINDS.iter().map(|kind| kind.name()) {
        let options = options(kind_name, "localhost").expect("a row");
        assert_denied(&probe_in(&context, kind_name, options).await, "loopback");
    }
}
