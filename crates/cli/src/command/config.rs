//! `quorate config`: work on configuration files.

use std::io::Read as _;
use std::path::Path;

use quorate_config::{Problem, Severity};
use serde_json::json;

use super::print_json;
use crate::args::{Config, Global};
use crate::exit::{Exit, Failure};
use crate::output::{Colour, Console, escaped};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Does what was asked for.
pub(super) fn run(
    config: &Config,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    match config {
        Config::Check { files, strict } => {
            let mut problems = Vec::new();
            let mut summary = Vec::new();
            for file in files {
                match parse(file)? {
                    Ok(configuration) => {
                        let fleet = &configuration.fleet;
                        let (checks, regions) = (fleet.checks.len(), fleet.regions.len());
                        summary.push(format!(
                            "{}: fine: {checks} checks in {regions} regions",
                            file.display()
                        ));
                        problems.extend(configuration.warnings);
                    }
                    Err(found) => problems.extend(found),
                }
            }
            report(&problems, &summary, global, console)?;
            let bad = |problem: &Problem| *strict || problem.severity == Severity::Error;
            Ok(if problems.iter().any(bad) { Exit::Bad } else { Exit::Ok })
        }
        Config::Schema => {
            console.out.text(&schema()?)?;
            Ok(Exit::Ok)
        }
        Config::Plan { file } => super::plan::run(file, global, console),
    }
}

fn schema() -> Result<String, Failure> {
    let schema = quorate_config::json_schema();
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| crate::exit::bad("cannot print the schema", &error))?;
    Ok(text + "\n")
}

/// Reads a configuration file, or standard input for `-`.
pub(super) fn parse(
    file: &Path,
) -> Result<Result<quorate_config::Configuration, Vec<Problem>>, Failure> {
    let bytes = read(file).map_err(|error| {
        Failure::new(Exit::Bad, format!("cannot read {}: {error}", file.display()))
    })?;
    let name = file.display().to_string();
    Ok(quorate_config::decode(&name, &bytes).and_then(|text| quorate_config::parse(&name, text)))
}

/// Reads a file, or standard input for `-`: at most 16 MiB.
pub(super) fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let too_large =
        || std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is larger than 16 MiB");
    let mut bytes = Vec::new();
    let length = if file == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?
    } else {
        std::fs::File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?
    };
    if length as u64 > FILE_BYTES_MAX {
        return Err(too_large());
    }
    Ok(bytes)
}

pub(super) fn report(
    problems: &[Problem],
    summary: &[String],
    global: &Global,
    console: &mut Console,
) -> Result<(), Failure> {
    if global.output.is_json() {
        let entries: Vec<_> = problems.iter().map(shape).collect();
        return print_json(&json!({ "problems": entries }), global, console);
    }
    for problem in problems {
        let colour = match problem.severity {
            Severity::Error => Colour::Red,
            Severity::Warning => Colour::Yellow,
        };
        let line = console.out.paint(colour, &escaped(&problem.to_string()));
        console.out.line(&line)?;
    }
    for line in summary {
        console.note(line);
    }
    Ok(())
}

fn shape(problem: &Problem) -> serde_json::Value {
    json!({
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": problem.message,
        "hint": problem.hint,
    })
}
