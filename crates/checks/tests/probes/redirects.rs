//! Redirects over the wire.

use std::time::Duration;

use http::Method;
use quorate_checks::{Egress, Policy};
use quorate_model::{Phase, Reason};
use serde_json::json;

use super::server::{self, Server, reply};
use super::{assert_denied, assert_fails, assert_ok, context, loopback, probe, probe_in};

/// `/N` leads to `/N-1`, `/0` is the end; `/loop` leads to itself; `/to/STATUS/PATH` leads to
/// `/PATH` with that status; `/echo` tells method, credentials and body.
async fn server() -> Server {
    server::http(|parts, body| {
        let path = parts.uri.path().trim_start_matches('/').to_owned();
        if let Ok(left) = path.parse::<u32>() {
            return match left.checked_sub(1) {
                Some(less) => reply(302, &[("location", &format!("{less}"))], ""),
                None => reply(200, &[], "arrived"),
            };
        }
        if let Some((status, to)) = path.strip_prefix("to/").and_then(|rest| rest.split_once('/')) {
            let query = parts.uri.query();
            let to = query.map_or_else(|| format!("/{to}"), str::to_owned);
            return reply(status.parse().expect("a code"), &[("location", &to)], "moved");
        }
        match path.as_str() {
            "loop" => reply(307, &[("location", "/loop#again")], ""),
            "nowhere" => reply(301, &[], ""),
            _ => {
                let credentials = parts.headers.contains_key("authorization");
                let own = parts.headers.contains_key("x-own");
                let body = String::from_utf8_lossy(&body);
                let method = parts.method;
                reply(200, &[], &format!("{method} {credentials} {own} [{body}]"))
            }
        }
    })
    .await
}

#[tokio::test]
async fn each_hop_is_evidence() {
    let server = server().await;
    let options = json!({"url": server.url("/3"), "expect": {"body": {"contains": "arrived"}}});
    let seen = probe("http", options).await;
    assert_ok(&seen);
    let hops: Vec<_> = seen
        .evidence
        .hops
        .iter()
        .map(|hop| (hop.url.clone(), hop.status, hop.location.as_deref()))
        .collect();
    assert_eq!(
        hops,
        [
            (server.url("/3"), 302, Some("2")),
            (server.url("/2"), 302, Some("1")),
            (server.url("/1"), 302, Some("0")),
            (server.url("/0"), 200, None),
        ]
    );
    for hop in &seen.evidence.hops {
        assert_eq!(hop.address, Some(server.address.ip()));
        assert!(hop.phases.iter().any(|lap| lap.phase == Phase::Connect));
    }
    for phase in [Phase::Connect, Phase::Ttfb] {
        let of = |laps: &[quorate_model::PhaseTiming]| {
            let mut of_phase = laps.iter().filter(|lap| lap.phase == phase);
            of_phase.next().expect("the phase").elapsed
        };
        let hops = seen.evidence.hops.iter().map(|hop| of(&hop.phases));
        assert_eq!(of(&seen.phases), hops.sum::<Duration>(), "{phase}");
    }
}

#[tokio::test]
async fn the_limit_is_a_failure_that_keeps_its_status() {
    let server = server().await;
    assert_ok(&probe("http", json!({"url": server.url("/5")})).await);
    let far = probe("http", json!({"url": server.url("/6")})).await;
    assert_fails(&far, Phase::Assert, Reason::RedirectLimit, "more than 5 redirects");
    assert_eq!(far.evidence.status, Some(302));
    assert_eq!(far.evidence.hops.len(), 6);
    let ten = probe("http", json!({"url": server.url("/10"), "follow": 10})).await;
    assert_ok(&ten);
    assert_eq!(ten.evidence.hops.len(), 11);
}

#[tokio::test]
async fn loops_and_dead_ends_are_told() {
    let server = server().await;
    let circle = probe("http", json!({"url": server.url("/loop")})).await;
    assert_fails(&circle, Phase::Assert, Reason::RedirectLimit, "go in a circle");
    assert_eq!(circle.evidence.hops.len(), 1);
    let nowhere = probe("http", json!({"url": server.url("/nowhere")})).await;
    assert_fails(&nowhere, Phase::Assert, Reason::RedirectInvalid, "301 without a Location");
    let file = probe("http", json!({"url": server.url("/to/302/?file:///etc/passwd")})).await;
    assert_fails(&file, Phase::Assert, Reason::RedirectInvalid, "neither http nor https");
}

#[tokio::test]
async fn methods_bodies_and_credentials_as_sent() {
    let server = server().await;
    let other = self::server().await;
    let away = format!("?http://{}/echo", other.address);
    for (method, path, arrives) in [
        (Method::POST, "/to/301/echo".to_owned(), "GET true true []"),
        (Method::POST, "/to/302/echo".to_owned(), "GET true true []"),
        (Method::POST, "/to/303/echo".to_owned(), "GET true true []"),
        (Method::POST, "/to/307/echo".to_owned(), "POST true true [text]"),
        (Method::POST, "/to/308/echo".to_owned(), "POST true true [text]"),
        (Method::POST, format!("/to/307/{away}"), "POST false true [text]"),
        (Method::GET, format!("/to/301/{away}"), "GET false true []"),
    ] {
        let mut options = json!({
            "url": server.url(&path),
            "method": method.as_str(),
            "headers": {"Authorization": "Bearer x", "X-Own": "1"},
            "expect": {"body": {"contains": arrives}},
        });
        if method == Method::POST {
            options["body"] = "text".into();
        }
        assert_ok(&probe("http", options).await);
    }
}

#[tokio::test]
async fn not_followed_it_is_the_answer() {
    let server = server().await;
    let url = server.url("/to/301/echo");
    let asked = json!({
        "url": url,
        "follow": false,
        "expect": {"status": [301], "location": "/echo"},
    });
    let seen = probe("http", asked).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.hops.len(), 1);
    let whole = json!({
        "url": url,
        "follow": 0,
        "expect": {"status": "3xx", "location": server.url("/echo")},
    });
    assert_ok(&probe("http", whole).await);
    let other = json!({
        "url": url,
        "follow": false,
        "expect": {"status": 301, "location": "/other"},
    });
    let seen = probe("http", other).await;
    assert_fails(
        &seen,
        Phase::Assert,
        Reason::Header,
        "Location is \"/echo\", expected \"/other\"",
    );
    let plain = probe("http", json!({"url": url, "follow": false})).await;
    assert_fails(&plain, Phase::Assert, Reason::Status, "status 301, expected 2xx");
}

#[tokio::test]
async fn the_policy_is_asked_at_each_hop() {
    let server = server().await;
    let inside = server::serve(|_| async { panic!("contacted") }).await;
    let port = inside.address.port();
    let policy = Policy { deny: vec!["127.0.0.2".parse().expect("a network")], ..loopback() };
    let context = context(Egress::Direct, policy);
    for (to, rule) in [
        (format!("http://127.0.0.2:{port}/"), "127.0.0.2/32"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "metadata"),
        ("http://[::ffff:10.0.0.1]/".to_owned(), "10.0.0.0/8"),
        ("http://127.0.0.1:25/".to_owned(), "port 25"),
    ] {
        let url = server.url(&format!("/to/302/?{to}"));
        let seen = probe_in(&context, "http", json!({"url": url})).await;
        assert_denied(&seen, rule);
        assert_eq!(seen.evidence.hops.len(), 1);
    }
}
