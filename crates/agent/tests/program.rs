//! The program as its user meets it.
#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn agent(arguments: &[&str], input: &str) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_quorate-agent"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = process.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    process.wait_with_output().expect("it ends")
}

#[track_caller]
fn check(output: &Output, code: i32, error: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(error), "{text}");
}

#[test]
fn a_wrong_file_is_exit_code_78_with_every_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.yaml");
    std::fs::write(&path, "egress: direkt\npolicy: { rte: 5 }\n").expect("written");
    let path = path.to_str().expect("text");
    let output = agent(&["run", "--config", path], "");
    check(&output, 78, &format!("{path}:1:9: "));
    check(&output, 78, "did you mean `rate`?");
}

#[test]
fn an_agent_without_identity_says_how_to_join() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().to_str().expect("text");
    check(&agent(&["run", "--state", state], ""), 1, "quorate-agent join --state");
    let output = agent(&["join", "--state", state], "not a bundle");
    check(&output, 1, "quorate agent token");
}

#[test]
fn the_bundle_is_never_an_argument() {
    check(&agent(&["join", "quorate-join-v1.abc"], ""), 2, "unexpected argument");
    let output = agent(&["version"], "");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("quorate-agent 0."));
}
