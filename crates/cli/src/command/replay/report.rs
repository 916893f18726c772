//! What a replay found, for people and for programs.

use std::collections::BTreeMap;

use quorate_model::{AlertKind, CheckId, HumanDuration, Timestamp, Verdict};
use quorate_verdict::Transition;
use quorate_verdict::replay::{Change, Difference};
use serde_json::{Value, json};

use crate::args::{Global, Output};
use crate::command::print_json;
use crate::exit::Failure;
use crate::output::{Colour, Console, sentence};

/// What would have been said, against what was.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) differences: Vec<Difference>,
    /// Whether it is compared with what another configuration would have said.
    pub(super) with_configuration: bool,
}

/// What a replay found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) results: u64,
    pub(super) left_out: u64,
    pub(super) of_other_revisions: u64,
    pub(super) from: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) said: Vec<(Timestamp, Transition)>,
    /// Nothing if there is nothing to compare with.
    pub(super) compared: Option<Compared>,
}

impl Report {
    /// Whether something would have been said that was not, or the other way round.
    pub(super) fn differs(&self) -> bool {
        let all = self.compared.iter().flat_map(|compared| &compared.differences);
        all.into_iter().any(|difference| !difference.change.is_same())
    }

    /// The verdict with which a message would have been sent.
    fn verdicts(&self) -> BTreeMap<(Timestamp, &CheckId, AlertKind), &Verdict> {
        let alerts = self.said.iter().flat_map(|(_, transition)| {
            transition.alerts.iter().map(move |(_, alert)| (transition, alert))
        });
        alerts
            .map(|(transition, alert)| {
                ((alert.at, &transition.check, alert.kind), &transition.verdict)
            })
            .collect()
    }

    pub(super) fn print(&self, global: &Global, console: &mut Console) -> Result<(), Failure> {
        match global.output {
            Output::Json => return print_json(&self.shape(), global, console),
            Output::Jsonl => {
                for entry in self.entries() {
                    console.out.line(&entry.to_string())?;
                }
            }
            Output::Table => self.print_lines(console)?,
        }
        if self.of_other_revisions > 0 {
            console.note(&format!(
                "note: {} results are of another definition of their check (its kind, options, \
                 interval or timeout differ): what they saw is judged as it is",
                self.of_other_revisions
            ));
        }
        if self.left_out > 0 {
            console.note(&format!(
                "note: {} results were passed over: the configuration has no such check, or not in \
                 that region",
                self.left_out
            ));
        }
        if self.compared.is_none() {
            console.note(
                "note: the file does not tell what was said, so there is nothing to compare with; \
                 name another configuration with --against",
            );
        }
        Ok(())
    }

    fn print_lines(&self, console: &mut Console) -> Result<(), Failure> {
        let verdicts = self.verdicts();
        let why = |at: Timestamp, check: &CheckId, kind: AlertKind| {
            let verdict = verdicts.get(&(at, check, kind));
            verdict.map(|it| format!(": {}", sentence(&it.summary))).unwrap_or_default()
        };
        match &self.compared {
            Some(compared) => {
                for Difference { check, kind, change } in &compared.differences {
                    let (mark, colour, text) = match *change {
                        Change::Same(did, would) => {
                            ('=', None, format!("{would}  {check}  {kind}{}", shift(did, would)))
                        }
                        Change::Gone(did) => {
                            ('-', Some(Colour::Red), format!("{did}  {check}  {kind}"))
                        }
                        Change::New(would) => {
                            let why = why(would, check, *kind);
                            ('+', Some(Colour::Green), format!("{would}  {check}  {kind}{why}"))
                        }
                    };
                    let line = format!("{mark} {text}");
                    let line = colour.map_or(line.clone(), |it| console.out.paint(it, &line));
                    console.out.line(&line)?;
                }
            }
            None => {
                for (at, check, kind) in verdicts.keys() {
                    let line = format!("  {at}  {check}  {kind}{}", why(*at, check, *kind));
                    console.out.line(&line)?;
                }
            }
        }
        console.out.line(&self.summary())
    }

