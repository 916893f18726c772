//! Starting and stopping a coordinator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use quorate_config::Configuration;
use quorate_model::{Fleet, FleetPolicy};
use quorate_runtime::{Clock, Tasks};
use quorate_store::{AgentRecord, Restored, StoreError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::acceptor::{self, Door, Limits, Serving};
use crate::bus::{Bus, EngineInbox, LocalBus};
use crate::engine_task::{Owner, Ways};
use crate::outbox::Outbox;
use crate::receivers::Receivers;
use crate::reload::{self, Reloader};
use crate::session::Sessions;
use crate::{Mirror, Parts, StoreHandle, api, join, pki, store_thread};

/// Reloads that may wait.
const COMMANDS_MAX: usize = 4;

/// A coordinator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not give back what it holds.
    #[error("cannot read back what the store holds")]
    Restore {
        /// Why.
        #[source]
        source: Arc<StoreError>,
    },
    /// A receiver cannot be made ready.
    #[error(transparent)]
    Receivers(#[from] ReceiversError),
    /// The operating system, or TLS, refused something.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Receivers that cannot be made ready.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.join("; "))]
pub struct ReceiversError {
    /// What is wrong, one sentence each: names the receiver and what to do.
    pub problems: Vec<String>,
}

/// A coordinator that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    mirror: Mirror,
    store: StoreHandle,
    reloader: Reloader,
    draining: CancellationToken,
    /// In the order in which they are stopped: what comes in, the engine, what goes out.
    groups: [Tasks; 3],
    store_ending: store_thread::Ending,
}

/// Where a coordinator serves.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    agents: SocketAddr,
    join: SocketAddr,
    api: SocketAddr,
}

impl Addresses {
    fn of(listeners: &crate::Listeners) -> std::io::Result<Self> {
        Ok(Self {
            agents: listeners.agents.local_addr()?,
            join: listeners.join.local_addr()?,
            api: listeners.api.local_addr()?,
        })
    }
}

/// Starts a coordinator: returns when it serves.
///
/// # Cancellation
///
/// Dropping it leaves tasks behind that end with `parts.tasks`.
pub async fn start(parts: Parts) -> Result<Running, StartError> {
    let clock = parts.clock;
    let system = |what| move |source| StartError::System { what, source };
    let receivers = Receivers::of(&parts.configuration)?;
    let addresses =
        Addresses::of(&parts.listeners).map_err(system("learn the addresses of the listeners"))?;
    let (store, store_ending) =
        store_thread::spawn(parts.store).map_err(system("start the store's thread"))?;
    let [front, core, back] = std::array::from_fn(|_| parts.tasks.group());
    let fleet = Arc::clone(&parts.configuration.fleet);
    let (restored, joined) = read_back(&store, &fleet, clock).await?;
    let receivers = Arc::new(ArcSwap::from_pointee(receivers));
    let configuration = Arc::new(ArcSwap::from_pointee(parts.configuration));

    let (bus, inbox) = LocalBus::new();
    let bus: Arc<dyn Bus> = bus;
    let (outbox, deliveries) = Outbox::new(store.clone(), Arc::clone(&receivers), clock);
    let mirror = Mirror::default();
    let ways =
        Ways { bus: Arc::clone(&bus), store: store.clone(), mirror: mirror.clone(), outbox, clock };
    let owner = Owner::new(ways, fleet, restored, joined);
    let (commands, orders) = mpsc::channel(COMMANDS_MAX);
    let reloader = Reloader { configuration: Arc::clone(&configuration), receivers, commands };
    let draining = CancellationToken::new();
    let serving = Front {
        store: store.clone(),
        mirror: mirror.clone(),
        bus,
        clock,
        authority: parts.authority,
        access: parts.access,
        configuration: Arc::clone(&configuration),
        draining: draining.clone(),
    };
    serving.serve(parts.listeners, &front)?;
    if let Some(source) = parts.source {
        let signal = quorate_runtime::signal::reloads().map_err(system("listen for SIGHUP"))?;
        let watching = reloader.clone().on_signal(source, signal, front.token());
        front.spawn("reload", watching);
    }
    spawn_core(owner, inbox, orders, &core);
    back.spawn("outbox", deliveries.run(back.token()));
    let forgetting = reload::forget_old(store.clone(), configuration, clock, back.token());
    back.spawn("retention", forgetting);
    tracing::info!(agents = %addresses.agents, join = %addresses.join, api = %addresses.api, "coordinator serves");
    Ok(Running {
        addresses,
        mirror,
        store,
        reloader,
        draining,
        groups: [front, core, back],
        store_ending,
    })
}

