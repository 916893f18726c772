//! Baselines: how often a region's probes fail although the target is fine.
//!
//! **What it decides.** `p_g`, the price of a region's first failure as evidence. Exactly 0.5 %
//! until a thousand trials of that region and check kind; from then on the upper end of the 90 %
//! credible interval of a Beta posterior, between 0.1 % and 20 %.
//!
//! **What a trial is.** A scheduled probe of a region while most of the others find the target
//! fine: they are the judges, the region itself is left out. Of a run of failures only the first
//! counts, and the rest are no trials: what follows is the retry's and the duration's matter, and
//! one broken path would otherwise look like a noisy region. A failure counts although its retry has
//! succeeded before it timed out: that is what noise looks like. It counts once the agent has
//! succeeded again, and never if the target was found down meanwhile: in an outage somebody is
//! the first to fail, and of many checks that fall together one after the other.
//!
//! **Forgetting.** Everything weighs half after seven days, so that a region can become better.
//!
//! **Why so.** A region that fails in 5 % of its probes says little when it fails. That changes
//! what its failure weighs, never whether it is counted.

use std::time::Duration;

use quorate_model::{KindName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::liveness::RegionIx;

/// `p` until enough is known, in parts per million.
const UNKNOWN_PPM: u32 = 5_000;

/// Neither is a region believed to be better than this, nor can it be worth nothing.
const CLAMP_PPM: (u64, u64) = (1_000, 200_000);

/// So many trials must be remembered before they are used.
const TRIALS_MIN: u64 = 1_000;

/// What is believed before: one failure in two hundred trials.
const PRIOR: (u64, u64) = (1, 200);

/// Standard deviations from the mean to the upper end of 90 %, in ten-thousandths.
const UPPER: u64 = 12_816;

const DAY: Duration = Duration::from_secs(86_400);

/// What is left after a day, in parts per million: half after seven.
const DAY_LEAVES_PPM: u64 = 905_724;

/// Trials that count, in thousandths because they fade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    trials_milli: u64,
    failures_milli: u64,
    /// When it last faded.
    faded: Timestamp,
}

impl Baseline {
    /// Takes in a trial.
    pub(crate) fn learn(&mut self, is_failure: bool, now: Timestamp) {
        if self.trials_milli == 0 {
            self.faded = now;
        }
        // More than so many days leave nothing that matters.
        for _ in 0..120 {
            if now < self.faded + DAY {
                break;
            }
            self.faded = self.faded + DAY;
            self.trials_milli = self.trials_milli * DAY_LEAVES_PPM / 1_000_000;
            self.failures_milli = self.failures_milli * DAY_LEAVES_PPM / 1_000_000;
        }
        if now >= self.faded + DAY {
            self.faded = now;
        }
        self.trials_milli = self.trials_milli.saturating_add(1_000);
        self.failures_milli = self.failures_milli.saturating_add(u64::from(is_failure) * 1_000);
    }

    /// Takes in so many good trials, the first at `first` and each `every` after the one before.
    pub(crate) fn learn_many(&mut self, (first, every, count): (Timestamp, Duration, u32)) {
        let mut learned = 0;
        while learned < count {
            let at = first + every * learned;
            self.learn(false, at);
            learned += 1;
            // Those before the next fading weigh the same.
            let left = (self.faded + DAY).since(at).as_micros();
            let fit = left.saturating_sub(1) / every.as_micros().max(1);
            let fit = u32::try_from(fit).unwrap_or(u32::MAX).min(count - learned);
            self.trials_milli = self.trials_milli.saturating_add(u64::from(fit) * 1_000);
            learned += fit;
        }
    }

    /// `p`, in parts per million.
    pub(crate) fn ppm(&self) -> u32 {
        if self.trials_milli < TRIALS_MIN * 1_000 {
            return UNKNOWN_PPM;
        }
        let trials = (self.trials_milli / 1_000).saturating_add(PRIOR.1);
        let failures = self.failures_milli.saturating_add(PRIOR.0 * 1_000);
        let mean = failures.saturating_mul(1_000) / trials;
        let mean = mean.min(1_000_000);
        let deviation = (mean * (1_000_000 - mean) / (trials + 1)).isqrt();
        let upper = mean + deviation * UPPER / 10_000;
        u32::try_from(upper.clamp(CLAMP_PPM.0, CLAMP_PPM.1)).unwrap_or(UNKNOWN_PPM)
    }
}

/// A place in the engine's table of check kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KindIx(u16);

/// The baselines of all regions, by check kind.
#[derive(Debug, Default)]
pub(crate) struct Baselines(Vec<(KindName, Vec<Baseline>)>);

