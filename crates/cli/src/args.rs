//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use quorate_model::{HumanDuration, Quorum, Timestamp};

use crate::exit;

const EXAMPLES: &str = "\
Examples:
  quorate demo                          see an outage found, confirmed and resolved in 75 seconds
  quorate get checks                    what is up, what is down
  quorate explain shop                  who voted what, and why it counted or not
  quorate watch shop --until up --timeout 5m
  quorate check run quorate.yaml#shop   one probe from here";

/// Watches targets from several regions and pages only when a quorum of them agrees.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct CommandLine {
    /// How to reach the coordinator and how to print.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// URL of the coordinator's API, with its port [default: that of this machine, port 7443]
    #[arg(long, global = true, env = "QUORATE_ADDRESS", value_name = "URL", hide_env = true)]
    pub address: Option<String>,
    /// File that holds the API token
    #[arg(long, global = true, env = "QUORATE_TOKEN_FILE", value_name = "FILE", hide_env = true)]
    pub token_file: Option<PathBuf>,
    /// Certificate authority of the coordinator's API (PEM); those of the system if absent
    #[arg(long, global = true, env = "QUORATE_CACERT", value_name = "FILE", hide_env = true)]
    pub ca_file: Option<PathBuf>,
    /// Saved settings to use (see `quorate context`)
    #[arg(long, global = true, env = "QUORATE_CONTEXT", value_name = "NAME", hide_env = true)]
    pub context: Option<String>,
    /// How to print: table, or json (jsonl is one object a line)
    #[arg(
        short,
        long,
        global = true,
        env = "QUORATE_OUTPUT",
        value_name = "FORMAT",
        hide_env = true
    )]
    #[arg(default_value = "table", hide_default_value = true)]
    pub output: Output,
    /// Leave out the line that names the columns
    #[arg(long, global = true)]
    pub no_headers: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub color: When,
    /// Read from the environment: see <https://no-color.org>.
    #[arg(long, global = true, hide = true, env = "NO_COLOR", default_value = "")]
    pub no_color_env: OsString,
    /// Read from the environment: what the terminal can do.
    #[arg(long, global = true, hide = true, env = "TERM", default_value = "")]
    pub term_env: OsString,
    /// Read from the environment: where settings are kept.
    #[arg(long, global = true, hide = true, env = "XDG_CONFIG_HOME", default_value = "")]
    pub config_home_env: OsString,
    /// Read from the environment: the user's folder.
    #[arg(long, global = true, hide = true, env = "HOME", default_value = "")]
    pub home_env: OsString,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For programs, one object a line.
    Jsonl,
}

impl Output {
    /// Whether programs read it.
    pub(crate) const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl)
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless the environment has `NO_COLOR`.
    Auto,
    /// In every case.
    Always,
    /// Not at all.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show checks, agents, regions or incidents
    #[command(subcommand)]
    Get(Get),
    /// Print verdicts as they change
    Watch(Watch),
    /// Say why a check was judged as it was, or what an HTTP status code means
    Explain(Explain),
    /// Run a check from here
    #[command(subcommand)]
    Check(Check),
    /// Work on configuration files
    #[command(subcommand)]
    Config(Config),
    /// Let agents join
    #[command(subcommand)]
    Agent(Agent),
    /// Save how to reach coordinators
    #[command(subcommand)]
    Context(Context),
    /// Play scenario files on a virtual clock: what would page me if ...
    Simulate(Simulate),
    /// Judge recorded results under another policy: what would have paged me
    Replay(Replay),
    /// Write recorded results, and what was said then, for `quorate replay`
    Export(Export),
    /// Run a coordinator and five agents on this machine, and break things
    Demo(Demo),
    /// Print the version
    Version,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Get {
    /// All checks with their verdicts
    Checks {
        /// Only checks in this state
        #[arg(long)]
        state: Option<StateArg>,
        /// Exit with 1 if any check is down, with 6 if none is but any is unknown
        #[arg(long)]
        exit_code: bool,
    },
    /// One check with its ballot
    Check {
        /// The check
        #[arg(value_name = "CHECK")]
        name: String,
        /// Exit with 1 if it is down, with 6 if it is unknown
        #[arg(long)]
        exit_code: bool,
    },
    /// The agents that have joined
    Agents,
    /// The regions and whether their votes count
    Regions,
    /// The verdicts that a check has had, the latest first
    Verdicts {
        /// The check
        #[arg(value_name = "CHECK")]
        name: String,
        /// Only those reached since then: a time, or how long ago
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<Moment>,
        /// Only those reached before then
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Moment>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Incidents, the latest first
    Incidents {
        /// Only incidents of this check
        #[arg(long, value_name = "CHECK")]
        check: Option<String>,
        /// Only incidents that are open
        #[arg(long)]
        open: bool,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
}

/// What to explain.
#[derive(Debug, Args)]
#[command(after_help = "\
Why was I paged? `--incident`, or `--at` the time of the page. Why was I not? `--at` the time at which
something failed. A time is an RFC 3339 date and time, or how long ago it was.

  quorate explain shop
  quorate explain shop --at 2h
  quorate explain shop --at 2026-07-31T14:05:00Z
  quorate explain --incident 01a0c450-b250-8544-9445-eab7b0117489
  quorate explain 522")]
pub(crate) struct Explain {
    /// The check, or a code such as 522 (needs no coordinator)
    #[arg(value_name = "CHECK|CODE", required_unless_present = "incident")]
    pub name: Option<String>,
    /// Explain the verdict that was in force then: a time, or how long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Moment>,
    /// Explain the verdict that opened this incident, and who was told
    #[arg(long, value_name = "INCIDENT", conflicts_with_all = ["name", "at"])]
    pub incident: Option<String>,
}

/// A moment as users write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A date and time.
    At(Timestamp),
    /// So long before the present.
    Ago(Duration),
}

impl Moment {
    /// The instant that it means at `now`.
    pub(crate) fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.before(span),
        }
    }
}

