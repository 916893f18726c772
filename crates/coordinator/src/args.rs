//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Judges what the agents of all regions see, and tells people.
#[derive(Debug, Parser)]
#[command(name = "quorate-coordinator", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 ended when asked to, 1 failed, 2 wrong usage, \
    70 a fault of this program, 78 wrong configuration.\n\n\
    Example: quorate-coordinator init --data /var/lib/quorate --name coordinator.example.com")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the coordinator until SIGTERM; SIGHUP reads the configuration again.
    Run(RunArgs),
    /// Make the certificate authority, the store and a token, once, before the first run.
    Init(InitArgs),
    /// Print the version.
    Version,
}

/// How to run.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The configuration file.
    #[arg(long, env = "QUORATE_CONFIG", default_value = "/etc/quorate/quorate.yaml")]
    pub config: PathBuf,
    /// How to write logs, which go to standard error.
    #[arg(long, env = "QUORATE_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What to log, such as `info` or `quorate_coordinator=debug,warn`.
    #[arg(long, env = "QUORATE_LOG", default_value = "info")]
    pub log: String,
}

/// What to make.
#[derive(Debug, Clone, clap::Args)]
pub struct InitArgs {
    /// The folder for keys and data; made if it is not there.
    #[arg(long)]
    pub data: PathBuf,
    /// A host name or address under which agents reach this machine; may be given several times.
    #[arg(long = "name")]
    pub names: Vec<String>,
    /// The configuration file: a first one is written if there is none.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Do not save settings for the command line tool `quorate`.
    #[arg(long)]
    pub no_context: bool,
    /// Read from the environment: where settings are kept.
    #[arg(long, hide = true, env = "XDG_CONFIG_HOME", default_value = "")]
    pub config_home_env: OsString,
    /// Read from the environment: the user's folder.
    #[arg(long, hide = true, env = "HOME", default_value = "")]
    pub home_env: OsString,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn names_may_be_repeated() {
        let args = Args::parse_from([
            "quorate-coordinator",
            "init",
            "--data",
            "/d",
            "--name",
            "a.example.com",
            "--name",
            "192.0.2.1",
        ]);
        let Command::Init(init) = args.command else {
            panic!("not init");
        };
        assert_eq!(init.names, ["a.example.com", "192.0.2.1"]);
    }
}
