use std::io::Write as _;
use std::time::Duration;

use insta::assert_snapshot;
use quorate_model::{
    AlertKind, BootId, Evidence, Health, IncidentId, Observation, Outcome, Phase, Reason, ResultId,
    RoundId,
};

use super::*;
use crate::tests::said;

const CONFIGURATION: &str = r#"version: 1
server: { agents: { advertise: "quorate.example.com:7444" } }
regions:
  fra: { provider: hetzner }
  iad: { provider: aws }
  gru: { provider: vultr }
  bom: { provider: gcp }
  syd: { provider: ovh }
checks:
  shop:
    tcp: { address: "shop.example.com:443" }
    alert: { to: [oncall] }
receivers:
  oncall: { webhook: { url: "https://hooks.example.com/", secret: { env: HOOK } } }
operators: [oncall]
"#;

const REGIONS: [&str; 5] = ["fra", "iad", "gru", "bom", "syd"];
const REFUSED: Outcome = Outcome::Fail { phase: Phase::Connect, reason: Reason::Refused };

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000) + Duration::from_secs(seconds)
}

/// Twenty minutes of five regions that probe each minute in turn; three of them are refused from the
/// tenth minute on, and were asked again at once.
fn results() -> Vec<ProbeResult> {
    let configuration = quorate_config::parse("quorate.yaml", CONFIGURATION).unwrap();
    let revision = configuration.fleet.checks.values().next().unwrap().revision;
    let mut plan: Vec<(u64, usize, Option<u64>)> =
        (0..100).map(|slot| (slot * 12, usize::try_from(slot % 5).unwrap(), None)).collect();
    plan.extend((0..5).flat_map(|region| [(625, region, Some(7)), (626, region, Some(8))]));
    plan.sort_unstable();
    plan.iter()
        .zip(1..)
        .map(|((second, region, round), sequence)| ProbeResult {
            id: ResultId {
                agent: format!("{}-1", REGIONS[*region]).parse().unwrap(),
                boot: BootId(1),
                sequence,
            },
            region: REGIONS[*region].parse().unwrap(),
            check: "shop".parse().unwrap(),
            revision,
            round: round.map(RoundId),
            started: at(*second),
            received: at(*second) + Duration::from_millis(80),
            health: Health::Fine,
            observation: Observation {
                outcome: if *second >= 600 && *region >= 2 { REFUSED } else { Outcome::Ok },
                total: Duration::from_millis(40),
                phases: Vec::new(),
                evidence: Evidence::default(),
            },
        })
        .collect()
}

fn lines(results: Vec<ProbeResult>) -> Vec<String> {
    let lines = results.into_iter().map(|result| Line::Result(Box::new(result.into())));
    lines.map(|line| serde_json::to_string(&line).unwrap()).collect()
}

/// What was sent: a page half a minute into the outage, and before it a notice of something that the
/// results do not show.
fn recorded() -> Vec<String> {
    let alert = |second, kind, incident| {
        Line::Alert(AlertLine {
            at: at(second),
            check: "shop".parse().unwrap(),
            kind,
            incident: IncidentId(incident),
            receivers: Vec::new(),
        })
    };
    let mut all = vec![
        serde_json::to_string(&Line::Export(record::Export::new(at(0), at(300), at(1_200))))
            .unwrap(),
    ];
    all.extend(lines(results()));
    let sent = [
        alert(400, AlertKind::Notice, 2),
        alert(500, AlertKind::Resolved, 2),
        alert(631, AlertKind::Page, 1),
    ];
    all.extend(sent.iter().map(|line| serde_json::to_string(line).unwrap()));
    all
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    }

    /// Exit code, standard output and standard error, without the folder's name.
    async fn replay(&self, lines: &[String], arguments: &[&str]) -> (u8, String, String) {
        let file = self.write("results.jsonl", &(lines.join("\n") + "\n"));
        let config = self.write("quorate.yaml", CONFIGURATION);
        let mut line = vec!["replay", &file, "--config", &config];
        line.extend(arguments);
        let (code, out, err) = said(&line).await;
        let folder = format!("{}/", self.folder.path().display());
        (code, out.replace(&folder, ""), err.replace(&folder, ""))
    }
}

