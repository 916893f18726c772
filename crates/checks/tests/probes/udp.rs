//! The kind `udp`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_checks::{Egress, Environment, Policy, ProbeContext};
use quorate_model::{Observation, Phase, Reason};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::{assert_denied, assert_fails, assert_ok, context, loopback, probe, probe_in};

/// A server that answers each datagram with what `answer` makes of it and of how many came before.
async fn serve(
    answer: impl Fn(&[u8], usize) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> (std::net::SocketAddr, JoinSet<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut buffer = [0; 2_048];
        let mut before = 0;
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            for datagram in answer(&buffer[..length], before) {
                drop(socket.send_to(&datagram, client).await);
            }
            before += 1;
        }
    });
    (address, task)
}

async fn ask(address: std::net::SocketAddr, more: Value) -> Observation {
    let mut options = json!({"address": address.to_string(), "send": "ping", "expect": "pong"});
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe("udp", options).await
}

#[tokio::test]
async fn a_datagram_that_is_answered_as_expected() {
    let (address, _task) = serve(|asked, _| vec![asked.replace_first(b'i', b'o')]).await;
    let seen = ask(address, json!({})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.body_bytes, Some(4));
    assert_eq!(seen.evidence.address, Some(address.ip()));
    let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
    assert_eq!(phases, [Phase::Send, Phase::Ttfb, Phase::Assert]);
    assert_ok(
        &ask(address, json!({"send": "pi\\x00", "expect": {"regex": "^po", "contains": "\\0"}}))
            .await,
    );
    let seen = ask(address, json!({"expect": "peng"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Body, "\"pong\" does not contain \"peng\"");
    let seen = ask(address, json!({"expect": {"contains": "pong", "latency": "0s"}})).await;
    assert_fails(&seen, Phase::Assert, Reason::Latency, "expected at most 0s");
}

trait Replace {
    fn replace_first(&self, from: u8, to: u8) -> Vec<u8>;
}

impl Replace for [u8] {
    fn replace_first(&self, from: u8, to: u8) -> Vec<u8> {
        let mut replaced = self.to_vec();
        if let Some(byte) = replaced.iter_mut().find(|byte| **byte == from) {
            *byte = to;
        }
        replaced
    }
}

#[tokio::test]
async fn where_nothing_listens_the_network_says_so() {
    let (address, task) = serve(|_, _| Vec::new()).await;
    drop(task);
    let seen = ask(address, json!({})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Refused, "nothing listens there");
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again_if_it_may_be() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let (address, _task) = serve(move |_, before| {
        count.fetch_add(1, Ordering::Relaxed);
        if before == 0 { Vec::new() } else { vec![b"pong".to_vec()] }
    })
    .await;
    let environment = Environment::new(Egress::Direct, loopback()).expect("an environment");
    let timeout = Duration::from_millis(1_500);
    let context = ProbeContext::new(environment, timeout, timeout);
    let options = json!({"address": address.to_string(), "send": "ping", "expect": "pong"});
    assert_ok(&probe_in(&context, "udp", options.clone()).await);
    assert_eq!(asked.load(Ordering::Relaxed), 2);

    let (silent, _task) = serve(|_, _| Vec::new()).await;
    let options = json!({"address": silent.to_string(), "send": "x", "expect": "y", "tries": 1});
    let seen = probe_in(&context, "udp", options).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Timeout, "no answer within 1.5s");
    assert!(seen.total < timeout + Duration::from_millis(250), "{:?}", seen.total);
}

#[tokio::test]
async fn only_the_first_of_many_datagrams_counts() {
    let (address, _task) = serve(|_, _| vec![vec![b'x'; 8_192]; 1_000]).await;
    let seen = ask(address, json!({"expect": "y"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Body, "does not contain \"y\"");
    assert_eq!(seen.evidence.body_bytes, Some(8_192));
}

#[tokio::test]
async fn no_proxy_is_gone_round() {
    let proxied = context(Egress::HttpConnect(([127, 0, 0, 1], 9).into()), Policy::default());
    let options = json!({"address": "192.0.2.1:53", "send": "x", "expect": "y"});
    assert_denied(&probe_in(&proxied, "udp", options).await, "carries no UDP");
}
