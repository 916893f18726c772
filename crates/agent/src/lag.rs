//! Whether the agent's own timers are late.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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
pub struct Lag(Mutex<VecDeque<(Duration, Duration)>>);

impl Lag {
    /// Looks at the clock for ever.
    ///
    /// # Cancellation
    ///
    /// Dropping it ends the looking.
    pub(crate) async fn watch(&self, clock: Clock) {
        loop {
            let before = clock.uptime();
            tokio::time::sleep(LATE).await;
            self.note(before, clock.uptime());
        }
    }

    /// Notes a look that was begun at `before` to end 250 ms later and ended at `after`.
    pub fn note(&self, before: Duration, after: Duration) {
        if after.saturating_sub(before) < LATE * 2 {
            return;
        }
        let mut stalls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stalls.len() >= STALLS_MAX {
            stalls.pop_front();
        }
        stalls.push_back((before, after));
    }

    /// Whether a stall overlapped the time from `start` to `end`.
    pub fn overlaps(&self, start: Duration, end: Duration) -> bool {
        let stalls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stalls.iter().any(|(from, to)| *from <= end && start <= *to)
    }

    /// Whether there was a stall a moment ago.
    pub fn is_late(&self, now: Duration) -> bool {
        self.overlaps(now.saturating_sub(AFTERMATH), now)
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
