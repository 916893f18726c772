//! What a check may ask for beside the plain request, and what comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_checks::{Egress, kind};
use quorate_model::{Phase, Reason};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::server::{self, Server, read_head, reply};
use super::tls::{Authority, VALID};
use super::{assert_denied, assert_fails, assert_ok, context, loopback, probe, probe_in};

fn header(parts: &http::request::Parts, name: &str) -> String {
    let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or("-").to_owned()
}

#[tokio::test]
async fn says_who_it_is() {
    let server = server::http(|parts, _| reply(200, &[], &header(&parts, "authorization"))).await;
    for (more, sent) in [
        (json!({"bearer": "abc.def"}), "Bearer abc.def"),
        (json!({"basic": {"user": "us", "password": "pa:ß"}}), "Basic dXM6cGE6w58="),
    ] {
        let mut options = more;
        options["url"] = server.url("/").into();
        options["expect"] = json!({"body": {"regex": format!("^{sent}$")}});
        assert_ok(&probe("http", options).await);
    }
}

#[test]
fn secrets_of_requests_are_never_shown() {
    let http = kind("http").expect("http");
    for options in [
        json!({"url": "http://x", "bearer": "hunter2"}),
        json!({"url": "http://x", "basic": {"user": "u", "password": "hunter2"}}),
        json!({"url": "http://x", "oauth2": {
            "token_url": "http://y", "client_id": "c", "client_secret": "hunter2",
        }}),
    ] {
        let probe = http.parse(&options).expect("valid");
        assert!(!format!("{probe:?}").contains("hunter2"));
    }
    for (options, problem) in [
        (json!({"bearer": "hunter2\n"}), "bearer: the token holds characters"),
        (json!({"bearer": "hunter2", "basic": {"user": "u", "password": "hunter2"}}), "keep one"),
        (json!({"bearer": "hunter2", "headers": {"Authorization": "hunter2"}}), "keep one"),
        (json!({"basic": {"user": "a:b", "password": "hunter2"}}), "no colon"),
        (
            json!({"oauth2": {
                "token_url": "ftp://y", "client_id": "c", "client_secret": "hunter2",
            }}),
            "oauth2.token_url: the scheme",
        ),
        (json!({"proxy": "socks4://p:1"}), "proxy: is neither http://host:port nor socks5"),
        (json!({"proxy": "http://u:hunter2@p:1"}), "proxy: a proxy with a user"),
        (json!({"resolve": {"x": "hunter"}}), "resolve.x: \"hunter\" is not an address"),
        (json!({"range": "bytes=5-1"}), "range: \"bytes=5-1\" ends before it begins"),
        (json!({"range": "bytes=0-1", "method": "HEAD"}), "range: only GET may ask for a part"),
    ] {
        let mut options = options;
        options["url"] = "http://x".into();
        let problems = http.parse(&options).expect_err("must be refused");
        let text: String = problems.iter().map(ToString::to_string).collect();
        assert!(text.contains(problem), "{text} lacks {problem}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_name_may_have_an_address_of_the_checks_own() {
    let authority = Authority::new();
    let config = authority.server("shop.example.com", VALID);
    let server =
        server::https(config, |parts, _| reply(200, &[], parts.uri.host().unwrap_or("-"))).await;
    let options = json!({
        "url": format!("https://shop.example.com:{}/", server.address.port()),
        "resolve": {"Shop.Example.com": "127.0.0.1"},
        "tls": {"ca": authority.pem},
        "expect": {"body": {"contains": "shop.example.com"}},
    });
    let seen = probe("http", options.clone()).await;
    assert_ok(&seen);
    assert_eq!(seen.phases[0].phase, Phase::Connect);
    let strict = context(Egress::Direct, quorate_checks::Policy::default());
    assert_denied(&probe_in(&strict, "http", options.clone()).await, "loopback");
    let probe = kind("http").expect("http").parse(&options).expect("valid");
    let refusal = probe.refused_by(strict.environment.policy()).expect("refused beforehand");
    assert!(refusal.contains("loopback"), "{refusal}");
}

/// A proxy for CONNECT that counts.
async fn counting_proxy(count: Arc<AtomicUsize>) -> Server {
    server::serve(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let head = read_head(&mut stream).await;
            count.fetch_add(1, Ordering::Relaxed);
            let target: SocketAddr =
                head.split(' ').nth(1).expect("a target").parse().expect("an address");
            let mut onward = TcpStream::connect(target).await.expect("the target");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("an answer");
            drop(copy_bidirectional(&mut stream, &mut onward).await);
        }
    })
    .await
}

