use super::*;
use crate::args::CommandLine;
use clap::Parser as _;

fn contexts(folder: &Path) -> Contexts {
    Contexts { folder: folder.to_owned() }
}

fn global(arguments: &[&str]) -> Global {
    let line = ["quorate", "version"].into_iter().chain(arguments.iter().copied());
    CommandLine::try_parse_from(line).unwrap().global
}

fn saved() -> Saved {
    Saved {
        address: Some("https://c.example.com:7443".to_owned()),
        token_file: Some("/secret/token".into()),
        ca_file: Some("/etc/ca \"x\".pem".into()),
    }
}

#[test]
fn what_was_saved_is_what_is_loaded_and_nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let contexts = contexts(folder.path());
    let file = contexts.save("prod", &saved()).unwrap();
    assert_eq!(contexts.load("prod").unwrap(), saved());
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(contexts.names(), ["prod"]);
    assert_eq!(contexts.load("other").unwrap_err().exit, Exit::NotFound);
    assert_eq!(contexts.load("../prod").unwrap_err().exit, Exit::Usage);
}

#[test]
fn a_flag_wins_over_a_context_and_a_context_over_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let contexts = contexts(folder.path());
    let address = |global: &Global| contexts.settings(global).unwrap().address;
    assert_eq!(address(&global(&[])), ADDRESS_DEFAULT);
    contexts.save("prod", &saved()).unwrap();
    assert_eq!(address(&global(&[])), ADDRESS_DEFAULT);
    assert_eq!(address(&global(&["--context", "prod"])), "https://c.example.com:7443");
    contexts.select("prod").unwrap();
    assert_eq!(address(&global(&[])), "https://c.example.com:7443");
    assert_eq!(address(&global(&["--address", "http://other:1"])), "http://other:1");
}

#[test]
fn a_saved_token_goes_only_where_it_belongs() {
    let folder = tempfile::tempdir().unwrap();
    let contexts = contexts(folder.path());
    contexts.save("prod", &saved()).unwrap();
    contexts.select("prod").unwrap();
    assert!(contexts.settings(&global(&[])).unwrap().token_file.is_some());
    let elsewhere = contexts.settings(&global(&["--address", "https://evil.example.com"])).unwrap();
    assert_eq!(elsewhere.token_file, None);
}

#[test]
fn a_file_with_an_unknown_key_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let contexts = contexts(folder.path());
    let file = contexts.save("prod", &saved()).unwrap();
    std::fs::write(&file, "address: http://a:1\ntokenfile: /x\n").unwrap();
    let failure = contexts.load("prod").unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.message.contains("prod.yaml:2:1: "), "{}", failure.message);
}
