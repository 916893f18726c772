//! Mixed answers: is a target that went down really down, or does it answer now and then?
//!
//! **What it decides.** A target that answers some of its requests can fail in enough regions at
//! once, by chance, before the slow detector has seen enough. Once it is down its probes come close
//! together, and tell: when neighbours in the order of the whole fleet keep disagreeing, and fewer
//! regions fail *every* time than the quorum needs, it is not down but `degraded`, and its failures
//! are intermittent.
//!
//! **Why neighbours.** A target that goes down and comes back disagrees with itself once for each
//! change, however often it changes. One that fails a third of its requests disagrees at almost
//! every second probe.
//!
//! **Why regions that always fail count against it.** A target that is down for a quorum of regions
//! is down, whatever the others say. So no number of regions that lie can make it milder.
//!
//! **Why only regions that did both.** Where some regions always fail and the others always succeed,
//! neighbours disagree because of their places. Such a region says nothing here, so an outage that
//! a part of the fleet saw ends like any other.
//!
//! **One region.** The disagreement must show with any one region left out: one that answers by
//! chance while all others fail is no evidence.
//!
//! **What it ignores.** Everything before the fall, and arrival order: the start of a probe is its
//! place. It waits for as long as a recovery lasts, so that it never takes back what a plain
//! recovery would have left standing.
//!
//! **Example.** Five regions each 20 s, every third probe fails: seen about 30 s after the fall.

use std::time::Duration;

use quorate_model::Timestamp;

/// Answers that are kept of each region, so that none can push those of the others out.
const KEPT_EACH: usize = 8;

/// Answers that are needed, with any one region left out.
const ANSWERS_MIN: usize = 8;

/// One pair of neighbours in so many must disagree.
const PAIRS_EACH: usize = 5;

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    started: Timestamp,
    /// Place of the region among those of the check.
    region: usize,
    agent: u32,
    failed: bool,
}

/// The answers since a check went down, by the start of their probes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mixed {
    since: Option<Timestamp>,
    answers: Vec<Answer>,
}

impl Mixed {
    /// The check went down at `now`: what started before does not count.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.since = Some(now);
        self.answers.clear();
    }

    /// The check is not down any more.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// Takes in a conclusive probe of the region in this place.
    pub(crate) fn note(&mut self, started: Timestamp, (region, agent): (usize, u32), failed: bool) {
        if self.since.is_none_or(|since| started < since) {
            return;
        }
        let answer = Answer { started, region, agent, failed };
        if let Err(place) = self.answers.binary_search(&answer) {
            self.answers.insert(place, answer);
        }
        let of_region = |answer: &&Answer| answer.region == region;
        if self.answers.iter().filter(of_region).count() > KEPT_EACH {
            let oldest = self.answers.iter().position(|answer| answer.region == region);
            oldest.map(|place| self.answers.remove(place));
        }
    }

    /// The share of failures in parts per million if the answers are mixed; `needed` regions that
    /// always fail are enough for `down`.
    pub(crate) fn share_ppm(
        &self,
        needed: usize,
        patience: Duration,
        now: Timestamp,
    ) -> Option<u32> {
        let first = self.answers.iter().find(|answer| !answer.failed)?;
        if now < first.started + patience || self.always_failing() >= needed {
            return None;
        }
        let regions = self.answers.iter().map(|answer| answer.region).max()? + 1;
        let did = |region, failed| {
            self.answers.iter().any(|answer| (answer.region, answer.failed) == (region, failed))
        };
        let did_both: Vec<bool> =
            (0..regions).map(|region| did(region, true) && did(region, false)).collect();
        let is_mixed = (0..regions).all(|left_out| {
            let (mut pairs, mut disagree, mut last) = (0, 0, None);
            let tells = |answer: &&Answer| answer.region != left_out && did_both[answer.region];
            for answer in self.answers.iter().filter(tells) {
                if let Some(last) = last.replace(answer.failed) {
                    pairs += 1;
                    disagree += usize::from(last != answer.failed);
                }
            }
            pairs + 1 >= ANSWERS_MIN && disagree * PAIRS_EACH >= pairs
        });
        let failures = self.answers.iter().filter(|answer| answer.failed).count();
        let share = failures * 1_000_000 / self.answers.len().max(1);
        is_mixed.then_some(u32::try_from(share).unwrap_or(1_000_000))
    }

    /// Regions with failures only.
    fn always_failing(&self) -> usize {
        let mut regions: Vec<(usize, bool)> = Vec::new();
        for answer in &self.answers {
            match regions.iter_mut().find(|(region, _)| *region == answer.region) {
                Some((_, always)) => *always &= answer.failed,
                None => regions.push((answer.region, answer.failed)),
            }
        }
        regions.iter().filter(|(_, always)| *always).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Five regions, one probe every 4 s; `fails` is asked for the number and the region of each.
    fn play(probes: usize, fails: impl Fn(usize, usize) -> bool) -> Option<u32> {
        let mut mixed = Mixed::default();
        mixed.begin(Timestamp::EPOCH);
        let mut now = Timestamp::EPOCH;
        for probe in 0..probes {
            mixed.note(now, (probe % 5, 0), fails(probe, probe % 5));
            now = now + 4 * SECOND;
        }
        mixed.share_ppm(3, 30 * SECOND, now)
    }

    fn third(probe: usize) -> bool {
        probe.is_multiple_of(3)
    }

    #[test]
    fn every_third_answer_missing_is_not_down() {
        let share = play(20, |probe, _| third(probe)).expect("mixed");
        assert!((250_000..500_000).contains(&share), "{share}");
        assert_eq!(play(6, |probe, _| third(probe)), None, "too few to tell");
    }

    #[test]
    fn a_quorum_that_always_fails_is_down_whatever_the_others_say() {
        assert_eq!(play(40, |probe, region| region < 3 || third(probe)), None);
        assert!(play(40, |probe, region| region < 2 || third(probe)).is_some());
    }

    #[test]
    fn one_region_that_answers_by_chance_is_no_evidence() {
        assert_eq!(play(40, |probe, region| region != 2 || third(probe)), None);
    }

    #[test]
    fn down_and_up_by_the_minute_is_not_mixed() {
        assert_eq!(play(60, |probe, _| probe / 15 % 2 == 0), None);
    }

    #[test]
    fn a_plain_recovery_is_not_mixed() {
        assert_eq!(play(40, |probe, _| probe < 9), None);
    }

    #[test]
    fn a_recovery_of_those_that_failed_is_not_mixed() {
        for probes in 1..60 {
            assert_eq!(play(probes, |probe, region| region < 3 && probe < 31), None, "{probes}");
        }
    }

    #[test]
    fn arrival_order_and_copies_do_not_matter() {
        let notes: Vec<(Timestamp, usize, bool)> = (0..20_u32)
            .map(|n| (Timestamp::EPOCH + SECOND * 4 * n, n as usize % 5, third(n as usize)))
            .collect();
        let play = |order: &mut dyn Iterator<Item = &(Timestamp, usize, bool)>| {
            let mut mixed = Mixed::default();
            mixed.begin(Timestamp::EPOCH);
            for (at, region, failed) in order {
                mixed.note(*at, (*region, 0), *failed);
                mixed.note(*at, (*region, 0), *failed);
            }
            mixed.answers
        };
        assert_eq!(play(&mut notes.iter()), play(&mut notes.iter().rev()));
    }
}
