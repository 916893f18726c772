//! quorate: the operator's command.
//!
//! Data goes to standard output, everything else to standard error. What each exit code means
//! stands in [`exit`], once, and `--help` shows it.

mod args;
mod command;
mod connection;
mod context;
pub mod exit;
mod output;
mod record;

use std::ffi::OsString;

use clap::Parser as _;

use args::{Command, CommandLine, Global, When};
use exit::{Exit, Failure};
pub use output::{Console, Out};

/// Does what the arguments say, the program's name first, and returns the exit code.
///
/// # Cancellation
///
/// Dropping it stops the command where it is.
pub async fn run(arguments: impl IntoIterator<Item = OsString>, console: &mut Console) -> u8 {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => return explain_usage(&error, console),
    };
    settle_colours(&line.global, console);
    match dispatch(line, console).await {
        Ok(exit) => exit.code(),
        Err(failure) => {
            if !failure.message.is_empty() {
                console.note(&format!("quorate: {}", failure.message));
            }
            failure.exit.code()
        }
    }
}

/// Help and the version are data, a wrong command line is a message.
fn explain_usage(error: &clap::Error, console: &mut Console) -> u8 {
    let styled = error.render();
    let place = if error.use_stderr() { &mut console.err } else { &mut console.out };
    let text = if place.colours() { styled.ansi().to_string() } else { styled.to_string() };
    drop(place.text(&text));
    if error.use_stderr() { Exit::Usage.code() } else { Exit::Ok.code() }
}

fn settle_colours(global: &Global, console: &mut Console) {
    let plain = !global.no_color_env.is_empty() || global.term_env == "dumb";
    for place in [&mut console.out, &mut console.err] {
        match global.color {
            When::Always => place.set_colour(true),
            When::Never => place.set_colour(false),
            When::Auto => {
                if plain {
                    place.set_colour(false);
                }
            }
        }
    }
}

async fn dispatch(line: CommandLine, console: &mut Console) -> Result<Exit, Failure> {
    let CommandLine { global, command } = line;
    // The demo has things to take down when it is interrupted; nothing else does.
    if let Command::Demo(demo) = &command {
        return command::demo::run(demo, &global, console).await;
    }
    let interrupted = quorate_runtime::signal::terminated();
    tokio::select! {
        done = command::run(&command, &global, console) => done,
        signal = interrupted => match signal {
            Ok(code) => Ok(Exit::Signal(code)),
            Err(error) => Err(exit::bad("cannot listen for signals", &error)),
        },
    }
}

#[cfg(test)]
mod tests;
