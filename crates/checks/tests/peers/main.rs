//! Probes against servers that others wrote. One that is missing is skipped, and said.
#![expect(clippy::expect_used, reason = "a test says what it expects")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod httpbin;
mod nginx;
mod nsd;
mod python;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quorate_checks::{Egress, Environment, Network, Policy, ProbeContext, kind};
use quorate_model::{Observation, Outcome, Phase, Reason};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// How long a server may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(30);
/// More than any probe on loopback takes.
const AMPLE: Duration = Duration::from_secs(10);

/// Runs one probe that may go to loopback.
async fn probe(name: &str, options: Value) -> Observation {
    let networks = ["127.0.0.0/8".parse::<Network>().expect("a network")];
    let environment =
        Environment::new(Egress::Direct, Policy::allowing(networks)).expect("an environment");
    let context = ProbeContext::new(environment, AMPLE, AMPLE);
    kind(name).expect("the kind").parse(&options).expect("valid options").run(&context).await
}

#[track_caller]
fn assert_ok(seen: &Observation) {
    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
}

#[track_caller]
fn assert_fails(seen: &Observation, phase: Phase, reason: Reason, message: &str) {
    assert_eq!(seen.outcome, Outcome::Fail { phase, reason }, "{seen:?}");
    let said = &seen.evidence.message;
    assert!(said.contains(message), "{said:?} lacks {message:?}");
}

/// A server of somebody else's, which is killed with the test.
struct Peer(Child);

impl Peer {
    fn start(command: &mut Command) -> std::io::Result<Self> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.spawn().map(Self)
    }

    /// Waits until it takes connections. Panics if it has ended, or takes too long.
    async fn takes_connections(&mut self, address: SocketAddr) {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        let ready = async {
            while TcpStream::connect(address).await.is_err() {
                pause.tick().await;
                let ended = self.0.try_wait().expect("a child");
                assert!(ended.is_none(), "the server ended: {ended:?}");
            }
        };
        tokio::time::timeout(START_TIME_MAX, ready).await.expect("the server starts");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().expect("a child of ours");
        self.0.wait().expect("a child that was killed");
    }
}

/// A port that nobody has.
async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}
