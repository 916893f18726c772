//! Counting the votes of one check: what the regions say, taken together.

use quorate_model::{Check, State, Timestamp};

use crate::limits::{OWN_FAILURES, OWN_SUCCESSES, SLOW_ANSWERS};
use crate::liveness::RegionState;
use crate::quorum::{self, Ground, Ruling, Tally};
use crate::vote::{Reading, Say};

/// The regions' votes of one moment, in configured order, and their sums.
#[derive(Debug, Clone)]
pub(crate) struct Count {
    pub(crate) readings: Vec<Reading>,
    pub(crate) tally: Tally,
    /// Failing regions that the rule needs; `None` if too few regions are live.
    pub(crate) needed: Option<usize>,
    pub(crate) ruling: Ruling,
    pub(crate) ground: Ground,
    /// Regions whose vote counts.
    pub(crate) fresh: usize,
    pub(crate) succeeding: usize,
    /// Those that succeeded at least twice in a row.
    pub(crate) succeeding_again: usize,
    /// Live regions kept from an answer.
    pub(crate) blocked: usize,
    /// Those of them at least twice in a row.
    blocked_again: usize,
    /// Regions whose last answers were all slow.
    pub(crate) slow: usize,
    /// Whether a refusal counts as a failure because nobody gets anything else.
    refusals_fail: bool,
}

impl Count {
    /// Counts.
    ///
    /// Too many requests are never a failure. A refusal is one when no region at all succeeds and
    /// those that are kept from an answer or fail reach the quorum: what the user asserts then
    /// fails for everyone. Otherwise it is a matter of place.
    pub(crate) fn of(check: &Check, readings: Vec<Reading>) -> Self {
        let number =
            |holds: &dyn Fn(&Reading) -> bool| readings.iter().filter(|r| holds(r)).count();
        let live = number(&|r| r.state == RegionState::Live);
        let (configured, quorum) = (check.regions.len(), check.quorum_count());
        let needed = quorum::needed(configured, quorum, live);
        let succeeding = number(&Reading::succeeds);
        let refused = number(&|r| r.is_blocked() && r.say == Some(Say::Forbidden));
        let blocked = number(&Reading::is_blocked);
        let refusals_fail = refused > 0
            && succeeding == 0
            && needed.is_some_and(|needed| blocked + number(&Reading::fails) >= needed);
        let fails = |r: &Reading| fails(r, refusals_fail);
        let tally = Tally {
            configured,
            quorum,
            live,
            failing: number(&fails),
            failing_again: number(&|r| fails(r) && r.in_a_row >= OWN_FAILURES),
        };
        let (ruling, ground) = quorum::decide(&tally);
        Self {
            needed,
            ruling,
            ground,
            fresh: number(&|r| r.say.is_some()),
            succeeding,
            succeeding_again: number(&|r| r.succeeds() && r.in_a_row >= OWN_SUCCESSES),
            blocked: if refusals_fail { blocked - refused } else { blocked },
            blocked_again: number(&|r| r.is_blocked() && !fails(r) && r.in_a_row >= OWN_FAILURES),
            slow: number(&is_slow),
            refusals_fail,
            tally,
            readings,
        }
    }

    /// Whether a region counts as failing.
    pub(crate) fn is_failing(&self, reading: &Reading) -> bool {
        fails(reading, self.refusals_fail)
    }

    /// Whether a region is in any trouble at all.
    pub(crate) fn is_troubled(&self, reading: &Reading) -> bool {
        self.is_failing(reading) || reading.is_blocked() || is_slow(reading)
    }

    /// The mildest state that the votes allow short of `down`; `None` if they show nothing.
    ///
    /// A region in trouble counts towards `degraded` whatever its trouble, so that an answer that
    /// gets worse never makes the verdict milder.
    pub(crate) fn condition(&self) -> Option<State> {
        let needed = self.needed?;
        let milder = self.blocked + self.slow;
        if milder > 0 && milder + self.tally.failing >= needed {
            Some(State::Degraded)
        } else if self.succeeding == 0 {
            None
        } else if self.tally.failing_again + self.blocked_again > 0 {
            Some(State::Partial)
        } else {
            Some(State::Up)
        }
    }

    /// Start of the earliest run of trouble.
    pub(crate) fn trouble_since(&self) -> Option<Timestamp> {
        self.readings.iter().filter(|r| self.is_troubled(r)).map(|r| r.since).min()
    }

    /// Whether every region that votes has shown enough successes in a row.
    pub(crate) fn is_steady(&self) -> bool {
        self.succeeding == self.fresh && self.succeeding_again == self.succeeding
    }

    /// When the first of the votes ends.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.readings.iter().filter_map(|reading| reading.until).min()
    }
}

fn fails(reading: &Reading, refusals_fail: bool) -> bool {
    let refused = reading.is_blocked() && reading.say == Some(Say::Forbidden);
    reading.fails() || refusals_fail && refused
}

fn is_slow(reading: &Reading) -> bool {
    reading.say == Some(Say::Slow) && reading.slow_in_a_row >= SLOW_ANSWERS
}

#[cfg(test)]
mod tests;
