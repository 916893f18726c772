//! Each expectation, met and missed.

use quorate_model::{Phase, Reason};
use serde_json::{Value, json};

use super::server::{self, reply};
use super::{assert_fails, assert_ok, probe};

const BODY: &str =
    r#"{"status":"degraded","count":3,"parts":[{"up":true},{"up":true},{"up":false}]}"#;

/// Probes a server that answers with a fixed document, expecting `expect`.
async fn expecting(expect: Value) -> quorate_model::Observation {
    let headers =
        [("content-type", "application/json; charset=utf-8"), ("x-many", "one"), ("x-many", "two")];
    let server = server::http(move |_, _| reply(200, &headers, BODY)).await;
    probe("http", json!({"url": server.url("/"), "expect": expect})).await
}

#[tokio::test]
async fn met() {
    for expect in [
        json!({"status": 200}),
        json!({"status": "2xx"}),
        json!({"status": [404, "200-204"]}),
        json!({"status": [200.0]}),
        json!({"headers": {"Content-Type": "application/json; charset=utf-8"}}),
        json!({"headers": {"content-type": {"contains": "json", "regex": "^app"}}}),
        json!({"headers": {"x-many": "two", "x-none": {"present": false}}}),
        json!({"headers": {"x-many": {"present": true}}}),
        json!({"body": {"contains": "degraded", "not_contains": "panic", "regex": "count.:\\d"}}),
        json!({"json": {"$.status": "degraded", "$.count": 3.0, "$.parts[0]": {"up": true}}}),
        json!({"json": {"$.parts[?@.up == true].up": true}}),
        json!({"latency": "9s"}),
    ] {
        assert_ok(&expecting(expect).await);
    }
}

/// Expects `expect` to fail so.
async fn missed(expect: Value, reason: Reason, message: &str) {
    let seen = expecting(expect).await;
    assert_fails(&seen, Phase::Assert, reason, message);
}

#[tokio::test]
async fn missed_in_the_head() {
    for (expect, reason, message) in [
        (
            json!({"status": [201, "4xx", "500-501"]}),
            Reason::Status,
            "status 200, expected 201, 4xx, 500-501",
        ),
        (
            json!({"headers": {"content-type": "text/html"}}),
            Reason::Header,
            "header content-type is \"application/json; charset=utf-8\", expected \"text/html\"",
        ),
        (
            json!({"headers": {"x-many": {"contains": "three"}}}),
            Reason::Header,
            "expected a part \"three\"",
        ),
        (
            json!({"headers": {"x-many": {"regex": "^x"}}}),
            Reason::Header,
            "expected a match of \"^x\"",
        ),
        (json!({"headers": {"x-none": "1"}}), Reason::Header, "header x-none is missing"),
        (
            json!({"headers": {"x-many": {"present": false}}}),
            Reason::Header,
            "header x-many is there: \"one\"",
        ),
    ] {
        missed(expect, reason, message).await;
    }
}

#[tokio::test]
async fn missed_in_the_body() {
    for (expect, reason, message) in [
        (json!({"body": {"contains": "fine"}}), Reason::Body, "the body does not contain \"fine\""),
        (
            json!({"body": {"not_contains": "degraded"}}),
            Reason::Body,
            "the body contains \"degraded\"",
        ),
        (json!({"body": {"regex": "^ok$"}}), Reason::Body, "the body does not match \"^ok$\""),
        (
            json!({"json": {"$.status": "ok"}}),
            Reason::Json,
            "$.status is \"degraded\", expected \"ok\"",
        ),
        (json!({"json": {"$.count": "3"}}), Reason::Json, "$.count is 3, expected \"3\""),
        (json!({"json": {"$.none": null}}), Reason::Json, "$.none is missing, expected null"),
        (json!({"json": {"$.parts[*].up": true}}), Reason::Json, "is false, expected true"),
        (json!({"latency": "0s"}), Reason::Latency, "expected at most 0s"),
    ] {
        missed(expect, reason, message).await;
    }
}

#[tokio::test]
async fn bodies_that_are_not_json() {
    for (body, message) in [
        ("<html>".to_owned(), "the body is not JSON"),
        (String::new(), "the body is not JSON"),
        ("NaN".to_owned(), "the body is not JSON"),
        ("[".repeat(100_000), "the body is not JSON"),
        (format!("\"{}\"", "x".repeat(300_000)), "longer than max_body (262144 bytes)"),
        ("[1,2]".to_owned(), "$.status is missing"),
    ] {
        let server = server::http(move |_, _| reply(200, &[], &body)).await;
        let options = json!({"url": server.url("/"), "expect": {"json": {"$.status": "ok"}}});
        let seen = probe("http", options).await;
        assert_fails(&seen, Phase::Assert, Reason::Json, message);
    }
}

#[tokio::test]
async fn text_of_the_target_is_cut_and_escaped() {
    let value = "\u{1b}]0;owned\u{7}\u{202e}x".repeat(50);
    let body = json!({"status": value}).to_string();
    let server = server::http(move |_, _| reply(200, &[], &body)).await;
    let options = json!({"url": server.url("/"), "expect": {"json": {"$.status": "ok"}}});
    let seen = probe("http", options).await;
    let message = &seen.evidence.message;
    assert!(message.len() < 200, "{message}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
}
