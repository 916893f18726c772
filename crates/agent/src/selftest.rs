//! Whether the agent can reach the world at all.
//!
//! It opens connections to its anchors by the same way out as its probes. When more than half of
//! them fail twice, the agent is an island, and says so with each of its failures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{AgentSettings, AnchorSet};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::anchors::{self, GAP};

/// Opens a connection to `host:port` within a time; says whether it opened.
pub(crate) type Reach =
    Arc<dyn Fn(String, Duration) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// The self-test of an agent. Runs at an interval and on request, never twice at once.
pub(crate) struct SelfTest {
    reach: Reach,
    settings: watch::Receiver<AgentSettings>,
    wanted: Notify,
    outcome: watch::Sender<SelfTestOutcome>,
}

/// What the last self-test found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SelfTestOutcome {
    /// How many self-tests have ended.
    pub(crate) count: u64,
    /// Whether the last one says that the agent is cut off.
    pub(crate) island: bool,
    /// The anchors that it could not reach; nothing while none has tested the present ones.
    pub(crate) failing: Option<AnchorSet>,
}

impl SelfTest {
    /// A self-test that has not run yet; until it has, the agent is fine.
    pub(crate) fn new(reach: Reach, settings: watch::Receiver<AgentSettings>) -> Self {
        Self { reach, settings, wanted: Notify::new(), outcome: watch::Sender::default() }
    }

    /// Tests for ever: at each anchor interval, and whenever it is wanted.
    ///
    /// # Cancellation
    ///
    /// Dropping it ends the running test without an outcome.
    pub(crate) async fn run(&self) {
        let mut settings = self.settings.clone();
        let mut tested: Vec<String> = Vec::new();
        loop {
            let now = settings.borrow_and_update().clone();
            if now.anchors != tested {
                // The places of the old ones mean nothing any more.
                self.outcome.send_modify(|outcome| outcome.failing = None);
                tested.clone_from(&now.anchors);
            }
            if !now.anchors.is_empty() {
                let (island, failing) = self.test(&now).await;
                self.publish(island, Some(failing));
                tokio::time::sleep(GAP).await;
            } else if self.outcome.borrow().island {
                self.publish(false, None);
            }
            tokio::select! {
                () = tokio::time::sleep(now.anchor_interval.saturating_sub(GAP)) => {}
                () = self.wanted.notified(), if !now.anchors.is_empty() => {}
                changed = settings.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
            }
        }
    }

    fn publish(&self, island: bool, failing: Option<AnchorSet>) {
        let was = self.outcome.borrow().island;
        self.outcome.send_modify(|outcome| {
            outcome.count += 1;
            outcome.island = island;
            outcome.failing = failing;
        });
        if island && !was {
            tracing::warn!(
                "anchors cannot be reached: this agent is cut off and says so with its failures"
            );
        } else if was && !island {
            tracing::info!("anchors can be reached again");
        }
    }

    /// Whether more than half of the anchors fail twice, and those that failed each attempt.
    async fn test(&self, settings: &AgentSettings) -> (bool, AnchorSet) {
        let count = settings.anchors.len();
        let all = (0..count).collect();
        let mut failed = self.failing(settings, all).await;
        if anchors::is_cut_off(failed.len(), count) {
            failed = self.failing(settings, failed).await;
        }
        (anchors::is_cut_off(failed.len(), count), failed)
    }

    /// Those of `wanted` that cannot be reached, tried all at once.
    async fn failing(&self, settings: &AgentSettings, wanted: AnchorSet) -> AnchorSet {
        let limit = anchors::attempt_limit(settings.anchor_timeout);
        let mut attempts = JoinSet::new();
        for (place, anchor) in settings.anchors.iter().enumerate() {
            if !wanted.contains(place) {
                continue;
            }
            let reached = (self.reach)(anchor.clone(), limit);
            attempts.spawn(async move {
                let reached = tokio::time::timeout(limit, reached).await.unwrap_or(false);
                (place, reached)
            });
        }
        let attempts = attempts.join_all().await;
        attempts.into_iter().filter(|(_, reached)| !reached).map(|(place, _)| place).collect()
    }

    /// Asks for a self-test now; while one is running, for another after it. Any number of requests
    /// is one.
    pub(crate) fn request(&self) {
        self.wanted.notify_one();
    }

