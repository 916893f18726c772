//! Plain requests: versions, methods, headers, phases, evidence.

use std::time::Duration;

use quorate_model::{BlockReason, Outcome, Phase, Reason};
use serde_json::json;

use super::server::{self, reply};
use super::{
    AMPLE, assert_blocked, assert_denied, assert_fails, assert_ok, context, loopback, probe,
    probe_in,
};
use quorate_checks::{Egress, Policy, ProbeContext};

#[tokio::test]
async fn a_get_tells_what_it_saw() {
    let server = server::http(|_, _| reply(200, &[("cf-ray", "1-FRA")], "hello")).await;
    let seen = probe("http", json!({"url": server.url("/x?y")})).await;
    assert_ok(&seen);
    let evidence = &seen.evidence;
    assert_eq!(evidence.status, Some(200));
    assert_eq!(evidence.protocol.as_deref(), Some("HTTP/1.1"));
    assert_eq!(evidence.address, Some(server.address.ip()));
    assert_eq!(evidence.body_bytes, Some(5));
    assert_eq!(evidence.pop_hint.as_deref(), Some("cloudflare/FRA"));
    assert_eq!(evidence.hops.len(), 1);
    assert_eq!(evidence.hops[0].url, server.url("/x?y"));
    let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
    assert_eq!(phases, [Phase::Connect, Phase::Send, Phase::Ttfb, Phase::Transfer, Phase::Assert]);
}

#[tokio::test]
async fn sends_what_the_check_says() {
    let server = server::http(|parts, body| {
        let header = |name: &str| {
            let value = parts.headers.get(name).map(|value| value.to_str());
            value.and_then(Result::ok).unwrap_or("-").to_owned()
        };
        let seen = [
            parts.method.to_string(),
            parts.uri.to_string(),
            header("host"),
            header("authorization"),
            header("x-own"),
            header("accept-encoding"),
            header("user-agent"),
            String::from_utf8_lossy(&body).into_owned(),
        ];
        reply(200, &[], &seen.join("|"))
    })
    .await;
    let port = server.address.port();
    let url = format!("http://us%65r:pa%3Ass@127.0.0.1:{port}/a%20b?c=d#e");
    let version = env!("CARGO_PKG_VERSION");
    let wanted = format!(
        "POST|/a%20b?c=d|shop.example|Basic dXNlcjpwYTpzcw==|1|identity|Quorate/{version}|text"
    );
    let options = json!({
        "url": url,
        "method": "POST",
        "headers": {"Host": "shop.example", "X-Own": "1"},
        "body": "text",
        "expect": {"body": {"contains": wanted}},
    });
    let seen = probe("http", options).await;
    assert_ok(&seen);
    let shown = &seen.evidence.hops[0].url;
    assert!(!shown.contains("pa"), "credentials are shown: {shown}");
}

#[tokio::test]
async fn speaks_http_2_with_prior_knowledge() {
    let server = server::http(|parts, body| {
        assert_eq!(parts.version, http::Version::HTTP_2);
        assert_eq!(parts.uri.authority().map(http::uri::Authority::as_str), Some("shop.example"));
        reply(200, &[], &"x".repeat(body.len()))
    })
    .await;
    let body = "y".repeat(200_000);
    let options = json!({
        "url": server.url("/"),
        "method": "POST",
        "headers": {"Host": "shop.example"},
        "body": body,
        "http_version": 2,
    });
    let seen = probe("http", options).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.protocol.as_deref(), Some("HTTP/2"));
    assert_eq!(seen.evidence.body_bytes, Some(200_000));
}

#[tokio::test]
async fn names_of_the_hosts_file_are_resolved() {
    let server = server::http(|_, _| reply(200, &[], "")).await;
    let url = format!("http://localhost:{}/", server.address.port());
    let seen = probe("http", json!({"url": url, "ip_family": 4})).await;
    assert_ok(&seen);
    assert_eq!(seen.phases[0].phase, Phase::Dns);
    assert_eq!(seen.evidence.resolved, [server.address.ip()]);
    let missing = probe("http", json!({"url": server.url("/"), "ip_family": "6"})).await;
    assert_fails(&missing, Phase::Dns, Reason::NoAddress, "no IPv6 address");
}

