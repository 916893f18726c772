//! How many probes may start: in all, and for each destination. Pure: `now` is handed in.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::Timestamp;

/// The most destinations remembered; those that have been quiet are forgotten first.
const DESTINATIONS_MAX: usize = 20_000;

/// A rate limit that spreads starts evenly and lets a second's worth go at once.
#[derive(Debug, Clone)]
struct Bucket {
    each: Duration,
    burst: Duration,
    /// When all that was taken is paid for.
    paid: Timestamp,
}

impl Bucket {
    fn new(per_second: u32) -> Self {
        let each = Duration::from_secs(1) / per_second.max(1);
        Self { each, burst: Duration::from_secs(1).saturating_sub(each), paid: Timestamp::EPOCH }
    }

    /// How long one would have to wait.
    fn wait(&self, now: Timestamp) -> Duration {
        self.paid.since(now).saturating_sub(self.burst)
    }

    fn take(&mut self, now: Timestamp) {
        self.paid = self.paid.max(now) + self.each;
    }
}

/// The limits of an agent's probes.
#[derive(Debug)]
pub struct Rates {
    all: Bucket,
    confirmations: Bucket,
    for_each: Bucket,
    destinations: BTreeMap<String, Bucket>,
}

impl Rates {
    /// Limits in probes a second: of scheduled ones in all, for each destination, and of
    /// confirmations in all.
    pub fn new(all: u32, for_each: u32, confirmations: u32) -> Self {
        Self {
            all: Bucket::new(all),
            confirmations: Bucket::new(confirmations),
            for_each: Bucket::new(for_each),
            destinations: BTreeMap::new(),
        }
    }

    /// Reserves a scheduled start and says how long to wait for it; `None`, and nothing reserved,
    /// if that is longer than `patience`.
    pub fn reserve(
        &mut self,
        now: Timestamp,
        destination: &str,
        patience: Duration,
    ) -> Option<Duration> {
        if self.destinations.len() >= DESTINATIONS_MAX {
            self.destinations.retain(|_, bucket| bucket.paid > now);
        }
        if self.destinations.len() >= DESTINATIONS_MAX {
            return None;
        }
        let bucket = self
            .destinations
            .entry(destination.to_owned())
            .or_insert_with(|| self.for_each.clone());
        let wait = self.all.wait(now).max(bucket.wait(now));
        if wait > patience {
            return None;
        }
        self.all.take(now);
        bucket.take(now);
        Some(wait)
    }

    /// Takes a confirmation's start; false if there have been too many.
    pub fn confirm(&mut self, now: Timestamp) -> bool {
        let free = self.confirmations.wait(now).is_zero();
        if free {
            self.confirmations.take(now);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + millis * 1_000)
    }

    #[test]
    fn one_destination_gets_its_rate_and_no_more() {
        let mut rates = Rates::new(200, 5, 50);
        let waits: Vec<_> =
            (0..15).filter_map(|_| rates.reserve(at(0), "192.0.2.1", PATIENCE)).collect();
        assert!(waits[..5].iter().all(Duration::is_zero));
        assert_eq!(waits[5], Duration::from_millis(200));
        assert_eq!(waits[14], Duration::from_secs(2));
        let other = rates.reserve(at(0), "192.0.2.2", PATIENCE);
        assert_eq!(other, Some(Duration::ZERO));
    }

    #[test]
    fn all_destinations_share_the_whole_rate() {
        let mut rates = Rates::new(10, 5, 50);
        let waits: Vec<_> =
            (0..20).filter_map(|i| rates.reserve(at(0), &format!("host-{i}"), PATIENCE)).collect();
        assert!(waits[9].is_zero());
        assert_eq!(waits[19], Duration::from_secs(1));
    }

    #[test]
    fn who_cannot_wait_takes_nothing() {
        let mut rates = Rates::new(200, 1, 50);
        assert!(rates.reserve(at(0), "a", PATIENCE).is_some());
        for _ in 0..100 {
            assert_eq!(rates.reserve(at(0), "a", Duration::from_millis(500)), None);
        }
        assert_eq!(rates.reserve(at(1_000), "a", PATIENCE), Some(Duration::ZERO));
    }

    #[test]
    fn confirmations_have_a_cap_of_their_own() {
        let mut rates = Rates::new(1, 1, 3);
        assert!(rates.reserve(at(0), "a", PATIENCE).is_some());
        let taken = (0..10).filter(|_| rates.confirm(at(0))).count();
        assert_eq!(taken, 3);
        assert!(rates.confirm(at(400)));
    }
}
