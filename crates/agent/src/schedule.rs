//! When each check is due. Pure: no clock, no randomness, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_model::{CheckId, Outcome, Timestamp};

/// The shortest time between two slots that is kept, whatever is asked for.
const EVERY_MIN: Duration = Duration::from_millis(10);
/// The longest that a failing target can put off its next probe: nobody must become blind to it.
const FAILING_DELAY_MAX: Duration = Duration::from_secs(60);
/// How many intervals `Retry-After` can put off the next probe.
const DELAY_INTERVALS: u32 = 10;

/// The slots of all checks. A check has its slots at `next`, `next + every`, and so on; nothing
/// moves them but a new assignment.
#[derive(Debug, Default)]
pub struct Schedule {
    slots: BTreeMap<CheckId, Slot>,
    queue: BTreeSet<(Timestamp, CheckId)>,
}

/// The next slot of a check, and the time between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The next one.
    pub next: Timestamp,
    /// From one to the next.
    pub every: Duration,
}

/// A check whose slot has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub check: CheckId,
    /// Its earlier slots that went by unused, after a stall.
    pub missed: u64,
}

impl Schedule {
    /// Gives a check its slots, instead of any that it had.
    pub fn set(&mut self, check: &CheckId, slot: Slot) {
        self.remove(check);
        let every = slot.every.max(EVERY_MIN);
        self.slots.insert(check.clone(), Slot { every, ..slot });
        self.queue.insert((slot.next, check.clone()));
    }

    /// Takes a check's slots away.
    pub fn remove(&mut self, check: &CheckId) {
        if let Some(slot) = self.slots.remove(check) {
            self.queue.remove(&(slot.next, check.clone()));
        }
    }

    /// A check's next slot.
    pub fn slot(&self, check: &CheckId) -> Option<Slot> {
        self.slots.get(check).copied()
    }

    /// The next instant at which a check is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// The checks that are due, each once however many of its slots went by, in order of their
    /// slots. Their next slots are after `now`.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some((at, check)) = self.queue.pop_first() {
            if at > now {
                self.queue.insert((at, check));
                break;
            }
            let Some(slot) = self.slots.get_mut(&check) else {
                continue;
            };
            let missed = whole_slots(now.since(at), slot.every);
            slot.next = slot_after(at, slot.every, missed + 1);
            self.queue.insert((slot.next, check.clone()));
            due.push(Due { check, missed });
        }
        due
    }

    /// Leaves out the slots of a check before `until`. Later slots stay where they are.
    pub fn postpone(&mut self, check: &CheckId, until: Timestamp) {
        if let Some(slot) = self.slot(check).filter(|slot| slot.next < until) {
            let skipped = whole_slots(until.since(slot.next), slot.every);
            let mut next = slot_after(slot.next, slot.every, skipped);
            if next < until {
                next = slot_after(next, slot.every, 1);
            }
            self.set(check, Slot { next, ..slot });
        }
    }
}

/// How long a target that asked for it (`Retry-After`) is left alone: a blocked one for up to ten
/// intervals, a failing one for up to a minute, because nobody must become blind to it.
pub fn put_off(outcome: Outcome, asked: Duration, interval: Duration) -> Duration {
    asked.min(match outcome {
        Outcome::Blocked { .. } => interval * DELAY_INTERVALS,
        Outcome::Ok | Outcome::Slow | Outcome::Fail { .. } | Outcome::Inconclusive { .. } => {
            FAILING_DELAY_MAX
        }
    })
}

/// How many whole slots fit into `span`.
fn whole_slots(span: Duration, every: Duration) -> u64 {
    u64::try_from(span.as_micros() / every.as_micros().max(1)).unwrap_or(u64::MAX)
}

/// The slot `count` after the one at `at`.
fn slot_after(at: Timestamp, every: Duration, count: u64) -> Timestamp {
    let every = u64::try_from(every.as_micros()).unwrap_or(u64::MAX);
    at + Duration::from_micros(every.saturating_mul(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn schedule(slots: &[(&str, i64, u64)]) -> Schedule {
        let mut schedule = Schedule::default();
        for (check, next, every) in slots {
            let slot = Slot { next: at(*next), every: Duration::from_secs(*every) };
            schedule.set(&check.parse().unwrap(), slot);
        }
        schedule
    }

    fn names(due: &[Due]) -> Vec<&str> {
        due.iter().map(|due| due.check.as_str()).collect()
    }

    #[test]
    fn each_check_comes_at_its_own_phase() {
        let mut schedule = schedule(&[("late", 7, 60), ("early", 3, 60)]);
        assert_eq!(schedule.next_due(), Some(at(3)));
        assert!(schedule.take_due(at(2)).is_empty());
        assert_eq!(names(&schedule.take_due(at(3))), ["early"]);
        assert_eq!(names(&schedule.take_due(at(7))), ["late"]);
        assert_eq!(schedule.next_due(), Some(at(63)));
    }

    #[test]
    fn a_late_probe_does_not_shift_the_phase() {
        let mut schedule = schedule(&[("shop", 0, 60)]);
        schedule.take_due(at(5));
        assert_eq!(schedule.next_due(), Some(at(60)));
    }

    #[test]
    fn a_stall_costs_its_slots_and_makes_no_burst() {
        let mut schedule = schedule(&[("shop", 0, 60), ("blog", 10, 60)]);
        let due = schedule.take_due(at(305));
        assert_eq!(names(&due), ["shop", "blog"]);
        assert_eq!(due[0].missed, 5);
        assert_eq!(due[1].missed, 4);
        assert!(schedule.take_due(at(305)).is_empty());
        assert_eq!(schedule.next_due(), Some(at(310)));
    }

    #[test]
    fn a_new_assignment_replaces_the_old_slots() {
        let mut schedule = schedule(&[("shop", 10, 60), ("shop", 40, 20)]);
        assert_eq!(names(&schedule.take_due(at(39))), [""; 0]);
        assert_eq!(names(&schedule.take_due(at(40))), ["shop"]);
        assert_eq!(schedule.next_due(), Some(at(60)));
        schedule.remove(&"shop".parse().unwrap());
        assert_eq!(schedule.next_due(), None);
    }

    #[test]
    fn postponing_leaves_slots_out_and_keeps_the_phase() {
        let mut schedule = schedule(&[("shop", 10, 60)]);
        let shop = "shop".parse().unwrap();
        schedule.postpone(&shop, at(100));
        assert_eq!(schedule.next_due(), Some(at(130)));
        schedule.postpone(&shop, at(130));
        schedule.postpone(&shop, at(20));
        assert_eq!(schedule.next_due(), Some(at(130)));
    }
}
