//! An agent from start to end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_checks::Environment;
use quorate_model::{Doubt, Outcome};
use quorate_runtime::{Clock, Tasks};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{Gate, first_settings};
use crate::config_cache::ConfigCache;
use crate::lag::Lag;
use crate::options::Options;
use crate::outbox::Outbox;
use crate::probe::Shared;
use crate::prober::{Prober, Revisions};
use crate::rates::Rates;
use crate::selftest::{Reach, SelfTest};
use crate::sentinel::Sentinel;
use crate::spool::MemorySpool;
use crate::tls::{self, TlsSetupError};
use crate::uplink::Uplink;

/// Messages of the coordinator that may wait for the prober; then the stream waits.
const COMMANDS_MAX: usize = 64;
/// The time for probes to end once they are told to.
const PROBES_END: Duration = Duration::from_secs(2);

/// An agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its identity cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// It has nowhere to go.
    #[error("no coordinator is configured: name one under `coordinators:`, or join anew")]
    NoCoordinator,
    /// A part of it failed.
    #[error("task {task} panicked: this is a bug, please report it with the log above")]
    Panicked {
        /// Which part.
        task: &'static str,
    },
}

/// Runs an agent until `tasks` are stopped: probes by its configuration, also while no coordinator
/// can be reached, and sends what it sees. At the end it stops probing, sends what is left within
/// the grace of its limits, and says goodbye.
///
/// # Cancellation
///
/// Dropping it leaves its tasks running until `tasks` are stopped, and loses what was not sent.
pub async fn run(options: Options, tasks: &Tasks) -> Result<(), AgentError> {
    if options.coordinators.is_empty() {
        return Err(AgentError::NoCoordinator);
    }
    let tls = Arc::new(tls::mutual(&options.identity)?);
    let limits = options.limits.clone();
    let spool = MemorySpool::new(limits.spool_results, limits.spool_bytes);
    let outbox = Arc::new(Outbox::new(Box::new(spool)));
    let (settings, settings_seen) = watch::channel(first_settings());
    let lag = Arc::new(Lag::default());
    let reach = reach(options.environment.clone(), options.clock, Arc::clone(&lag));
    let selftest = Arc::new(SelfTest::new(reach, settings_seen.clone()));
    let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
    let revisions = Revisions::default();
    let probing = tasks.group();
    let wall = options.environment.wall().clone();
    let shared = Arc::new(shared(&options, &outbox, &selftest, &lag, probing.token()));
    let prober = Prober::new(
        shared,
        Gate { kinds: options.kinds, environment: options.environment, limits: limits.clone() },
        options.state.as_deref().map(ConfigCache::new),
        settings,
        Arc::clone(&revisions),
    );
    let drain = CancellationToken::new();
    let uplink = Uplink {
        coordinators: options.coordinators,
        tls,
        boot: options.boot,
        region: options.identity.region.to_string(),
        kinds: options.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        retry_max: limits.reconnect,
        grace: limits.grace.saturating_sub(PROBES_END),
        clock: options.clock,
        wall,
        outbox,
        commands,
        revisions,
        settings: settings_seen,
        selftest: Arc::clone(&selftest),
        lag: Arc::clone(&lag),
        drain: drain.clone(),
    };
    let (clock, stop) = (options.clock, probing.token());
    probing.spawn("prober", prober.run(command_queue));
    probing.spawn("selftest", until(stop.clone(), async move { selftest.run().await }));
    probing.spawn("sentinel", until(stop.clone(), watch_sentinel(clock, Arc::clone(&lag))));
    probing.spawn("lag", until(stop, async move { lag.watch(clock).await }));
    let ending = async {
        tasks.stopped().await;
        if !probing.shut_down(PROBES_END).await {
            tracing::warn!("probes did not end in time");
        }
        drain.cancel();
    };
    tokio::join!(Box::pin(uplink.run()), ending);
    match tasks.failed() {
        Some(task) => Err(AgentError::Panicked { task }),
        None => Ok(()),
    }
}

fn shared(
    options: &Options,
    outbox: &Arc<Outbox>,
    selftest: &Arc<SelfTest>,
    lag: &Arc<Lag>,
    stop: CancellationToken,
) -> Shared {
    let limits = &options.limits;
    let reserved = limits.reserved.min(limits.in_flight.saturating_sub(1));
    let rates = Rates::new(limits.rate, limits.rate_per_address, limits.confirmation_rate);
    Shared {
        clock: options.clock,
        environment: options.environment.clone(),
        outbox: Arc::clone(outbox),
        selftest: Arc::clone(selftest),
        lag: Arc::clone(lag),
        rates: Mutex::new(rates),
        lookups: Mutex::default(),
        failing: Mutex::default(),
        patience: Mutex::default(),
        places: Arc::new(Semaphore::new(limits.in_flight.saturating_sub(reserved).max(1))),
        reserved: Arc::new(Semaphore::new(reserved)),
        stop,
    }
}

async fn watch_sentinel(clock: Clock, lag: Arc<Lag>) {
    match Sentinel::start(clock, lag).await {
        Ok(sentinel) => sentinel.watch().await,
        Err(error) => tracing::warn!(
            %error,
            "no connection over loopback: only late timers will show that this agent is overloaded"
        ),
    }
}

/// Reaches anchors by the way that probes take.
fn reach(environment: Environment, clock: Clock, lag: Arc<Lag>) -> Reach {
    Arc::new(move |anchor, timeout| {
        let (environment, lag) = (environment.clone(), Arc::clone(&lag));
        Box::pin(async move {
            let begun = clock.uptime();
            let reached = quorate_checks::reach(&anchor, &environment, timeout).await;
            let Err(error) = reached else {
                return true;
            };
            tracing::debug!(anchor, %error, "anchor not reached");
            // An agent without descriptors is no island: nothing was tried.
            let tried = error.outcome != Outcome::Inconclusive { reason: Doubt::Overloaded };
            if !tried {
                lag.suffered(begun, clock.uptime());
            }
            !tried
        })
    })
}

async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}
