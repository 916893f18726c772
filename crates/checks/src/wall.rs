//! The wall clock, for the dates that targets send: the validity of certificates, `Retry-After`.
//!
//! A machine whose clock is wrong would take good certificates for expired ones. Whoever knows the
//! time better says so, and from then on that time runs on, however the machine's clock is set.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use quorate_model::Timestamp;
use tokio::time::Instant;

/// The time of the day as well as it is known: the machine's, until somebody says better. Clones
/// are the same clock.
#[derive(Debug, Clone, Default)]
pub struct WallClock(Arc<RwLock<Option<Told>>>);

#[derive(Debug, Clone, Copy)]
struct Told {
    time: Timestamp,
    at: Instant,
}

impl WallClock {
    /// Says what time it is now. It is believed until the next time that it is said.
    #[expect(clippy::disallowed_methods, reason = "the place where this crate reads wall clocks")]
    pub fn tell(&self, time: Timestamp) {
        let told = Told { time, at: Instant::now() };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    /// What time it is.
    #[expect(clippy::disallowed_methods, reason = "the place where this crate reads wall clocks")]
    pub fn now(&self) -> Timestamp {
        match *self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(told) => told.time + told.at.elapsed(),
            None => {
                Timestamp::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
            }
        }
    }

    /// The same in whole seconds since the epoch.
    pub(crate) fn seconds(&self) -> i64 {
        self.now().as_micros().div_euclid(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_that_was_told_runs_on() {
        let wall = WallClock::default();
        let machine = wall.now();
        let later = machine + Duration::from_secs(365 * 86_400);
        wall.clone().tell(later);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(wall.now(), later + Duration::from_secs(90));
        wall.tell(machine);
        assert_eq!(wall.seconds(), machine.as_micros() / 1_000_000);
    }
}
