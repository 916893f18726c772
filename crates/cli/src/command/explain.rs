//! `quorate explain`: the ballot in words, or a status code.

mod status;

use quorate_model::CheckId;
use quorate_proto::convert::api::verdict_from_wire;
use quorate_verdict::explain::ballot_in_words;

use super::get::one_check;
use super::{connect, print_json};
use crate::args::Global;
use crate::exit::{Exit, Failure, bad};
use crate::output::table::bare;
use crate::output::{Console, escaped, json};

/// Says who voted what on a check, and why it was judged as it was; or what a status code means.
///
/// # Cancellation
///
/// Dropping it stops asking.
pub(super) async fn run(
    name: &str,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    if let Some(code) = status::code(name) {
        return status::run(code, global, console);
    }
    let connection = connect(global, console).await?;
    let check = one_check(&connection, name).await?;
    if global.output.is_json() {
        print_json(&json::check(&check), global, console)?;
        return Ok(Exit::Ok);
    }
    let newer = |error: &dyn std::error::Error| {
        bad("this program cannot read the verdict; use the coordinator's release of it", error)
    };
    let id: CheckId = bare(&check.name).parse().map_err(|error| newer(&error))?;
    let verdict =
        verdict_from_wire(check.verdict.unwrap_or_default()).map_err(|error| newer(&error))?;
    for line in ballot_in_words(&id, &verdict) {
        console.out.line(&escaped(&line))?;
    }
    Ok(Exit::Ok)
}