impl Baselines {
    /// The number of a kind, given to it if it has none.
    pub(crate) fn intern(&mut self, kind: &KindName) -> KindIx {
        let place = self.0.iter().position(|(known, _)| known == kind).unwrap_or_else(|| {
            self.0.push((kind.clone(), Vec::new()));
            self.0.len() - 1
        });
        KindIx(u16::try_from(place).unwrap_or(u16::MAX))
    }

    pub(crate) fn get(&self, kind: KindIx, region: RegionIx) -> Baseline {
        let of_kind = self.0.get(usize::from(kind.0)).map(|(_, regions)| regions);
        of_kind.and_then(|regions| regions.get(region.0 as usize)).copied().unwrap_or_default()
    }

    /// How often a region fails, for the kind of check for which it does so most.
    pub(crate) fn worst(&self, region: RegionIx) -> u32 {
        let known = self.0.iter().filter_map(|(_, regions)| regions.get(region.0 as usize));
        known.map(Baseline::ppm).max().unwrap_or(UNKNOWN_PPM)
    }

    fn entry(&mut self, kind: KindIx, region: RegionIx) -> &mut Baseline {
        let (_, regions) = &mut self.0[usize::from(kind.0)];
        let place = region.0 as usize;
        if regions.len() <= place {
            regions.resize(place + 1, Baseline::default());
        }
        &mut regions[place]
    }

    pub(crate) fn learn(&mut self, kind: KindIx, region: RegionIx, failed: bool, now: Timestamp) {
        self.entry(kind, region).learn(failed, now);
    }

    /// All that is known.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&KindName, RegionIx, Baseline)> {
        self.0.iter().flat_map(|(kind, regions)| {
            let known = (0..).zip(regions).filter(|(_, known)| **known != Baseline::default());
            known.map(move |(place, known)| (kind, RegionIx(place), *known))
        })
    }

    /// Takes in many good trials at once.
    pub(crate) fn learn_many(
        &mut self,
        kind: KindIx,
        region: RegionIx,
        trials: (Timestamp, Duration, u32),
    ) {
        self.entry(kind, region).learn_many(trials);
    }

    /// Takes back what was known before a restart, unless more is known.
    pub(crate) fn recall(&mut self, kind: KindIx, region: RegionIx, before: Baseline) {
        let known = self.entry(kind, region);
        if (before.faded, before.trials_milli) > (known.faded, known.trials_milli) {
            *known = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(trials: u64, failures: u64) -> Baseline {
        let mut baseline = Baseline::default();
        for trial in 0..trials {
            baseline.learn(trial < failures, Timestamp::EPOCH);
        }
        baseline
    }

    #[test]
    fn a_thousand_trials_are_needed_before_anything_is_believed() {
        assert_eq!(learned(0, 0).ppm(), 5_000);
        assert_eq!(learned(999, 900).ppm(), 5_000);
        // 6 of 1,200: mean 5,000, deviation 2,035.
        assert_eq!(learned(1_000, 5).ppm(), 7_608);
        // 51 of 10,200: closer to the mean, because more is known.
        assert_eq!(learned(10_000, 50).ppm(), 5_894);
    }

    #[test]
    fn many_good_trials_at_once_are_as_one_after_the_other() {
        let minute = Duration::from_secs(60);
        for (count, offset) in [(0, 0), (1, 5), (1_439, 7), (1_440, 7), (30_000, 59), (30_000, 0)] {
            let first = Timestamp::EPOCH + Duration::from_secs(offset);
            let mut one_by_one = learned(2_000, 20);
            (0..count).for_each(|number| one_by_one.learn(false, first + minute * number));
            let mut at_once = learned(2_000, 20);
            at_once.learn_many((first, minute, count));
            assert_eq!(at_once, one_by_one, "{count} {offset}");
        }
    }

    #[test]
    fn what_is_learned_stays_within_bounds() {
        assert_eq!(learned(1_000_000, 0).ppm(), 1_000);
        assert_eq!(learned(2_000, 2_000).ppm(), 200_000);
    }

    #[test]
    fn everything_weighs_half_after_a_week() {
        let mut baseline = learned(10_000, 1_000);
        let before = baseline.trials_milli;
        baseline.learn(false, Timestamp::EPOCH + DAY * 7);
        assert!((before / 2).abs_diff(baseline.trials_milli - 1_000) < 100, "{baseline:?}");
        baseline.learn(false, Timestamp::EPOCH + DAY * 10_000);
        assert!(baseline.trials_milli < 3_000, "{baseline:?}");
        assert_eq!(baseline.ppm(), 5_000);
    }
}
