//! Servers that misbehave: each ends in a definite result, in time.

use std::time::Duration;

use quorate_checks::{Egress, ProbeContext};
use quorate_model::{Observation, Outcome, Phase, Reason};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::server::{self, hold, read_head};
use super::{assert_fails, assert_ok, context, loopback, probe, probe_in};

const SHORT: Duration = Duration::from_millis(800);
const TOLERANCE: Duration = Duration::from_millis(250);

/// Runs a probe with little time, which must end in time.
async fn short(kind: &str, options: Value) -> Observation {
    let environment = context(Egress::Direct, loopback()).environment;
    let context = ProbeContext::new(environment, SHORT, SHORT);
    let seen = probe_in(&context, kind, options).await;
    assert!(seen.total < SHORT + TOLERANCE, "took {:?}", seen.total);
    seen
}

/// Writes a byte of `text` now and then.
async fn drip(mut stream: TcpStream, head: &'static str, text: &'static str) {
    read_head(&mut stream).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    drop(stream.write_all(head.as_bytes()).await);
    for byte in text.bytes().cycle() {
        ticks.tick().await;
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
    }
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let server = server::serve(hold).await;
    let seen = short("http", json!({"url": server.url("/")})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Timeout, "no answer within 800ms to the request");
    let seen = short("http", json!({"url": server.https("/")})).await;
    assert_fails(&seen, Phase::Tls, Reason::Timeout, "in the TLS handshake");
    let seen = short("http", json!({"url": server.url("/"), "http_version": 2})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Timeout, "");
}

#[tokio::test]
async fn a_server_that_never_accepts() {
    let domain = socket2::Domain::IPV4;
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a free port");
    socket.listen(0).expect("a listener");
    let address = socket.local_addr().expect("an address").as_socket().expect("IPv4");
    // Fill the backlog until the kernel drops what comes.
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(stream.expect("a connection"));
        assert!(waiting.len() < 16, "the backlog has no end");
    }
    let seen = short("tcp", json!({"address": address.to_string()})).await;
    assert_fails(&seen, Phase::Connect, Reason::Timeout, "while connecting");
}

/// Writes `head`, then `text` for ever, as fast as it is taken.
async fn flood(mut stream: TcpStream, head: &'static str, text: &'static str) {
    read_head(&mut stream).await;
    let text = text.repeat(64 * 1024 / text.len());
    drop(stream.write_all(head.as_bytes()).await);
    while stream.write_all(text.as_bytes()).await.is_ok() {}
}

/// A connection that always has more to read must not keep the probe from looking at the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_next_to_nothing() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let server = server::serve(move |stream| flood(stream, "", interim)).await;
    let seen = short("http", json!({"url": server.url("/")})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Protocol, "more than 8 answers before the final one");
    assert_eq!(seen.evidence.interim, [100; 8]);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let server = server::serve(move |stream| flood(stream, chunked, "1\r\nx\r\n")).await;
    let options = json!({"url": server.url("/"), "max_body": "10MiB"});
    let seen = short("http", options).await;
    assert!(seen.evidence.status == Some(200), "{seen:?}");
}

#[tokio::test]
async fn drips() {
    let head = server::serve(|stream| drip(stream, "HTTP/1.1 200 OK\r\nx: ", "y")).await;
    let seen = short("http", json!({"url": head.url("/")})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Timeout, "");
    let full = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
    let body = server::serve(move |stream| drip(stream, full, "y")).await;
    let seen = short("http", json!({"url": body.url("/")})).await;
    assert_fails(&seen, Phase::Transfer, Reason::Timeout, "that is complete");
    assert_eq!(seen.evidence.status, Some(200));
    let tcp = server::serve(|stream| drip(stream, "", "y")).await;
    let options =
        json!({"address": tcp.address.to_string(), "send": "\\r\\n\\r\\n", "expect": "z"});
    let seen = short("tcp", options).await;
    assert_fails(&seen, Phase::Transfer, Reason::Timeout, "");
}

#[tokio::test]
async fn a_bad_status_is_told_although_the_body_never_ends() {
    let head = "HTTP/1.1 503 Busy\r\ncontent-length: 1000\r\n\r\n";
    let server = server::serve(move |stream| drip(stream, head, "y")).await;
    let seen = short("http", json!({"url": server.url("/")})).await;
    assert_fails(&seen, Phase::Assert, Reason::Status, "status 503, expected 2xx");
}

#[tokio::test]
async fn an_endless_body_is_cut_and_judged() {
    let server = server::serve(|mut stream| async move {
        read_head(&mut stream).await;
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nstart").await);
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let options = json!({
        "url": server.url("/"),
        "max_body": "64KiB",
        "expect": {"body": {"contains": "start"}},
    });
    let seen = probe("http", options).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.body_bytes, Some(65_536));
    let options = json!({
        "url": server.url("/"),
        "max_body": "64KiB",
        "expect": {"body": {"contains": "end"}},
    });
    let seen = probe("http", options).await;
    assert_fails(&seen, Phase::Assert, Reason::Body, "the first 65536 bytes of the body");
}

#[tokio::test]
async fn broken_framing() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloworld0\r\n\r\n",
    ] {
        let server = server::raw(answer).await;
        let seen = probe("http", json!({"url": server.url("/")})).await;
        assert_fails(&seen, Phase::Transfer, Reason::BodyIncomplete, "the body broke off");
    }
}

#[tokio::test]
async fn answers_that_are_not_http() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1_000_000));
    for (answer, reason) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", Reason::Protocol),
        ("HTTP/1.1 abc OK\r\n\r\n", Reason::Protocol),
        ("HTTP/1.1 200 OK\r\nbad header\r\n\r\n", Reason::Protocol),
        (many.as_str(), Reason::Protocol),
        (large.as_str(), Reason::Protocol),
        ("", Reason::Reset),
        ("HTTP/1.1 200", Reason::Reset),
    ] {
        let server = server::raw(answer).await;
        let seen = probe("http", json!({"url": server.url("/")})).await;
        assert_fails(&seen, Phase::Ttfb, reason, "");
    }
    let server = server::raw("SSH-2.0-OpenSSH_9.2\r\n").await;
    let seen = probe("http", json!({"url": server.url("/"), "http_version": "2"})).await;
    assert!(matches!(seen.outcome, Outcome::Fail { .. }), "{seen:?}");
    let server = server::serve(|mut stream| async move {
        drop(stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await);
        hold(stream).await;
    })
    .await;
    let seen = probe("http", json!({"url": server.https("/")})).await;
    assert_fails(&seen, Phase::Tls, Reason::TlsHandshake, "the answer is not TLS");
}

#[tokio::test]
async fn too_many_headers_over_http_2() {
    for (count, fine) in [(90, true), (200, false)] {
        let server = server::http(move |_, _| {
            let mut answer = server::reply(200, &[], "");
            for number in 0..count {
                let name = http::HeaderName::try_from(format!("x-{number}")).expect("a name");
                answer.headers_mut().insert(name, number.into());
            }
            answer
        })
        .await;
        let seen = probe("http", json!({"url": server.url("/"), "http_version": 2})).await;
        if fine {
            assert_ok(&seen);
        } else {
            assert_fails(&seen, Phase::Ttfb, Reason::Protocol, "100 headers");
        }
    }
}

#[tokio::test]
async fn early_answers_do_not_count() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(8);
    let server =
        server::raw(format!("{early}HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 smuggled\r\n\r\n"))
            .await;
    let seen = probe("http", json!({"url": server.url("/")})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.status, Some(204));
    assert_eq!(seen.evidence.interim, [103; 8]);
}
