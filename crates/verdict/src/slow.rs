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
//! all levels to zero, and a region that has no fresh vote any more has no level: what it saw last is
//! not what the target does now. Of the agents of a region one speaks here for all: they see the target over
//! the same network, and what they say together is no more evidence than what one says.
//!
//! **What follows.** The check is `degraded`, and the failures of the regions that saw it count for
//! less as evidence: they are no surprise any more. A real outage on top of it still lasts, and is
//! found by that. The failures of a region that had seen nothing of it before weigh what they always
//! do, so that regions which lie cannot talk the outage of the others down.
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

/// One region's level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Level {
    milli_nats: u16,
    /// What it was before the failures in a row that the region reports now.
    before: u16,
}

impl Level {
    /// A level as it was stored, or as it follows from what others saw.
    pub(crate) fn of(milli_nats: u16) -> Self {
        let milli_nats = milli_nats.min(LEVEL_MAX);
        Self { milli_nats, before: milli_nats }
    }

    pub(crate) fn milli_nats(self) -> u16 {
        self.milli_nats
    }

    /// After another scheduled probe.
    pub(crate) fn step(self, is_failure: bool) -> Self {
        if is_failure {
            Self { milli_nats: self.milli_nats.saturating_add(FAILURE).min(LEVEL_MAX), ..self }
        } else {
            Self::of(self.milli_nats.saturating_sub(SUCCESS))
        }
    }

    /// After so many good scheduled probes.
    pub(crate) fn settle(self, successes: u32) -> Self {
        if successes == 0 {
            return self;
        }
        let fall = u32::from(SUCCESS).saturating_mul(successes);
        Self::of(self.milli_nats.saturating_sub(u16::try_from(fall).unwrap_or(u16::MAX)))
    }

    /// After a good probe that was asked for: it ends the failures in a row, and nothing else.
    pub(crate) fn answered(self) -> Self {
        Self::of(self.milli_nats)
    }

    /// Whether the region has seen the target fail now and then, before it failed as it does now:
    /// more than one blip.
    pub(crate) fn wavers(self) -> bool {
        self.before > FAILURE
    }
}

/// Whether levels are so high that a restart should not forget them: two regions, beside the highest,
/// have failed lately, or one has failed twice.
pub(crate) fn matters(levels: impl Iterator<Item = u16> + Clone) -> bool {
    without_highest(levels) >= KEPT_FROM
}

/// The sum of all levels without the highest.
fn without_highest(levels: impl Iterator<Item = u16> + Clone) -> u32 {
    let highest = u32::from(levels.clone().max().unwrap_or(0));
    levels.map(u32::from).sum::<u32>() - highest
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
    pub(crate) fn raise(&mut self, share_ppm: u32, regions: usize) -> Level {
        let failures = share_ppm.min(SHARE_MAX_PPM) / (1_000_000 / u64::BITS);
        self.is_raised = true;
        self.seen = u64::BITS;
        // Spread over the window, so that the share stays while they leave it.
        self.window = (0..u64::BITS)
            .filter(|place| place * failures / u64::BITS != (place + 1) * failures / u64::BITS)
            .fold(0, |window, place| window | 1 << place);
        let others = u32::try_from(regions).unwrap_or(u32::MAX).saturating_sub(1).max(1);
        Level::of(u16::try_from(RAISED_AT.div_ceil(others)).unwrap_or(LEVEL_MAX))
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
        let mut levels = [Level::default(); 5];
        let (mut detector, mut raised) = (Intermittent::default(), None);
        for probe in 0..probes {
            let (round, region) = (probe / 5, probe % 5);
            let is_failure = fails(round, region);
            levels[region] = levels[region].step(is_failure);
            detector.note(is_failure);
            detector.weigh(levels.iter().map(|level| level.milli_nats()));
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
            let failed = Level::of(LEVEL_MAX).step(true);
            let level = (0..count).fold(failed, |level, _| level.step(false));
            assert_eq!(failed.settle(count), level, "{count}");
        }
    }

    #[test]
    fn a_region_wavers_by_what_it_saw_before_it_failed_as_it_does_now() {
        let failed = |level: Level, times| (0..times).fold(level, |level, _| level.step(true));
        let calm = Level::default();
        assert!(!failed(calm, 3).wavers(), "one outage");
        assert!(!failed(failed(calm, 1).step(false), 3).wavers(), "one blip, and one outage");
        let twice = failed(failed(calm, 1).step(false), 1).step(false);
        assert!(failed(twice, 1).wavers() && failed(twice, 3).wavers());
        assert!(failed(calm, 2).answered().wavers(), "a good answer in between, asked for or not");
        let raised = Intermittent::default().raise(500_000, 5);
        assert!(raised.wavers() && raised.step(true).wavers());
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
