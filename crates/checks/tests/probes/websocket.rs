//! The kind `websocket`, against servers that are written here byte by byte. The real one is in
//! `tests/peers`.

use base64::Engine as _;
use quorate_model::{BlockReason, Observation, Phase, Reason};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::{self, Server, read_head};
use super::{assert_blocked, assert_fails, assert_ok, probe};

/// The line of a head that begins with `name`.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        line.split_once(": ")
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

fn accept(head: &str) -> String {
    let key = header(head, "sec-websocket-key").expect("a key");
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// Agrees to the upgrade, with these headers more, then sends `frames` and waits for the client.
async fn serve(more: &'static str, frames: &'static [u8]) -> Server {
    server::serve(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        let accept = accept(&head);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        );
        drop(stream.write_all(&[answer.as_bytes(), frames].concat()).await);
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest).await);
    })
    .await
}

async fn ask(server: &Server, more: Value) -> Observation {
    let mut options = json!({"url": format!("ws://{}/live?x=1", server.address)});
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe("websocket", options).await
}

#[tokio::test]
async fn an_upgrade_is_enough() {
    let server = serve("", b"").await;
    let seen = ask(&server, json!({})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.status, Some(101));
    let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
    assert_eq!(phases, [Phase::Connect, Phase::Send, Phase::Ttfb, Phase::Transfer, Phase::Assert]);
}

#[tokio::test]
async fn messages_are_waited_for() {
    let server = serve("", b"\x81\x07welcome\x81\x04pong\x88\x02\x03\xe8").await;
    assert_ok(&ask(&server, json!({"send": "ping", "expect": "pong"})).await);
    assert_ok(&ask(&server, json!({"expect": {"regex": "^p"}, "close_code": 1000})).await);
    let seen = ask(&server, json!({"expect": "gong"})).await;
    assert_fails(&seen, Phase::Transfer, Reason::Body, "closed with code 1000 before");
    assert_eq!(seen.evidence.close_code, Some(1000));
    let seen = ask(&server, json!({"close_code": 1008})).await;
    assert_fails(&seen, Phase::Assert, Reason::CloseCode, "closed with code 1000, expected 1008");
    let seen = ask(&server, json!({"expect": {"contains": "pong", "latency": "0s"}})).await;
    assert_fails(&seen, Phase::Assert, Reason::Latency, "expected at most 0s");
}

#[tokio::test]
async fn a_server_must_agree_to_what_was_asked() {
    let chat = serve("Sec-WebSocket-Protocol: chat\r\n", b"").await;
    assert_ok(&ask(&chat, json!({"subprotocol": "chat"})).await);
    assert_fails(
        &ask(&chat, json!({"subprotocol": "mqtt"})).await,
        Phase::Ttfb,
        Reason::Header,
        "does not speak",
    );
    assert_fails(&ask(&chat, json!({})).await, Phase::Ttfb, Reason::Header, "nobody asked for");
    let deflating = serve("Sec-WebSocket-Extensions: permessage-deflate\r\n", b"").await;
    assert_fails(&ask(&deflating, json!({})).await, Phase::Ttfb, Reason::Header, "extension");
    let deaf = server::raw(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    );
    assert_fails(
        &ask(&deaf.await, json!({})).await,
        Phase::Ttfb,
        Reason::Header,
        "Sec-WebSocket-Accept",
    );
    let page = server::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_fails(
        &ask(&page, json!({})).await,
        Phase::Ttfb,
        Reason::Status,
        "status 200, expected 101",
    );
    let mail = server::raw("220 mail.example ESMTP\r\n\r\n").await;
    assert_fails(&ask(&mail, json!({})).await, Phase::Ttfb, Reason::Protocol, "not valid HTTP");
    let closed = server::serve(|stream| async { drop(stream) }).await;
    assert_eq!(ask(&closed, json!({})).await.outcome.word(), "fail");
}

#[tokio::test]
async fn the_request_is_what_was_configured() {
    let server = server::serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let good = head.starts_with("GET /live?x=1 HTTP/1.1\r\n")
            && header(&head, "origin") == Some("https://example.com")
            && header(&head, "host").is_some_and(|host| host.starts_with("127.0.0.1:"))
            && header(&head, "sec-websocket-version") == Some("13");
        let status = if good { "418 Good" } else { "400 Bad Request" };
        drop(
            stream
                .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes())
                .await,
        );
    })
    .await;
    let seen = ask(&server, json!({"headers": {"Origin": "https://example.com"}})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Status, "status 418");
}

#[tokio::test]
async fn who_limits_or_refuses_is_not_broken() {
    for (status, reason) in
        [("429 Slow Down", BlockReason::RateLimit), ("403 No", BlockReason::Forbidden)]
    {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let server = server::raw(answer).await;
        assert_blocked(&ask(&server, json!({})).await, reason);
    }
}

#[tokio::test]
async fn floods_end() {
    let server = server::serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let accept = accept(&head);
        let answer = format!(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        drop(stream.write_all(answer.as_bytes()).await);
        while stream.write_all(&b"\x81\x7e\x10\x00".iter().copied().chain([b'x'; 4_096]).collect::<Vec<_>>()).await.is_ok() {}
    })
    .await;
    let seen = ask(&server, json!({"expect": "y"})).await;
    assert_fails(&seen, Phase::Transfer, Reason::Protocol, "more than 65536 bytes");
}