#[tokio::test]
async fn goes_through_a_proxy_of_its_own() {
    let count = Arc::new(AtomicUsize::new(0));
    let proxy = counting_proxy(Arc::clone(&count)).await;
    let server = server::http(|_, _| reply(200, &[], "")).await;
    let port = proxy.address.port();
    let options = json!({"url": server.url("/"), "proxy": format!("http://localhost:{port}")});
    let seen = probe("http", options.clone()).await;
    assert_ok(&seen);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert_eq!(seen.evidence.address, Some(server.address.ip()));
    // An agent with a proxy of its own lets nothing past it.
    let behind = context(Egress::HttpConnect(proxy.address), loopback());
    assert_denied(&probe_in(&behind, "http", options).await, "a proxy of its own");
    // The policy judges the proxy, too.
    let target = json!({"url": "http://1.1.1.1/", "proxy": format!("http://127.0.0.1:{port}")});
    let strict = context(Egress::Direct, quorate_checks::Policy::default());
    assert_denied(&probe_in(&strict, "http", target).await, "loopback");
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let dead = json!({"url": server.url("/"), "proxy": "socks5://127.0.0.1:1"});
    let seen = probe("http", dead).await;
    assert_fails(&seen, Phase::Connect, Reason::Refused, "the check's proxy 127.0.0.1:1 refused");
}

#[tokio::test]
async fn asks_for_what_has_changed_only() {
    // The first answer is whole, the next says that nothing has changed, then there is a new one.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = server::http(move |parts, _| {
        let validator = header(&parts, "if-none-match");
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => {
                assert_eq!(validator, "-");
                reply(200, &[("etag", "\"one\"")], "fine")
            }
            1 => {
                assert_eq!(validator, "\"one\"");
                reply(304, &[("etag", "W/\"one\"")], "")
            }
            2 => reply(304, &[("etag", "\"two\"")], ""),
            // It has forgotten what it knew.
            3 => {
                assert_eq!(validator, "-");
                reply(200, &[("etag", "\"two\"")], "fine")
            }
            _ => {
                assert_eq!(validator, "\"two\"");
                reply(200, &[("etag", "\"three\"")], "broken")
            }
        }
    })
    .await;
    let expect = json!({"status": 200, "body": {"contains": "fine"}});
    let options = json!({"url": server.url("/"), "conditional": true, "expect": expect});
    let context = context(Egress::Direct, loopback());
    let probe = kind("http").expect("http").parse(&options).expect("valid");
    assert_ok(&probe.run(&context).await);
    assert_ok(&probe.run(&context).await);
    let seen = probe.run(&context).await;
    assert_fails(&seen, Phase::Assert, Reason::Header, "304 with ETag \"\\\"two\\\"\"");
    assert_ok(&probe.run(&context).await);
    assert_fails(&probe.run(&context).await, Phase::Assert, Reason::Body, "\"fine\"");
    assert_eq!(asked.load(Ordering::Relaxed), 5);
}

