//! The whole product on one machine: a coordinator, five agents and networks that can be cut.
//!
//! Everything is real: the agents join with one-time tokens and stream over mutual TLS, reach
//! their targets through proxies on sockets of their own, and the alerts arrive as signed
//! webhooks. Only the distances are missing.

mod board;
mod configuration;
mod event;
mod fleet;
mod message;
mod network;
mod play;
mod print;
mod receiver;
mod script;
mod targets;
mod watcher;
mod world;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use quorate_checks::{Egress, Policy};
use quorate_runtime::{Clock, Tasks};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use board::Board;
use configuration::{Named, Places, REGIONS};
use event::What;
use fleet::{Fleet, failed};
use play::Play;
use print::Printer;
use receiver::{Arrival, Secret};
use world::World;

pub use print::Format;

/// What stands on the stage, for tests that play a piece of their own.
pub mod props {
    pub use crate::network::RegionNetwork;
    pub use crate::receiver::{Arrival, Secret, start as start_receiver};
    pub use crate::targets::{Mode, Target, start_anchor};
}

/// Arrivals and sights that wait to be told; the senders wait when it is full.
const WAITING_MAX: usize = 256;
/// How long the servers of the demo may take to end.
const GRACE: Duration = Duration::from_secs(1);

/// What the demo does.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to watch; the script is played if there is nothing.
    pub urls: Vec<String>,
    /// After which time it ends, if it has not ended before.
    pub duration: Option<Duration>,
    /// How events are shown.
    pub format: Format,
    /// Whether they are shown in colours.
    pub colour: bool,
}

/// How a demo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As promised.
    Kept,
    /// A promise of the script was broken.
    Broken,
    /// By a signal; the exit code that says which.
    Interrupted(u8),
}

/// A demo could not be given.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The URLs cannot be watched.
    #[error("{0}")]
    Usage(String),
    /// The events cannot be shown.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The demo's own configuration is refused.
    #[error("the configuration is refused: {}", .problems.join("; "))]
    Configuration {
        /// What is wrong with it.
        problems: Vec<String>,
    },
    /// Something could not be started.
    #[error("cannot {what}")]
    SetUp {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The coordinator does not answer any more.
    #[error("the coordinator cannot be watched any more: {status}")]
    Lost {
        /// What it said last.
        status: String,
    },
}

/// Gives the demo: starts everything, plays the script or watches the URLs, shows events on `out`,
/// and takes everything down, also on SIGINT and SIGTERM.
///
/// # Cancellation
///
/// Dropping it leaves servers behind that end with the process.
pub async fn run(options: Options, out: &mut (dyn Write + Send)) -> Result<Ending, DemoError> {
    let named = configuration::read_urls(&options.urls).map_err(DemoError::Usage)?;
    let folder = tempfile::Builder::new()
        .prefix("quorate-demo-")
        .tempdir()
        .map_err(|error| failed("make a temporary folder", error))?;
    let tasks = Tasks::new();
    let mut interrupted = Box::pin(quorate_runtime::signal::terminated());
    let stage = tokio::select! {
        stage = Stage::set(&named, folder.path(), &tasks) => stage,
        code = &mut interrupted => {
            tasks.shut_down(GRACE).await;
            return ending_of(code);
        }
    };
    let ended = match stage {
        Ok(mut stage) => {
            let ended = tokio::select! {
                ended = stage.play(&options, out, &tasks) => ended,
                code = &mut interrupted => ending_of(code),
                () = tasks.stopped() => Err(DemoError::Lost {
                    status: format!("the task {} failed", tasks.failed().unwrap_or("?")),
                }),
            };
            stage.fleet.stop().await;
            ended
        }
        Err(error) => Err(error),
    };
    tasks.shut_down(GRACE).await;
    folder.close().map_err(|error| failed("remove the temporary folder", error))?;
    ended
}

fn ending_of(code: io::Result<u8>) -> Result<Ending, DemoError> {
    code.map(Ending::Interrupted).map_err(|error| failed("listen for signals", error))
}

/// Everything that runs, before anything happens on it.
struct Stage {
    clock: Clock,
    world: Option<World>,
    fleet: Fleet,
    arrivals: Option<mpsc::Receiver<Arrival>>,
    checks: usize,
}