fn spawn_core(
    owner: Owner,
    inbox: EngineInbox,
    orders: mpsc::Receiver<crate::engine_task::Command>,
    core: &Tasks,
) {
    core.spawn("engine", Box::pin(owner.run(inbox, orders, core.token())));
}

/// What the store holds, with the results that may still count as votes.
async fn read_back(
    store: &StoreHandle,
    fleet: &Fleet,
    clock: Clock,
) -> Result<(Restored, Vec<AgentRecord>), StartError> {
    let freshness = fleet
        .checks
        .values()
        .map(|check| FleetPolicy::freshness(check.interval, check.timeout))
        .max();
    let since = clock.now().before(freshness.unwrap_or_default());
    store
        .read(move |store| Ok((store.restore(since)?, store.agents()?)))
        .await
        .map_err(|source| StartError::Restore { source })
}

/// What the three listeners need.
struct Front {
    store: StoreHandle,
    mirror: Mirror,
    bus: Arc<dyn Bus>,
    clock: Clock,
    authority: Arc<pki::Authority>,
    access: crate::Access,
    configuration: Arc<ArcSwap<Configuration>>,
    draining: CancellationToken,
}

impl Front {
    fn serve(self, listeners: crate::Listeners, tasks: &Tasks) -> Result<(), StartError> {
        let tls = |error: pki::PkiError| StartError::System {
            what: "set up TLS for a listener",
            source: std::io::Error::other(error),
        };
        let serving =
            |door, limits| Serving { door, limits, clock: self.clock, stop: tasks.token() };
        let sessions = Sessions {
            bus: self.bus,
            store: self.store.clone(),
            clock: self.clock,
            tasks: tasks.clone(),
        };
        let door = Door::agents(&self.authority).map_err(tls)?;
        let routes = Routes::new(sessions.service());
        let agents = acceptor::serve(listeners.agents, routes, serving(door, Limits::default()));

        let joining = join::JoinParts {
            mirror: self.mirror.clone(),
            store: self.store.clone(),
            authority: Arc::clone(&self.authority),
        };
        let door = Door::join(&self.authority).map_err(tls)?;
        let join = join::serve(listeners.join, joining, serving(door, Limits::join()));

        let with_tls = self.configuration.load().server.api.tls;
        let door = Door::api(&self.authority, with_tls).map_err(tls)?;
        let parts = api::ApiParts {
            mirror: self.mirror,
            store: self.store,
            access: self.access,
            authority: self.authority,
            configuration: self.configuration,
            draining: self.draining,
        };
        let api = api::serve(listeners.api, parts, serving(door, Limits::default()));
        tasks.spawn("agents listener", agents);
        tasks.spawn("join listener", join);
        tasks.spawn("api listener", api);
        Ok(())
    }
}

impl Running {
    /// Where it serves agents.
    pub fn agents_addr(&self) -> SocketAddr {
        self.addresses.agents
    }

    /// Where agents join.
    pub fn join_addr(&self) -> SocketAddr {
        self.addresses.join
    }

    /// Where it serves people and programs.
    pub fn api_addr(&self) -> SocketAddr {
        self.addresses.api
    }

    /// The present state of everything.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// The way to the store.
    pub fn store(&self) -> &StoreHandle {
        &self.store
    }

    /// Returns why the store cannot be trusted any more, once a read or write has failed halfway.
    /// Nothing is stored from then on: the process must end, and read the store anew.
    ///
    /// # Cancellation
    ///
    /// Dropping it loses nothing.
    pub async fn store_broken(&self) -> Arc<StoreError> {
        let mut broken = self.store_ending.broken.clone();
        let known = match broken.wait_for(Option::is_some).await {
            Ok(known) => known.clone(),
            Err(_) => None,
        };
        // It does not end by itself while there is a way to it, so then it has panicked.
        known.unwrap_or_else(store_thread::ended)
    }

    /// Goes over to another configuration, whole or not at all. What `server` says takes effect at
    /// the next start only.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves open whether it goes over.
    pub async fn reload(&self, configuration: Configuration) -> Result<(), ReceiversError> {
        self.reloader.apply(configuration).await
    }

    /// Stops: takes in nothing new, tells agents to come back later, makes durable what is under
    /// way, closes the store. Waits for at most `grace`, and says whether all has ended by then.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves tasks behind that end soon.
    pub async fn stop(self, grace: Duration) -> bool {
        let Self { store, reloader, draining, groups, store_ending, .. } = self;
        draining.cancel();
        let stop = async {
            let mut ended = true;
            for group in &groups {
                ended &= group.shut_down(grace).await;
            }
            drop((store, reloader));
            ended & store_ending.ended.await.is_ok()
        };
        let ended = tokio::time::timeout(grace, stop).await.unwrap_or(false);
        tracing::info!(ended, "coordinator has stopped");
        ended
    }
}
