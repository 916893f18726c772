//! Tokens that a check fetches before it asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_checks::{Egress, Policy, ProbeContext, kind};
use quorate_model::{Outcome, Phase, Reason};
use serde_json::{Value, json};

use super::server::{self, Server, reply};
use super::{assert_denied, assert_fails, assert_ok, context, loopback, probe};

/// A server that hands out the tokens t0, t1 and so on.
async fn issuer(handed: Arc<AtomicUsize>, more: Value) -> Server {
    server::http(move |parts, body| {
        let authorization = parts.headers["authorization"].to_str().expect("text");
        // "my id:s3cret/" with each part encoded as in a form.
        assert_eq!(authorization, "Basic bXkraWQ6czNjcmV0JTJG");
        assert_eq!(
            String::from_utf8_lossy(&body),
            "grant_type=client_credentials&scope=read+write&audience=shop"
        );
        let number = handed.fetch_add(1, Ordering::Relaxed);
        let mut answer = json!({"access_token": format!("t{number}"), "token_type": "Bearer"});
        for (name, value) in more.as_object().expect("a map") {
            answer[name] = value.clone();
        }
        reply(200, &[], &answer.to_string())
    })
    .await
}

fn options(target: &str, issuer: &str) -> Value {
    json!({
        "url": target,
        "oauth2": {
            "token_url": issuer,
            "client_id": "my id",
            "client_secret": "s3cret/",
            "scopes": ["read", "write"],
            "audience": "shop",
        },
    })
}

/// A server that takes one token only.
async fn taking(token: &'static str) -> Server {
    server::http(move |parts, _| {
        let sent = parts.headers["authorization"].to_str().expect("text");
        reply(if sent == format!("Bearer {token}") { 200 } else { 401 }, &[], "")
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_told_apart_and_kept_until_its_end() {
    let handed = Arc::new(AtomicUsize::new(0));
    let issuer = issuer(Arc::clone(&handed), json!({"expires_in": 3600})).await;
    let target = taking("t0").await;
    let options = options(&target.url("/"), &issuer.url("/token"));
    let probe = kind("http").expect("http").parse(&options).expect("valid");
    let context = context(Egress::Direct, loopback());
    let seen = probe.run(&context).await;
    assert_ok(&seen);
    let urls: Vec<_> = seen.evidence.hops.iter().map(|hop| hop.url.clone()).collect();
    assert_eq!(urls, [issuer.url("/token"), target.url("/")]);
    assert!(seen.evidence.hops[0].phases.iter().any(|lap| lap.phase == Phase::Ttfb));
    let seen = probe.run(&context).await;
    assert_ok(&seen);
    assert_eq!((seen.evidence.hops.len(), handed.load(Ordering::Relaxed)), (1, 1));
    // An hour later it is fetched anew; the target does not take the new one.
    let wall = context.environment.wall();
    wall.tell(wall.now() + Duration::from_secs(3600));
    let seen = probe.run(&context).await;
    assert_fails(&seen, Phase::Assert, Reason::Status, "status 401");
    assert_eq!(handed.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_fetched_anew_once() {
    let handed = Arc::new(AtomicUsize::new(0));
    let issuer = issuer(Arc::clone(&handed), json!({"expires_in": "3600"})).await;
    let valid = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&valid);
    let target = server::http(move |parts, _| {
        let token = format!("Bearer t{}", current.load(Ordering::Relaxed));
        let sent = parts.headers["authorization"].to_str().expect("text");
        reply(if sent == token { 200 } else { 401 }, &[], "")
    })
    .await;
    let options = options(&target.url("/"), &issuer.url("/token"));
    let probe = kind("http").expect("http").parse(&options).expect("valid");
    let context = context(Egress::Direct, loopback());
    assert_ok(&probe.run(&context).await);
    valid.store(1, Ordering::Relaxed);
    let seen = probe.run(&context).await;
    assert_ok(&seen);
    let statuses: Vec<_> = seen.evidence.hops.iter().map(|hop| hop.status).collect();
    assert_eq!(statuses, [401, 200, 200]);
    valid.store(9, Ordering::Relaxed);
    let seen = probe.run(&context).await;
    assert_fails(&seen, Phase::Assert, Reason::Status, "status 401");
    assert_eq!((seen.evidence.hops.len(), handed.load(Ordering::Relaxed)), (3, 3));
}

#[tokio::test]
async fn no_token_is_told_with_the_servers_own_word() {
    let target = server::serve(|_| async { panic!("contacted") }).await;
    for (status, answer, problem) in [
        (400, json!({"error": "invalid_client"}).to_string(), "status 400 (\"invalid_client\")"),
        (302, String::new(), "status 302"),
        (200, "<html>".to_owned(), "the answer has no access_token"),
        (200, json!({"access_token": "a\nb"}).to_string(), "no token may hold"),
        (200, json!({"access_token": "a", "token_type": "mac"}).to_string(), "as a bearer"),
        (200, json!({"access_token": "a", "expires_in": -1}).to_string(), "a number of seconds"),
        (200, "x".repeat(1_000_000), "the answer has no access_token"),
    ] {
        let issuer = server::http(move |_, _| reply(status, &[], &answer)).await;
        let seen = probe("http", options(&target.url("/"), &issuer.url("/token"))).await;
        assert_fails(&seen, Phase::Assert, Reason::Auth, problem);
        assert!(!seen.evidence.message.contains("s3cret"));
    }
    let dead = options(&target.url("/"), "http://127.0.0.1:1/token");
    let seen = probe("http", dead).await;
    assert_fails(
        &seen,
        Phase::Connect,
        Reason::Refused,
        "token: connection to 127.0.0.1:1 refused",
    );
}

#[tokio::test]
async fn the_policy_judges_where_tokens_come_from() {
    let strict = context(Egress::Direct, Policy::default());
    let options = options("http://1.1.1.1/", "http://169.254.169.254/token");
    assert_denied(&super::probe_in(&strict, "http", options.clone()).await, "metadata");
    let probe = kind("http").expect("http").parse(&options).expect("valid");
    assert!(probe.refused_by(strict.environment.policy()).is_some());
    let mut reading = Policy::default();
    reading.methods.remove("POST");
    let rule = probe.refused_by(&reading).expect("refused");
    assert!(rule.contains("to fetch the token: method POST"), "{rule}");
}

#[tokio::test]
async fn a_token_that_never_comes_ends_with_the_probes_own_time() {
    let mute = server::serve(server::hold).await;
    let options = options("http://127.0.0.1:1/", &mute.url("/token"));
    let environment = context(Egress::Direct, loopback()).environment;
    let short = Duration::from_millis(300);
    let context = ProbeContext::new(environment, short, short);
    let seen = super::probe_in(&context, "http", options).await;
    let timeout = Outcome::Fail { phase: Phase::Ttfb, reason: Reason::Timeout };
    assert_eq!(seen.outcome, timeout);
}
