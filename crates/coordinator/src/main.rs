//! The `quorate-coordinator` program.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use quorate_coordinator::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(quorate_coordinator::run(args));
    // What still runs, such as a look-up in the system's resolver, must not delay the end.
    runtime.shutdown_background();
    ExitCode::from(code)
}
