use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::CommandFactory as _;
use insta::assert_snapshot;

use super::*;

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Exit code, standard output and standard error of a command line, with an empty home.
pub(crate) async fn said(arguments: &[&str]) -> (u8, String, String) {
    let home = tempfile::tempdir().unwrap();
    let (out, err) = (Paper::default(), Paper::default());
    let mut console =
        Console { out: Out::new(out.clone(), false), err: Out::new(err.clone(), false) };
    let home = home.path().display().to_string();
    let fixed = ["--config-home-env", home.as_str()];
    let line = ["quorate"].into_iter().chain(arguments.iter().copied());
    let line: Vec<OsString> = if arguments.iter().any(|it| !it.starts_with('-')) {
        line.chain(fixed).map(OsString::from).collect()
    } else {
        line.map(OsString::from).collect()
    };
    let code = run(line, &mut console).await;
    (code, out.text(), err.text())
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

#[tokio::test]
async fn help() {
    let (code, out, err) = said(&["--help"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_snapshot!(out);
}

#[test]
fn help_of_every_command() {
    let mut all = String::new();
    let mut command = CommandLine::command();
    command.build();
    print_help(&mut command, &mut all);
    assert_snapshot!(all);
}

fn print_help(command: &mut clap::Command, all: &mut String) {
    for child in command.get_subcommands_mut().filter(|it| it.get_name() != "help") {
        let usage = child.render_usage().to_string();
        let about = child.get_about().map(ToString::to_string).unwrap_or_default();
        *all += format!("{usage}\n    {about}\n").as_str();
        print_help(child, all);
    }
}

#[tokio::test]
async fn a_wrong_command_line_is_2_and_goes_to_standard_error() {
    let (code, out, err) = said(&["get", "cheks"]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("'checks'"), "{err}");
    let (code, _, err) = said(&["watch", "--timeout", "5"]).await;
    assert_eq!(code, 2);
    assert!(err.contains("write a number with a unit"), "{err}");
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_is_3() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = format!("http://{free}");
    let (code, out, err) = said(&["get", "checks", "--address", &address]).await;
    assert_eq!((code, out.as_str()), (3, ""));
    assert_eq!(
        err,
        format!(
            "quorate: cannot reach the coordinator at {address}: connection refused; start it with `quorate-coordinator`, or name another with --address\n"
        )
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_2() {
    for address in ["ftp://a:1", "not a url", "coordinator:7443"] {
        let (code, _, err) = said(&["get", "checks", "--address", address]).await;
        assert_eq!(code, 2, "{address}: {err}");
        assert!(err.contains("use a URL such as"), "{err}");
    }
}

#[tokio::test]
async fn a_token_is_not_sent_unencrypted() {
    let token = file("secret");
    let path = token.path().display().to_string();
    let line = ["get", "checks", "--address", "http://192.0.2.1:1", "--token-file", &path];
    let (code, _, err) = said(&line).await;
    assert_eq!(code, 2);
    assert!(err.contains("is not encrypted"), "{err}");
    assert!(!err.contains("secret\n"), "{err}");
}

#[tokio::test]
async fn the_version_is_data() {
    let (code, out, _) = said(&["version"]).await;
    assert_eq!((code, out), (0, format!("quorate {}\n", env!("CARGO_PKG_VERSION"))));
    let (_, out, _) = said(&["version", "-o", "json"]).await;
    assert!(out.contains("\"version\""), "{out}");
}

#[tokio::test]
async fn config_check_prints_every_problem_with_its_place() {
    let good = file(quorate_config::sample());
    let (code, _, err) = said(&["config", "check", &good.path().display().to_string()]).await;
    assert_eq!(code, 0, "{err}");
    let bad = file(
        "version: 1\nregions: { fra: {} }\nchecks:\n  shop: { htp: {} }\n  Bad: { tcp: {} }\n",
    );
    let path = bad.path().display().to_string();
    let (code, out, _) = said(&["config", "check", &path]).await;
    assert_eq!(code, 1);
    assert!(out.contains(&format!("{path}:4:")), "{out}");
    assert!(out.contains(&format!("{path}:5:")), "{out}");
    let (code, out, _) = said(&["config", "check", &path, "-o", "json"]).await;
    assert_eq!(code, 1);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let lines: Vec<_> =
        document["problems"].as_array().unwrap().iter().map(|it| &it["line"]).collect();
    assert!(lines.contains(&&4.into()) && lines.contains(&&5.into()), "{out}");
}

#[tokio::test]
async fn config_schema_is_json() {
    let (code, out, _) = said(&["config", "schema"]).await;
    assert_eq!(code, 0);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(schema["$schema"].as_str().unwrap().contains("draft-07"));
}

const ONE_CHECK: &str = "version: 1\nserver: { agents: { listen: \"127.0.0.1:7444\" }, join: { listen: \"127.0.0.1:7445\" } }\nregions: { fra: {} }\nchecks:\n  here: { timeout: 2s, interval: 10s, tcp: { address: \"ADDRESS\" } }\n";

#[tokio::test]
async fn check_run_probes_once_and_says_how_it_went() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let config = file(&ONE_CHECK.replace("ADDRESS", &address));
    let place = format!("{}#here", config.path().display());
    let (code, out, err) = said(&["check", "run", &place, "--allow", "127.0.0.0/8"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("connect") && out.ends_with("ok\n"), "{out}");
    drop(listener);
    let (code, out, _) =
        said(&["check", "run", &place, "--allow", "127.0.0.0/8", "-o", "json"]).await;
    assert_eq!(code, 1, "{out}");
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["outcome"], &document["reason"]), (&"fail".into(), &"refused".into()));
}

#[tokio::test]
async fn check_run_keeps_to_public_addresses_unless_told() {
    let config = file(&ONE_CHECK.replace("ADDRESS", "127.0.0.1:1"));
    let place = format!("{}#here", config.path().display());
    let (code, out, _) = said(&["check", "run", &place]).await;
    assert_eq!(code, 1);
    assert!(out.contains("policy_denied"), "{out}");
    let (code, _, err) = said(&["check", "run", &place, "--allow", "10/8"]).await;
    assert_eq!(code, 2, "{err}");
}

#[tokio::test]
async fn check_run_of_a_check_that_is_not_there_is_5() {
    let config = file(&ONE_CHECK.replace("ADDRESS", "127.0.0.1:1"));
    let path = config.path().display().to_string();
    let (code, _, err) = said(&["check", "run", &format!("{path}#shop")]).await;
    assert_eq!(code, 5);
    assert!(err.contains("there are here"), "{err}");
    let (code, _, _) = said(&["check", "run", &path]).await;
    assert_eq!(code, 2);
}

#[tokio::test]
async fn contexts_are_saved_listed_and_selected() {
    let (code, _, err) = said(&["context", "save", "prod"]).await;
    assert_eq!(code, 2);
    assert!(err.contains("nothing to save"), "{err}");
    let (code, out, err) = said(&["context", "ls"]).await;
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("no contexts"), "{err}");
    assert_eq!(said(&["get", "checks", "--context", "prod"]).await.0, 5);
}

#[tokio::test]
async fn a_status_code_is_explained_without_a_coordinator() {
    let (code, out, err) = said(&["explain", "522"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_snapshot!(out, @"
    522 Connection Timed Out
      means: no connection to the origin in time
      responsible: origin (the edge is fine)
      outcome: fail
      what to do: overloaded origin, firewall that drops the delivery network's addresses
    ");
    let (code, out, _) = said(&["explain", "499", "-o", "json"]).await;
    assert_eq!(code, 0);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["is_registered"], &document["outcome"]), (&false.into(), &"fail".into()));
    let (code, out, err) = said(&["explain", "42"]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("42 is no HTTP status code"), "{err}");
}
