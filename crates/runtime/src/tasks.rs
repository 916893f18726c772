//! The task tree of a process.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The tasks of a process or of a part of it. Clones are the same tasks.
///
/// Every long-lived task is spawned here, so that it has a name, is told to stop, and is waited
/// for. A task that panics stops them all.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    failed: Arc<Mutex<Option<&'static str>>>,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A group below this one: stopped with it, but able to be stopped and waited for alone.
    #[must_use]
    pub fn group(&self) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: self.stop.child_token(),
            failed: Arc::clone(&self.failed),
        }
    }

    /// Runs `task` until it ends. It should watch [`Tasks::stopped`] and end soon after.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let span = tracing::info_span!("task", name);
        let running = tokio::spawn(self.tracker.track_future(task).instrument(span));
        let tasks = self.clone();
        tokio::spawn(async move {
            if running.await.is_err_and(|error| error.is_panic()) {
                tracing::error!(task = name, "task panicked, stopping");
                if let Ok(mut failed) = tasks.failed.lock() {
                    failed.get_or_insert(name);
                }
                tasks.stop.cancel();
            }
        });
    }

    /// Tells all tasks to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// A token that is cancelled when the tasks must stop.
    pub fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Returns when the tasks must stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Tells all tasks to stop and waits for them, at most for `grace`. Returns whether all ended.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }

    /// The name of the task that panicked, if one did.
    pub fn failed(&self) -> Option<&'static str> {
        self.failed.lock().ok().and_then(|failed| *failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_tasks_that_stop_when_told() {
        let tasks = Tasks::new();
        let stop = tasks.token();
        tasks.spawn("waiter", async move { stop.cancelled().await });
        assert!(tasks.shut_down(Duration::from_secs(5)).await);
        assert_eq!(tasks.failed(), None);
    }

    #[tokio::test]
    async fn a_panic_stops_everything_and_names_the_task() {
        let tasks = Tasks::new();
        tasks.spawn("broken", async { panic!("on purpose") });
        tasks.stopped().await;
        assert_eq!(tasks.failed(), Some("broken"));
    }
}
