//! Waiting longer after each failure.

use std::time::Duration;

/// Delays that grow from a least to a greatest one, each drawn evenly between nothing and its
/// bound ("full jitter"), so that a fleet does not come back all at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    greatest: Duration,
    bound: Duration,
    state: u64,
}

impl Backoff {
    /// Delays between `least` and `greatest`. Equal seeds give equal delays.
    pub fn new(least: Duration, greatest: Duration, seed: u64) -> Self {
        Self { least, greatest, bound: least, state: seed | 1 }
    }

    /// The next delay: at least a quarter of `least`, at most `greatest`.
    pub fn next_delay(&mut self) -> Duration {
        // xorshift64*: enough to spread agents out, and nothing more is asked of it.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let draw = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let bound = u64::try_from(self.bound.as_micros()).unwrap_or(u64::MAX);
        let micros = (u128::from(bound) * u128::from(draw)) >> 32;
        self.bound = (self.bound * 2).min(self.greatest);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).max(self.least / 4)
    }

    /// Begins anew, after a success that lasted.
    pub fn reset(&mut self) {
        self.bound = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_greatest_and_starts_anew() {
        let (least, greatest) = (Duration::from_millis(500), Duration::from_secs(30));
        let mut backoff = Backoff::new(least, greatest, 7);
        let delays: Vec<_> = (0..200).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] <= least);
        assert!(delays.iter().all(|delay| (least / 4..=greatest).contains(delay)));
        assert!(delays.iter().any(|delay| *delay > greatest / 2));
        backoff.reset();
        assert!(backoff.next_delay() <= least);
    }
}
