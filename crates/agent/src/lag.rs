//! When the agent itself could not keep up: its timers late, its own connections slow, its
//! descriptors or ports used up. What a probe failed to do meanwhile says nothing about its target.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_model::{Doubt, Observation, Outcome, Reason};
use quorate_runtime::Clock;

/// Time between two looks, and the lateness of one that counts as overload.
/// Source: the pages' lag detector of 250 ms.
pub const LATE: Duration = Duration::from_millis(250);
/// How many stalls are remembered.
const STALLS_MAX: usize = 64;
/// How long after a stall the agent still calls itself overloaded.
const AFTERMATH: Duration = Duration::from_secs(2);

/// The stalls of this process, on the clock's uptime.
#[derive(Debug, Default)]
pub struct Lag(Mutex<Stalls>);

#[derive(Debug, Default)]
struct Stalls {
    past: VecDeque<(Duration, Duration)>,
    /// The looks that have not ended: when each began, and when it is late.
    pending: [Option<(Duration, Duration)>; 2],
}

/// Who looks whether the process keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watcher {
    /// The timer of [`Lag::watch`].
    Timer,
    /// The sentinel.
    Sentinel,
}

impl Lag {
    /// Looks at the clock for ever.
    ///
    /// # Cancellation
    ///
    /// Dropping it ends the looking.
    pub(crate) async fn watch(&self, clock: Clock) {
        loop {
            let begun = clock.uptime();
            self.begin(Watcher::Timer, begun);
            tokio::time::sleep(LATE).await;
            self.end(Watcher::Timer, clock.uptime());
        }
    }

    /// A look begins, and is late after twice [`LATE`].
    pub(crate) fn begin(&self, watcher: Watcher, now: Duration) {
        self.lock().pending[watcher as usize] = Some((now, now + LATE * 2));
    }

    /// A look has ended.
    pub(crate) fn end(&self, watcher: Watcher, now: Duration) {
        let pending = self.lock().pending[watcher as usize].take();
        if let Some((begun, _)) = pending {
            self.note(begun, now);
        }
    }

    /// Notes a look that was begun at `before` and ended at `after`, twice [`LATE`] later at most
    /// if all is well.
    pub fn note(&self, before: Duration, after: Duration) {
        if after.saturating_sub(before) >= LATE * 2 {
            self.suffered(before, after);
        }
    }

    /// Notes that the process could not keep up between `from` and `to`.
    pub(crate) fn suffered(&self, from: Duration, to: Duration) {
        let mut stalls = self.lock();
        if stalls.past.len() >= STALLS_MAX {
            stalls.past.pop_front();
        }
        stalls.past.push_back((from, to));
    }

    /// Notes how late a timer was that was to fire at `due`, if that is more than a tenth of the
    /// timeout of its probe.
    pub fn timer(&self, due: Duration, fired: Duration, timeout: Duration) {
        if fired.saturating_sub(due) > timeout / 10 {
            self.suffered(due, fired);
        }
    }

    /// Whether a stall overlapped the time from `start` to `end`.
    pub fn overlaps(&self, start: Duration, end: Duration) -> bool {
        let stalls = self.lock();
        let in_past = stalls.past.iter().any(|(from, to)| *from <= end && start <= *to);
        in_past || stalls.pending.iter().flatten().any(|(_, late)| *late <= end)
    }

    /// Whether there was a stall a moment ago.
    pub fn is_late(&self, now: Duration) -> bool {
        self.overlaps(now.saturating_sub(AFTERMATH), now)
    }

    fn lock(&self) -> MutexGuard<'_, Stalls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a probe of an agent that could not keep up really says: that the time was up is the
/// agent's doing.
pub fn doubt(observation: &mut Observation) {
    if let Outcome::Fail { reason: Reason::Timeout, .. } = observation.outcome {
        observation.outcome = Outcome::Inconclusive { reason: Doubt::Overloaded };
        observation.evidence.message.insert_str(0, "this agent could not keep up: ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn only_probes_within_a_stall_are_touched() {
        let lag = Lag::default();
        lag.note(millis(1_000), millis(1_300));
        assert!(!lag.overlaps(millis(0), millis(9_000)));
        lag.note(millis(10_000), millis(12_000));
        assert!(lag.overlaps(millis(9_000), millis(10_500)));
        assert!(lag.overlaps(millis(11_000), millis(11_001)));
        assert!(!lag.overlaps(millis(12_001), millis(13_000)));
        assert!(lag.is_late(millis(13_500)));
        assert!(!lag.is_late(millis(14_500)));
    }

    #[test]
    fn a_timer_may_be_late_by_a_tenth_of_the_timeout() {
        let lag = Lag::default();
        lag.timer(millis(10_000), millis(11_000), millis(10_000));
        assert!(!lag.overlaps(millis(0), millis(20_000)));
        lag.timer(millis(10_000), millis(11_001), millis(10_000));
        assert!(lag.overlaps(millis(0), millis(20_000)));
    }

    #[test]
    fn a_look_that_has_not_ended_counts_once_it_is_late() {
        let lag = Lag::default();
        lag.begin(Watcher::Sentinel, millis(1_000));
        assert!(!lag.overlaps(millis(0), millis(1_499)));
        assert!(lag.overlaps(millis(0), millis(1_500)));
        lag.end(Watcher::Sentinel, millis(1_499));
        assert!(!lag.overlaps(millis(0), millis(9_000)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_process_is_noticed() {
        let clock = Clock::start();
        let lag = Lag::default();
        let blocked = async {
            tokio::time::sleep(millis(100)).await;
            tokio::time::advance(millis(900)).await;
            tokio::time::sleep(millis(300)).await;
        };
        tokio::select! {
            () = lag.watch(clock) => {}
            () = blocked => {}
        }
        assert!(lag.overlaps(millis(500), millis(600)));
    }
}
