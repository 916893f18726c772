//! Noisy regions: one that keeps failing although the targets are fine is worth a look.
//!
//! **What it decides.** A region is noisy when it has failed by itself in more than 5 % of its probes,
//! as `baseline` has learned it for some kind of check, for a whole day. The operators are told that
//! it is unreliable.
//!
//! **What it does not.** Its failures count as before: that they weigh less is `baseline`'s doing. A
//! region that fails on many targets at once is a suspect long before; see `conflict`.
//!
//! **Restart.** Since when a region is noisy, and whether the operators know, is stored with what
//! was learned of it: a coordinator that is updated each night would never complete a day.

use std::time::Duration;

use quorate_model::Timestamp;

/// More failures than this are noise that somebody should look at, in parts per million.
pub(crate) const NOISY_PPM: u32 = 50_000;

const DAY: Duration = Duration::from_secs(86_400);

/// How often a noisy region is looked at again.
const REVIEW: Duration = Duration::from_secs(3_600);

/// How noisy a region is.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    since: Option<Timestamp>,
    lasts: bool,
}

impl Noise {
    /// Whether the operators should know.
    pub(crate) const fn is_lasting(&self) -> bool {
        self.lasts
    }

    /// Since when it is noisy.
    pub(crate) const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// What was known before a restart.
    pub(crate) const fn recall(since: Timestamp) -> Self {
        Self { since: Some(since), lasts: false }
    }

    /// Takes in how often the region fails by itself. Returns when to look again.
    pub(crate) fn look(&mut self, ppm: u32, now: Timestamp) -> Option<Timestamp> {
        if ppm <= NOISY_PPM {
            *self = Self::default();
            return None;
        }
        let lasting_from = *self.since.get_or_insert(now) + DAY;
        self.lasts = now >= lasting_from;
        Some(lasting_from.max(now + REVIEW))
    }
}
