//! The prober by itself, in paused time: commands in, results and answers out.

use std::sync::Mutex;

use quorate_model::{FleetPolicy, Health};
use quorate_runtime::{Clock, Tasks};
use tokio::sync::Semaphore;

use super::*;
use crate::lag::Lag;
use crate::options::Limits;
use crate::outbox::Outbox;
use crate::rates::Rates;
use crate::selftest::{Reach, SelfTest};
use crate::spool::MemorySpool;
use crate::testing::{gate_with, runs, spec};

/// A prober at work, and a hand on everything around it.
struct Bench {
    clock: Clock,
    outbox: Arc<Outbox>,
    commands: mpsc::Sender<Command>,
    revisions: Revisions,
    tasks: Tasks,
}

impl Bench {
    fn new(cache: Option<ConfigCache>) -> Self {
        Self::with_anchors(cache, Vec::new(), false)
    }

    fn with_anchors(cache: Option<ConfigCache>, anchors: Vec<String>, reachable: bool) -> Self {
        let tasks = Tasks::new();
        let outbox = Arc::new(Outbox::new(Box::new(MemorySpool::new(1_000, 1 << 20))));
        let policy = FleetPolicy::default();
        let (settings, seen) = watch::channel(AgentSettings {
            heartbeat: policy.heartbeat,
            anchor_interval: policy.anchor_interval,
            anchor_timeout: policy.anchor_timeout,
            anchors,
        });
        let reach: Reach = Arc::new(move |_, _| {
            Box::pin(async move {
                if !reachable {
                    std::future::pending::<()>().await;
                }
                true
            })
        });
        let selftest = Arc::new(SelfTest::new(reach, seen));
        let gate = gate_with(Limits::default());
        let clock = Clock::start();
        let shared = Arc::new(Shared {
            clock,
            environment: gate.environment.clone(),
            outbox: Arc::clone(&outbox),
            selftest: Arc::clone(&selftest),
            lag: Arc::new(Lag::default()),
            rates: Mutex::new(Rates::new(200, 5, 100)),
            lookups: Mutex::default(),
            failing: Mutex::default(),
            patience: Mutex::default(),
            places: Arc::new(Semaphore::new(48)),
            reserved: Arc::new(Semaphore::new(16)),
            stop: tasks.token(),
        });
        let revisions = Revisions::default();
        let prober = Prober::new(shared, gate, cache, settings, Arc::clone(&revisions));
        let (commands, queue) = mpsc::channel(16);
        tasks.spawn("prober", prober.run(queue));
        let stop = tasks.token();
        tasks.spawn("selftest", async move {
            tokio::select! {
                () = selftest.run() => {}
                () = stop.cancelled() => {}
            }
        });
        Self { clock, outbox, commands, revisions, tasks }
    }

    /// Configures one check whose next slot is `next_in` from now; the answer.
    async fn configure(&self, spec: wire::CheckSpec, next_in: Duration) -> wire::ConfigAck {
        let assignment = wire::Assignment {
            check: spec.check.clone(),
            revision: spec.revision,
            next_in: Some(convert::duration_to_wire(next_in)),
            every: spec.interval,
        };
        let update = wire::ConfigUpdate {
            nonce: "n".into(),
            upserts: vec![spec],
            assignments: vec![assignment],
            ..wire::ConfigUpdate::default()
        };
        let command =
            Command::Configure { session: 1, update: Box::new(update), sent: self.clock.now() };
        self.commands.send(command).await.unwrap();
        let message = self.message().await;
        let Message::ConfigAck(ack) = message else {
            panic!("{message:?}");
        };
        ack
    }

    async fn ask(&self, round: u64, check: &str, revision: u64, within: Duration) {
        let run = wire::RunProbe {
            round,
            check: check.into(),
            revision,
            start_within: Some(convert::duration_to_wire(within)),
        };
        let command = Command::Run { session: 1, run, received: self.clock.now() };
        self.commands.send(command).await.unwrap();
    }

    async fn message(&self) -> Message {
        loop {
            if let Some(message) = self.outbox.next_message(1, self.clock.uptime()) {
                return message;
            }
            self.change().await;
        }
    }

    /// Something new in the outbox, within an hour of paused time.
    async fn change(&self) {
        let hour = Duration::from_secs(3_600);
        let changed = tokio::time::timeout(hour, self.outbox.changed());
        changed.await.expect("something comes");
    }

    async fn refusal(&self) -> String {
        let message = self.message().await;
        let Message::ProbeAck(ack) = message else {
            panic!("{message:?}");
        };
        ack.reason
    }

    fn results(&self) -> Vec<wire::Result> {
        self.outbox.batch_after(0, 1_000, 1 << 20)
    }

