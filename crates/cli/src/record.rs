//! Files of recorded results: one JSON object a line.
//!
//! The first line says of which span of time the file is; then come results, in the order in which
//! they were judged, and the messages that were sent about them. Times are RFC 3339 in UTC with
//! microseconds, spans are milliseconds with decimals: reading what was written gives the same.

use std::io::{BufRead, Read as _};
use std::time::Duration;

use quorate_model::{
    AgentId, AlertKind, BootId, CheckId, Evidence, Health, IncidentId, Observation, Outcome, Phase,
    PhaseTiming, ProbeResult, ReceiverId, RegionId, ResultId, Revision, RoundId, Timestamp,
};
use serde::{Deserialize, Serialize};

/// The longest line that is read, in bytes: a result with the most evidence has some 100 kB.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// The version of what is written.
const VERSION: u32 = 1;

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Line {
    /// Of which span the file is.
    Export(Export),
    /// A result.
    Result(Box<ResultLine>),
    /// A message that was sent.
    Alert(AlertLine),
}

/// Of which span a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Export {
    version: u32,
    /// Where the results begin: some time before `since`.
    #[serde(with = "time")]
    pub(crate) from: Timestamp,
    #[serde(with = "time")]
    pub(crate) since: Timestamp,
    #[serde(with = "time")]
    pub(crate) until: Timestamp,
}

impl Export {
    /// The first line of a file.
    pub(crate) const fn new(from: Timestamp, since: Timestamp, until: Timestamp) -> Self {
        Self { version: VERSION, from, since, until }
    }
}

/// A message that was sent about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlertLine {
    /// When it was decided.
    #[serde(with = "time")]
    pub(crate) at: Timestamp,
    pub(crate) check: CheckId,
    pub(crate) kind: AlertKind,
    pub(crate) incident: IncidentId,
    #[serde(default)]
    pub(crate) receivers: Vec<ReceiverId>,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResultLine {
    check: CheckId,
    region: RegionId,
    agent: AgentId,
    boot: BootId,
    sequence: u64,
    /// Sixteen hexadecimal digits.
    #[serde(with = "revision")]
    revision: Revision,
    #[serde(default)]
    round: Option<RoundId>,
    #[serde(with = "time")]
    started: Timestamp,
    #[serde(with = "time")]
    received: Timestamp,
    health: Health,
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(with = "millis")]
    elapsed_ms: Duration,
    #[serde(default)]
    phases: Vec<PhaseLine>,
    #[serde(default)]
    evidence: Evidence,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PhaseLine {
    phase: Phase,
    #[serde(with = "millis")]
    elapsed_ms: Duration,
}

impl From<ProbeResult> for ResultLine {
    fn from(result: ProbeResult) -> Self {
        let phases = result.observation.phases.iter();
        Self {
            check: result.check,
            region: result.region,
            agent: result.id.agent,
            boot: result.id.boot,
            sequence: result.id.sequence,
            revision: result.revision,
            round: result.round,
            started: result.started,
            received: result.received,
            health: result.health,
            outcome: result.observation.outcome,
            elapsed_ms: result.observation.total,
            phases: phases
                .map(|timing| PhaseLine { phase: timing.phase, elapsed_ms: timing.elapsed })
                .collect(),
            evidence: result.observation.evidence,
        }
    }
}

impl From<ResultLine> for ProbeResult {
    fn from(line: ResultLine) -> Self {
        let phases = line.phases.iter();
        Self {
            id: ResultId { agent: line.agent, boot: line.boot, sequence: line.sequence },
            region: line.region,
            check: line.check,
            revision: line.revision,
            round: line.round,
            started: line.started,
            received: line.received,
            health: line.health,
            observation: Observation {
                outcome: line.outcome,
                total: line.elapsed_ms,
                phases: phases
                    .map(|it| PhaseTiming { phase: it.phase, elapsed: it.elapsed_ms })
                    .collect(),
                evidence: line.evidence,
            },
        }
    }
}

/// Reads a file line by line. What is wrong with a line is told as `file:line:column: message`; the
/// other lines are read all the same.
///
/// # Errors
///
/// The file cannot be read on.
pub(crate) fn read(
    name: &str,
    mut file: impl BufRead,
    mut take: impl FnMut(Line),
    mut problem: impl FnMut(String),
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for number in 1_u64.. {
        bytes.clear();
        if file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        let is_cut = bytes.last() != Some(&b'\n') && bytes.len() as u64 == LINE_BYTES_MAX;
        if is_cut {
            file.skip_until(b'\n')?;
            problem(format!("{name}:{number}: the line is longer than 1 MiB"));
            continue;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&bytes) {
            Ok(Line::Export(export)) if export.version > VERSION => problem(format!(
                "{name}:{number}: the file is of version {}, this program knows up to {VERSION}",
                export.version
            )),
            Ok(line) => take(line),
            Err(error) => problem(format!("{name}:{number}:{}: {}", error.column(), said(&error))),
        }
    }
    Ok(())
}