#[tokio::test]
async fn what_was_said_is_compared_with_what_would_be() {
    let (code, out, err) = Files::new().replay(&recorded(), &[]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_snapshot!(out);
}

#[tokio::test]
async fn another_quorum_sends_something_else() {
    let files = Files::new();
    let (code, out, err) = files.replay(&recorded(), &["--quorum", "all", "--exit-code"]).await;
    assert_eq!((code, err.as_str()), (1, ""));
    assert_snapshot!(out);
    let (code, out, _) = files.replay(&recorded(), &["--quorum", "all", "-o", "json"]).await;
    assert_eq!(code, 0);
    assert_snapshot!(out);
}

#[tokio::test]
async fn results_alone_are_compared_with_another_configuration() {
    let files = Files::new();
    let results = lines(results());
    let (code, out, err) = files.replay(&results, &[]).await;
    assert_eq!(code, 0);
    assert!(out.contains("1 page, from 110 results"), "{out}");
    assert!(err.contains("nothing to compare with") && err.contains("--against"), "{err}");

    let same = files.write("same.yaml", CONFIGURATION);
    let (code, out, err) = files.replay(&results, &["--against", &same, "--exit-code"]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let all = CONFIGURATION.replace("tcp:", "quorum: all\n    tcp:");
    let all = files.write("all.yaml", &all);
    let (code, out, _) = files.replay(&results, &["--against", &all, "--exit-code"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("page 0 -> 1, notice 1 -> 0 (the other configuration -> this one)"));
}

#[tokio::test]
async fn a_bad_line_is_named_and_the_rest_is_replayed() {
    let mut lines = recorded();
    lines[5] = lines[5].replace("\"ok\"", "\"splendid\"");
    lines.insert(9, "{".to_owned());
    let (code, out, err) = Files::new().replay(&lines, &[]).await;
    assert_eq!(code, 2);
    assert!(out.contains("page 1 -> 1"), "{out}");
    assert!(err.contains("results.jsonl:6:") && err.contains("splendid"), "{err}");
    assert!(err.contains("results.jsonl:10:"), "{err}");
    assert!(err.contains("2 lines of results.jsonl could not be read"), "{err}");
}

#[tokio::test]
async fn another_definition_is_told_and_what_is_not_configured_too() {
    let files = Files::new();
    let other = CONFIGURATION
        .replace("address: \"shop.example.com:443\" }", "address: \"shop.example.com:80\" }")
        .replace("    alert:", "    regions: [fra, iad, gru, bom]\n    alert:");
    let file = files.write("results.jsonl", &lines(results()).join("\n"));
    let config = files.write("other.yaml", &other);
    let (code, _, err) = said(&["replay", &file, "--config", &config]).await;
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("88 results are of another definition"), "{err}");
    assert!(err.contains("22 results were passed over"), "{err}");
}

#[tokio::test]
async fn usage_is_checked_before_anything_is_read() {
    let files = Files::new();
    let config = files.write("quorate.yaml", CONFIGURATION);
    let (code, _, err) = said(&["replay", "--config", &config]).await;
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = files.replay(&[], &["--check", "mail"]).await;
    assert_eq!(code, 5);
    assert!(err.contains("quorate.yaml has no check mail"), "{err}");
    let both = ["--evidence", "off", "--false-alerts", "1 per year"];
    assert_eq!(files.replay(&[], &both).await.0, 2);
    let (code, _, err) = files.replay(&[], &["--quorum", "most"]).await;
    assert_eq!(code, 2);
    assert!(err.contains("use `majority`"), "{err}");
    let (code, _, err) = files.replay(&[], &["--since", "yesterday"]).await;
    assert_eq!(code, 2);
    assert!(err.contains("how long ago it was, such as 2h"), "{err}");
    let bad = files.write("bad.yaml", "version: 1\nregions: { FRA: {} }\n");
    let (code, _, err) = said(&["replay", "-", "--config", &bad]).await;
    assert_eq!(code, 2);
    assert!(err.contains("bad.yaml:2:"), "{err}");
    let (code, _, err) = said(&["replay", "/nowhere/at.all", "--config", &config]).await;
    assert_eq!(code, 2);
    assert!(err.contains("cannot read /nowhere/at.all"), "{err}");
}

#[tokio::test]
async fn an_empty_file_says_nothing() {
    let (code, out, _) = Files::new().replay(&[], &[]).await;
    assert_eq!((code, out.as_str()), (0, "no message, from 0 results\n"));
}
