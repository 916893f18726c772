//! A whole Quorate in one process: a coordinator that can be restarted, five agents that joined with
//! a token each, real HTTP targets, and a network for each region that can be cut.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quorate_checks::{Egress, Environment, Policy};
use quorate_coordinator::pki::Authority;
use quorate_coordinator::{Access, CheckView, Listeners, Parts, Running};
use quorate_demo::props::{Arrival, RegionNetwork, Secret, Target, start_anchor, start_receiver};
use quorate_model::CheckId;
use quorate_proto::v1;
use quorate_proto::v1::fleet_service_client::FleetServiceClient;
use quorate_runtime::{Clock, Tasks};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::Endpoint;

/// Anything that goes wrong.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The regions: each has one agent.
pub const REGIONS: [&str; 5] = ["fra", "iad", "gru", "bom", "syd"];
/// The check of the target that tests break.
pub const SHOP: &str = "shop";
/// How long anything may take before a test gives up: far above what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a part may take to stop.
const GRACE: Duration = Duration::from_secs(5);

/// The running whole.
#[derive(Debug)]
pub struct Cluster {
    /// Its clock.
    pub clock: Clock,
    /// The networks of [`REGIONS`], in order.
    pub networks: Vec<RegionNetwork>,
    /// The target of the check [`SHOP`].
    pub shop: Target,
    /// A target that nobody breaks, of the check `other`.
    pub other: Target,
    arrivals: mpsc::Receiver<Arrival>,
    seen: Vec<Arrival>,
    coordinator: Option<Running>,
    site: Site,
    tasks: Tasks,
}

/// What outlives the coordinator.
#[derive(Debug)]
struct Site {
    folder: tempfile::TempDir,
    authority: Arc<Authority>,
    text: String,
    agents: SocketAddr,
    join: SocketAddr,
    api: SocketAddr,
}

impl Cluster {
    /// Starts everything, and waits until every check is up.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves tasks behind that end with the test's runtime.
    pub async fn start() -> Result<Self, Failure> {
        let (clock, tasks) = (Clock::start(), Tasks::new());
        let folder = tempfile::tempdir()?;
        let secret = Secret::draw();
        let secret_file = folder.path().join("secret");
        std::fs::write(&secret_file, secret.text())?;
        let (send, arrivals) = mpsc::channel(256);
        let receiver = start_receiver(&tasks, secret, clock, send).await?;
        let (shop, other) = (Target::start(&tasks).await?, Target::start(&tasks).await?);
        let mut networks = Vec::new();
        let mut anchors = Vec::new();
        for _ in REGIONS {
            networks.push(RegionNetwork::start(&tasks).await?);
            anchors.push(start_anchor(&tasks).await?);
        }
        let listeners = listen([0; 3]).await?;
        let text = configuration(&Places {
            folder: folder.path().to_path_buf(),
            secret: secret_file,
            receiver,
            listeners: addresses(&listeners)?,
            targets: [shop.address(), other.address()],
            anchors,
        });
        let authority = Arc::new(Authority::ephemeral(&["127.0.0.1".to_owned()], clock.now())?);
        let [agents, join, api] = addresses(&listeners)?;
        let site = Site { folder, authority, text, agents, join, api };
        let coordinator = site.start(listeners, clock, &tasks).await?;
        let mut cluster = Self {
            clock,
            networks,
            shop,
            other,
            arrivals,
            seen: Vec::new(),
            coordinator: Some(coordinator),
            site,
            tasks,
        };
        cluster.start_agents().await?;
        for check in [SHOP, "other"] {
            cluster.until(check, |view| view.verdict.state.as_str() == "up").await?;
        }
        Ok(cluster)
    }

    async fn start_agents(&mut self) -> Result<(), Failure> {
        let channel = Endpoint::from_shared(format!("http://{}", self.site.api))?.connect().await?;
        let mut api = FleetServiceClient::new(channel);
        for (region, network) in REGIONS.iter().zip(&self.networks) {
            let request = v1::CreateJoinTokenRequest {
                region: format!("regions/{region}"),
                agent: format!("agents/{region}-1"),
                ttl: None,
            };
            let bundle = api.create_join_token(request).await?.into_inner().bundle;
            let joined = quorate_agent::join(&bundle, None).await?;
            let policy = Policy::allowing(["127.0.0.0/8".parse()?]);
            let environment = Environment::new(Egress::Socks5(network.address()), policy)?;
            let options = quorate_agent::Options::new(
                joined.identity,
                joined.coordinators,
                environment,
                self.clock,
            );
            let tasks = self.tasks.clone();
            self.tasks.spawn("agent", async move {
                if let Err(error) = quorate_agent::run(options, &tasks).await {
                    tracing::error!(error = &error as &dyn std::error::Error, "an agent ended");
                }
            });
        }
        Ok(())
    }

    /// The text of its configuration.
    pub fn configuration(&self) -> &str {
        &self.site.text
    }

    /// The address of the coordinator's API.
    pub fn api(&self) -> SocketAddr {
        self.site.api
    }

    /// Waits until a check is as wanted, and returns it.
    ///
    /// # Cancellation
    ///
    /// Dropping it loses nothing.
    pub async fn until(
        &self,
        check: &str,
        wanted: impl Fn(&CheckView) -> bool,
    ) -> Result<CheckView, Failure> {
        let id: CheckId = check.parse()?;
        let running = self.coordinator.as_ref().ok_or("the coordinator is stopped")?;
        let (now, mut changes) = running.mirror().watch();
        let mut last = now.into_iter().find(|view| view.check.id == id);
        let waiting = async {
            while !last.as_ref().is_some_and(&wanted) {
                let change = changes.recv().await?;
                if change.check.id == id {
                    last = Some(change);
                }
            }
            Ok::<_, Failure>(())
        };
        let ended = tokio::time::timeout(PATIENCE, waiting).await;
        match (ended, last) {
            (Ok(Ok(())), Some(view)) => Ok(view),
            (ended, last) => {
                Err(format!("{check} never came to be as wanted ({ended:?}): {last:?}").into())
            }
        }
    }

