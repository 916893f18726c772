//! The `quorate` program.

use std::process::ExitCode;

use quorate_cli::Console;

fn main() -> ExitCode {
    let mut console = Console::standard();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console.note(&format!("quorate: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(quorate_cli::run(std::env::args_os(), &mut console));
    // What still runs, such as a look-up in the system's resolver, must not delay the end.
    runtime.shutdown_background();
    ExitCode::from(code)
}
