//! What a valid configuration means.
#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::time::Duration;

use proptest::prelude::*;
use quorate_config::{Configuration, SecretRef, json_schema, parse, sample};
use quorate_model::{CheckId, Fleet, FleetPolicy, Period, Quorum, Revision, Timestamp};
use serde_json::json;

const SMALL: &str = "\
version: 1
server: { agents: { advertise: \"quorate.example.com:7444\" } }
regions: { fra: {}, iad: {}, syd: {} }
checks:
  shop:
    tcp: { address: \"shop.example.com:443\" }
";

/// The small configuration with every default written out.
const WRITTEN_OUT: &str = "\
version: 1
server:
  data: /var/lib/quorate
  store: \"sqlite:/var/lib/quorate/quorate.db\"
  agents: { listen: \"0.0.0.0:7444\", advertise: \"quorate.example.com:7444\" }
  join: { listen: \"0.0.0.0:7445\", advertise: \"quorate.example.com:7445\" }
  api: { listen: \"127.0.0.1:7443\", tls: false }
  retention: 7d
defaults:
  interval: 60s
  timeout: 10s
  slow_after: 5s
  quorum: majority
  distinct: off
  allow_single_region: false
  alert: { to: [], evidence: on, on_no_quorum: ignore, intermittent: notice }
  partial: { after: 5m, to: [], notify: true, severity: notice }
  certificate: { warn: 21d }
policy:
  heartbeat: 2s
  absent_after: 6s
  lost_after: 1m
  isolated_after: 5s
  anchor_interval: 10s
  anchor_timeout: 1s
  recovery: 30s
  recovery_max: 15m
  recovery_interval: 20s
  reopen_within: 30m
  round_gap: 10s
  suspect_min: 2s
  remember_every: 10m
  clock_tolerance: 5s
  merge_places: true
  group_after: 3
  group_wait: 10s
anchors: [\"1.1.1.1:443\", \"8.8.8.8:443\", \"www.wikipedia.org:443\", \"www.amazon.com:443\", \"www.apple.com:443\"]
regions: { fra: {}, iad: {}, syd: {} }
checks:
  shop:
    tcp: { address: \"shop.example.com:443\" }
    interval: 60s
    timeout: 10s
    slow_after: 5s
    regions: [fra, iad, syd]
    quorum: majority
    distinct: off
    allow_single_region: false
    alert: { to: [], evidence: on, on_no_quorum: ignore, intermittent: notice }
    partial: { after: 5m, to: [], notify: true, severity: notice }
    certificate: { warn: 21d }
    labels: {}
    depends_on: []
receivers: {}
operators: []
silences: {}
maintenance: {}
";

fn read(text: &str) -> Configuration {
    parse("q.yaml", text).expect("it is valid")
}

#[test]
fn every_default_written_out_equals_the_default() {
    let (small, written) = (read(SMALL), read(WRITTEN_OUT));
    assert_eq!(small.server, written.server);
    assert_eq!(small.fleet, written.fleet);
    assert_eq!(small.receivers, written.receivers);
    assert_eq!(small.fleet.policy, FleetPolicy::default());
}

#[test]
fn the_reference_page_shows_every_default() {
    let page = include_str!("../../../docs/configuration.md");
    let shown = page.split("```yaml\n").filter_map(|part| part.split("```").next());
    assert!(
        shown.into_iter().any(|block| block == WRITTEN_OUT),
        "docs/configuration.md repeats the file of this test"
    );
}

#[test]
fn the_example_is_valid_without_a_warning_and_means_what_it_says() {
    let example = read(sample());
    assert_eq!(example.warnings, []);
    let fleet = &example.fleet;
    assert_eq!(fleet.regions.len(), 5);
    let shop = fleet.checks.get(&"shop".parse().expect("an id")).expect("a check");
    assert_eq!(shop.target, "https://shop.example.com/health");
    assert_eq!(shop.quorum_count(), 3);
    assert_eq!(shop.alert.within, Some(Duration::from_secs(30)));
    assert_eq!(shop.alert.false_alerts_per_year_milli, Some(1_000));
    assert_eq!(shop.slow_after, Duration::from_secs(5));
    let database = fleet.checks.get(&"database".parse().expect("an id")).expect("a check");
    assert_eq!(database.quorum, Quorum::Count(2));
    assert_eq!(database.regions.len(), 3);
    assert_eq!(database.timeout, Duration::from_secs(5));
    assert_eq!(fleet.operators.len(), 1);
    let team = example.receivers.get(&"team".parse().expect("an id")).expect("a receiver");
    assert_eq!(
        SecretRef::from_value(&team.options["secret"]),
        Some(SecretRef::File("/run/secrets/team".into()))
    );
}

#[test]
fn regions_must_differ_as_the_check_says_or_else_the_defaults() {
    let text = include_str!("valid/distinct.yaml");
    let fleet = read(text).fleet;
    let asked = |id: &str| -> Vec<String> {
        let check = &fleet.checks[&id.parse().expect("an id")];
        check.distinct.iter().map(ToString::to_string).collect()
    };
    assert_eq!(asked("shop"), ["2 providers"]);
    assert_eq!(asked("home"), ["2 countries"]);
    assert_eq!(asked("pair"), ["2 facilities"], "a label that the user has thought of");
    assert_eq!(asked("free"), [] as [&str; 0]);
    let free = read(&text.replace("distinct: 2 providers", "distinct: off")).fleet;
    let revision = |fleet: &Fleet| fleet.checks[&"shop".parse().expect("an id")].revision;
    assert_eq!(revision(&fleet), revision(&free), "what was seen still counts");
}

#[test]
fn a_revision_changes_with_what_agents_act_on_and_with_nothing_else() {
    let revision = |extra: &str| -> Revision {
        let configuration = read(&format!("{SMALL}{extra}"));
        let mut checks = configuration.fleet.checks.values();
        checks.next().expect("a check").revision
    };
    let plain = revision("");
    for same in ["    quorum: all\n", "    labels: { team: web }\n", "    interval: 1m\n"] {
        assert_eq!(revision(same), plain, "{same}");
    }
    for other in ["    interval: 30s\n", "    timeout: 5s\n", "    slow_after: 1s\n"] {
        assert_ne!(revision(other), plain, "{other}");
    }
}

#[test]
fn join_is_advertised_at_the_host_of_the_agents_listener() {
    let text = SMALL.replace("{ agents: {", "{ join: { listen: \"0.0.0.0:9000\" }, agents: {");
    let join = read(&text).server.join;
    assert_eq!(join.advertise.as_deref(), Some("quorate.example.com:9000"));
    let text = SMALL.replace("advertise: \"quorate.example.com:7444\"", "listen: \"127.0.0.1:0\"");
    let server = read(&text).server;
    assert_eq!(server.agents.advertise.as_deref(), Some("127.0.0.1:0"));
    assert_eq!(server.join.advertise.as_deref(), Some("127.0.0.1:7445"));
    let text = SMALL.replace("advertise: \"quorate.example.com:7444\"", "listen: \"0.0.0.0:1\"");
    let server = read(&text).server;
    assert_eq!((server.agents.advertise, server.join.advertise), (None, None));
}

#[test]
fn the_api_speaks_tls_unless_it_listens_on_loopback() {
    for (listen, tls) in [("127.0.0.1:1", false), ("[::1]:1", false), ("0.0.0.0:1", true)] {
        let api = format!("{{ api: {{ listen: \"{listen}\" }}, agents: {{");
        assert_eq!(read(&SMALL.replace("{ agents: {", &api)).server.api.tls, tls, "{listen}");
    }
}

#[test]
fn a_secret_reference_is_an_object_with_one_known_key() {
    for (value, expected) in [
        (json!({"env": "A"}), Some(SecretRef::Env("A".into()))),
        (json!({"file": "/a"}), Some(SecretRef::File("/a".into()))),
        (json!({"credential": "a"}), Some(SecretRef::Credential("a".into()))),
        (json!({"env": ""}), None),
        (json!({"env": 1}), None),
        (json!({"env": "A", "file": "/a"}), None),
        (json!({"vault": "a"}), None),
        (json!({}), None),
        (json!("A"), None),
    ] {
        assert_eq!(SecretRef::from_value(&value), expected, "{value}");
    }
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/quorate.schema.json");
    let current = serde_json::to_string_pretty(&json_schema()).expect("it is JSON") + "\n";
    #[expect(clippy::disallowed_methods, reason = "the switch of a test is no configuration")]
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(path, current).expect("the file can be written");
    } else {
        let committed = std::fs::read_to_string(path).expect("the file can be read");
        assert!(committed == current, "run UPDATE=1 cargo test -p quorate-config");
    }
}

#[test]
fn the_schema_names_every_kind_and_no_plain_secret() {
    let schema = json_schema();
    let check = &schema["definitions"]["check"]["properties"];
    for kind in quorate_checks::KINDS {
        assert!(check.get(kind.name()).is_some(), "{}", kind.name());
    }
    let secret = "/definitions/receiver/properties/webhook/properties/secret/oneOf/0/required/0";
    assert_eq!(schema.pointer(secret), Some(&json!("env")));
}

#[test]
fn five_thousand_checks_load() {
    let head = SMALL.split("checks:").next().expect("a head");
    let text = (0..5_000).fold(format!("{head}checks:\n"), |text, n| {
        let labels = "labels: { team: web, tier: one }";
        text + &format!("  c{n}:\n    tcp: {{ address: \"c{n}.example.com:443\" }}\n    {labels}\n")
    });
    assert_eq!(read(&text).fleet.checks.len(), 5_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _read = parse("q.yaml", &text);
    }

    /// A piece of the example is taken out, and something else put in its place.
    #[test]
    fn a_mutilated_example_never_panics(
        start in 0..3_000_usize,
        length in 0..40_usize,
        patch in "([ \\-:{}\\[\\],&*\"#\n\ta-c0-9~]|<<: |\\{\\}|: |[0-9]s){0,6}",
    ) {
        let text: Vec<char> = sample().chars().collect();
        let start = start % text.len();
        let end = (start + length).min(text.len());
        let text: String = text[..start].iter().copied()
            .chain(patch.chars())
            .chain(text[end..].iter().copied())
            .collect();
        if let Err(problems) = parse("q.yaml", &text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.line >= 1 && problem.column >= 1, "{}", problem);
                prop_assert!(!problem.to_string().contains('\n'), "{}", problem);
            }
        }
    }
}

#[test]
fn mutes_cover_who_is_named_and_who_has_the_labels() {
    let configuration = read(&format!(
        "{SMALL}  mail: {{ tcp: {{ address: \"mail.example.com:25\" }}, labels: {{ team: web, tier: a }} }}
  chat: {{ tcp: {{ address: \"chat.example.com:443\" }}, labels: {{ team: web }} }}
maintenance:
  every: {{ checks: all, from: 2026-10-01T20:00:00Z, to: 2026-10-01T21:00:00Z }}
  some: {{ checks: [shop], labels: {{ team: web, tier: a }}, every: {{ at: \"02:00\", for: 90m, timezone: Europe/Berlin }} }}
silences:
  known: {{ checks: [chat], to: 2026-10-01T20:00:00+02:00 }}
"
    ));
    let mutes = &configuration.fleet.mutes;
    let covered: Vec<String> = mutes
        .iter()
        .map(|mute| {
            let checks: Vec<&str> = mute.checks.iter().map(CheckId::as_str).collect();
            format!("{}/{}: {}", mute.kind, mute.id, checks.join(" "))
        })
        .collect();
    let expected =
        ["maintenance/every: chat mail shop", "maintenance/some: mail shop", "silence/known: chat"];
    assert_eq!(covered, expected);
    let Period::Weekly { days, at, lasts, zone } = &mutes[1].period else {
        panic!("weekly: {:?}", mutes[1]);
    };
    assert_eq!(
        (days.len(), *at, *lasts),
        (7, Duration::from_secs(7_200), Duration::from_secs(5_400))
    );
    assert_eq!((zone.name.as_str(), zone.offsets.len() > 100), ("Europe/Berlin", true));
    let Period::Once { from, to } = &mutes[2].period else {
        panic!("once: {:?}", mutes[2]);
    };
    assert_eq!(*from, Timestamp::EPOCH, "it has begun");
    assert_eq!(to.to_string(), "2026-10-01T18:00:00.000Z");
}
