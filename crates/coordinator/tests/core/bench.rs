//! Starts coordinators.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quorate_config::Configuration;
use quorate_coordinator::pki::Authority;
use quorate_coordinator::{Access, Listeners, Parts, Running, start};
use quorate_model::{CheckId, State};
use quorate_runtime::{Clock, Tasks};
use quorate_store::{JoinToken, Store, Write};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::fake_agent::FakeAgent;
use crate::faulty_store::{Fault, faulty};
use crate::receiver::{self, Arrival};

const REGIONS: [&str; 3] = ["fra", "iad", "syd"];

/// What outlives a coordinator: its files, its authority, its receiver.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) authority: Arc<Authority>,
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
    pub(crate) clock: Clock,
    pub(crate) receiver: SocketAddr,
    pub(crate) tasks: Tasks,
    /// The `policy` of the configuration.
    pub(crate) policy: &'static str,
}

/// A coordinator that runs, and its store's fault.
pub(crate) struct Coordinator {
    pub(crate) running: Running,
    pub(crate) fault: Fault,
}

/// The configuration of two checks in three regions.
fn configuration(
    receiver: SocketAddr,
    folder: &Path,
    interval: &str,
    policy: &str,
) -> Configuration {
    let secret = folder.join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let secret = secret.display();
    let text = format!(
        r#"
version: 1
server:
  agents: {{ listen: "127.0.0.1:0", advertise: "127.0.0.1:1" }}
  join: {{ listen: "127.0.0.1:0", advertise: "127.0.0.1:1" }}
  api: {{ listen: "127.0.0.1:0" }}
defaults: {{ interval: {interval}, timeout: 10s, quorum: majority }}
anchors: []
policy: {policy}
regions: {{ fra: {{}}, iad: {{}}, syd: {{}} }}
checks:
  shop: {{ http: {{ url: "http://127.0.0.1:1/" }}, alert: {{ to: [team] }} }}
  door: {{ tcp: {{ address: "127.0.0.1:1" }}, alert: {{ to: [team] }} }}
receivers:
  team: {{ webhook: {{ url: "http://{receiver}/team", secret: {{ file: "{secret}" }} }} }}
operators: [team]
"#
    );
    quorate_config::parse("test.yaml", &text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let clock = Clock::start();
        let tasks = Tasks::new();
        let (receiver, arrivals) = receiver::listen(&tasks).await;
        Self {
            folder: tempfile::tempdir().unwrap(),
            authority: Arc::new(Authority::ephemeral(&[], clock.now()).unwrap()),
            arrivals,
            clock,
            receiver,
            tasks,
            policy: "{}",
        }
    }

    fn store(&self) -> Box<dyn Store> {
        let path: PathBuf = self.folder.path().join("quorate.db");
        quorate_store::open(&format!("sqlite:{}", path.display())).unwrap()
    }

    pub(crate) fn configuration(&self, interval: &str) -> Configuration {
        configuration(self.receiver, self.folder.path(), interval, self.policy)
    }

    /// Starts a coordinator on what there is; three agents have joined.
    pub(crate) async fn start(&self) -> Coordinator {
        let mut store = self.store();
        for region in REGIONS {
            let mut hash = [0; 32];
            hash[..3].copy_from_slice(region.as_bytes());
            let now = self.clock.now();
            let token = JoinToken {
                hash,
                agent: format!("{region}-1").parse().unwrap(),
                region: region.parse().unwrap(),
                expires: now + Duration::from_secs(60),
            };
            store.commit(&[Write::JoinToken(token)]).unwrap();
            store.redeem(&hash, now).unwrap();
        }
        let (store, fault) = faulty(store);
        let bind = || TcpListener::bind("127.0.0.1:0");
        let parts = Parts {
            configuration: self.configuration("60s"),
            source: None,
            store,
            authority: Arc::clone(&self.authority),
            listeners: Listeners {
                agents: bind().await.unwrap(),
                join: bind().await.unwrap(),
                api: bind().await.unwrap(),
            },
            access: Access::LoopbackOpen,
            clock: self.clock,
            tasks: self.tasks.group(),
            data: None,
        };
        let running = start(parts).await.unwrap();
        Coordinator { running, fault }
    }

    /// An agent of a region that has joined.
    pub(crate) fn agent(&self, region: &str) -> FakeAgent {
        FakeAgent::new(self, &format!("{region}-1"), region)
    }

    pub(crate) async fn arrival(&mut self) -> Arrival {
        let arrival = tokio::time::timeout(Duration::from_secs(10), self.arrivals.recv()).await;
        arrival.expect("a message in time").expect("a receiver")
    }
}

impl Coordinator {
    pub(crate) async fn stop(self) {
        assert!(self.running.stop(Duration::from_secs(10)).await);
    }

    /// Returns when the verdict of a check is this.
    pub(crate) async fn until(&self, check: &str, state: State) {
        let id: CheckId = check.parse().unwrap();
        let (checks, mut changes) = self.running.mirror().watch();
        let mut now = checks.into_iter().find(|view| view.check.id == id);
        let wait = async {
            loop {
                if now.is_some_and(|view| view.check.id == id && view.verdict.state == state) {
                    return;
                }
                now = Some(changes.recv().await.unwrap());
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
        waited.unwrap_or_else(|_| panic!("{check} does not become {state}"));
    }
}
