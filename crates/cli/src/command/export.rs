//! `quorate export`: recorded results, for a replay.

use std::io::Write as _;

use quorate_model::CheckId;
use quorate_runtime::Clock;

use super::connect;
use super::past::{self, Span};
use crate::args::{Export, Global};
use crate::exit::{Exit, Failure};
use crate::output::Console;
use crate::output::table::bare;
use crate::record::{self, Line};

/// Writes results and messages to standard output, one JSON object a line.
///
/// # Cancellation
///
/// Dropping it leaves the output unfinished.
pub(super) async fn run(
    export: &Export,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let checks = checks(&export.names)?;
    let now = Clock::start().now();
    let until = export.until.map_or(now, |until| until.instant(now));
    let connection = connect(global, console).await?;
    let freshness = past::freshness(&connection).await?;
    let span = Span::new(export.since.instant(now), until, freshness);
    // Before anything is written, so that a refusal leaves no half of a file.
    let alerts = past::alerts(&connection, &checks, span).await?;
    let mut out = std::io::BufWriter::new(console.out.writer());
    let header = record::Export::new(span.from, span.since, span.until);
    write(&mut out, &Line::Export(header))?;
    let mut count = 0_u64;
    past::results(&connection, &checks, span, |result| {
        count += 1;
        write(&mut out, &Line::Result(Box::new(result.into())))
    })
    .await?;
    let said = alerts.len();
    for alert in alerts {
        write(&mut out, &Line::Alert(alert))?;
    }
    out.flush()?;
    drop(out);
    console.note(&format!(
        "{count} results and {said} messages; judge them with `quorate replay FILE --config FILE`"
    ));
    Ok(Exit::Ok)
}

fn write(out: &mut impl std::io::Write, line: &Line) -> Result<(), Failure> {
    let text = serde_json::to_string(line)
        .map_err(|error| crate::exit::bad("cannot write a result", &error))?;
    Ok(writeln!(out, "{text}")?)
}

/// Checks by their bare names or as `checks/…`.
pub(super) fn checks(names: &[String]) -> Result<Vec<CheckId>, Failure> {
    let read = names.iter().map(|name| bare(name).parse());
    read.collect::<Result<_, _>>()
        .map_err(|error: quorate_model::IdError| Failure::new(Exit::Usage, error.to_string()))
}
