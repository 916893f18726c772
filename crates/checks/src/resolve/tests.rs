use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_model::Outcome;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::*;

/// A name server that gives every name one IPv4 address, but `nx...` NXDOMAIN, `fail...` SERVFAIL,
/// and `empty...` and other types nothing. Source: RFC 1035, section 4.
async fn name_server() -> (Resolver, Arc<AtomicUsize>, JoinSet<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let queries = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&queries);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            seen.fetch_add(1, Ordering::Relaxed);
            let answer = answer(&buffer[..length]);
            socket.send_to(&answer, client).await.unwrap();
        }
    });
    (resolver_at(address), queries, tasks)
}

fn resolver_at(address: SocketAddr) -> Resolver {
    let mut server = NameServerConfig::udp(address.ip());
    server.connections[0].port = address.port();
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(5);
    options.attempts = 1;
    Resolver::with(&config, &options).unwrap()
}

fn answer(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    let question = &query[12..end + 5];
    let name = String::from_utf8_lossy(&question[1..]).to_lowercase();
    let is_a = question.ends_with(&[0, 1, 0, 1]);
    let (code, answers) = if name.starts_with("nx") {
        (3, 0)
    } else if name.starts_with("fail") {
        (2, 0)
    } else if name.starts_with("empty") || !is_a {
        (0, 0)
    } else {
        (0, 1)
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(question);
    if answers == 1 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    }
    answer
}

#[tokio::test]
async fn answers_and_their_absence_are_told_apart() {
    let (resolver, _, _tasks) = name_server().await;
    let found = resolver.addresses("shop.example", IpFamily::Any).await;
    assert_eq!(found.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    for (name, family, reason, message) in [
        ("nx.example", IpFamily::Any, Reason::NameNotFound, "nx.example does not exist (NXDOMAIN)"),
        ("empty.example", IpFamily::Any, Reason::NoAddress, "empty.example has no address"),
        ("shop.example", IpFamily::V6, Reason::NoAddress, "shop.example has no IPv6 address"),
        (
            "fail.example",
            IpFamily::V4,
            Reason::DnsFailed,
            "the resolver answered Server Failure for fail.example",
        ),
    ] {
        let stop = resolver.addresses(name, family).await.unwrap_err();
        let phase = Phase::Dns;
        assert_eq!(stop.outcome, Outcome::Fail { phase, reason }, "{stop:?}");
        assert_eq!(stop.message, message);
    }
}

#[tokio::test]
async fn nothing_is_cached() {
    let (resolver, queries, _tasks) = name_server().await;
    for _ in 0..2 {
        let found = resolver.addresses("shop.example", IpFamily::V4).await;
        assert_eq!(found.unwrap().len(), 1);
    }
    assert_eq!(queries.load(Ordering::Relaxed), 2);
}
