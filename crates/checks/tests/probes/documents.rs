//! Option documents: what is refused, and that the docs name every option.

use std::collections::BTreeSet;
use std::path::Path;

use quorate_checks::{KINDS, kind};
use serde_json::{Value, json};

#[track_caller]
fn refused(name: &str, options: &Value) -> Vec<String> {
    let parsed = kind(name).expect("the kind").parse(options);
    let problems = parsed.expect_err("must be refused");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn kinds_are_in_alphabetical_order() {
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name()).collect();
    assert!(names.is_sorted() && names.contains(&"http"), "{names:?}");
    assert!(kind("gopher").is_none());
}

#[test]
fn everything_wrong_is_reported_at_once_with_its_path() {
    let options = json!({
        "url": "ftp://example.com",
        "method": "FETCH",
        "headers": {"bad name": "x", "Content-Length": "5", "x-num": 5},
        "follow": 11,
        "timeout": "5s",
        "http_version": 3,
        "max_body": "1GiB",
        "tls": {"verfy": false, "ca": "nothing", "server_name": "a b", "min_version": "1.1"},
        "expect": {
            "staus": 200,
            "status": ["2xx", "abc", 301],
            "headers": {"x": {}, "y": {"regex": "("}},
            "body": {"regex": "[", "contains": 5},
            "json": {"$.[": 1},
            "location": "/x",
            "latency": "2",
        },
    });
    let problems = refused("http", &options);
    for start in [
        "url: the scheme is \"ftp\"",
        "method: unknown method \"FETCH\"",
        "headers.bad name: \"bad name\" is not a header name",
        "headers.Content-Length: content-length is set by the probe itself",
        "headers.x-num: expected text, found 5 (put it in quotes)",
        "follow: expected true or false or a whole number from 0 to 10, found 11",
        "timeout: unknown key \"timeout\", known are",
        "http_version: expected one of \"auto\", \"1.1\", \"2\", found 3",
        "max_body: \"1GiB\" is not a size",
        "tls.verfy: unknown key \"verfy\", did you mean \"verify\"?",
        "tls.ca: holds no certificate",
        "tls.server_name: \"a b\" is neither",
        "tls.min_version: expected one of \"1.2\", \"1.3\", found \"1.1\"",
        "expect.staus: unknown key \"staus\", did you mean \"status\"?",
        "expect.status.1: \"abc\" is not a status",
        "expect.status.2: 301 is followed",
        "expect.headers.x: says nothing",
        "expect.headers.y.regex: not a regular expression: unclosed group",
        "expect.body.regex: not a regular expression",
        "expect.body.contains: expected text, found 5",
        "expect.json.$.[: \"$.[\" is not a JSONPath",
        "expect.location: redirects are followed",
        "expect.latency: \"2\" is not a duration",
    ] {
        let found = problems.iter().filter(|problem| problem.starts_with(start));
        assert_eq!(found.count(), 1, "{start:?} in {problems:#?}");
    }
    assert_eq!(problems.len(), 23, "{problems:#?}");
}

#[test]
fn single_mistakes() {
    for (name, options, problem) in [
        ("http", json!({}), "url is missing"),
        ("tcp", json!({}), "address is missing"),
        ("http", json!([]), "expected a map, found a list"),
        ("http", json!({"url": "http://x", "expect": []}), "expect: expected a map, found a list"),
        ("http", json!({"url": 5}), "url: expected text, found 5 (put it in quotes)"),
        (
            "http",
            json!({"url": "example.com"}),
            "url: \"example.com\" is not a URL (relative URL without a base): write one such as https://example.com/health",
        ),
        (
            "http",
            json!({"url": "http://x", "body": "y"}),
            "body: a GET or HEAD request has no body: set method: POST",
        ),
        (
            "http",
            json!({"url": "http://x", "max_body": "11MiB"}),
            "max_body: 11MiB is too much: at most 10MiB of a body is read",
        ),
        (
            "http",
            json!({"url": "http://x", "expect": {"status": []}}),
            "expect.status: the list is empty: no status would do",
        ),
        (
            "http",
            json!({"url": "http://x", "headers": {"a": "b\r\nc: d"}}),
            "headers.a: the value holds control characters",
        ),
        (
            "tcp",
            json!({"address": "host"}),
            "address: \"host\" is not host:port: write a name or an address and a port, such as db.example.com:5432 or [2001:db8::1]:443",
        ),
        (
            "tcp",
            json!({"address": "h:1", "send": "\\q"}),
            "send: unknown escape at \\q: known are \\r, \\n, \\t, \\0, \\\\ and \\xHH",
        ),
        (
            "tcp",
            json!({"address": "h:1", "expect": ""}),
            "expect: an empty text is part of everything",
        ),
        (
            "tcp",
            json!({"address": "h:1", "ip_family": 5}),
            "ip_family: expected one of \"any\", \"4\", \"6\", \"both\", found 5",
        ),
    ] {
        assert_eq!(refused(name, &options), [problem]);
    }
}

#[test]
fn a_bomb_of_a_regular_expression_is_refused() {
    let options = json!({"url": "http://x", "expect": {"body": {"regex": "(a{1000}){1000}"}}});
    assert!(refused("http", &options)[0].contains("size limit"));
}

#[test]
fn secrets_are_not_shown() {
    let options = json!({
        "url": "https://user:hunter2@example.com/",
        "method": "POST",
        "headers": {"X-Key": "hunter2"},
        "body": "hunter2",
    });
    let probe = kind("http").expect("http").parse(&options).expect("valid");
    assert_eq!(probe.target(), "https://example.com/");
    assert!(!format!("{probe:?}").contains("hunter2"));
    let options = json!({"address": "h:1", "send": "hunter2"});
    let probe = kind("tcp").expect("tcp").parse(&options).expect("valid");
    assert!(!format!("{probe:?}").contains("hunter2"));
}

/// The names of all options in a schema; names of maps' keys are the users' own.
fn option_names(schema: &Value, names: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, option) in properties {
            let described = option.get("description").is_some();
            assert!(described, "option {name} has no description");
            names.insert(name.clone());
        }
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|field| option_names(field, names)),
        Value::Array(items) => items.iter().for_each(|item| option_names(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_option_stands_in_the_docs() {
    for kind in KINDS {
        let name = kind.name();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = root.join(format!("docs/checks/{name}.md"));
        let page = std::fs::read_to_string(page).expect("each kind has a page");
        let mut names = BTreeSet::new();
        option_names(kind.schema().as_value(), &mut names);
        assert!(!names.is_empty(), "{name} has no options");
        for option in names {
            let quoted = format!("{option}`");
            assert!(page.contains(&quoted), "{name}.md does not name `{option}`");
        }
    }
}
