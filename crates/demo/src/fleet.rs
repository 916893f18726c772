//! One coordinator and five agents in this process, over mutual TLS on loopback.

use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quorate_checks::{Egress, Environment, Policy};
use quorate_coordinator::pki::Authority;
use quorate_coordinator::{Access, Listeners, Parts, Running};
use quorate_proto::v1;
use quorate_proto::v1::fleet_service_client::FleetServiceClient;
use quorate_runtime::{Clock, Tasks};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};

use crate::DemoError;
use crate::configuration::REGIONS;

/// How long anything may take to end.
const GRACE: Duration = Duration::from_secs(1);

/// A coordinator and its agents.
#[derive(Debug)]
pub(crate) struct Fleet {
    coordinator: Running,
    agents: Tasks,
    /// The URL of the coordinator's API.
    pub api: String,
}

impl Fleet {
    /// Starts the coordinator, makes a token for each agent, lets the agents join with it, and
    /// starts them. `ways` gives the way out of each region, in order.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves tasks behind that end with `tasks`.
    pub(crate) async fn start(
        text: &str,
        store: &Path,
        listeners: Listeners,
        ways: Vec<(Egress, Policy)>,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Self, DemoError> {
        let coordinator = start_coordinator(text, store, listeners, clock, tasks).await?;
        let api = format!("http://{}", coordinator.api_addr());
        let channel = Endpoint::from_shared(api.clone())
            .map_err(|error| failed("reach the coordinator", error))?
            .connect()
            .await
            .map_err(|error| failed("reach the coordinator", error))?;
        let agents = tasks.group();
        for ((region, ..), (egress, policy)) in REGIONS.iter().zip(ways) {
            let bundle = token(channel.clone(), region).await?;
            start_agent(&bundle, egress, policy, clock, &agents).await?;
        }
        Ok(Self { coordinator, agents, api })
    }

    /// Stops the agents, then the coordinator.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves tasks behind that end soon.
    pub(crate) async fn stop(self) {
        self.agents.shut_down(GRACE).await;
        self.coordinator.stop(GRACE).await;
    }
}

/// Listens on three free ports of loopback.
///
/// # Cancellation
///
/// Dropping it listens nowhere.
pub(crate) async fn listen() -> io::Result<Listeners> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    Ok(Listeners { agents: bind().await?, join: bind().await?, api: bind().await? })
}

async fn start_coordinator(
    text: &str,
    store: &Path,
    listeners: Listeners,
    clock: Clock,
    tasks: &Tasks,
) -> Result<Running, DemoError> {
    let configuration = quorate_config::parse("demo.yaml", text).map_err(|problems| {
        DemoError::Configuration { problems: problems.iter().map(ToString::to_string).collect() }
    })?;
    let url = format!("sqlite:{}", store.display());
    let store = quorate_store::open(&url).map_err(|error| failed("open the store", error))?;
    let authority = Authority::ephemeral(&["127.0.0.1".to_owned()], clock.now())
        .map_err(|error| failed("make a certificate authority", error))?;
    let parts = Parts {
        configuration,
        source: None,
        store,
        authority: Arc::new(authority),
        listeners,
        access: Access::LoopbackOpen,
        clock,
        tasks: tasks.group(),
        data: None,
    };
    quorate_coordinator::start(parts).await.map_err(|error| failed("start the coordinator", error))
}

/// A join bundle from the coordinator's own API.
async fn token(channel: Channel, region: &str) -> Result<String, DemoError> {
    let request = v1::CreateJoinTokenRequest {
        region: format!("regions/{region}"),
        agent: format!("agents/{region}-1"),
        ttl: None,
    };
    let answer = FleetServiceClient::new(channel).create_join_token(request).await;
    answer
        .map(|answer| answer.into_inner().bundle)
        .map_err(|status| failed("make a join token", status))
}

/// Joins with a bundle, as `quorate-agent join` does, and runs the agent until `tasks` stop.
async fn start_agent(
    bundle: &str,
    egress: Egress,
    policy: Policy,
    clock: Clock,
    tasks: &Tasks,
) -> Result<(), DemoError> {
    let joined = quorate_agent::join(bundle, None)
        .await
        .map_err(|error| failed("let an agent join", error))?;
    let environment =
        Environment::new(egress, policy).map_err(|error| failed("start an agent", error))?;
    let options =
        quorate_agent::Options::new(joined.identity, joined.coordinators, environment, clock);
    let own = tasks.clone();
    tasks.spawn("demo-agent", async move {
        if let Err(error) = quorate_agent::run(options, &own).await {
            tracing::error!(error = &error as &dyn std::error::Error, "an agent has ended");
        }
    });
    Ok(())
}

/// Writes a file that only this user can read.
pub(crate) fn write_secret(file: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

/// A step of the set-up that failed.
pub(crate) fn failed(
    what: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> DemoError {
    DemoError::SetUp { what, source: source.into() }
}
