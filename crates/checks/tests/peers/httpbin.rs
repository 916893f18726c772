//! The kind `http` against httpbin, an HTTP server that shows what it was asked.

use quorate_checks::{Egress, Environment, Network, Policy, ProbeContext, kind};
use quorate_model::{Observation, Outcome, Phase, Reason};
use serde_json::{Value, json};

use super::python::start;
use super::{AMPLE, Peer, assert_fails, assert_ok, probe};

/// A running httpbin.
struct Bin {
    _peer: Peer,
    base: String,
}

impl Bin {
    async fn start() -> Option<Self> {
        let (peer, address) = start("http_bin.py").await?;
        Some(Self { _peer: peer, base: format!("http://{address}") })
    }

    async fn ask(&self, path: &str, more: Value) -> Observation {
        probe("http", self.options(path, more)).await
    }

    fn options(&self, path: &str, more: Value) -> Value {
        let mut options = more;
        options["url"] = format!("{}{path}", self.base).into();
        options
    }
}

#[tokio::test]
async fn redirects_and_statuses_as_measured_with_others() {
    let Some(bin) = Bin::start().await else {
        return;
    };
    for (path, more, hops, outcome) in [
        ("/get", json!({}), 1, "ok"),
        ("/redirect/3", json!({}), 4, "ok"),
        ("/absolute-redirect/2", json!({}), 3, "ok"),
        ("/relative-redirect/2", json!({}), 3, "ok"),
        ("/redirect/10", json!({"follow": 10}), 11, "ok"),
        ("/redirect/11", json!({"follow": 10}), 11, "fail (assert: redirect_limit)"),
        ("/redirect/1", json!({"follow": false, "expect": {"status": 302}}), 1, "ok"),
        ("/status/204", json!({}), 1, "ok"),
        ("/status/304", json!({}), 1, "fail (assert: status)"),
        ("/status/418", json!({}), 1, "fail (assert: status)"),
        ("/status/429", json!({}), 1, "blocked (rate_limit)"),
        ("/status/503", json!({}), 1, "fail (assert: status)"),
        ("/get", json!({"method": "HEAD"}), 1, "ok"),
        ("/get", json!({"method": "OPTIONS"}), 1, "ok"),
    ] {
        let seen = bin.ask(path, more).await;
        assert_eq!(seen.outcome.to_string(), outcome, "{path}: {seen:?}");
        assert_eq!(seen.evidence.hops.len(), hops, "{path}");
    }
}

#[tokio::test]
async fn redirects_change_the_method_where_they_should() {
    let Some(bin) = Bin::start().await else {
        return;
    };
    for (code, method, arrives) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (307, "GET", "GET"),
    ] {
        let path = format!("/redirect-to?url=/post&status_code={code}");
        let seen = bin.ask(&path, json!({"method": method})).await;
        let last = seen.evidence.hops.last().expect("an answer");
        assert_eq!(last.method, arrives, "{code}");
        if arrives == "POST" {
            assert_ok(&seen);
        } else {
            assert_fails(&seen, Phase::Assert, Reason::Status, "status 405");
            let allow = seen.evidence.allow.expect("Allow");
            assert!(allow.contains("POST"), "{allow}");
        }
    }
}

#[tokio::test]
async fn says_who_it_is_and_what_it_wants() {
    let Some(bin) = Bin::start().await else {
        return;
    };
    let basic = |password: &str| json!({"basic": {"user": "ada", "password": password}});
    assert_ok(&bin.ask("/basic-auth/ada/s3cret", basic("s3cret")).await);
    let seen = bin.ask("/basic-auth/ada/s3cret", basic("wrong")).await;
    assert_fails(&seen, Phase::Assert, Reason::Status, "status 401");
    let expect = json!({"json": {"$.token": "abc"}});
    assert_ok(&bin.ask("/bearer", json!({"bearer": "abc", "expect": expect})).await);
    let sent = json!({"headers": {"Host": "shop.example", "X-Own": "1"}, "expect": {"json": {
        "$.headers.Host": "shop.example",
        "$.headers['X-Own']": "1",
    }}});
    assert_ok(&bin.ask("/headers", sent).await);
    let posted = json!({"method": "POST", "body": "a text", "expect": {"json": {
        "$.data": "a text",
    }}});
    assert_ok(&bin.ask("/post", posted).await);
}

#[tokio::test]
async fn compressed_bodies_are_read() {
    let Some(bin) = Bin::start().await else {
        return;
    };
    for (path, value) in
        [("/gzip", "$.gzipped"), ("/deflate", "$.deflated"), ("/brotli", "$.brotli")]
    {
        let options = json!({"compression": true, "expect": {"json": {value: true}}});
        let seen = bin.ask(path, options).await;
        assert_ok(&seen);
        let evidence = seen.evidence;
        assert!(evidence.wire_bytes.is_some_and(|wire| wire > 0), "{path}");
    }
}

#[tokio::test]
async fn parts_and_validators() {
    let Some(bin) = Bin::start().await else {
        return;
    };
    let seen = bin.ask("/range/1024", json!({"range": "bytes=0-99"})).await;
    assert_ok(&seen);
    assert_eq!((seen.evidence.status, seen.evidence.body_bytes), (Some(206), Some(100)));
    let seen = bin.ask("/range/1024", json!({"range": "bytes=5000-6000"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Range, "the resource of 1024 bytes");
    let seen = bin.ask("/get", json!({"range": "bytes=0-9"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Range, "ignores Range");

    let networks = ["127.0.0.0/8".parse::<Network>().expect("a network")];
    let policy = Policy::allowing(networks);
    let environment = Environment::new(Egress::Direct, policy).expect("an environment");
    let context = ProbeContext::new(environment, AMPLE, AMPLE);
    for path in ["/etag/one", "/cache"] {
        let options = bin.options(path, json!({"conditional": true}));
        let probe = kind("http").expect("http").parse(&options).expect("valid");
        for status in [200, 304, 304] {
            let seen = probe.run(&context).await;
            assert_eq!(seen.outcome, Outcome::Ok, "{path}: {seen:?}");
            assert_eq!(seen.evidence.status, Some(status), "{path}");
        }
    }
}

#[tokio::test]
async fn slow_answers_are_timed_where_they_are_slow() {
    let Some(bin) = Bin::start().await else {
        return;
    };
    let elapsed = |seen: &Observation, phase: Phase| {
        let timing = seen.phases.iter().find(|timing| timing.phase == phase);
        timing.expect("the phase").elapsed.as_millis()
    };
    let seen = bin.ask("/delay/1", json!({"expect": {"phases": {"ttfb": "500ms"}}})).await;
    assert_fails(&seen, Phase::Assert, Reason::Latency, "ttfb took");
    assert!(elapsed(&seen, Phase::Ttfb) >= 1_000, "{seen:?}");
    let seen = bin.ask("/drip?numbytes=5&duration=1&delay=0", json!({})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.body_bytes, Some(5));
    assert!(elapsed(&seen, Phase::Transfer) >= 500, "{seen:?}");
}
