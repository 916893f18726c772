//! The agent against a coordinator on loopback: what each side may rely on.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test says what it expects"
)]

#[path = "stream/coordinator.rs"]
mod coordinator;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use coordinator::{Authority, Coordinator, DEADLINE, settings};
use quorate_agent::Options;
use quorate_checks::{CheckKind, Egress, Environment, Policy, Probe, ProbeContext};
use quorate_model::{Evidence, Observation, OptionProblem, Outcome, Phase, ProbeSpec, Reason};
use quorate_proto::agent::v1 as wire;
use quorate_proto::convert::agent::{duration_to_wire, spec_to_wire, timestamp_from_wire};
use quorate_runtime::{Clock, Tasks};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use wire::connect_request::Message;
use wire::connect_response::Message as Reply;

/// Probes that do as told: `ok`, `fail`, `hang`, or `tell` what time it is for certificates.
#[derive(Debug)]
struct Fake;

#[derive(Debug)]
struct FakeProbe {
    does: String,
    name: String,
}

static KINDS: &[&dyn CheckKind] = &[&Fake];
static RUNS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Told of each probe that begins.
static RAN: Notify = Notify::const_new();

/// Waits until a check has been probed so many times.
async fn until_runs(name: &str, wanted: usize) {
    loop {
        let ran = RAN.notified();
        if runs(name) >= wanted {
            return;
        }
        ran.await;
    }
}

fn runs(name: &str) -> usize {
    RUNS.lock().expect("no panic").iter().filter(|run| *run == name).count()
}

impl CheckKind for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let text = |key: &str| options[key].as_str().map(str::to_owned);
        let problem = || vec![OptionProblem::at(&["does"], "is missing")];
        Ok(Box::new(FakeProbe {
            does: text("does").ok_or_else(problem)?,
            name: text("name").unwrap_or_default(),
        }))
    }

    fn schema(&self) -> schemars::Schema {
        schemars::Schema::default()
    }
}

impl Probe for FakeProbe {
    fn target(&self) -> String {
        self.name.clone()
    }

    fn run<'a>(
        &'a self,
        context: &'a ProbeContext,
    ) -> Pin<Box<dyn Future<Output = Observation> + Send + 'a>> {
        RUNS.lock().expect("no panic").push(self.name.clone());
        RAN.notify_waiters();
        Box::pin(async {
            let (phase, millis) = (Phase::Connect, Duration::from_millis(1));
            let (total, outcome) = match self.does.as_str() {
                "hang" => {
                    context.phase.enter(phase);
                    let answer = std::future::pending::<()>();
                    tokio::time::timeout(context.timeout, answer).await.expect_err("no answer");
                    let reason = Reason::Timeout;
                    (context.timeout, Outcome::Fail { phase, reason })
                }
                "fail" => {
                    let reason = Reason::Refused;
                    (millis, Outcome::Fail { phase, reason })
                }
                _ => (millis, Outcome::Ok),
            };
            let time = (self.does == "tell").then(|| context.environment.wall().now());
            let evidence = Evidence { cert_not_after: time, ..Evidence::default() };
            Observation { outcome, total, phases: Vec::new(), evidence }
        })
    }
}

/// A check of the kind `fake`, every 1 s.
fn spec(check: &str, revision: u64, does: &str) -> wire::CheckSpec {
    spec_to_wire(&ProbeSpec {
        check: check.parse().expect("a name"),
        revision: quorate_model::Revision(revision),
        kind: "fake".parse().expect("a name"),
        options: json!({ "does": does, "name": check }),
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(700),
        slow_after: Duration::from_millis(500),
        suspect_after: Duration::from_millis(200),
    })
}

