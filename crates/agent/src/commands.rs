//! What each command does.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use quorate_agent::file::{AgentFile, FileError};
use quorate_agent::{Joined, Options};
use quorate_checks::Environment;
use quorate_runtime::{Clock, Tasks, signal, telemetry};
use sd_notify::NotifyState;

/// The longest text that can be a join bundle, in bytes.
const BUNDLE_MAX: u64 = 64 << 10;

/// The agent's own file cannot be used. Source: `EX_CONFIG` of sysexits.h.
pub(crate) const BAD_CONFIG: u8 = 78;

/// Joins with the bundle on standard input.
pub(crate) async fn join(
    config: Option<&Path>,
    state: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let folder = match state {
        Some(folder) => folder,
        None => AgentFile::load(config)?.state,
    };
    if io::stdin().is_terminal() {
        writeln!(io::stderr(), "paste the join bundle, then press Ctrl-D:")?;
    }
    let mut bundle = String::new();
    io::stdin()
        .take(BUNDLE_MAX)
        .read_to_string(&mut bundle)
        .context("cannot read the join bundle from standard input")?;
    let joined = quorate_agent::join(&bundle, Some(&folder)).await?;
    writeln!(
        io::stdout(),
        "joined as agent {} in region {}; key and certificate are in {}\nnext: quorate-agent run --state {}",
        joined.identity.agent,
        joined.identity.region,
        folder.display(),
        folder.display(),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the agent until SIGTERM or SIGINT.
pub(crate) async fn run(config: Option<&Path>, state: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let file = AgentFile::load(config)?;
    telemetry::install(file.log_format, &file.log_filter);
    let state = state.unwrap_or(file.state);
    let joined = Joined::load(&state)?;
    let coordinators =
        if file.coordinators.is_empty() { joined.coordinators } else { file.coordinators };
    let environment =
        Environment::new(file.egress, file.policy)?.with_second_resolver(&file.second_resolver)?;
    let mut options = Options::new(joined.identity, coordinators, environment, Clock::start());
    options.state = Some(state);
    options.limits = file.limits;
    let tasks = Tasks::new();
    let signals = tasks.clone();
    tasks.spawn("signals", async move {
        tokio::select! {
            ended = signal::terminated() => match ended {
                Ok(_) => tracing::info!("told to stop"),
                Err(error) => tracing::error!(%error, "signals cannot be watched, stopping"),
            },
            () = signals.stopped() => {}
        }
        notify(NotifyState::Stopping);
        signals.stop();
    });
    if let Some(interval) = sd_notify::watchdog_enabled() {
        tasks.spawn("watchdog", watchdog(interval, tasks.clone()));
    }
    tracing::info!(
        agent = %options.identity.agent,
        region = %options.identity.region,
        version = env!("CARGO_PKG_VERSION"),
        second_resolver = ?file.second_resolver,
        "agent starts"
    );
    notify(NotifyState::Ready);
    Box::pin(quorate_agent::run(options, &tasks)).await?;
    tracing::info!("agent has stopped");
    Ok(ExitCode::SUCCESS)
}

/// Tells the service manager that the process is alive, twice in each interval.
async fn watchdog(interval: Duration, tasks: Tasks) {
    loop {
        notify(NotifyState::Watchdog);
        tokio::select! {
            () = tokio::time::sleep(interval / 2) => {}
            () = tasks.stopped() => return,
        }
    }
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "service manager not told");
    }
}

/// The exit code for an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<FileError>().is_some() {
        ExitCode::from(BAD_CONFIG)
    } else {
        ExitCode::FAILURE
    }
}
