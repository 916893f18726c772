//! `quorate explain CODE`: what a status code means, without a coordinator.

use quorate_model::{StatusInfo, StatusOutcome};
use serde_json::json;

use crate::args::Global;
use crate::command::print_json;
use crate::exit::{Exit, Failure};
use crate::output::Console;

/// The status code that an argument is; names of checks begin with a letter.
pub(super) fn code(name: &str) -> Option<u16> {
    name.parse().ok()
}

/// Says what a code means, who is responsible and what to do.
pub(super) fn run(code: u16, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let Some(info) = StatusInfo::of(code) else {
        let message = format!("{code} is no HTTP status code: they go from 100 to 599");
        return Err(Failure::new(Exit::Usage, message));
    };
    let row = info.row();
    if global.output.is_json() {
        let document = json!({
            "code": code,
            "name": row.name,
            "is_registered": matches!(info, StatusInfo::Known(_)),
            "means": row.means,
            "responsible": row.responsible,
            "outcome": word(row.outcome),
            "outcome_in_words": row.outcome_in_words(),
            "advice": row.advice,
        });
        print_json(&document, global, console)?;
        return Ok(Exit::Ok);
    }
    let class = match info {
        StatusInfo::Known(_) => String::new(),
        StatusInfo::Class { .. } => ", which has no meaning of its own: by its class".to_owned(),
    };
    console.out.line(&format!("{code} {}{class}", row.name))?;
    let told = [
        ("means", row.means.to_owned()),
        ("responsible", row.responsible.to_owned()),
        ("outcome", row.outcome_in_words()),
        ("what to do", row.advice.to_owned()),
    ];
    for (what, words) in told.into_iter().filter(|(_, words)| !words.is_empty()) {
        console.out.line(&format!("  {what}: {words}"))?;
    }
    Ok(Exit::Ok)
}

fn word(outcome: StatusOutcome) -> &'static str {
    match outcome {
        StatusOutcome::Ok => "ok",
        StatusOutcome::OkAfter(_) => "ok_after",
        StatusOutcome::Followed => "followed",
        StatusOutcome::Blocked(_) => "blocked",
        StatusOutcome::Fail => "fail",
        StatusOutcome::Interim => "interim",
    }
}
