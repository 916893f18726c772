//! Names that the machine's resolver does not know, and a second resolver that does.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use quorate_checks::{Egress, Environment, Families, ProbeContext, kind, reach};
use quorate_model::{Outcome, Phase, Reason, ResolverUse};
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::{AMPLE, assert_fails, assert_ok, loopback, probe_in};

/// A name server for which all names are at 127.0.0.1, but those with "none" in it nowhere; those
/// with "dual" in it are at `::1` too.
/// Source: RFC 1035, section 4.
async fn name_server() -> (SocketAddr, JoinSet<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let question = &buffer[12..length];
            let end = question.iter().position(|byte| *byte == 0).expect("the root") + 5;
            let question = &question[..end];
            let is_a = question.ends_with(&[0, 1, 0, 1]);
            let exists = !String::from_utf8_lossy(question).contains("none");
            let is_dual = String::from_utf8_lossy(question).contains("dual");
            let is_aaaa = is_dual && question.ends_with(&[0, 28, 0, 1]);
            let is_there = exists && (is_a || is_aaaa);
            let (code, answers) = (if exists { 0 } else { 3 }, u8::from(is_there));
            let mut answer = buffer[..2].to_vec();
            answer.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
            answer.extend(question);
            if is_aaaa {
                answer.extend([0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16]);
                answer.extend(Ipv6Addr::LOCALHOST.octets());
            } else if is_there {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&answer, client).await.expect("the client is there");
        }
    });
    (address, task)
}

#[tokio::test]
async fn a_success_by_the_second_resolver_is_a_success_and_says_so() {
    let (second, _task) = name_server().await;
    let environment = Environment::new(Egress::Direct, loopback())
        .and_then(|environment| environment.with_second_resolver(&[second]))
        .expect("an environment");
    let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = target.local_addr().expect("an address").port();
    // No resolver of the public network knows a name of this domain. Source: RFC 6761, section 6.5.
    let there = format!("shop.example:{port}");
    let mut context = ProbeContext::new(environment.clone(), AMPLE, AMPLE);
    for second_after in [context.second_after, Duration::ZERO] {
        context.second_after = second_after;
        let seen = probe_in(&context, "tcp", json!({ "address": there })).await;
        assert_ok(&seen);
        assert_eq!(seen.evidence.resolver, Some(ResolverUse::Second));
        assert_eq!(seen.evidence.address, Some([127, 0, 0, 1].into()));
    }

    // What neither knows, or cannot be reached there, is as broken as before.
    let seen = probe_in(&context, "tcp", json!({"address": "none.example:80"})).await;
    assert!(matches!(seen.outcome, Outcome::Fail { phase: Phase::Dns, .. }), "{seen:?}");
    assert_eq!(seen.evidence.resolver, Some(ResolverUse::Neither));
    reach(&there, &environment, AMPLE).await.expect("anchors are found by the second as well");
    drop(target);
    let seen = probe_in(&context, "tcp", json!({ "address": there })).await;
    assert_fails(&seen, Phase::Connect, Reason::Refused, "refused");
    assert_eq!(seen.evidence.resolver, Some(ResolverUse::Second));
}

#[tokio::test]
async fn a_probe_can_be_run_over_the_other_family_for_evidence() {
    let (second, _task) = name_server().await;
    let environment = Environment::new(Egress::Direct, loopback())
        .and_then(|environment| environment.with_second_resolver(&[second]))
        .expect("an environment");
    let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = target.local_addr().expect("an address").port();
    let context = ProbeContext::new(environment, AMPLE, AMPLE);
    let dual = json!({"address": format!("dual.example:{port}"), "ip_family": "both"});
    let own = probe_in(&context, "tcp", dual.clone()).await;
    assert_ok(&own);
    assert_eq!(own.evidence.address, Some([127, 0, 0, 1].into()));
    let other = probe_in(&context.over_other_family(), "tcp", dual).await;
    assert_fails(&other, Phase::Connect, Reason::Refused, "refused");
    assert_eq!(other.evidence.address, Some(Ipv6Addr::LOCALHOST.into()));

    let families = |options| kind("tcp").expect("a kind").parse(&options).map(|p| p.families());
    assert_eq!(families(json!({"address": "a.example:1"})), Ok(Families::Any));
    assert_eq!(families(json!({"address": "a.example:1", "ip_family": "4"})), Ok(Families::One));
    assert_eq!(families(json!({"address": "192.0.2.1:1", "ip_family": "both"})), Ok(Families::One));
}