/// Asks a server that answers with `status`, `headers` and `body` for the first four bytes.
async fn part(status: u16, headers: &'static [(&str, &str)], body: &'static str) -> Value {
    let server = server::http(move |parts, _| {
        assert_eq!(header(&parts, "range"), "bytes=0-3");
        reply(status, headers, body)
    })
    .await;
    let seen = probe("http", json!({"url": server.url("/"), "range": "bytes=0-3"})).await;
    json!([seen.outcome.to_string(), seen.evidence.message])
}

#[tokio::test]
async fn asks_for_a_part() {
    let fails = |message: &str| json!(["fail (assert: range)", message]);
    let good = part(206, &[("content-range", "bytes 0-3/10")], "abcd").await;
    assert_eq!(good, json!(["ok", ""]));
    assert_eq!(
        part(206, &[("content-range", "bytes 0-3/10")], "abc").await,
        fails("the part has 3 bytes, its Content-Range says 4")
    );
    assert_eq!(
        part(206, &[("content-range", "bytes 4-7/10")], "abcd").await,
        fails("Content-Range is \"bytes 4-7/10\", which is not the range asked for")
    );
    assert_eq!(
        part(206, &[], "abcd").await,
        fails("Content-Range is \"none\", which is not the range asked for")
    );
    assert_eq!(
        part(200, &[], "abcdefghij").await,
        fails("the server ignores Range: status 200, expected 206")
    );
    assert_eq!(
        part(416, &[("content-range", "bytes */0")], "").await,
        fails("status 416: the resource of 0 bytes has no such range")
    );
    let gone = part(404, &[], "").await;
    assert_eq!(gone, json!(["fail (assert: status)", "status 404, expected 2xx"]));
}

#[tokio::test]
async fn compressed_bodies_are_asked_for_and_undone() {
    let server = server::serve(|mut stream| async move {
        let head = read_head(&mut stream).await.to_ascii_lowercase();
        assert!(head.contains("accept-encoding: gzip, br, zstd, deflate\r\n"), "{head}");
        // Brotli of 23 bytes of text.
        let body =
            b"\x1b\x16\x00\xf8\x25\x41\xc8\xca\x72\x90\x4d\x80\xc9\x12\x2e\xea\x48\x4e\x3f\xe8\x1d";
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        drop(stream.write_all(head.as_bytes()).await);
        drop(stream.write_all(body).await);
    })
    .await;
    let options = json!({
        "url": server.url("/"),
        "compression": true,
        "expect": {"body": {"regex": "^hello, compressed world$"}},
    });
    let seen = probe("http", options).await;
    assert_ok(&seen);
    assert_eq!((seen.evidence.body_bytes, seen.evidence.wire_bytes), (Some(23), Some(21)));
    let broken = server::http(|_, _| reply(200, &[("content-encoding", "gzip")], "plain")).await;
    let seen = probe("http", json!({"url": broken.url("/")})).await;
    assert_fails(&seen, Phase::Transfer, Reason::Encoding, "not valid gzip");
}

#[tokio::test]
async fn a_refused_method_tells_which_are_allowed() {
    let server = server::http(|_, _| reply(405, &[("allow", "GET, HEAD")], "")).await;
    let options = json!({"url": server.url("/"), "method": "POST"});
    let seen = probe("http", options).await;
    assert_fails(&seen, Phase::Assert, Reason::Status, "status 405");
    assert_eq!(seen.evidence.allow.as_deref(), Some("GET, HEAD"));
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed_unasked() {
    let plain = server::http(|_, _| reply(200, &[], "")).await;
    let authority = Authority::new();
    let location = plain.url("/");
    let config = authority.server("localhost", VALID);
    let secure =
        server::https(config, move |_, _| reply(302, &[("location", location.as_str())], "")).await;
    let mut options = json!({"url": secure.https("/"), "tls": {"ca": authority.pem}});
    let seen = probe("http", options.clone()).await;
    assert_fails(&seen, Phase::Assert, Reason::RedirectDowngrade, "redirect from https to http");
    options["downgrade"] = true.into();
    assert_ok(&probe("http", options).await);
}