    fn summary(&self) -> String {
        let span = self.from.zip(self.until).map_or_else(String::new, |(from, until)| {
            format!(" of {} ({from} to {until})", HumanDuration(seconds(until.since(from))))
        });
        let counts: Vec<String> = match &self.compared {
            None => {
                let verdicts = self.verdicts();
                let count = |kind| verdicts.keys().filter(|(.., of)| *of == kind).count();
                let kinds = AlertKind::ALL.iter().map(|kind| (*kind, count(*kind)));
                let said = kinds.filter(|(_, count)| *count > 0);
                said.map(|(kind, count)| format!("{count} {kind}")).collect()
            }
            Some(compared) => {
                let count = |kind, side: fn(Change) -> bool| {
                    let of_kind = compared.differences.iter().filter(move |it| it.kind == kind);
                    of_kind.filter(|it| side(it.change)).count()
                };
                let did = |change| !matches!(change, Change::New(_));
                let would = |change| !matches!(change, Change::Gone(_));
                let kinds = AlertKind::ALL
                    .iter()
                    .map(|kind| (kind, count(*kind, did), count(*kind, would)));
                let said = kinds.filter(|(_, did, would)| did + would > 0);
                said.map(|(kind, did, would)| format!("{kind} {did} -> {would}")).collect()
            }
        };
        let counts = if counts.is_empty() { "no message".to_owned() } else { counts.join(", ") };
        let whose = match &self.compared {
            Some(compared) if compared.with_configuration => {
                " (the other configuration -> this one)"
            }
            Some(_) => " (was -> would be)",
            None => "",
        };
        format!("{counts}{whose}, from {} results{span}", self.results)
    }

    fn entries(&self) -> Vec<Value> {
        let verdicts = self.verdicts();
        let verdict = |at: Option<Timestamp>, check: &CheckId, kind: AlertKind| {
            let verdict = verdicts.get(&(at?, check, kind))?;
            Some(json!({
                "state": verdict.state,
                "cause": verdict.cause,
                "failing_regions": verdict.ballot.scope.failing,
                "live_regions": verdict.ballot.scope.live,
                "summary": verdict.summary,
            }))
        };
        let entry =
            |check: &CheckId, kind: AlertKind, change: &str, did, would: Option<Timestamp>| {
                let did: Option<Timestamp> = did;
                json!({
                    "check": check,
                    "kind": kind,
                    "change": change,
                    "did": did.map(Timestamp::exact),
                    "would": would.map(Timestamp::exact),
                    "verdict": verdict(would, check, kind),
                })
            };
        match &self.compared {
            None => verdicts
                .keys()
                .map(|(at, check, kind)| entry(check, *kind, "would", None, Some(*at)))
                .collect(),
            Some(compared) => compared
                .differences
                .iter()
                .map(|Difference { check, kind, change }| match *change {
                    Change::Same(did, would) => entry(check, *kind, "same", Some(did), Some(would)),
                    Change::Gone(did) => entry(check, *kind, "gone", Some(did), None),
                    Change::New(would) => entry(check, *kind, "new", None, Some(would)),
                })
                .collect(),
        }
    }

    fn shape(&self) -> Value {
        json!({
            "results": self.results,
            "left_out": self.left_out,
            "of_other_revisions": self.of_other_revisions,
            "from": self.from.map(Timestamp::exact),
            "until": self.until.map(Timestamp::exact),
            "compared": self.compared.is_some(),
            "messages": self.entries(),
        })
    }
}

/// How much earlier or later a message would come; nothing if less than a second.
fn shift(did: Timestamp, would: Timestamp) -> String {
    let (later, earlier) = (seconds(would.since(did)), seconds(did.since(would)));
    if !later.is_zero() {
        format!(", {} later", HumanDuration(later))
    } else if !earlier.is_zero() {
        format!(", {} earlier", HumanDuration(earlier))
    } else {
        String::new()
    }
}

fn seconds(span: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_secs(span.as_secs())
}