/// The whole configuration: this check, due at once, then every so many seconds.
fn update(spec: wire::CheckSpec, every: u64) -> wire::ConfigUpdate {
    let assignment = wire::Assignment {
        check: spec.check.clone(),
        revision: spec.revision,
        next_in: Some(duration_to_wire(Duration::ZERO)),
        every: Some(duration_to_wire(Duration::from_secs(every))),
    };
    wire::ConfigUpdate {
        nonce: format!("nonce-{}", spec.revision),
        full: true,
        upserts: vec![spec],
        assignments: vec![assignment],
        ..wire::ConfigUpdate::default()
    }
}

/// An agent at work; stopped with [`Agent::stop`].
struct Agent {
    tasks: Tasks,
    running: JoinSet<()>,
}

impl Agent {
    fn start(authority: &Authority, coordinators: &[SocketAddr], state: Option<&Path>) -> Self {
        let loopback = Policy::allowing(["127.0.0.0/8".parse().expect("a network")]);
        let environment = Environment::new(Egress::Direct, loopback).expect("an environment");
        let coordinators = coordinators.iter().map(ToString::to_string).collect();
        let mut options =
            Options::new(authority.identity(), coordinators, environment, Clock::start());
        options.kinds = KINDS;
        options.state = state.map(Path::to_owned);
        options.limits.reconnect = Duration::from_millis(500);
        options.limits.grace = Duration::from_millis(2_500);
        let tasks = Tasks::new();
        let mut running = JoinSet::new();
        let handle = tasks.clone();
        running.spawn(async move {
            quorate_agent::run(options, &handle).await.expect("the agent runs");
        });
        Self { tasks, running }
    }

    async fn stop(mut self) {
        self.tasks.stop();
        let ended = tokio::time::timeout(DEADLINE, self.running.join_next());
        ended.await.expect("it ends in time").expect("it runs").expect("no panic");
    }
}

fn numbers(results: &[wire::Result]) -> Vec<u64> {
    results.iter().map(|result| result.sequence).collect()
}

#[tokio::test]
async fn says_hello_takes_a_configuration_and_delivers_results() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[coordinator.address], None);
    let (mut peer, hello) = coordinator.welcome(0).await;
    assert_eq!(hello.boot_id.len(), 16);
    assert_eq!((hello.kinds, hello.region), (vec!["fake".to_owned()], "fra".to_owned()));
    assert!(hello.known_revisions.is_empty());

    let ack = peer.configure(update(spec("first", 7, "ok"), 1)).await;
    assert_eq!((ack.nonce.as_str(), ack.rejections.len()), ("nonce-7", 0));
    let results = peer.results().await;
    assert_eq!((results[0].sequence, results[0].revision), (1, 7));
    assert_eq!(results[0].outcome, "ok");
    peer.acknowledge(1).await;
    // Then the heartbeats say that nothing waits, and how long an answer takes.
    peer.until(|message| match message {
        Message::Heartbeat(beat) => {
            (beat.spooled_result_count == 0 && beat.round_trip.is_some()).then_some(())
        }
        _ => None,
    })
    .await;

    agent.tasks.stop();
    let goodbye = |message: &Message| matches!(message, Message::Goodbye(_)).then_some(());
    let mut said = false;
    while let Some(message) = peer.try_next().await {
        if let Message::ResultBatch(batch) = &message {
            peer.acknowledge(*numbers(&batch.results).last().expect("a result")).await;
        }
        said |= goodbye(&message).is_some();
    }
    assert!(said);
    drop(peer);
    agent.stop().await;
}

#[tokio::test]
async fn leaves_who_does_not_begin_with_a_welcome() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[coordinator.address], None);
    let (mut peer, _) = coordinator.hello().await;
    peer.send(Reply::ConfigUpdate(update(spec("rude", 1, "ok"), 1))).await;
    assert!(peer.try_next().await.is_none());
    let (_peer, hello) = coordinator.welcome(0).await;
    assert!(hello.known_revisions.is_empty());
    assert_eq!(runs("rude"), 0);
    agent.stop().await;
}

