//! `quorate check run`: one probe from here.

use std::path::Path;
use std::sync::Arc;

use quorate_checks::{Egress, Environment, Network, Policy, ProbeContext};
use quorate_model::{Check as Definition, Observation};

use super::config::parse;
use super::print_json;
use crate::args::{Check, Global};
use crate::exit::{Exit, Failure, bad};
use crate::output::{Console, escaped, json, waterfall};

/// Probes once and prints where the time went.
///
/// # Cancellation
///
/// Dropping it closes the connections of the probe.
pub(super) async fn run(
    check: &Check,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let Check::Run { place, allow } = check;
    let networks = allow
        .iter()
        .map(|text| text.parse::<Network>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::new(Exit::Usage, format!("--allow: {error}")))?;
    let definition = definition(place, console)?;
    let observation = probe(&definition, networks).await?;
    if global.output.is_json() {
        print_json(&json::observation(&definition, &observation), global, console)?;
    } else {
        let target = format!("{} {}", definition.kind, definition.target);
        let colour = console.out.colours();
        console.out.text(&waterfall::draw(&target, &observation, colour))?;
    }
    Ok(if observation.outcome.is_success() { Exit::Ok } else { Exit::Bad })
}

/// The check that `FILE#CHECK` names.
fn definition(place: &str, console: &mut Console) -> Result<Arc<Definition>, Failure> {
    let (file, id) = place
        .rsplit_once('#')
        .filter(|(file, id)| !file.is_empty() && !id.is_empty())
        .ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                format!("{place:?} does not name a file and a check in it: write FILE#CHECK, such as quorate.yaml#shop"),
            )
        })?;
    let configuration = parse(Path::new(file))?.map_err(|problems| {
        for problem in &problems {
            console.note(&escaped(&problem.to_string()));
        }
        Failure::new(Exit::Bad, format!("{file} cannot be used as it is"))
    })?;
    let checks = &configuration.fleet.checks;
    checks
        .iter()
        .find_map(|(key, check)| (key.as_str() == id).then(|| Arc::clone(check)))
        .ok_or_else(|| {
            let names: Vec<&str> = checks.keys().map(quorate_model::CheckId::as_str).collect();
            Failure::new(
                Exit::NotFound,
                format!("there is no check {id:?} in {file}; there are {}", names.join(", ")),
            )
        })
}

async fn probe(check: &Definition, networks: Vec<Network>) -> Result<Observation, Failure> {
    let kind = quorate_checks::kind(check.kind.as_str()).ok_or_else(|| {
        Failure::new(Exit::Bad, format!("this program knows no check kind {}", check.kind))
    })?;
    let probe = kind.parse(&check.options).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Bad, format!("check {}: {}", check.id, lines.join("; ")))
    })?;
    let environment = Environment::new(Egress::Direct, Policy::allowing(networks))
        .map_err(|error| bad("cannot probe from here", &error))?;
    // The first use of the generator must not show up as the time of the handshake.
    quorate_runtime::random::warm_up();
    let context = ProbeContext::new(environment, check.timeout, check.slow_after);
    Ok(probe.run(&context).await)
}
