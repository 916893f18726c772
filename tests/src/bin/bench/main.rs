//! What Quorate costs, measured in one run, each figure beside a baseline taken in the same run.
//!
//! `cargo run --release -p quorate-tests --bin quorate-bench`; `docs/benchmarks.md` says how to read it.

mod ingest;
mod probe;
mod server;
mod usage;

use std::process::ExitCode;

/// Writes one line to standard output.
#[expect(clippy::print_stdout, reason = "the figures are the program's output")]
fn say(line: &str) {
    println!("{line}");
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("serve") => server::serve().await,
        None => measure().await,
        Some(other) => Err(format!("unknown argument {other:?}: there are none").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("the benchmark failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

async fn measure() -> Outcome {
    say("Probes: plain HTTP against a local server, a new connection each.");
    probe::measure().await?;
    say("");
    say("Results: from one agent's stream over mutual TLS to the ack after the SQLite commit.");
    ingest::measure().await
}
