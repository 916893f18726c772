//! The `quorate-agent` program.

mod args;
mod commands;

use std::io::{self, Write as _};
use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser as _;

fn main() -> ExitCode {
    let args = Args::parse();
    quorate_runtime::random::warm_up();
    // Fails only if there is one already, which is as good.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(perform(args)));
    ended.unwrap_or_else(|error| {
        // Nobody is left to tell when standard error is gone.
        drop(writeln!(io::stderr(), "quorate-agent: {}", told(&error)));
        commands::exit_code(&error)
    })
}

async fn perform(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Run { config, state } => commands::run(config.as_deref(), state).await,
        Command::Join { config, state } => commands::join(config.as_deref(), state).await,
        Command::Version => {
            writeln!(io::stdout(), "quorate-agent {}", env!("CARGO_PKG_VERSION"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// An error with its causes, leaving out a cause that the text before it repeats.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