    /// The results, once there are so many.
    async fn wait_for(&self, count: usize) -> Vec<wire::Result> {
        while self.results().len() < count {
            self.change().await;
        }
        self.results()
    }

    async fn pass(&self, seconds: u64) {
        let until = self.clock.now() + Duration::from_secs(seconds);
        self.clock.sleep_until(until).await;
    }
}

const NOW: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn probes_at_the_slots_assigned() {
    let bench = Bench::new(None);
    let began = bench.clock.uptime();
    bench.configure(spec("slots", 1, "ok"), Duration::from_secs(7)).await;
    bench.pass(190).await;
    let results = bench.results();
    let starts: Vec<_> = results
        .iter()
        .map(|result| {
            let at = convert::duration_from_wire("", result.started_at).unwrap();
            at.saturating_sub(began).as_secs()
        })
        .collect();
    assert_eq!(starts, [7, 67, 127, 187]);
    let numbers: Vec<_> = results.iter().map(|result| result.sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_target_is_suspected_before_its_result() {
    let bench = Bench::new(None);
    bench.configure(spec("hanging", 3, "hang"), NOW).await;
    let Message::Suspect(suspect) = bench.message().await else {
        panic!("a suspicion comes first");
    };
    assert!(bench.results().is_empty());
    assert_eq!((suspect.check.as_str(), suspect.revision), ("hanging", 3));
    assert_eq!(suspect.phase, "connect");
    let age = convert::duration_from_wire("", suspect.age).unwrap();
    assert!((2_000..2_100).contains(&age.as_millis()), "{age:?}");
    let result = bench.wait_for(1).await.remove(0);
    assert_eq!((result.outcome.as_str(), result.reason.as_str()), ("fail", "timeout"));
}

#[tokio::test(start_paused = true)]
async fn the_other_family_is_tried_once_a_probe_has_failed() {
    let bench = Bench::new(None);
    bench.configure(spec("split", 1, "split"), NOW).await;
    let results = bench.wait_for(2).await;
    assert_eq!(results[0].outcome, "fail");
    let other = |result: &wire::Result| result.evidence.as_ref()?.other_family.clone();
    assert_eq!(other(&results[0]), None, "until then nobody looks for more");
    let seen = other(&results[1]).expect("the second probe looks");
    assert_eq!((seen.address.as_str(), seen.outcome.as_str()), ("::1", "ok"));
    assert_eq!(results[1].outcome, "fail", "the vote stays its own");
}

#[tokio::test(start_paused = true)]
async fn a_round_tries_the_other_family_at_once() {
    let bench = Bench::new(None);
    bench.configure(spec("split-asked", 1, "split"), Duration::from_secs(59)).await;
    bench.ask(7, "split-asked", 1, Duration::from_secs(1)).await;
    let result = bench.wait_for(1).await.remove(0);
    assert!(result.evidence.is_some_and(|evidence| evidence.other_family.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_round_runs_once() {
    let bench = Bench::new(None);
    bench.configure(spec("round", 1, "ok"), Duration::from_secs(59)).await;
    bench.ask(7, "round", 1, Duration::from_secs(1)).await;
    bench.ask(7, "round", 1, Duration::from_secs(1)).await;
    assert_eq!(bench.refusal().await, "DUPLICATE");
    let results = bench.wait_for(1).await;
    assert_eq!(results[0].round, 7);
    assert_eq!(runs("round"), 1);
    bench.ask(8, "round", 1, Duration::from_secs(1)).await;
    bench.wait_for(2).await;
    assert_eq!(runs("round"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_met_is_refused_with_its_reason() {
    let bench = Bench::new(None);
    bench.configure(spec("asked", 1, "ok"), Duration::from_secs(59)).await;
    bench.ask(1, "stranger", 1, Duration::from_secs(1)).await;
    assert_eq!(bench.refusal().await, "UNKNOWN_CHECK");
    bench.ask(1, "asked", 2, Duration::from_secs(1)).await;
    assert_eq!(bench.refusal().await, "REVISION_MISMATCH");
    let late = Command::Run {
        session: 1,
        run: wire::RunProbe {
            round: 1,
            check: "asked".into(),
            revision: 1,
            start_within: Some(convert::duration_to_wire(Duration::from_secs(1))),
        },
        received: bench.clock.now().before(Duration::from_secs(2)),
    };
    bench.commands.send(late).await.unwrap();
    assert_eq!(bench.refusal().await, "DEADLINE_EXCEEDED");
    assert_eq!(runs("asked"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_requests_is_refused_beyond_the_cap() {
    let bench = Bench::new(None);
    bench.configure(spec("storm", 1, "hang"), Duration::from_secs(59)).await;
    for round in 1..=110 {
        bench.ask(round, "storm", 1, Duration::from_secs(1)).await;
    }
    assert_eq!(bench.refusal().await, "OVERLOADED");
    bench.pass(1).await;
    assert_eq!(runs("storm"), 64, "as many as there are places");
}

#[tokio::test(start_paused = true)]
async fn a_new_phase_alone_moves_the_slots() {
    let bench = Bench::new(None);
    bench.configure(spec("moved", 1, "ok"), Duration::from_secs(50)).await;
    let update = wire::ConfigUpdate {
        assignments: vec![wire::Assignment {
            check: "moved".into(),
            revision: 1,
            next_in: Some(convert::duration_to_wire(Duration::from_secs(5))),
            every: Some(convert::duration_to_wire(Duration::from_secs(20))),
        }],
        ..wire::ConfigUpdate::default()
    };
    let command =
        Command::Configure { session: 1, update: Box::new(update), sent: bench.clock.now() };
    bench.commands.send(command).await.unwrap();
    bench.pass(46).await;
    assert_eq!(runs("moved"), 3);
    assert_eq!(bench.revisions.read().unwrap().get("moved"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_panicking_probe_is_the_agents_fault() {
    let bench = Bench::new(None);
    bench.configure(spec("panicking", 1, "panic"), NOW).await;
    let result = bench.wait_for(1).await.remove(0);
    assert_eq!((result.outcome.as_str(), result.reason.as_str()), ("inconclusive", "internal"));
    bench.pass(61).await;
    assert_eq!(bench.results().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_asks_for_peace_gets_ten_intervals() {
    let bench = Bench::new(None);
    bench.configure(spec("blocked", 1, "blocked"), NOW).await;
    bench.pass(595).await;
    assert_eq!(runs("blocked"), 1);
    bench.pass(70).await;
    assert_eq!(runs("blocked"), 2);
}

#[tokio::test(start_paused = true)]
async fn failures_carry_the_word_of_an_island() {
    let anchors = || (1..=5).map(|n| format!("192.0.2.{n}:53")).collect::<Vec<_>>();
    for (reachable, word) in [(false, Health::Island), (true, Health::Fine)] {
        let bench = Bench::with_anchors(None, anchors(), reachable);
        bench.configure(spec("cut-off", 1, "fail"), NOW).await;
        let result = bench.wait_for(1).await.remove(0);
        assert_eq!(result.health, convert::health_to_wire(word));
        let ended = convert::duration_from_wire("", result.ended_at).unwrap();
        assert!(bench.clock.uptime().saturating_sub(ended) <= Duration::from_millis(2_100));
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_keep_up_says_nothing_of_its_targets() {
    for (stall, word) in [(0, ("fail", "timeout")), (12, ("inconclusive", "agent_overloaded"))] {
        let bench = Bench::new(None);
        bench.configure(spec("starved", 1, "hang"), NOW).await;
        bench.pass(1).await;
        // Nothing runs for so long; then everything is due at once.
        tokio::time::advance(Duration::from_secs(stall)).await;
        let result = bench.wait_for(1).await.remove(0);
        assert_eq!((result.outcome.as_str(), result.reason.as_str()), word);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_trouble_with_a_name_asks_both_resolvers_at_once() {
    let bench = Bench::new(None);
    bench.configure(spec("nameless", 1, "nameless"), NOW).await;
    bench.wait_for(1).await;
    bench.ask(1, "nameless", 1, Duration::from_secs(5)).await;
    bench.pass(70).await;
    let waits: Vec<_> = bench
        .results()
        .iter()
        .map(|result| (result.round, result.evidence.as_ref().unwrap().body_bytes))
        .collect();
    assert_eq!(waits, [(0, Some(1_000)), (1, Some(0)), (0, Some(1_000))]);
}

#[tokio::test(start_paused = true)]
async fn stopping_leaves_a_result_for_what_was_under_way() {
    let bench = Bench::new(None);
    bench.configure(spec("cancelled", 1, "hang"), NOW).await;
    bench.pass(1).await;
    assert!(bench.tasks.shut_down(Duration::from_secs(1)).await);
    let result = bench.results().remove(0);
    assert_eq!((result.outcome.as_str(), result.reason.as_str()), ("inconclusive", "cancelled"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_at_the_kept_phase() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(Some(ConfigCache::new(folder.path())));
    bench.configure(spec("kept", 4, "ok"), Duration::from_secs(30)).await;
    bench.tasks.shut_down(Duration::from_secs(1)).await;
    assert_eq!(runs("kept"), 0);

    let bench = Bench::new(Some(ConfigCache::new(folder.path())));
    assert_eq!(bench.revisions.read().unwrap().get("kept"), Some(&4));
    bench.pass(28).await;
    assert_eq!(runs("kept"), 0);
    bench.pass(4).await;
    assert_eq!(runs("kept"), 1);
}
