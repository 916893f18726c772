//! The slow detector: a target of which one request in three fails is never down for long enough
//! to be seen by failures in a row.
//!
//! **What it decides.** Each region keeps a level between 0 and 12 nats: a failed probe adds 2.30,
//! a good one takes 0.095 (the likelihood of 10 % failures against that of 1 %). The sum of all
//! levels, without the highest, raises the detector at 14 and clears it below 7.
//!
//! **Why without the highest.** One region that lies, or is cut off unnoticed, can then never raise
//! it alone.
//!
//! **Scheduled probes only.** Confirmations are made because something failed, so they would count
//! one failure several times. Nor does more than the third failure in a row count: what fails all
//! the time is not intermittent, and has detectors of its own. For the same reason an outage sets
//! all levels to zero. Of the agents of a region one speaks here for all: they see the target over
//! the same network, and what they say together is no more evidence than what one says.
//!
//! **What follows.** The check is `degraded`, and the failures of the regions that saw it count for
//! less as evidence: they are no surprise any more. A real outage on top of it still lasts, and is
//! found by that. The failures of a region that has seen nothing of it weigh what they always do, so
//! that regions which lie cannot talk the outage of the others down.
//!
//! **Example.** Five regions each minute, every third probe fails: raised after about six minutes.

use serde::{Deserialize, Serialize};

/// `ln(0.10/0.01)` in thousandths.
const FAILURE: u16 = 2_303;

/// `ln(0.99/0.90)` in thousandths.
const SUCCESS: u16 = 95;

const LEVEL_MAX: u16 = 12_000;

const RAISED_AT: u32 = 14_000;

const CLEARED_BELOW: u32 = 7_000;

/// From here on levels are worth to be stored: somewhat less than two failures.
const KEPT_FROM: u32 = 4_000;

/// Failures in a row that count.
pub(crate) const RUN_MAX: u16 = 3;

/// The share is never taken for more than this: a target that fails more often is down.
const SHARE_MAX_PPM: u32 = 500_000;

/// One region's level after another scheduled probe.
pub(crate) fn step(level: u16, is_failure: bool) -> u16 {
    if is_failure {
        level.saturating_add(FAILURE).min(LEVEL_MAX)
    } else {
        level.saturating_sub(SUCCESS)
    }
}

/// Whether levels are so high that a restart should not forget them: two regions, beside the highest,
/// have failed lately, or one has failed twice.
pub(crate) fn matters(levels: impl Iterator<Item = u16> + Clone) -> bool {
    without_highest(levels) >= KEPT_FROM
}

/// Whether a region has seen the target fail now and then, by what its level was before the
/// failures in a row that it reports now: more than one blip.
pub(crate) fn wavers(level: u16, in_a_row: u16) -> bool {
    level.saturating_sub(FAILURE * in_a_row.min(RUN_MAX)) > FAILURE
}

/// The sum of all levels without the highest.
fn without_highest(levels: impl Iterator<Item = u16> + Clone) -> u32 {
    let highest = u32::from(levels.clone().max().unwrap_or(0));
    levels.map(u32::from).sum::<u32>() - highest
}

/// One region's level after so many good scheduled probes.
pub(crate) fn settle(level: u16, successes: u32) -> u16 {
    let fall = u32::from(SUCCESS).saturating_mul(successes);
    level.saturating_sub(u16::try_from(fall).unwrap_or(u16::MAX))
}

/// Whether it is raised, and how often probes fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intermittent {
    is_raised: bool,
    /// The last scheduled probes of all regions, the latest lowest: 1 is a failure.
    window: u64,
    /// How many of them there are.
    seen: u32,
}

impl Intermittent {
    /// Takes in a scheduled probe.
    pub(crate) fn note(&mut self, is_failure: bool) {
        self.window = self.window << 1 | u64::from(is_failure);
        self.seen = (self.seen + 1).min(u64::BITS);
    }

    /// Takes in so many good scheduled probes.
    pub(crate) fn settle(&mut self, successes: u32) {
        self.window = self.window.checked_shl(successes).unwrap_or(0);
        self.seen = self.seen.saturating_add(successes).min(u64::BITS);
    }