/// The state of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateArg {
    /// Too few regions have a fresh vote.
    Unknown,
    /// All is well.
    Up,
    /// Some regions fail, fewer than the quorum.
    Partial,
    /// A quorum finds it slow or refusing.
    Degraded,
    /// A quorum finds it broken.
    Down,
}

/// What to print as it changes.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Checks to watch; all if none is named
    #[arg(value_name = "CHECK")]
    pub names: Vec<String>,
    /// End as soon as all of them are in this state
    #[arg(long, value_name = "STATE")]
    pub until: Option<StateArg>,
    /// Give up after this time, with exit code 6
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// What to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// Probe once from here and draw where the time went
    Run {
        /// The configuration file and the check in it, such as quorate.yaml#shop
        #[arg(value_name = "FILE#CHECK")]
        place: String,
        /// Allow a target in this private network, such as 10.0.0.0/8
        #[arg(long, value_name = "CIDR")]
        allow: Vec<String>,
    },
}

/// What to do with configuration files.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print every problem with its file, line and column
    Check {
        /// Files to read; `-` is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Take warnings as errors
        #[arg(long)]
        strict: bool,
    },
    /// Print the JSON Schema of configuration files
    Schema,
    /// Print what each check can promise: time to detect, false alerts, weakest dependency
    Plan {
        /// The file to read; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// How to let agents join.
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Make a one-time join bundle and print it
    Token {
        /// Where the agent will vote
        #[arg(long)]
        region: String,
        /// The agent's name
        #[arg(long)]
        name: String,
        /// How long the token may be used, at most 24h
        #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
        ttl: Duration,
    },
}

/// What to do with saved settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// List the saved settings; `*` marks those in use
    Ls,
    /// Show the settings in use, or those saved under a name
    Show {
        /// Which
        name: Option<String>,
    },
    /// Save --address, --token-file and --ca-file under a name
    Save {
        /// Under which
        name: String,
    },
    /// Use the settings saved under a name from now on
    Select {
        /// Which
        name: String,
    },
}

/// What to play.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 if every expectation holds, 1 if one does not, 2 if a file is wrong.")]
pub(crate) struct Simulate {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Number that stands for chance: round trips, luck, and where the schedule begins
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Play each file with so many seeds, from --seed on
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub repeat: u64,
}

/// What to replay.
#[derive(Debug, Args)]
#[command(after_help = "\
Results come from a file that `quorate export` wrote, or from the coordinator (--since). They are judged
as the configuration says, changed by --quorum, --false-alerts and --evidence; what would have been said
is compared with what was. Confirmations that were not asked then cannot be replayed.

  quorate replay --config new.yaml --since 7d
  quorate replay results.jsonl --config quorate.yaml --quorum \"2 of 5\"

Exit codes: 0; 1 with --exit-code if something differs; 2 if a line or a file is wrong.")]
pub(crate) struct Replay {
    /// File of recorded results; `-` is standard input [default: ask the coordinator]
    #[arg(value_name = "FILE", required_unless_present = "since")]
    pub file: Option<PathBuf>,
    /// Configuration with the policy to judge by
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Compare with this configuration instead of with what was said
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Only these checks
    #[arg(long = "check", value_name = "CHECK")]
    pub checks: Vec<String>,
    /// From when: a time, or how long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// How many regions must agree: majority, all, any, or a number such as "2 of 5"
    #[arg(long, value_name = "QUORUM", value_parser = quorum)]
    pub quorum: Option<Quorum>,
    /// Budget of false alerts, such as "1 per year"
    #[arg(long, value_name = "BUDGET", value_parser = quorate_config::false_alerts)]
    pub false_alerts: Option<u32>,
    /// Whether the failures must weigh enough, or their number alone decides
    #[arg(long, value_name = "WHETHER")]
    pub evidence: Option<Switch>,
    /// Exit with 1 if something differs
    #[arg(long)]
    pub exit_code: bool,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// It holds.
    On,
    /// It does not.
    Off,
}

/// What to export.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes one JSON object a line to standard output: results in the order in which they were judged, and the
messages that were sent about them. It begins some minutes before --since, so that the votes of that
moment are there. Needs a token with the role operator.

  quorate export --since 24h > results.jsonl
  quorate replay results.jsonl --config new.yaml")]
pub(crate) struct Export {
    /// Checks to export; all if none is named
    #[arg(value_name = "CHECK")]
    pub names: Vec<String>,
    /// From when: a time, or how long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Moment,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
}

/// What the demo does.
#[derive(Debug, Args)]
#[command(after_help = "\
Without URLs it starts targets of its own and plays a script of some 75 seconds, in which it cuts a
region off, breaks a path, takes a target down and repairs it. The exit code is 0 if each promise
of the script was kept. Nothing leaves this machine, and nothing is left behind on it.")]
pub(crate) struct Demo {
    /// Watch these instead: http://…, https://… or tcp://host:port
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// End after this time
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(span) = text.parse::<HumanDuration>() {
        return Ok(Moment::Ago(span.into()));
    }
    let read = text.parse().map(Moment::At);
    read.map_err(|problem: String| format!("{problem}, or how long ago it was, such as 2h"))
}

fn quorum(text: &str) -> Result<Quorum, String> {
    text.parse()
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<HumanDuration>().map(Duration::from)
}
