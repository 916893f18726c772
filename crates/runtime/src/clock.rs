//! The clock of the process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quorate_model::Timestamp;
use tokio::time::Instant;

/// Wall time at the start of the process plus monotonic time since.
///
/// A step of the wall clock therefore never reorders anything. It runs on tokio's clock, so that
/// tests can pause it. Clones are the same clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall: Timestamp,
    started: Instant,
}

impl Clock {
    /// Starts the clock from the system's wall time.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clocks")]
    pub fn start() -> Self {
        Self { wall: wall(), started: Instant::now() }
    }

    /// What the system's wall clock says now: another time than [`now`](Self::now) once it has been
    /// set. For comparing clocks, never for decisions.
    pub fn wall(&self) -> Timestamp {
        wall()
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.wall + self.uptime()
    }

    /// Monotonic time since the clock was started.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns when `at` has come; at once if it is over.
    ///
    /// # Cancellation
    ///
    /// Dropping it loses nothing.
    pub async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep_until(self.started + at.since(self.wall)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clocks")]
fn wall() -> Timestamp {
    Timestamp::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_monotonic_time() {
        let clock = Clock::start();
        let start = clock.now();
        clock.sleep_until(start + Duration::from_secs(3)).await;
        assert!(clock.now() - start >= Duration::from_secs(3));
    }
}