    /// Looks at the levels of all regions. Returns whether that changes anything.
    pub(crate) fn weigh(&mut self, levels: impl Iterator<Item = u16> + Clone) -> bool {
        let rest = without_highest(levels);
        let is_raised = if self.is_raised { rest >= CLEARED_BELOW } else { rest >= RAISED_AT };
        std::mem::replace(&mut self.is_raised, is_raised) != is_raised
    }

    /// Raises it because of what was seen elsewhere: so many of a million probes fail. Returns the
    /// level that each of the regions has then.
    pub(crate) fn raise(&mut self, share_ppm: u32, regions: usize) -> u16 {
        let failures = share_ppm.min(SHARE_MAX_PPM) / (1_000_000 / u64::BITS);
        self.is_raised = true;
        self.seen = u64::BITS;
        // Spread over the window, so that the share stays while they leave it.
        self.window = (0..u64::BITS)
            .filter(|place| place * failures / u64::BITS != (place + 1) * failures / u64::BITS)
            .fold(0, |window, place| window | 1 << place);
        let others = u32::try_from(regions).unwrap_or(u32::MAX).saturating_sub(1).max(1);
        u16::try_from(RAISED_AT.div_ceil(others)).unwrap_or(LEVEL_MAX).min(LEVEL_MAX)
    }

    /// The share of failures in parts per million while it is raised.
    pub(crate) fn share_ppm(&self) -> Option<u32> {
        let share = self.window.count_ones() * 1_000_000 / self.seen.max(1);
        self.is_raised.then_some(share.min(SHARE_MAX_PPM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regions that probe in turn; `fails` says whether a probe of a region does.
    fn play(probes: usize, fails: impl Fn(usize, usize) -> bool) -> (Intermittent, Option<usize>) {
        let mut levels = [0_u16; 5];
        let (mut detector, mut raised) = (Intermittent::default(), None);
        for probe in 0..probes {
            let (round, region) = (probe / 5, probe % 5);
            let is_failure = fails(round, region);
            levels[region] = step(levels[region], is_failure);
            detector.note(is_failure);
            detector.weigh(levels.iter().copied());
            raised = raised.or(detector.share_ppm().map(|_| probe));
        }
        (detector, raised)
    }

    #[test]
    fn one_in_three_is_found_in_some_minutes() {
        let (detector, raised) = play(200, |round, region| (round + region) % 3 == 0);
        let rounds = raised.expect("raised") / 5;
        assert!((4..10).contains(&rounds), "{rounds} rounds");
        let share = detector.share_ppm().expect("still raised");
        assert!((280_000..400_000).contains(&share), "{share}");
    }

    #[test]
    fn one_region_alone_never_raises_it() {
        assert_eq!(play(10_000, |_, region| region == 2).1, None);
    }

    #[test]
    fn many_good_probes_at_once_are_as_one_after_the_other() {
        let start = play(40, |round, region| (round + region) % 3 == 0).0;
        for count in [0, 1, 7, 63, 64, 65, 1_000] {
            let mut one_by_one = start;
            (0..count).for_each(|_| one_by_one.note(false));
            let mut at_once = start;
            at_once.settle(count);
            assert_eq!(at_once, one_by_one, "{count}");
            let level = (0..count).fold(LEVEL_MAX, |level, _| step(level, false));
            assert_eq!(settle(LEVEL_MAX, count), level, "{count}");
        }
    }

    #[test]
    fn one_in_two_hundred_is_no_news() {
        assert_eq!(play(20_000, |round, region| (round * 5 + region) % 200 == 7).1, None);
    }

    #[test]
    fn it_clears_at_half_the_height() {
        let (detector, raised) = play(600, |round, region| round < 30 && (round + region) % 3 == 0);
        assert!(raised.is_some());
        assert!(detector.share_ppm().is_some(), "not so soon");
        let (detector, _) = play(2_000, |round, region| round < 30 && (round + region) % 3 == 0);
        assert_eq!(detector.share_ppm(), None);
    }
}
