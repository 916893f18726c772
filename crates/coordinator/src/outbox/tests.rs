use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;

use quorate_model::{
    Alert, AlertKind, Ballot, Cause, CheckId, Incident, IncidentId, IncidentState, Scope, Severity,
    State, Verdict,
};
use quorate_notify::{Content, Notifier, Retry};
use quorate_store::Store;
use tokio::sync::{Mutex, Semaphore};

use super::*;

/// A receiver that notes what it is sent and answers as it is told.
#[derive(Debug)]
struct Fake {
    taken: mpsc::Sender<(String, Message)>,
    name: &'static str,
    room: Arc<Semaphore>,
    answers: Mutex<Vec<Retry>>,
    /// What every message of several gets for an answer.
    to_groups: Option<Retry>,
}

impl Notifier for Fake {
    fn send<'a>(
        &'a self,
        message: &'a Message,
    ) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>> {
        Box::pin(async move {
            let _room = self.room.acquire().await.unwrap();
            let is_group = matches!(message.content, Content::Group(_));
            if let Some(retry) = self.to_groups.filter(|_| is_group) {
                return Err(SendError { message: "no groups".into(), retry });
            }
            if let Some(retry) = self.answers.lock().await.pop() {
                return Err(SendError { message: "refused".into(), retry });
            }
            let note = (self.name.to_owned(), message.clone());
            self.taken.send(note).await.unwrap();
            Ok(())
        })
    }
}

struct Bench {
    outbox: OutboxHandle,
    store: StoreHandle,
    taken: mpsc::Receiver<(String, Message)>,
    rooms: BTreeMap<&'static str, Arc<Semaphore>>,
    clock: Clock,
    tasks: quorate_runtime::Tasks,
}

/// An outbox with the receivers `a` and `b`, both operators; `a` first answers `answers`, from the
/// last to the first.
fn bench(answers: Vec<Retry>) -> Bench {
    let store = quorate_store::open("memory:").unwrap();
    start(store, [("a", answers), ("b", Vec::new())], None)
}

/// The same, but `a` answers every message of several with this.
fn bench_without_groups(answer: Retry) -> Bench {
    let store = quorate_store::open("memory:").unwrap();
    start(store, [("a", Vec::new()), ("b", Vec::new())], Some(answer))
}

/// On this store, with an `a` that never answers.
fn start_dead(store: Box<dyn Store>) -> Bench {
    let bench = start(store, [("a", Vec::new()), ("b", Vec::new())], None);
    bench.rooms["a"].forget_permits(100);
    bench
}