#[tokio::test]
async fn resends_only_what_is_not_stored() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[coordinator.address], None);
    let (mut peer, first) = coordinator.welcome(0).await;
    peer.configure(update(spec("resent", 1, "ok"), 1)).await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(numbers(&peer.results().await));
    }
    assert_eq!(seen, [1, 2, 3]);
    peer.acknowledge(1).await;
    drop(peer);

    let (mut peer, second) = coordinator.welcome(2).await;
    assert_eq!(first.boot_id, second.boot_id);
    assert_eq!(second.known_revisions.get("resent"), Some(&1));
    let again = numbers(&peer.results().await);
    assert_eq!(again[0], 3);
    peer.acknowledge(*again.last().expect("a result")).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_refused_check_keeps_its_revision() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[coordinator.address], None);
    let (mut peer, _) = coordinator.welcome(0).await;
    peer.configure(update(spec("stays", 1, "ok"), 1)).await;
    let mut bad = spec("stays", 2, "ok");
    bad.options = Some(prost_types::Struct::default());
    let ack = peer.configure(update(bad, 1)).await;
    assert_eq!(ack.nonce, "nonce-2");
    let rejection = &ack.rejections[0];
    assert_eq!((rejection.check.as_str(), rejection.revision), ("stays", 2));
    assert_eq!(rejection.reason, "OPTIONS_INVALID");
    let before = runs("stays");
    let after = peer
        .until(|message| match message {
            Message::ResultBatch(batch) if runs("stays") > before => {
                batch.results.last().map(|result| result.revision)
            }
            _ => None,
        })
        .await;
    assert_eq!(after, 1);
    agent.stop().await;
}

#[tokio::test]
async fn a_request_that_comes_twice_probes_once() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[coordinator.address], None);
    let (mut peer, _) = coordinator.welcome(0).await;
    let mut quiet = update(spec("twice", 1, "ok"), 60);
    quiet.assignments[0].next_in = Some(duration_to_wire(Duration::from_secs(59)));
    peer.configure(quiet).await;
    for _ in 0..2 {
        peer.send(Reply::RunProbe(wire::RunProbe {
            round: 5,
            check: "twice".into(),
            revision: 1,
            start_within: Some(duration_to_wire(Duration::from_secs(2))),
        }))
        .await;
    }
    let (mut refused, mut rounds) = (None, Vec::new());
    while refused.is_none() || rounds.is_empty() {
        peer.until(|message| match message {
            Message::ProbeAck(ack) => {
                refused = Some(ack.reason.clone());
                Some(())
            }
            Message::ResultBatch(batch) => {
                rounds.extend(batch.results.iter().map(|result| result.round));
                Some(())
            }
            _ => None,
        })
        .await;
    }
    assert_eq!(refused.as_deref(), Some("DUPLICATE"));
    assert_eq!((rounds, runs("twice")), (vec![5], 1));
    agent.stop().await;
}

#[tokio::test]
async fn suspicion_comes_before_the_result() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[coordinator.address], None);
    let (mut peer, _) = coordinator.welcome(0).await;
    peer.send(Reply::ConfigUpdate(update(spec("hanging", 1, "hang"), 60))).await;
    let first = peer
        .until(|message| match message {
            Message::Suspect(suspect) => Some(suspect.phase.clone()),
            Message::ResultBatch(_) => Some("a result".to_owned()),
            _ => None,
        })
        .await;
    assert_eq!(first, "connect");
    assert_eq!(peer.results().await[0].reason, "timeout");
    agent.stop().await;
}

