use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

fn args(folder: &Path) -> InitArgs {
    InitArgs {
        data: folder.join("data"),
        names: vec!["coordinator.example.com".to_owned()],
        config: Some(folder.join("quorate.yaml")),
        no_context: false,
        config_home_env: folder.join("home").into(),
        home_env: std::ffi::OsString::new(),
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn makes_everything_that_a_first_run_needs() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path());
    let made = init(&args, Clock::start()).unwrap();
    assert!(made.next.iter().any(|line| line.contains("run --config")));

    let token = std::fs::read_to_string(args.data.join(TOKEN_FILE)).unwrap();
    assert_eq!(mode(&args.data.join(TOKEN_FILE)), 0o600);
    assert!(!made.lines.concat().contains(token.trim()), "shown");
    let url = format!("sqlite:{}", args.data.join("quorate.db").display());
    let mut store = quorate_store::open(&url).unwrap();
    let hash = token::hash(token.trim());
    let known = store.api_token(&hash).unwrap().unwrap();
    assert_eq!(known.role, Role::Admin);

    let text = std::fs::read_to_string(args.config.as_ref().unwrap()).unwrap();
    let configuration = quorate_config::parse("starter", &text).unwrap();
    assert_eq!(configuration.server.data, args.data);
    assert_eq!(configuration.server.store, url);
    let join = configuration.server.join.advertise.as_deref();
    assert_eq!(join, Some("coordinator.example.com:7445"));

    let context = folder.path().join("home/quorate/contexts/default.yaml");
    assert_eq!(mode(&context), 0o600);
    let context = std::fs::read_to_string(context).unwrap();
    assert!(context.contains("address: \"http://127.0.0.1:7443\""), "{context}");
    assert!(context.contains("admin.token") && context.contains("pki/ca.pem"));
    Authority::open(&args.data.join(PKI_FOLDER), Clock::start().now()).unwrap();
}

#[test]
fn never_overwrites_an_authority() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path());
    init(&args, Clock::start()).unwrap();
    let before = std::fs::read_to_string(args.data.join("pki/ca.pem")).unwrap();
    let error = init(&args, Clock::start()).unwrap_err();
    assert!(matches!(error, InitError::Pki(PkiError::Exists { .. })));
    assert!(error.to_string().contains("never overwritten"), "{error}");
    let after = std::fs::read_to_string(args.data.join("pki/ca.pem")).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_wrong_configuration_stops_it_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path());
    std::fs::write(args.config.as_ref().unwrap(), "version: 1\nchekcs: {}\n").unwrap();
    let error = init(&args, Clock::start()).unwrap_err();
    assert!(error.to_string().contains("quorate.yaml:2:1:"), "{error}");
    assert!(!args.data.exists());
}

#[test]
fn keeps_settings_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path());
    let context = folder.path().join("home/quorate/contexts/default.yaml");
    std::fs::create_dir_all(context.parent().unwrap()).unwrap();
    std::fs::write(&context, "address: http://elsewhere:1\n").unwrap();
    init(&args, Clock::start()).unwrap();
    let kept = std::fs::read_to_string(&context).unwrap();
    assert_eq!(kept, "address: http://elsewhere:1\n");
}