#[tokio::test]
async fn a_refused_connection_is_told_with_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let seen = probe("http", json!({"url": format!("http://{address}/")})).await;
    let message = format!("connection to {address} refused");
    assert_fails(&seen, Phase::Connect, Reason::Refused, &message);
}

#[tokio::test]
async fn statuses_are_judged_by_default() {
    let server = server::http(|parts, _| {
        let status = parts.uri.path().trim_start_matches('/').parse().expect("a code");
        reply(status, &[("retry-after", "30")], "")
    })
    .await;
    for status in [200, 201, 204, 299] {
        assert_ok(&probe("http", json!({"url": server.url(&format!("/{status}"))})).await);
    }
    for status in [304, 404, 500, 522] {
        let seen = probe("http", json!({"url": server.url(&format!("/{status}"))})).await;
        let message = format!("status {status}, expected 2xx");
        assert_fails(&seen, Phase::Assert, Reason::Status, &message);
    }
    let limited = probe("http", json!({"url": server.url("/429")})).await;
    assert_blocked(&limited, BlockReason::RateLimit);
    assert_eq!(limited.evidence.retry_after, Some(Duration::from_secs(30)));
    for status in ["/403", "/451"] {
        let refused = probe("http", json!({"url": server.url(status)})).await;
        assert_blocked(&refused, BlockReason::Forbidden);
    }
    let wanted = json!({"url": server.url("/429"), "expect": {"status": [429]}});
    assert_ok(&probe("http", wanted).await);
}

#[tokio::test]
async fn heads_and_empty_answers_have_no_body() {
    let server = server::http(|_, _| reply(200, &[("content-length", "0")], "")).await;
    let seen = probe("http", json!({"url": server.url("/"), "method": "HEAD"})).await;
    assert_ok(&seen);
    let server = server::raw("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
    let seen = probe("http", json!({"url": server.url("/"), "method": "HEAD"})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.body_bytes, Some(0));
}

#[tokio::test]
async fn a_success_may_be_slow() {
    let server = server::http(|_, _| reply(200, &[], "")).await;
    let environment = context(Egress::Direct, loopback()).environment;
    let context = ProbeContext::new(environment, AMPLE, Duration::ZERO);
    let seen = probe_in(&context, "http", json!({"url": server.url("/")})).await;
    assert_eq!(seen.outcome, Outcome::Slow);
}

#[tokio::test]
async fn the_policy_is_asked_before_anything_is_sent() {
    let server = server::serve(|_| async { panic!("contacted") }).await;
    let context = context(Egress::Direct, Policy::default());
    let port = server.address.port();
    for host in ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "[::1]", "localhost"] {
        let url = format!("http://{host}:{port}/");
        let seen = probe_in(&context, "http", json!({"url": url})).await;
        assert_denied(&seen, "loopback");
    }
    let tcp = json!({"address": server.address.to_string()});
    assert_denied(&probe_in(&context, "tcp", tcp).await, "loopback");
}

#[tokio::test]
async fn what_the_policy_forbids_anyway_is_known_beforehand() {
    let policy = Policy::default();
    for (options, rule) in [
        (json!({"url": "https://example.com"}), None),
        (json!({"url": "http://example.com:25"}), Some("port 25")),
        (json!({"url": "http://10.1.2.3"}), Some("10.0.0.0/8")),
        (json!({"url": "http://[::ffff:a01:203]"}), Some("10.0.0.0/8")),
        (json!({"url": "http://example.com", "method": "PUT"}), Some("method PUT")),
    ] {
        let probe =
            quorate_checks::kind("http").expect("the kind").parse(&options).expect("valid options");
        let refusal = probe.refused_by(&policy);
        match rule {
            Some(rule) => assert!(refusal.expect("a refusal").contains(rule)),
            None => assert_eq!(refusal, None),
        }
    }
    let server = server::serve(|_| async { panic!("contacted") }).await;
    let put = json!({"url": server.url("/"), "method": "PUT"});
    assert_denied(&probe("http", put).await, "method PUT");
}