#[tokio::test]
async fn probes_while_disconnected_and_delivers_after() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let mut coordinator = Coordinator::start(&authority).await;
    let address = coordinator.address;
    let agent = Agent::start(&authority, &[address], Some(folder.path()));
    let (mut peer, _) = coordinator.welcome(0).await;
    peer.configure(update(spec("offline", 1, "ok"), 1)).await;
    let last = *numbers(&peer.results().await).last().expect("a result");
    drop(peer);
    drop(coordinator);
    let before = runs("offline");
    let probes_on = until_runs("offline", before + 3);
    tokio::time::timeout(DEADLINE, probes_on).await.expect("it probes on");

    let mut coordinator = Coordinator::start_at(&authority, address).await;
    let (mut peer, hello) = coordinator.welcome(last).await;
    assert!(hello.spooled_result_count >= 3);
    let results = numbers(&peer.results().await);
    assert_eq!(results[..3], [last + 1, last + 2, last + 3]);
    drop(peer);
    agent.stop().await;

    // A new run of the process knows its checks from the folder.
    let agent = Agent::start(&authority, &[address], Some(folder.path()));
    let (_peer, hello) = coordinator.welcome(0).await;
    assert_eq!(hello.known_revisions.get("offline"), Some(&1));
    agent.stop().await;
}

#[tokio::test]
async fn goes_to_the_next_coordinator_and_obeys_a_drain() {
    let authority = Authority::new();
    let mut stranger = Coordinator::start(&Authority::new()).await;
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[stranger.address, coordinator.address], None);
    let (mut peer, _) = coordinator.welcome(0).await;
    let drain = wire::Drain { retry_after: Some(duration_to_wire(Duration::from_millis(300))) };
    peer.send(Reply::Drain(drain)).await;
    while peer.try_next().await.is_some() {}
    let (_peer, _) = coordinator.welcome(0).await;
    let unseen = tokio::time::timeout(Duration::from_millis(1), stranger.hello()).await;
    assert!(unseen.is_err(), "another authority's coordinator is not spoken to");
    agent.stop().await;
}

#[tokio::test]
async fn clocks_are_compared_and_dates_judged_by_the_coordinators() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[coordinator.address], None);
    let (mut peer, hello) = coordinator.welcome(0).await;
    let machine = timestamp_from_wire("send_time", hello.send_time.expect("a time"));
    let century = Duration::from_secs(100 * 365 * 86_400);
    let later = machine.expect("an instant") + century;
    peer.time = Some(later);
    peer.configure(update(spec("dated", 1, "tell"), 1)).await;
    let told = peer
        .until(|message| match message {
            Message::ResultBatch(batch) => {
                let evidence = batch.results.last()?.evidence.as_ref()?;
                let time = timestamp_from_wire("time", evidence.cert_not_after?).ok()?;
                (time >= later).then_some(time)
            }
            _ => None,
        })
        .await;
    assert!(told < later + DEADLINE, "{told}");
    // What it says of its own clock stays the machine's.
    let said = peer
        .until(|message| match message {
            Message::Heartbeat(beat) => beat.send_time,
            _ => None,
        })
        .await;
    let said = timestamp_from_wire("send_time", said).expect("an instant");
    assert!(said < later, "{said}");
    agent.stop().await;
}

#[tokio::test]
async fn an_agent_without_its_anchors_says_so() {
    let authority = Authority::new();
    let mut anchors = Vec::new();
    for _ in 0..3 {
        anchors.push(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    }
    let names: Vec<_> =
        anchors.iter().map(|anchor| anchor.local_addr().expect("an address").to_string()).collect();
    let mut coordinator = Coordinator::start(&authority).await;
    let agent = Agent::start(&authority, &[coordinator.address], None);
    let (mut peer, _) = coordinator.welcome(0).await;
    let mut configured = update(spec("cut", 1, "fail"), 1);
    configured.settings = Some(settings(&names));
    peer.configure(configured).await;
    let fine = i32::from(wire::Health::Fine);
    assert_eq!(peer.results().await[0].health, fine);
    drop(anchors);
    let island = i32::from(wire::Health::Island);
    let (mut beat, mut failure) = (false, false);
    peer.until(|message| {
        match message {
            Message::Heartbeat(heartbeat) if heartbeat.health == island => {
                assert_eq!(heartbeat.failing_anchors, Some(0b111));
                beat = true;
            }
            Message::ResultBatch(batch) => {
                failure |= batch.results.iter().any(|result| result.health == island);
            }
            _ => {}
        }
        (beat && failure).then_some(())
    })
    .await;
    agent.stop().await;
}
