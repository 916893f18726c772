//! Expectations beside status, headers and body: comparisons, schemas, sizes, and what is around.

use quorate_checks::{Egress, kind};
use quorate_model::{Observation, Phase, Reason, Timestamp};
use serde_json::{Value, json};

use super::server::{self, reply};
use super::tls::Authority;
use super::{assert_fails, assert_ok, context, loopback, probe, probe_in};

const BODY: &str = r#"{"status":"ok","count":3,"parts":["a","b"],"name":"Quorate","none":null}"#;

/// Probes a server that answers with a fixed document, expecting `expect`.
async fn expecting(expect: Value) -> Observation {
    let headers = [("x-left", "42"), ("x-word", "many")];
    let server = server::http(move |_, _| reply(200, &headers, BODY)).await;
    probe("http", json!({"url": server.url("/"), "expect": expect})).await
}

#[tokio::test]
async fn met() {
    for expect in [
        json!({"json": {"$.count": {"at_least": 3, "less_than": 3.5}}}),
        json!({"json": {"$.name": {"contains": "uor", "not_contains": "x", "regex": "^Q"}}}),
        json!({"json": {"$.parts": {"contains": "b", "not_contains": "c"}}}),
        json!({"json": {"$.none": null, "$.nowhere": {"present": false}}}),
        json!({"json": {"$.none": {"equals": null}, "$.count": {"not_equals": 4}}}),
        json!({"json": {"$.status": {"present": true}}}),
        json!({"headers": {"x-left": {"at_least": 42, "at_most": 42}}}),
        json!({"headers": {"x-word": {"not_contains": "few"}}}),
        json!({"json_schema": {
            "type": "object",
            "required": ["status", "count"],
            "properties": {"status": {"enum": ["ok"]}, "count": {"minimum": 1}},
        }}),
        json!({"size": {"min": "10B", "max": "1KiB"}}),
        json!({"address": "127.0.0.0/8"}),
        json!({"address": ["10.0.0.0/8", "127.0.0.1"]}),
        json!({"phases": {"ttfb": "9s", "connect": "9s", "tls": "0s"}}),
        json!({"conditions": [
            "[STATUS] == 200",
            "[BODY].status == ok",
            "[RESPONSE_TIME] < 9000",
            "len([BODY].parts) == 2",
        ]}),
    ] {
        assert_ok(&expecting(expect).await);
    }
}

#[tokio::test]
async fn missed() {
    for (expect, reason, message) in [
        (
            json!({"json": {"$.count": {"more_than": 3}}}),
            Reason::Json,
            "is 3, expected more than 3",
        ),
        (json!({"json": {"$.name": {"at_least": 3}}}), Reason::Json, "expected at least 3"),
        (json!({"json": {"$.none": {"contains": "x"}}}), Reason::Json, "is null, expected a part"),
        (json!({"json": {"$.count": {"not_equals": 3}}}), Reason::Json, "is 3, expected not 3"),
        (json!({"json": {"$.status": {"present": false}}}), Reason::Json, "is there: \"ok\""),
        (json!({"headers": {"x-left": {"less_than": 42}}}), Reason::Header, "less than 42"),
        (json!({"headers": {"x-word": {"less_than": 42}}}), Reason::Header, "less than 42"),
        (
            json!({"json_schema": {"properties": {"count": {"maximum": 2}}}}),
            Reason::Json,
            "the body does not fit the schema: /count:",
        ),
        (
            json!({"json_schema": {"required": ["version"]}}),
            Reason::Json,
            "the body does not fit the schema: the whole: missing properties 'version'",
        ),
        (json!({"size": {"min": "1KiB"}}), Reason::Size, "expected at least 1024"),
        (json!({"size": {"max": "5B"}}), Reason::Size, "bytes, expected at most 5"),
        (json!({"url": "https://x/"}), Reason::Url, "expected https://x/"),
        (json!({"address": "10.0.0.0/8"}), Reason::Address, "127.0.0.1 answered, expected one in"),
        (json!({"phases": {"ttfb": "0s"}}), Reason::Latency, "ttfb took"),
        (json!({"tls": {"version": "TLSv1.3"}}), Reason::Certificate, "came without TLS"),
        (json!({"conditions": ["[STATUS] > 200"]}), Reason::Status, "status 200, expected 201-999"),
        (json!({"conditions": ["[BODY].count == 4"]}), Reason::Json, "is 3, expected \"4\""),
    ] {
        let seen = expecting(expect).await;
        assert_fails(&seen, Phase::Assert, reason, message);
    }
}

