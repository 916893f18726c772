//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Probes targets from this region and streams what it sees to a coordinator.
#[derive(Debug, Parser)]
#[command(name = "quorate-agent", version, propagate_version = false)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Probe until told to stop (SIGTERM).
    Run {
        /// The configuration file [default: /etc/quorate/agent.yaml, which may be absent]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The state folder, instead of the file's [default: /var/lib/quorate-agent]
        #[arg(long, value_name = "FOLDER")]
        state: Option<PathBuf>,
    },
    /// Become an agent of a coordinator: reads a join bundle, as `quorate agent token` prints it,
    /// from standard input.
    Join {
        /// The configuration file [default: /etc/quorate/agent.yaml, which may be absent]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The state folder, instead of the file's [default: /var/lib/quorate-agent]
        #[arg(long, value_name = "FOLDER")]
        state: Option<PathBuf>,
    },
    /// Print the version.
    Version,
}