    /// Asks for a self-test and waits for the end of the one that is running then, at most 2 s. Whether the agent is an island.
    ///
    /// # Cancellation
    ///
    /// Dropping it loses nothing.
    pub(crate) async fn decide(&self) -> bool {
        let (count, timeout) = {
            let settings = self.settings.borrow();
            (settings.anchors.len(), settings.anchor_timeout)
        };
        if count == 0 {
            return false;
        }
        let limit = anchors::decide_limit(timeout);
        let mut outcome = self.outcome.subscribe();
        let before = outcome.borrow().count;
        self.request();
        let ended = outcome.wait_for(|outcome| outcome.count > before);
        // Too late, and the last word known must do.
        let decided = tokio::time::timeout(limit, ended).await;
        drop(decided);
        self.outcome.borrow().island
    }

    /// Follows the outcomes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<SelfTestOutcome> {
        self.outcome.subscribe()
    }
}

impl fmt::Debug for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelfTest").field("outcome", &*self.outcome.borrow()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A world in which the first so many anchors cannot be reached, and a count of attempts.
    fn world(down: &Arc<AtomicUsize>, tried: &Arc<AtomicUsize>) -> Reach {
        let (down, tried) = (Arc::clone(down), Arc::clone(tried));
        Arc::new(move |anchor, _| {
            tried.fetch_add(1, Ordering::SeqCst);
            let number: usize = anchor.parse().unwrap();
            let reached = number >= down.load(Ordering::SeqCst);
            Box::pin(async move {
                if !reached {
                    std::future::pending::<()>().await;
                }
                true
            })
        })
    }

    fn settings(anchors: usize) -> AgentSettings {
        AgentSettings {
            heartbeat: Duration::from_secs(2),
            anchor_interval: Duration::from_secs(10),
            anchor_timeout: Duration::from_secs(1),
            anchors: (0..anchors).map(|number| number.to_string()).collect(),
        }
    }

    /// The word of a self-test, the anchors that failed it, and how many attempts it took.
    async fn decide(anchors: usize, down: usize) -> (bool, Option<AnchorSet>, usize) {
        let (_keep, receiver) = watch::channel(settings(anchors));
        let tried = Arc::default();
        let test = SelfTest::new(world(&Arc::new(AtomicUsize::new(down)), &tried), receiver);
        let island = tokio::select! {
            () = test.run() => unreachable!(),
            island = test.decide() => island,
        };
        let failing = test.subscribe().borrow().failing;
        (island, failing, tried.load(Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn three_of_five_make_an_island() {
        let first = |count| Some((0..count).collect());
        assert_eq!(decide(5, 0).await, (false, first(0), 5));
        assert_eq!(decide(5, 2).await, (false, first(2), 5));
        assert_eq!(decide(5, 3).await, (true, first(3), 8));
        assert!(decide(1, 1).await.0);
        assert!(!decide(2, 1).await.0);
    }

    #[tokio::test(start_paused = true)]
    async fn without_anchors_all_is_well() {
        assert_eq!(decide(0, 0).await, (false, None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn other_anchors_take_the_word_about_the_old_ones_away() {
        let (sender, receiver) = watch::channel(settings(3));
        let test = SelfTest::new(world(&Arc::new(AtomicUsize::new(1)), &Arc::default()), receiver);
        let changes = async {
            test.decide().await;
            assert_eq!(test.subscribe().borrow().failing, Some([0].into_iter().collect()));
            let mut others = settings(3);
            others.anchors.reverse();
            sender.send(others).unwrap();
            let mut outcome = test.subscribe();
            assert!(outcome.wait_for(|outcome| outcome.failing.is_none()).await.is_ok());
            let next = outcome.wait_for(|outcome| outcome.failing.is_some()).await.unwrap().failing;
            assert_eq!(next, Some([2].into_iter().collect()));
        };
        tokio::select! {
            () = test.run() => unreachable!(),
            () = changes => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_failures_is_one_test_and_takes_two_seconds_at_most() {
        let clock = quorate_runtime::Clock::start();
        let (_keep, receiver) = watch::channel(settings(5));
        let (down, tried) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let test = SelfTest::new(world(&down, &tried), receiver);
        let storm = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            down.store(5, Ordering::SeqCst);
            tried.store(0, Ordering::SeqCst);
            let before = clock.uptime();
            let failures = (0..100).map(|_| test.decide());
            let words = futures_util::future::join_all(failures).await;
            assert!(words.iter().all(|island| *island));
            assert!(clock.uptime() <= before + Duration::from_millis(2_001));
            assert_eq!(tried.load(Ordering::SeqCst), 10);
        };
        tokio::select! {
            () = test.run() => unreachable!(),
            () = storm => {}
        }
    }
}
