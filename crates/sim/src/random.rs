//! Numbers that look like chance and are the same for the same seed.

use std::time::Duration;

/// A number that depends on a seed and on words, and on nothing else: it is the same whatever was
/// drawn before, so a change of one part of a scenario leaves the luck of the others alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw(u64);

impl Draw {
    /// Draws from a seed.
    pub(crate) const fn of(seed: u64) -> Self {
        Self(mixed(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// Draws for something with this name.
    pub(crate) fn word(self, word: &str) -> Self {
        let hash = word.bytes().fold(self.0 ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mixed(hash))
    }

    /// Draws for the thing with this number.
    pub(crate) const fn number(self, number: u64) -> Self {
        Self(mixed(self.0.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
    }

    /// Whether something of this likelihood happens.
    pub(crate) fn happens(self, rate: f64) -> bool {
        // 32 bits are exact in a float.
        let part = u32::try_from(self.0 >> 32).unwrap_or(0);
        f64::from(part) < rate * 4_294_967_296.0
    }

    /// A number above 0, up to and with 1.
    pub(crate) fn share(self) -> f64 {
        // 32 bits are exact in a float.
        let part = u32::try_from(self.0 >> 32).unwrap_or(0);
        (f64::from(part) + 1.0) / 4_294_967_296.0
    }

    /// A time between two bounds.
    pub(crate) fn between(self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from((most.saturating_sub(least)).as_micros()).unwrap_or(0) + 1;
        least + Duration::from_micros(self.0 % span)
    }
}

/// The finaliser of splitmix64: each bit of the input turns half of those of the output.
const fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_even_and_repeats() {
        let hits = (0..10_000).filter(|n| Draw::of(7).number(*n).happens(0.33)).count();
        assert!((3_100..3_500).contains(&hits), "{hits}");
        assert_eq!(Draw::of(1).word("a").0, Draw::of(1).word("a").0);
        assert_ne!(Draw::of(1).word("a").0, Draw::of(2).word("a").0);
        assert!(!Draw::of(1).happens(0.0) && Draw::of(1).happens(1.0));
    }
}