    /// Waits for a message as wanted, among those that have arrived already too.
    ///
    /// # Cancellation
    ///
    /// Dropping it loses nothing.
    pub async fn message(&mut self, wanted: impl Fn(&Arrival) -> bool) -> Result<Arrival, Failure> {
        if let Some(found) = self.seen.iter().find(|arrival| wanted(arrival)) {
            return Ok(found.clone());
        }
        let waiting = async {
            loop {
                let arrival = self.arrivals.recv().await.ok_or("the receiver is gone")?;
                self.seen.push(arrival.clone());
                if wanted(&arrival) {
                    return Ok(arrival);
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, waiting).await;
        ended.map_err(|_| format!("no such message came; there were {:?}", self.seen))?
    }

    /// All messages that have arrived so far.
    pub fn messages(&mut self) -> &[Arrival] {
        while let Ok(arrival) = self.arrivals.try_recv() {
            self.seen.push(arrival);
        }
        &self.seen
    }

    /// Stops the coordinator, as a deployment would, and starts it again at the same addresses with
    /// what it had stored.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves the coordinator stopped.
    pub async fn restart_coordinator(&mut self) -> Result<(), Failure> {
        let running = self.coordinator.take().ok_or("the coordinator is stopped")?;
        running.stop(GRACE).await;
        let ports = [self.site.agents, self.site.join, self.site.api].map(|address| address.port());
        let listeners = listen(ports).await?;
        self.coordinator = Some(self.site.start(listeners, self.clock, &self.tasks).await?);
        Ok(())
    }

    /// Stops everything.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves tasks behind that end soon.
    pub async fn stop(mut self) {
        if let Some(coordinator) = self.coordinator.take() {
            coordinator.stop(GRACE).await;
        }
        self.tasks.shut_down(GRACE).await;
    }
}

impl Site {
    async fn start(
        &self,
        listeners: Listeners,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Running, Failure> {
        let configuration = quorate_config::parse("cluster.yaml", &self.text)
            .map_err(|problems| format!("{problems:#?}"))?;
        let url = format!("sqlite:{}", self.folder.path().join("quorate.db").display());
        let parts = Parts {
            configuration,
            source: None,
            store: quorate_store::open(&url)?,
            authority: Arc::clone(&self.authority),
            listeners,
            access: Access::LoopbackOpen,
            clock,
            tasks: tasks.group(),
            data: None,
        };
        Ok(quorate_coordinator::start(parts).await?)
    }
}

async fn listen(ports: [u16; 3]) -> Result<Listeners, Failure> {
    let [agents, join, api] = ports.map(|port| TcpListener::bind(("127.0.0.1", port)));
    Ok(Listeners { agents: agents.await?, join: join.await?, api: api.await? })
}

fn addresses(listeners: &Listeners) -> Result<[SocketAddr; 3], Failure> {
    Ok([listeners.agents.local_addr()?, listeners.join.local_addr()?, listeners.api.local_addr()?])
}

/// Where everything is.
struct Places {
    folder: PathBuf,
    secret: PathBuf,
    receiver: SocketAddr,
    listeners: [SocketAddr; 3],
    targets: [SocketAddr; 2],
    anchors: Vec<SocketAddr>,
}

/// The configuration, with timers quick enough for a test.
fn configuration(places: &Places) -> String {
    let [agents, join, api] = places.listeners;
    let [shop, other] = places.targets;
    let anchors: Vec<String> =
        places.anchors.iter().map(|anchor| format!("\"{anchor}\"")).collect();
    let mut text = format!(
        r#"version: 1
server:
  data: "{folder}"
  agents: {{ listen: "{agents}", advertise: "{agents}" }}
  join: {{ listen: "{join}", advertise: "{join}" }}
  api: {{ listen: "{api}" }}
defaults: {{ interval: 2s, timeout: 1s, quorum: majority }}
policy:
  heartbeat: 250ms
  absent_after: 1500ms
  anchor_interval: 1s
  anchor_timeout: 250ms
  isolated_after: 1s
  recovery: 2s
  recovery_max: 4s
  recovery_interval: 1s
  reopen_within: 1s
  round_gap: 1s
  suspect_min: 500ms
anchors: [{anchors}]
receivers:
  hook: {{ webhook: {{ url: "http://{receiver}/", secret: {{ file: "{secret}" }} }} }}
operators: [hook]
checks:
  shop:
    http: {{ url: "http://{shop}/health", expect: {{ status: [200], json: {{ "$.status": ok }} }} }}
    alert: {{ to: [hook] }}
    partial: {{ after: 3s, to: [hook] }}
  other:
    http: {{ url: "http://{other}/" }}
    alert: {{ to: [hook] }}
regions:
"#,
        folder = places.folder.display(),
        anchors = anchors.join(", "),
        receiver = places.receiver,
        secret = places.secret.display(),
    );
    for region in REGIONS {
        let written = writeln!(text, "  {region}: {{ provider: {region}-cloud }}");
        debug_assert!(written.is_ok(), "writing into a string cannot fail");
    }
    text
}
