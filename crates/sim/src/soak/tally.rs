//! What a soak counts.

use std::ops::AddAssign;
use std::time::Duration;

/// 365.25 days.
const YEAR: Duration = Duration::from_secs(31_557_600);

/// `-ln 0.05`: with no event seen, fewer than so many are to be expected, at 95 %.
const NONE_SEEN: f64 = 2.996;

/// Sums over check-years.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Virtual time.
    pub played: Duration,
    /// Probes by schedule.
    pub scheduled: u64,
    /// Probes of confirmation rounds.
    pub asked: u64,
    /// Confirmation rounds.
    pub rounds: u64,
    /// Pages sent.
    pub pages: u64,
    /// Notices sent.
    pub notices: u64,
    /// Those of them because some requests seem to fail now and then.
    pub intermittent: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.played += other.played;
        self.scheduled += other.scheduled;
        self.asked += other.asked;
        self.rounds += other.rounds;
        self.pages += other.pages;
        self.notices += other.notices;
        self.intermittent += other.intermittent;
    }
}

impl Tally {
    /// Check-years played.
    pub fn years(&self) -> f64 {
        self.played.as_secs_f64() / YEAR.as_secs_f64()
    }

    /// So many of something in a check-year.
    pub fn per_year(&self, count: u64) -> f64 {
        float(count) / self.years()
    }

    /// The most pages in a check-year that what was seen still allows, at 95 %: known only if there
    /// was none.
    pub fn pages_at_most(&self) -> Option<f64> {
        (self.pages == 0).then(|| NONE_SEEN / self.years())
    }

    /// Confirmations for each scheduled probe.
    pub fn extra_load(&self) -> f64 {
        float(self.asked) / float(self.scheduled)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}