/// What is wrong, without the place: a line is a document of its own.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

mod time {
    use quorate_model::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&at.exact())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        // To the microsecond, without the digits that a sum of fractions leaves behind.
        to.serialize_f64((span.as_secs_f64() * 1_000_000.0).round() / 1_000.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(from)?;
        let micros = (millis * 1_000.0).round() / 1_000_000.0;
        Duration::try_from_secs_f64(micros).map_err(de::Error::custom)
    }
}

mod revision {
    use quorate_model::Revision;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(revision: &Revision, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{:016x}", revision.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Revision, D::Error> {
        let text = String::deserialize(from)?;
        let bad = |_| de::Error::custom("a revision is sixteen hexadecimal digits");
        u64::from_str_radix(&text, 16).map(Revision).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_model::Reason;

    pub(super) fn result() -> ProbeResult {
        ProbeResult {
            id: ResultId {
                agent: "fra-1".parse().unwrap(),
                boot: BootId(u128::MAX - 7),
                sequence: 12,
            },
            region: "fra".parse().unwrap(),
            check: "shop".parse().unwrap(),
            revision: Revision(0x0123_4567_89ab_cdef),
            round: Some(RoundId(17)),
            started: Timestamp::from_micros(1_790_000_000_123_456),
            received: Timestamp::from_micros(1_790_000_010_123_457),
            health: Health::Fine,
            observation: Observation {
                outcome: Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout },
                total: Duration::from_micros(10_000_001),
                phases: vec![PhaseTiming {
                    phase: Phase::Dns,
                    elapsed: Duration::from_micros(801),
                }],
                evidence: Evidence {
                    message: "no answer to \u{1b}[31mSYN".to_owned(),
                    address: Some([192, 0, 2, 1].into()),
                    retry_after: Some(Duration::from_millis(1_500)),
                    ..Evidence::default()
                },
            },
        }
    }

    fn lines(text: &str) -> (Vec<Line>, Vec<String>) {
        let (mut lines, mut problems) = (Vec::new(), Vec::new());
        let bytes = text.as_bytes();
        read("r.jsonl", bytes, |line| lines.push(line), |it| problems.push(it)).unwrap();
        (lines, problems)
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for outcome in [
            Outcome::Ok,
            result().observation.outcome,
            Outcome::Blocked { reason: quorate_model::BlockReason::RateLimit },
            Outcome::Inconclusive { reason: quorate_model::Doubt::NoSecret },
        ] {
            let mut result = result();
            result.observation.outcome = outcome;
            let line = Line::Result(Box::new(result.clone().into()));
            let text = serde_json::to_string(&line).unwrap();
            let (lines, problems) = lines(&text);
            assert_eq!(problems, Vec::<String>::new(), "{text}");
            let [Line::Result(read)] = lines.as_slice() else { panic!("{lines:?}") };
            assert_eq!(ProbeResult::from((**read).clone()), result, "{text}");
        }
    }

    #[test]
    fn a_result_reads_like_this() {
        let mut result = result();
        result.observation.evidence = Evidence::default();
        let line = serde_json::to_value(Line::Result(Box::new(result.into()))).unwrap();
        insta::assert_snapshot!(format!("{line:#}"));
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_are_read() {
        let good = serde_json::to_string(&Line::Result(Box::new(result().into()))).unwrap();
        let wrong = good.replace("timeout", "boredom");
        let long = "x".repeat(usize::try_from(LINE_BYTES_MAX).unwrap() + 5);
        let newer = r#"{"type":"export","version":9,"from":"2026-01-01T00:00:00Z","since":"2026-01-01T00:00:00Z","until":"2026-01-01T00:00:00Z"}"#;
        let text = format!(
            "{good}\n{wrong}\n\n{{\"type\":\n{long}\n{newer}\n{{\"type\":\"song\"}}\n{good}"
        );
        let (lines, problems) = lines(&text);
        assert_eq!(lines.len(), 2, "{problems:?}");
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(problems[0].starts_with("r.jsonl:2:") && problems[0].contains("boredom"));
        assert!(problems[1].starts_with("r.jsonl:4:"), "{problems:?}");
        assert_eq!(problems[2], "r.jsonl:5: the line is longer than 1 MiB");
        assert!(problems[3].starts_with("r.jsonl:6: the file is of version 9"), "{problems:?}");
        assert!(problems[4].starts_with("r.jsonl:7:") && problems[4].contains("song"));
    }
}
