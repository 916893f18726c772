//! Names that the machine's resolver does not know, and a second resolver that does.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_checks::{Egress, Environment, ProbeContext, reach};
use quorate_model::{Outcome, Phase, Reason, ResolverUse};
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::{AMPLE, assert_fails, assert_ok, loopback, probe_in};

/// A name server for which all names are at 127.0.0.1, but those with "none" in it nowhere.
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
            let (code, answers) = (if exists { 0 } else { 3 }, u8::from(exists && is_a));
            let mut answer = buffer[..2].to_vec();
            answer.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
            answer.extend(question);
            if answers == 1 {
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