#[tokio::test]
async fn the_url_that_redirects_led_to() {
    let server = server::http(|parts, _| match parts.uri.path() {
        "/" => reply(302, &[("location", "/end")], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let options = |wanted: String| json!({"url": server.url("/"), "expect": {"url": wanted}});
    assert_ok(&probe("http", options(server.url("/end"))).await);
    let seen = probe("http", options(server.url("/other"))).await;
    assert_fails(&seen, Phase::Assert, Reason::Url, "/end\", expected");
}

#[tokio::test]
async fn what_tls_agreed_on_and_how_long_certificates_last() {
    let authority = Authority::new();
    let context = context(Egress::Direct, loopback());
    // A week before the certificate ends.
    let christmas = Timestamp::from_micros(3_786_307_200_000_000);
    context.environment.wall().tell(christmas);
    for (expect, message) in [
        (json!({"version": "TLSv1.3", "cipher": "TLS13_AES_256_GCM_SHA384"}), None),
        (json!({"cert_expires_in": "6d", "chain_expires_in": "6d"}), None),
        (json!({"version": "TLSv1.2"}), Some("TLS version is TLSv1.3, expected TLSv1.2")),
        (json!({"cipher": ["A", "B"]}), Some("TLS13_AES_256_GCM_SHA384, expected A, B")),
        (json!({"cert_expires_in": "14d"}), Some("the certificate ends on 2090-01-01")),
        (json!({"chain_expires_in": "14d"}), Some("a certificate of the chain ends on 2090")),
    ] {
        let config = authority.server("localhost", (2020, 2090));
        let server = server::https(config, |_, _| reply(200, &[], "")).await;
        let options = json!({
            "url": server.https("/"),
            "tls": {"ca": authority.pem},
            "expect": {"tls": expect},
        });
        let seen = probe_in(&context, "http", options).await;
        match message {
            None => assert_ok(&seen),
            Some(message) => {
                let soon = message.contains("ends on");
                let reason = if soon { Reason::CertExpiresSoon } else { Reason::Certificate };
                assert_fails(&seen, Phase::Assert, reason, message);
            }
        }
    }
}

/// Documents that a target may send to trip whoever reads them.
#[tokio::test]
async fn odd_documents_fail_and_do_no_harm() {
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!("{{{}}}", vec!["\"a\":1"; 2_000].join(","));
    let expects = [
        json!({"json": {"$.status": "ok"}}),
        json!({"json": {"$.status": {"at_least": 1}}}),
        json!({"json": {"$..status": {"contains": "x"}}}),
        json!({"json": {"$.status[-1]": {"regex": "x"}}}),
        json!({"json_schema": {"type": "object", "required": ["status"]}}),
        json!({"conditions": ["[BODY].status == ok"]}),
        json!({"conditions": ["len([BODY].status) > 1000000"]}),
        json!({"conditions": ["[BODY].status[0].x > 5"]}),
    ];
    let context = context(Egress::Direct, loopback());
    for body in [
        nested,
        wide,
        "null".to_owned(),
        "NaN".to_owned(),
        "{\"status\":null}".to_owned(),
        "{\"status\":NaN}".to_owned(),
        "{\"status\":[]}".to_owned(),
        "{\"status\":{\"a\":[[]]}}".to_owned(),
        "{\"status\":1e999}".to_owned(),
        "\"\\ud800\"".to_owned(),
        "\u{feff}{}".to_owned(),
        String::new(),
    ] {
        let body_for_server = body.clone();
        let server = server::http(move |_, _| reply(200, &[], &body_for_server)).await;
        for expect in &expects {
            let options = json!({"url": server.url("/"), "expect": expect});
            let seen = probe_in(&context, "http", options).await;
            let fails = |outcome: quorate_model::Outcome| outcome.is_fail();
            let fine = body.starts_with("{\"status\"") && expect.get("json_schema").is_some();
            assert!(fails(seen.outcome) || fine, "{expect}: {seen:?}");
        }
    }
}

#[test]
fn wrong_expectations_are_told() {
    let options = json!({"url": "http://x", "expect": {
        "json": {"$.a": {"at_least": "x"}, "$.b": {"regex": "("}},
        "json_schema": {"type": 5},
        "size": {"min": "2KiB", "max": "1KiB"},
        "address": ["here", "10.0.0.0/8"],
        "tls": {"version": "SSLv3", "cert_expires_in": "soon"},
        "phases": {"assert": "1s", "ttfb": "quick"},
        "conditions": ["[STATE] == 200"],
        "headers": {"x": {"at_least": "x"}},
    }});
    let problems = kind("http").expect("http").parse(&options).expect_err("must be refused");
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for start in [
        "expect.json.$.a: expected a number, found \"x\"",
        "expect.json.$.b.regex: not a regular expression",
        "expect.json_schema: not a JSON Schema",
        "expect.size.min: is more than max",
        "expect.address: \"here\" is not a network",
        "expect.tls.version: \"SSLv3\" is neither",
        "expect.tls.cert_expires_in: \"soon\" is not a duration",
        "expect.phases.assert: \"assert\" is not one of",
        "expect.phases.ttfb: \"quick\" is not a duration",
        "expect.conditions.0: unknown placeholder [STATE], did you mean [STATUS]?",
        "expect.headers.x.at_least: expected a number",
    ] {
        let found = problems.iter().filter(|problem| problem.starts_with(start));
        assert_eq!(found.count(), 1, "{start:?} in {problems:#?}");
    }
    let outside =
        json!({"url": "http://x", "expect": {"json_schema": {"$ref": "file:///etc/passwd"}}});
    let problems = kind("http").expect("http").parse(&outside).expect_err("must be refused");
    assert!(problems[0].to_string().contains("is not followed"), "{problems:?}");
}
