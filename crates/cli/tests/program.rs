//! The built program: what it prints where, and how it ends.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::net::TcpListener;
use std::process::{Command, Output};

fn quorate(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .expect("it runs")
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn its_version_is_data_and_ends_well() {
    let output = quorate(&["version"]);
    let (data, messages) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{messages}");
    assert!(data.contains(env!("CARGO_PKG_VERSION")), "{data}");
}

#[test]
fn wrong_usage_ends_with_2_and_says_why() {
    let output = quorate(&["get", "cheks"]);
    let (data, messages) = said(&output);
    assert_eq!((output.status.code(), data.as_str()), (Some(2), ""));
    assert!(messages.contains("checks"), "a suggestion: {messages}");
}

#[test]
fn a_coordinator_that_is_not_there_ends_with_3_and_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let output = quorate(&["--address", &format!("http://{port}"), "get", "checks"]);
    let (data, messages) = said(&output);
    assert_eq!((output.status.code(), data.as_str()), (Some(3), ""));
    assert!(messages.contains(&port.to_string()), "{messages}");
}

#[test]
fn a_bad_configuration_ends_with_1_and_names_each_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("quorate.yaml");
    std::fs::write(&file, "version: 1\nregions: { FRA: {} }\nchecks: { shop: { htp: {} } }\n")
        .expect("written");
    let output = quorate(&["config", "check", file.to_str().expect("text")]);
    let (data, messages) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    let all = format!("{data}{messages}");
    assert!(all.contains("quorate.yaml:2:") && all.contains("quorate.yaml:3:"), "{all}");
}
