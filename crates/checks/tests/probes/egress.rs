//! Going out through a proxy.

use std::net::{IpAddr, SocketAddr};

use quorate_checks::{Egress, Policy, reach};
use quorate_model::{Phase, Reason};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::server::{self, Server, hold, read_head, reply};
use super::tls::Authority;
use super::{AMPLE, assert_denied, assert_fails, assert_ok, context, loopback, probe_in};

/// A SOCKS5 proxy without authentication. Source: RFC 1928.
async fn socks5() -> Server {
    server::serve(|mut stream| async move {
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.expect("a greeting");
        assert_eq!(greeting, [5, 1, 0]);
        stream.write_all(&[5, 0]).await.expect("a choice");
        let mut request = [0; 4];
        stream.read_exact(&mut request).await.expect("a request");
        assert_eq!(request[..3], [5, 1, 0]);
        let address: IpAddr = if request[3] == 1 {
            let mut octets = [0_u8; 4];
            stream.read_exact(&mut octets).await.expect("an address");
            octets.into()
        } else {
            let mut octets = [0_u8; 16];
            stream.read_exact(&mut octets).await.expect("an address");
            octets.into()
        };
        let port = stream.read_u16().await.expect("a port");
        let target = SocketAddr::new(address, port);
        let onward = TcpStream::connect(target).await.ok();
        let code = if onward.is_some() { 0 } else { 5 };
        let answer = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        stream.write_all(&answer).await.expect("an answer");
        if let Some(mut onward) = onward {
            drop(copy_bidirectional(&mut stream, &mut onward).await);
        }
    })
    .await
}

/// A proxy for CONNECT.
async fn connect_proxy() -> Server {
    server::serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let target = head.split(' ').nth(1).expect("a target").to_owned();
        assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")));
        let onward = TcpStream::connect(&target).await.ok();
        let status = if onward.is_some() { 200 } else { 502 };
        let answer = format!("HTTP/1.1 {status} Answer\r\nx: y\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("an answer");
        if let Some(mut onward) = onward {
            drop(copy_bidirectional(&mut stream, &mut onward).await);
        }
    })
    .await
}

async fn refusing() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

#[tokio::test]
async fn probes_and_anchors_go_through_either_proxy() {
    let (socks, connect) = (socks5().await, connect_proxy().await);
    let authority = Authority::new();
    let plain = server::http(|_, _| reply(200, &[], "")).await;
    let secure =
        server::https(authority.server("localhost", (2020, 2090)), |_, _| reply(200, &[], ""))
            .await;
    let dead = refusing().await;
    for (egress, refused) in [
        (Egress::Socks5(socks.address), Reason::Refused),
        (Egress::HttpConnect(connect.address), Reason::Unreachable),
    ] {
        let context = context(egress, loopback());
        assert_ok(&probe_in(&context, "http", json!({"url": plain.url("/")})).await);
        let tls = json!({"url": secure.https("/"), "tls": {"ca": authority.pem}});
        assert_ok(&probe_in(&context, "http", tls).await);
        let environment = &context.environment;
        reach(&plain.address.to_string(), environment, AMPLE).await.expect("the anchor is up");
        let gone = probe_in(&context, "tcp", json!({"address": dead.to_string()})).await;
        let message = format!("connection to {dead} through the egress proxy");
        assert_fails(&gone, Phase::Connect, refused, &message);
        reach(&dead.to_string(), environment, AMPLE).await.expect_err("the anchor is down");
    }
}

#[tokio::test]
async fn a_dead_proxy_is_named() {
    let dead = refusing().await;
    let context = context(Egress::Socks5(dead), loopback());
    let seen = probe_in(&context, "tcp", json!({"address": "127.0.0.1:1"})).await;
    let message = format!("connection to the egress proxy {dead} refused");
    assert_fails(&seen, Phase::Connect, Reason::Refused, &message);
}

#[tokio::test]
async fn nonsense_from_a_proxy_is_told() {
    let web = server::raw("HTTP/1.1 400 Bad\r\n\r\n").await;
    let mute = server::serve(|stream| async { drop(stream) }).await;
    let endless = server::serve(|mut stream| async move {
        read_head(&mut stream).await;
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    })
    .await;
    for (egress, reason) in [
        (Egress::HttpConnect(web.address), Reason::Unreachable),
        (Egress::Socks5(mute.address), Reason::Reset),
        (Egress::HttpConnect(mute.address), Reason::Reset),
        (Egress::HttpConnect(endless.address), Reason::Protocol),
    ] {
        let context = context(egress, loopback());
        let seen = probe_in(&context, "tcp", json!({"address": "127.0.0.1:1"})).await;
        assert_fails(&seen, Phase::Connect, reason, "egress proxy");
    }
}

#[tokio::test]
async fn the_policy_judges_the_target_before_the_proxy_is_asked() {
    let proxy = server::serve(|_| async { panic!("contacted") }).await;
    let context = context(Egress::Socks5(proxy.address), Policy::default());
    let seen = probe_in(&context, "http", json!({"url": "http://10.0.0.1/"})).await;
    assert_denied(&seen, "10.0.0.0/8");
    let refusal = reach("127.0.0.1:80", &context.environment, AMPLE).await.expect_err("denied");
    assert!(refusal.message.contains("loopback"), "{refusal}");
}

#[tokio::test]
async fn anchors_that_do_not_answer_end_in_time() {
    let proxy = server::serve(hold).await;
    let context = context(Egress::Socks5(proxy.address), loopback());
    let short = std::time::Duration::from_millis(50);
    let error = reach("127.0.0.1:80", &context.environment, short).await.expect_err("too late");
    assert!(error.message.contains("no answer within 50ms"), "{error}");
    reach("nonsense", &context.environment, short).await.expect_err("no address");
}
