//! The commands: one file for each noun.

mod agent;
mod check;
mod config;
mod context;
pub(crate) mod demo;
mod explain;
mod export;
mod get;
mod past;
mod plan;
mod replay;
mod simulate;
mod watch;

use crate::args::{Command, Global, Output};
use crate::connection::Connection;
use crate::context::Contexts;
use crate::exit::{Exit, Failure};
use crate::output::{Console, json};

/// Does what a command says.
///
/// # Cancellation
///
/// Dropping it stops the command where it is.
pub(crate) async fn run(
    command: &Command,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    match command {
        Command::Get(get) => Box::pin(get::run(get, global, console)).await,
        Command::Watch(watch) => Box::pin(watch::run(watch, global, console)).await,
        Command::Explain(explain) => Box::pin(explain::run(explain, global, console)).await,
        Command::Check(check) => Box::pin(check::run(check, global, console)).await,
        Command::Config(config) => config::run(config, global, console),
        Command::Agent(agent) => Box::pin(agent::run(agent, global, console)).await,
        Command::Context(context) => context::run(context, global, console),
        Command::Simulate(simulate) => simulate::run(simulate, global, console),
        Command::Replay(replay) => Box::pin(replay::run(replay, global, console)).await,
        Command::Export(export) => Box::pin(export::run(export, global, console)).await,
        Command::Demo(demo) => Box::pin(demo::run(demo, global, console)).await,
        Command::Version => version(global, console),
    }
}

fn version(global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if global.output.is_json() {
        print_json(&serde_json::json!({ "version": version }), global, console)?;
    } else {
        console.out.line(&format!("quorate {version}"))?;
    }
    Ok(Exit::Ok)
}

async fn connect(global: &Global, console: &mut Console) -> Result<Connection, Failure> {
    let settings = Contexts::of(global).settings(global)?;
    Connection::open(&settings, console).await
}

/// Prints a document: readable as `json`, on one line as `jsonl`.
fn print_json(
    value: &serde_json::Value,
    global: &Global,
    console: &mut Console,
) -> Result<(), Failure> {
    match global.output {
        Output::Jsonl => console.out.line(&value.to_string()),
        Output::Json | Output::Table => console.out.text(&json::pretty(value)),
    }
}
