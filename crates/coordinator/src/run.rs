//! From the command line to a coordinator that runs, and to its end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quorate_config::{Configuration, Problem, Severity};
use quorate_runtime::telemetry::{self, Format};
use quorate_runtime::{Clock, Tasks, random, signal};
use sd_notify::NotifyState;
use tokio::net::TcpListener;

use crate::args::{Args, Command, InitArgs, LogFormat, RunArgs};
use crate::init::{self, InitError, PKI_FOLDER};
use crate::pki::Authority;
use crate::{Access, ConfigSource, Listeners, Parts, Running, StartError, start};

/// Something failed.
const FAILED: u8 = 1;
/// A fault of this program. Source: sysexits, `EX_SOFTWARE`.
const SOFTWARE: u8 = 70;
/// Wrong configuration. Source: sysexits, `EX_CONFIG`.
const CONFIG: u8 = 78;
/// Held while a coordinator runs, in the data folder.
const LOCK_FILE: &str = "lock";
/// Time for everything under way to end.
const GRACE: Duration = Duration::from_secs(8);
/// Time for tasks to end after that.
const TASKS_GRACE: Duration = Duration::from_secs(2);

/// Why the program ends badly.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An error with the causes beneath it.
    fn of(code: u8, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self { code, message }
    }
}

/// Does what the command line asks for; the exit code.
///
/// # Cancellation
///
/// Dropping it ends the coordinator without regard to what is under way.
pub async fn run(args: Args) -> u8 {
    let done = match args.command {
        Command::Run(args) => coordinate(&args).await,
        Command::Init(args) => set_up(&args),
        Command::Version => say(env!("CARGO_PKG_VERSION")),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => {
            let text = format!("{}\n", failure.message);
            // There is nobody to tell if standard error is closed.
            drop(std::io::stderr().write_all(text.as_bytes()));
            failure.code
        }
    }
}

fn say(text: &str) -> Result<(), Failure> {
    std::io::stdout()
        .write_all(format!("{text}\n").as_bytes())
        .map_err(|error| Failure::of(FAILED, &error))
}

fn set_up(args: &InitArgs) -> Result<(), Failure> {
    let made = init::init(args, Clock::start()).map_err(|error| {
        let code = match &error {
            InitError::Configuration(_) => CONFIG,
            InitError::Pki(_) | InitError::Store(_) | InitError::File { .. } => FAILED,
        };
        Failure::of(code, &error)
    })?;
    let text = format!("Made:\n  {}\nNext:\n  {}", made.lines.join("\n  "), made.next.join("\n  "));
    say(&text)
}

async fn coordinate(args: &RunArgs) -> Result<(), Failure> {
    let configuration = read(&args.config).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(CONFIG, lines.join("\n"))
    })?;
    let format = match args.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    telemetry::install(format, &args.log);
    for warning in &configuration.warnings {
        tracing::warn!("{warning}");
    }
    let clock = Clock::start();
    // The first one stays; a second call is not a fault.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    random::warm_up();
    let tasks = Tasks::new();
    let _alone = lock(&configuration.server.data)?;
    let parts = parts(args, configuration, clock, &tasks).await?;
    let running = start(parts).await.map_err(|error| {
        let code = if matches!(error, StartError::Receivers(_)) { CONFIG } else { FAILED };
        Failure::of(code, &error)
    })?;
    notify(&[NotifyState::Ready]);
    watch_dog(&tasks);
    until_asked(running, tasks).await
}

async fn parts(
    args: &RunArgs,
    configuration: Configuration,
    clock: Clock,
    tasks: &Tasks,
) -> Result<Parts, Failure> {
    let server = &configuration.server;
    let authority = Authority::open(&server.data.join(PKI_FOLDER), clock.now())
        .map_err(|error| Failure::of(CONFIG, &error))?;
    let listeners = Listeners {
        agents: bind("agents", server.agents.listen).await?,
        join: bind("join", server.join.listen).await?,
        api: bind("API", server.api.listen).await?,
    };
    let store = quorate_store::open(&server.store).map_err(|error| Failure::of(FAILED, &error))?;
    Ok(Parts {
        source: Some(Box::new(File { path: args.config.clone() })),
        store,
        authority: Arc::new(authority),
        listeners,
        access: Access::Tokens,
        clock,
        tasks: tasks.clone(),
        data: Some(server.data.clone()),
        configuration,
    })
}

/// Keeps a second coordinator away from the data folder for as long as the file is held: both would
/// send each page.
fn lock(data: &Path) -> Result<std::fs::File, Failure> {
    let path = data.join(LOCK_FILE);
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            CONFIG,
            format!(
                "cannot open {}: {error}; has `quorate-coordinator init` been run for this folder?",
                path.display()
            ),
        )
    };
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Failure::new(
            FAILED,
            format!("another coordinator runs on {}: stop it first", data.display()),
        )),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(&error)),
    }
}

async fn bind(name: &str, address: std::net::SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!(
            "cannot bind the {name} listener on {address}: {error}; is another program there?"
        );
        Failure::new(FAILED, message)
    })
}

/// Waits until the program is asked to end, or until a task has failed.
async fn until_asked(running: Running, tasks: Tasks) -> Result<(), Failure> {
    let asked = tokio::select! {
        asked = signal::terminated() => {
            asked.map(|_| ()).map_err(|error| Failure::of(FAILED, &error))
        }
        () = tasks.stopped() => Ok(()),
        error = running.store_broken() => Err(store_broken(&error)),
    };
    notify(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    let ended = running.stop(GRACE).await;
    if !ended || !tasks.shut_down(TASKS_GRACE).await {
        tracing::warn!("some tasks did not end in time");
    }
    if let Some(task) = tasks.failed() {
        let message = format!("the task {task} failed: this is a fault of this program");
        return Err(Failure::new(SOFTWARE, message));
    }
    asked
}

/// Nothing that was acknowledged is lost by ending here; going on could lose it.
fn store_broken(error: &quorate_store::StoreError) -> Failure {
    let mut failure = Failure::of(FAILED, error);
    failure.message.push_str(
        ": ending, so that the store is read back from the disk at the next start; look at the \
         disk if this happens again",
    );
    tracing::error!("{}", failure.message);
    failure
}

/// Tells systemd that all is well, if it asked for that.
fn watch_dog(tasks: &Tasks) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let stop = tasks.token();
    tasks.spawn("watchdog", async move {
        let mut ticks = tokio::time::interval(within / 3);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => notify(&[NotifyState::Watchdog]),
            }
        }
    });
}

/// Without systemd nobody listens, which is fine.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot notify the service manager");
    }
}

/// The configuration file.
#[derive(Debug)]
struct File {
    path: PathBuf,
}

impl ConfigSource for File {
    fn read(&self) -> Result<Configuration, Vec<Problem>> {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
        let configuration = read(&self.path);
        notify(&[NotifyState::Ready]);
        configuration
    }
}

fn read(path: &Path) -> Result<Configuration, Vec<Problem>> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => quorate_config::parse(&file, &text),
        Err(error) => Err(vec![Problem {
            file,
            line: 1,
            column: 1,
            severity: Severity::Error,
            message: format!("cannot read the configuration: {error}"),
            hint: None,
        }]),
    }
}