fn start(
    store: Box<dyn Store>,
    names: [(&'static str, Vec<Retry>); 2],
    to_groups: Option<Retry>,
) -> Bench {
    let (store, _closed) = crate::store_thread::spawn(store).unwrap();
    let (sender, taken) = mpsc::channel(100);
    let mut rooms = BTreeMap::new();
    let mut notifiers: BTreeMap<ReceiverId, Arc<dyn Notifier>> = BTreeMap::new();
    for (name, answers) in names {
        let room = Arc::new(Semaphore::new(100));
        rooms.insert(name, Arc::clone(&room));
        let fake =
            Fake { taken: sender.clone(), name, room, answers: Mutex::new(answers), to_groups };
        notifiers.insert(name.parse().unwrap(), Arc::new(fake));
    }
    let operators = notifiers.keys().cloned().collect();
    let receivers = Arc::new(ArcSwap::from_pointee(Receivers { notifiers, operators }));
    let clock = Clock::start();
    let tasks = quorate_runtime::Tasks::new();
    let (outbox, runner) = Outbox::new(store.clone(), receivers, clock);
    tasks.spawn("outbox", runner.run(tasks.token()));
    Bench { outbox, store, taken, rooms, clock, tasks }
}

impl Bench {
    async fn commit(&self, receiver: &str, text: &str) {
        let notice = self.notice(text);
        self.commit_all(notice_entries(&[receiver.parse().unwrap()], &notice)).await;
    }

    async fn commit_all(&self, entries: Vec<OutboxEntry>) {
        let write = Write::Deliveries(entries.clone());
        self.store.commit(vec![write]).await.unwrap();
        self.outbox.offer(entries);
    }

    fn notice(&self, text: &str) -> OperatorNotice {
        notice(text, self.clock.now())
    }

    async fn next(&mut self) -> (String, String) {
        let (name, message) = self.taken.recv().await.unwrap();
        match message.content {
            Content::Single(Delivery::Operator(notice)) => (name, notice.message),
            content @ (Content::Single(_) | Content::Group(_)) => panic!("{content:?}"),
        }
    }

    /// The next message to `b` that is no word about `a`.
    async fn next_of_b(&mut self) -> String {
        loop {
            let (name, text) = self.next().await;
            if name == "b" && !text.contains("receiver a") {
                return text;
            }
        }
    }

    /// Commits pages about these checks to receiver a, decided now and held for so long.
    async fn page(&self, checks: &[&str], held: Option<Duration>) {
        let now = self.clock.now();
        let entries: Vec<OutboxEntry> = checks
            .iter()
            .map(|check| {
                let alert = page(check, now, held.map(|held| now + held));
                let due = alert.due();
                entry("a".parse().unwrap(), Delivery::Alert(Box::new(alert)), due)
            })
            .collect();
        self.commit_all(entries).await;
    }

    /// The id of the next message, and the checks that it names.
    async fn next_checks(&mut self) -> (String, Vec<String>) {
        let (_, message) = self.taken.recv().await.unwrap();
        let alerts = match message.content {
            Content::Single(Delivery::Alert(alert)) => vec![*alert],
            Content::Group(alerts) => alerts,
            content @ Content::Single(Delivery::Operator(_)) => panic!("{content:?}"),
        };
        (message.id, alerts.iter().map(|alert| alert.incident.check.to_string()).collect())
    }
}

fn notice(text: &str, at: Timestamp) -> OperatorNotice {
    OperatorNotice {
        kind: NoticeKind::AgentLost,
        at,
        resolved: false,
        region: None,
        agent: Some(text.parse().unwrap()),
        check: None,
        message: text.into(),
    }
}

/// More messages to `receiver` than are kept in memory.
fn too_many(receiver: &str, at: Timestamp) -> Vec<OutboxEntry> {
    let receiver = [receiver.parse().unwrap()];
    let one = |number: usize| notice_entries(&receiver, &notice(&format!("n{number}"), at));
    (0..=SHARE_MAX).flat_map(one).collect()
}

fn page(check: &str, at: Timestamp, held_until: Option<Timestamp>) -> Alert {
    let check: CheckId = check.parse().unwrap();
    let verdict = Verdict {
        state: State::Down,
        flags: BTreeSet::new(),
        cause: Cause::TargetRefused,
        also: Vec::new(),
        summary: "refused".into(),
        since: at,
        ballot: Ballot {
            distinct: Vec::new(),
            taken: at,
            quorum: 3,
            quorum_effective: 3,
            scope: Scope { failing: 5, live: 5, configured: 5 },
            rounds: Vec::new(),
            entries: Vec::new(),
            evidence_milli_nats: 0,
            need_milli_nats: 0,
            origin: None,
        },
    };
    Alert {
        kind: AlertKind::Page,
        at,
        target: check.to_string(),
        labels: BTreeMap::new(),
        runbook: None,
        held_until,
        incident: Incident {
            id: IncidentId::derive(&check, at),
            check,
            severity: Severity::Page,
            state: IncidentState::Open,
            last_success: None,
            first_failure: at,
            opened: at,
            resolved: None,
            reopened: 0,
            withheld_by: BTreeSet::new(),
            is_past: false,
            verdict,
        },
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_held_for_each_other_goes_out_as_one_message() {
    let mut bench = bench(Vec::new());
    let start = bench.clock.now();
    bench.page(&["one"], None).await;
    bench.page(&["two", "three", "four"], Some(Duration::from_secs(10))).await;
    bench.page(&["five"], Some(Duration::from_secs(20))).await;
    assert_eq!(bench.next_checks().await.1, ["one"]);
    let (_, mut checks) = bench.next_checks().await;
    checks.sort();
    assert_eq!(checks, ["four", "three", "two"]);
    assert!(bench.clock.now() - start >= Duration::from_secs(10));
    assert_eq!(bench.next_checks().await.1, ["five"]);
    let due = bench.store.read(|store| store.next_due()).await.unwrap();
    assert_eq!(due, None, "each of them is noted as sent");
    bench.tasks.stop();
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_refused_for_good_is_sent_one_by_one() {
    let mut bench = bench(vec![Retry::Never]);
    bench.page(&["one", "two", "three"], Some(Duration::from_secs(10))).await;
    let mut checks = Vec::new();
    while checks.len() < 3 {
        let (_, named) = bench.next_checks().await;
        assert_eq!(named.len(), 1, "{named:?}");
        checks.extend(named);
    }
    checks.sort();
    assert_eq!(checks, ["one", "three", "two"]);
    bench.commit("b", "next").await;
    assert_eq!(bench.next().await, ("b".into(), "next".into()), "receiver a is fine");
    bench.tasks.stop();
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_twice_is_sent_one_by_one() {
    let mut bench = bench_without_groups(Retry::BackOff);
    let start = bench.clock.now();
    let checks: Vec<String> = (0..100).map(|number| format!("c{number}")).collect();
    let names: Vec<&str> = checks.iter().map(String::as_str).collect();
    bench.page(&names, Some(Duration::from_secs(10))).await;
    let mut found = BTreeSet::new();
    while found.len() < 100 {
        let (_, told) = bench.next_checks().await;
        assert_eq!(told.len(), 1, "{told:?}");
        found.extend(told);
    }
    let took = bench.clock.now() - start;
    assert!(took < Duration::from_secs(90), "{took:?}");
    bench.commit("b", "next").await;
    assert_eq!(bench.next().await, ("b".into(), "next".into()), "receiver a is fine");
    bench.tasks.stop();
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_not_taken_is_sent_again_whole() {
    let mut bench = bench(vec![Retry::BackOff]);
    bench.page(&["one", "two", "three"], Some(Duration::from_secs(10))).await;
    let (id, checks) = bench.next_checks().await;
    assert_eq!(checks.len(), 3);
    let due = bench.store.read(|store| store.next_due()).await.unwrap();
    assert_eq!(due, None);
    assert!(id.starts_with("msg_") && id.len() == 36);
    bench.tasks.stop();
}

#[tokio::test]
async fn a_slow_receiver_delays_nobody_else() {
    let mut bench = bench(Vec::new());
    bench.rooms["a"].forget_permits(100);
    for number in 0..20 {
        bench.commit("a", &format!("a{number}")).await;
    }
    bench.commit("b", "quick").await;
    assert_eq!(bench.next().await, ("b".into(), "quick".into()));
    bench.rooms["a"].add_permits(100);
    for _ in 0..20 {
        assert_eq!(bench.next().await.0, "a");
    }
    bench.tasks.stop();
}

#[tokio::test(start_paused = true)]
async fn a_dead_receiver_with_a_long_queue_delays_nobody_else() {
    let mut bench = bench(Vec::new());
    bench.rooms["a"].forget_permits(100);
    let start = bench.clock.now();
    bench.commit_all(too_many("a", start)).await;
    for text in ["one", "two", "three"] {
        bench.commit("b", text).await;
        assert_eq!(bench.next_of_b().await, text);
    }
    let took = bench.clock.now() - start;
    assert!(took < Duration::from_secs(60), "{took:?}");
    bench.tasks.stop();
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_what_waits_for_those_behind_a_dead_receiver() {
    let mut store = quorate_store::open("memory:").unwrap();
    let start = Clock::start().now();
    let behind = notice_entries(&["b".parse().unwrap()], &notice("behind", start));
    let waiting = [too_many("a", start), behind].concat();
    store.commit(&[Write::Deliveries(waiting)]).unwrap();
    let mut bench = start_dead(store);
    let start = bench.clock.now();
    assert_eq!(bench.next_of_b().await, "behind");
    let took = bench.clock.now() - start;
    assert!(took < Duration::from_secs(60), "{took:?}");
    bench.tasks.stop();
}

#[tokio::test(start_paused = true)]
async fn a_receiver_with_a_long_queue_gets_all_of_it() {
    let mut bench = bench(Vec::new());
    let entries = too_many("a", bench.clock.now());
    let count = entries.len();
    bench.commit_all(entries).await;
    bench.commit("a", "last").await;
    let mut found = BTreeSet::new();
    while found.len() <= count {
        let (_, text) = bench.next().await;
        assert!(found.insert(text.clone()), "{text} came twice");
    }
    assert!(found.contains("last"));
    bench.tasks.stop();
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_sent_again_with_the_same_id() {
    let mut bench = bench(vec![Retry::BackOff]);
    let start = bench.clock.now();
    bench.commit("a", "again").await;
    let (_, message) = bench.taken.recv().await.unwrap();
    assert!(bench.clock.now() - start >= Duration::from_secs(4));
    assert!(message.id.starts_with("msg_") && message.id.len() == 36);
    bench.tasks.stop();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_bears_the_time_that_receivers_see() {
    let mut bench = bench(Vec::new());
    tokio::time::advance(Duration::from_secs(3_600)).await;
    bench.commit("a", "now").await;
    let (_, message) = bench.taken.recv().await.unwrap();
    let system = Clock::start().now();
    let off = (message.attempt_at - system).max(system - message.attempt_at);
    assert!(off < Duration::from_secs(60), "{off:?}: receivers would refuse it");
    bench.tasks.stop();
}

#[tokio::test]
async fn operators_hear_once_of_a_receiver_that_fails_and_once_when_it_works() {
    let mut bench = bench(vec![Retry::Never]);
    bench.commit("a", "one").await;
    let (name, text) = bench.next().await;
    assert_eq!(name, "b");
    assert!(text.contains("receiver a does not take"), "{text}");
    bench.commit("a", "two").await;
    assert_eq!(bench.next().await.1, "two");
    let (name, text) = bench.next().await;
    assert_eq!(name, "b");
    assert!(text.contains("takes its messages again"), "{text}");
    bench.tasks.stop();
}

#[tokio::test]
async fn a_direct_notice_needs_no_store() {
    let mut bench = bench(Vec::new());
    bench.outbox.tell_operators(bench.notice("direct"));
    let mut names = [bench.next().await.0, bench.next().await.0];
    names.sort();
    assert_eq!(names, ["a", "b"]);
    let due = bench.store.read(|store| store.next_due()).await.unwrap();
    assert_eq!(due, None);
    bench.tasks.stop();
}