impl Stage {
    async fn set(named: &[Named], folder: &Path, tasks: &Tasks) -> Result<Self, DemoError> {
        // The first use of the generator must not show up as the time of the first handshake.
        quorate_runtime::random::warm_up();
        let clock = Clock::start();
        let (receiver, arrivals, secret) = start_receiver(folder, clock, tasks).await?;
        let no_listener = |error| failed("listen on loopback", error);
        let listeners = fleet::listen().await.map_err(no_listener)?;
        let at = |listener: &TcpListener| listener.local_addr().map_err(no_listener);
        let places = Places {
            folder,
            receiver,
            secret: &secret,
            listeners: [at(&listeners.agents)?, at(&listeners.join)?, at(&listeners.api)?],
        };
        let no_world = |error: String| failed("start the demo's targets", error);
        let (world, text, ways, checks) = if named.is_empty() {
            let world = World::start(tasks).await.map_err(|error| no_world(error.to_string()))?;
            let targets = world.targets();
            let text = configuration::script(&places, &targets, &world.anchors);
            let ways = world.ways().map_err(no_world)?;
            (Some(world), text, ways, targets.len())
        } else {
            let ways = REGIONS.map(|_| (Egress::Direct, Policy::default())).to_vec();
            (None, configuration::urls(&places, named), ways, named.len())
        };
        let fleet =
            Fleet::start(&text, &folder.join("quorate.db"), listeners, ways, clock, tasks).await?;
        Ok(Self { clock, world, fleet, arrivals: Some(arrivals), checks })
    }

    async fn play(
        &mut self,
        options: &Options,
        out: &mut (dyn Write + Send),
        tasks: &Tasks,
    ) -> Result<Ending, DemoError> {
        let Some(arrivals) = self.arrivals.take() else {
            return Ok(Ending::Broken);
        };
        let (send_sights, sights) = mpsc::channel(WAITING_MAX);
        let (send_lost, lost) = oneshot::channel();
        let client = watcher::connect(&self.fleet.api)
            .await
            .map_err(|error| failed("reach the coordinator", error))?;
        if options.format == Format::Live {
            let looking = watcher::look(client.clone(), send_sights.clone());
            let stop = tasks.token();
            tasks.spawn("demo-look", async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = looking => {}
                }
            });
        }
        let (watching, stop) = (watcher::watch(client, send_sights), tasks.token());
        tasks.spawn("demo-watch", async move {
            if let Some(status) = stop.run_until_cancelled(watching).await {
                // Nobody listens if the demo is over.
                drop(send_lost.send(status));
            }
        });
        let start = self.clock.now();
        let regions = configuration::region_names();
        let printer = Printer::new(out, options.format, options.colour, start, &regions);
        let mut play = Play {
            printer,
            board: Board::default(),
            clock: self.clock,
            start,
            sights,
            arrivals,
            lost,
            changed: None,
            detected: None,
        };
        let (api, agents) = (self.fleet.api.clone(), REGIONS.len());
        play.tell(What::Ready { api, agents, checks: self.checks })?;
        let Some(world) = &self.world else {
            play.watch(options.duration).await?;
            play.tell_time_up()?;
            play.printer.finish()?;
            return Ok(Ending::Kept);
        };
        let kept = play.script(world, options.duration).await?;
        play.tell_end(kept)?;
        play.printer.finish()?;
        Ok(if kept { Ending::Kept } else { Ending::Broken })
    }
}

async fn start_receiver(
    folder: &Path,
    clock: Clock,
    tasks: &Tasks,
) -> Result<(SocketAddr, mpsc::Receiver<Arrival>, std::path::PathBuf), DemoError> {
    let secret = Secret::draw();
    let file = folder.join("webhook-secret");
    fleet::write_secret(&file, &secret.text()).map_err(|error| failed("write a secret", error))?;
    let (send, arrivals) = mpsc::channel(WAITING_MAX);
    let address = receiver::start(tasks, secret, clock, send)
        .await
        .map_err(|error| failed("start the receiver", error))?;
    Ok((address, arrivals, file))
}
