//! `quorate simulate`: scenario files on a virtual clock.

use std::path::Path;

use quorate_sim::{Played, Ruling, Scenario};
use serde_json::json;

use super::config::read;
use crate::args::{Global, Simulate};
use crate::exit::{Exit, Failure};
use crate::output::{Colour, Console, escaped};

/// Plays each file with each seed. The worst end of all is the end.
pub(super) fn run(
    simulate: &Simulate,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut worst = Exit::Ok;
    for file in &simulate.files {
        let Some(scenario) = scenario(file, console) else {
            worst = Exit::Usage;
            continue;
        };
        for seed in (0..simulate.repeat).map(|turn| simulate.seed.wrapping_add(turn)) {
            let played = quorate_sim::play(&scenario, seed).map_err(|problem| {
                let file = file.display();
                Failure::new(Exit::Usage, format!("{file}: the checks make no fleet: {problem}"))
            })?;
            let rulings = quorate_sim::judge(&scenario, &played);
            let holds = rulings.iter().all(|ruling| ruling.instead.is_none());
            if global.output.is_json() {
                print_json(&scenario, seed, (&played, &rulings), console)?;
            } else {
                let alone = simulate.repeat == 1;
                print_table(&scenario, seed, (&played, &rulings), alone, console)?;
            }
            if !holds && worst == Exit::Ok {
                worst = Exit::Bad;
            }
        }
    }
    Ok(worst)
}

/// The scenario, or nothing after its problems have been told.
fn scenario(file: &Path, console: &mut Console) -> Option<Scenario> {
    let name = file.display().to_string();
    let bytes = match read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            console.note(&format!("quorate: cannot read {name}: {error}"));
            return None;
        }
    };
    let read = quorate_config::decode(&name, &bytes);
    match read.and_then(|text| quorate_sim::parse(&name, text)) {
        Ok(scenario) => Some(scenario),
        Err(problems) => {
            for problem in &problems {
                let line = console.err.paint(Colour::Red, &escaped(&problem.to_string()));
                console.note(&line);
            }
            None
        }
    }
}

/// One object a line: what was said, then each expectation, then the whole.
fn print_json(
    scenario: &Scenario,
    seed: u64,
    (played, rulings): (&Played, &[Ruling]),
    console: &mut Console,
) -> Result<(), Failure> {
    for entry in &played.entries {
        let mut document = quorate_sim::document(entry);
        document["scenario"] = json!(scenario.name);
        document["seed"] = json!(seed);
        console.out.line(&document.to_string())?;
    }
    for ruling in rulings {
        let document = json!({
            "type": "expectation",
            "scenario": scenario.name,
            "seed": seed,
            "place": ruling.place,
            "expected": ruling.expected,
            "holds": ruling.instead.is_none(),
            "instead": ruling.instead,
        });
        console.out.line(&document.to_string())?;
    }
    let document = json!({
        "type": "scenario",
        "scenario": scenario.name,
        "seed": seed,
        "oracle": scenario.oracle,
        "holds": rulings.iter().all(|ruling| ruling.instead.is_none()),
        "probes": played.probes,
        "trace": format!("{:016x}", played.fingerprint),
    });
    console.out.line(&document.to_string())
}

/// What was said, unless there are many runs; then what does not hold, and the end.
fn print_table(
    scenario: &Scenario,
    seed: u64,
    (played, rulings): (&Played, &[Ruling]),
    alone: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let broken: Vec<&Ruling> = rulings.iter().filter(|ruling| ruling.instead.is_some()).collect();
    if alone {
        let about = console.out.paint(Colour::Dim, &escaped(&scenario.about));
        console.out.line(&format!("{}: {about}", scenario.name))?;
        for entry in &played.entries {
            console.out.line(&escaped_line(&quorate_sim::line(entry)))?;
        }
    }
    for ruling in &broken {
        let instead = ruling.instead.as_deref().unwrap_or_default();
        let line = format!("{}: expected {}: {instead}", ruling.place, ruling.expected);
        let line = console.out.paint(Colour::Red, &escaped(&line));
        console.out.line(&line)?;
    }
    let (word, colour) = match broken.len() {
        0 => (format!("all {} expectations hold", rulings.len()), Colour::Green),
        count => (format!("{count} of {} expectations do not hold", rulings.len()), Colour::Red),
    };
    let word = console.out.paint(colour, &word);
    let (name, trace) = (&scenario.name, played.fingerprint);
    console.out.line(&format!("{name}, seed {seed}: {word} (trace {trace:016x})"))
}

/// A long line is not cut; all else is as for text from a target.
fn escaped_line(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
