//! What a run says, for people and for programs.

use quorate_model::HumanDuration;
use serde_json::{Value, json};

use crate::judge::summary;
use crate::trace::{Entry, Said};

/// An entry on one line, with the ballot of a verdict behind it.
pub fn line(entry: &Entry) -> String {
    let at = HumanDuration(entry.at).to_string();
    match &entry.said {
        Said::Verdict { check, verdict } => {
            let votes: Vec<String> = verdict
                .ballot
                .entries
                .iter()
                .map(|vote| {
                    let outcome =
                        vote.outcome.map_or_else(|| "-".to_owned(), |outcome| outcome.to_string());
                    let age = vote
                        .age
                        .map(|age| format!(" {:.1}s", age.as_secs_f32()))
                        .unwrap_or_default();
                    format!("{}: {outcome}{age} {}", vote.region, vote.counted)
                })
                .collect();
            format!("{at:>12}  verdict   {check}: {}  [{}]", summary(verdict), votes.join("; "))
        }
        Said::Alert { check, kind, is_grouped, .. } => {
            let grouped = if *is_grouped { "  (one of several in a message)" } else { "" };
            format!("{at:>12}  {kind:<8}  {check}{grouped}")
        }
        Said::LateOutage { check, opened, resolved } => {
            let (opened, resolved) = (HumanDuration(*opened), HumanDuration(*resolved));
            format!("{at:>12}  late      {check}: was down from {opened} to {resolved}, untold")
        }
        Said::Operator(notice) => {
            let back = if notice.resolved { "over: " } else { "" };
            format!("{at:>12}  operator  {back}{}: {}", notice.kind, notice.message)
        }
        Said::Fault { what, begins } => {
            let verb = if *begins { "begins" } else { "ends" };
            format!("{at:>12}  {verb:<8}  {what}")
        }
    }
}

/// An entry as an object.
pub fn document(entry: &Entry) -> Value {
    let at = HumanDuration(entry.at).to_string();
    match &entry.said {
        Said::Verdict { check, verdict } => {
            json!({ "type": "verdict", "at": at, "check": check, "verdict": verdict })
        }
        Said::Alert { check, kind, incident, is_grouped } => json!({
            "type": "alert", "at": at, "check": check, "kind": kind, "incident": incident,
            "grouped": is_grouped,
        }),
        Said::LateOutage { check, opened, resolved } => json!({
            "type": "late_outage", "at": at, "check": check,
            "opened": HumanDuration(*opened).to_string(),
            "resolved": HumanDuration(*resolved).to_string(),
        }),
        Said::Operator(notice) => json!({ "type": "operator", "at": at, "notice": notice }),
        Said::Fault { what, begins } => {
            json!({ "type": "fault", "at": at, "fault": what, "begins": begins })
        }
    }
}
