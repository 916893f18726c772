//! Counting the votes of one check: what the regions say, taken together.

use std::collections::BTreeMap;

use quorate_model::{Check, DistinctCount, Scope, State, Timestamp};

use crate::distinct::{self, Variety};
use crate::evidence::{AGAIN_PPM, BUDGET_MILLI, Demand, Failure, Proof};
use crate::limits::{OWN_FAILURES, OWN_SUCCESSES, SLOW_ANSWERS};
use crate::liveness::RegionState;
use crate::quorum::{self, Ground, Ruling, Standing, Tally};
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
    /// Live regions that reach the target over one address family only.
    pub(crate) one_family: usize,
    /// Those of them at least twice in a row.
    one_family_again: usize,
    /// Regions whose last answers were all slow.
    pub(crate) slow: usize,
    /// Whether a refusal counts as a failure because nobody gets anything else.
    refusals_fail: bool,
    /// The failures weighed; `None` if nothing fails, or their number alone decides.
    pub(crate) proof: Option<Proof>,
    /// What became of the demands that the failing regions differ.
    pub(crate) distinct: Vec<DistinctCount>,
    /// The share of probes that fail now and then, in parts per million.
    pub(crate) intermittent_ppm: Option<u32>,
}

/// What is known of a region beside its vote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) labels: Option<&'a BTreeMap<String, String>>,
    /// How often it fails although the target is fine, in parts per million.
    pub(crate) alone_ppm: u32,
    /// Whether it had seen the target fail now and then before.
    pub(crate) wavers: bool,
}

/// What the votes are weighed with.
#[derive(Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub(crate) now: Timestamp,
    /// Whether regions may be missing only because they have not come back yet after a start.
    pub(crate) is_early: bool,
    /// The share of probes that fail now and then, if the slow detector says so.
    pub(crate) intermittent_ppm: Option<u32>,
    /// The region in this place of the votes.
    pub(crate) peer: &'a dyn Fn(usize) -> Peer<'a>,
}

impl Scale<'_> {
    /// The failure of the region in this place.
    fn failure(&self, check: &Check, place: usize, reading: &Reading) -> Failure<'_> {
        let peer = (self.peer)(place);
        // A region that has always answered is no less a witness because others are not.
        let share = self.intermittent_ppm.filter(|_| peer.wavers).unwrap_or(0);
        Failure {
            provider: peer.labels.and_then(|labels| labels.get("provider")).map(String::as_str),
            alone_ppm: peer.alone_ppm.max(share),
            again_ppm: AGAIN_PPM.max(share),
            is_retried: reading.longest >= OWN_FAILURES,
            lasted: self.now.since(reading.since + check.timeout),
        }
    }
}

impl Count {
    /// Counts.
    ///
    /// Too many requests are never a failure. A refusal is one when no region at all succeeds and
    /// those that are kept from an answer or fail reach the quorum: what the user asserts then
    /// fails for everyone. Otherwise it is a matter of place.
    pub(crate) fn of(check: &Check, readings: Vec<Reading>, scale: &Scale<'_>) -> Self {
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
        let failing = number(&fails);
        let is_weighed = failing > 0 && quorum > 1 && !check.alert.ignores_evidence;
        let proof = needed.filter(|_| is_weighed).map(|needed| {
            let failures: Vec<Failure<'_>> = readings
                .iter()
                .enumerate()
                .filter(|(_, reading)| fails(reading))
                .map(|(place, reading)| scale.failure(check, place, reading))
                .collect();
            let budget_milli = check.alert.false_alerts_per_year_milli.unwrap_or(BUDGET_MILLI);
            let interval = check.interval;
            Proof::of(&failures, &Demand { configured, quorum, needed, interval, budget_milli })
        });
        let labels = |place| (scale.peer)(place).labels;
        let distinct = distinct::count(check, &readings, &fails, &labels);
        let tally = Tally {
            configured,
            quorum,
            live,
            failing,
            failing_again: number(&|r| fails(r) && r.in_a_row >= OWN_FAILURES),
            standing: proof.as_ref().map_or(Standing::NotAsked, standing),
            variety: Variety::of(&distinct, scope(failing, live, configured), scale.is_early),
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
            one_family: number(&Reading::is_one_family),
            one_family_again: number(&|r| r.is_one_family() && r.in_a_row >= OWN_FAILURES),
            slow: number(&is_slow),
            refusals_fail,
            proof,
            distinct,
            intermittent_ppm: scale.intermittent_ppm,
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
        self.is_failing(reading)
            || reading.is_blocked()
            || reading.is_one_family()
            || is_slow(reading)
    }

    /// Regions in a trouble that is no failure.
    pub(crate) fn milder(&self) -> usize {
        self.blocked + self.one_family + self.slow
    }

    /// The mildest state that the votes allow short of `down`; `None` if they show nothing.
    ///
    /// A region in trouble counts towards `degraded` whatever its trouble, so that an answer that
    /// gets worse never makes the verdict milder.
    pub(crate) fn condition(&self) -> Option<State> {
        let needed = self.needed?;
        let milder = self.milder();
        if milder > 0 && milder + self.tally.failing >= needed {
            Some(State::Degraded)
        } else if self.succeeding == 0 && !self.falls_short() {
            None
        } else if self.intermittent_ppm.is_some() {
            Some(State::Degraded)
        } else if self.tally.failing_again + self.blocked_again + self.one_family_again > 0 {
            Some(State::Partial)
        } else {
            Some(State::Up)
        }
    }

    /// Whether it is degraded because probes fail now and then, and for no other reason.
    pub(crate) fn is_intermittent(&self) -> bool {
        let milder = self.milder();
        let is_milder =
            milder > 0 && self.needed.is_some_and(|needed| milder + self.tally.failing >= needed);
        self.intermittent_ppm.is_some() && !is_milder
    }

    /// Whether enough regions fail, as different as asked.
    pub(crate) fn is_quorum_failing(&self) -> bool {
        let are_enough = self.needed.is_some_and(|needed| self.tally.failing >= needed);
        are_enough && self.tally.variety != Variety::Lacking
    }

    /// Whether they fail without anything being made easier because regions are gone.
    pub(crate) fn is_full(&self) -> bool {
        let is_enough = matches!(self.tally.variety, Variety::NotAsked | Variety::Enough);
        self.tally.failing >= self.tally.quorum && is_enough
    }

    /// Whether the regions that fail are too alike, and all others that are live, at least one,
    /// have succeeded at least twice in a row.
    pub(crate) fn is_refuted(&self) -> bool {
        let is_other = |r: &&Reading| r.state == RegionState::Live && !self.is_failing(r);
        let mut others = self.readings.iter().filter(is_other).peekable();
        self.tally.variety == Variety::Lacking
            && others.peek().is_some()
            && others.all(|other| other.succeeds() && other.in_a_row >= OWN_SUCCESSES)
    }

    /// The demand that the failing regions differ which is not met although enough of them fail,
    /// and how many are live.
    pub(crate) fn too_alike(&self) -> Option<(&DistinctCount, u32)> {
        let Tally { failing, live, configured, .. } = self.tally;
        let scope = scope(failing, live, configured);
        let lacking = self.distinct.iter().find(|distinct| !distinct.is_met(scope));
        lacking.filter(|_| self.ground == Ground::TooAlike).map(|lacking| (lacking, scope.live))
    }

    /// Whether enough regions fail, and have failed again, without proof.
    pub(crate) fn is_unproven(&self) -> bool {
        matches!(self.ground, Ground::Unproven | Ground::OutOfReach)
            && self.tally.failing_again == self.tally.failing
    }

    /// Whether enough regions fail, and have failed again, and still it is not down.
    pub(crate) fn falls_short(&self) -> bool {
        let are_alike = self.ground == Ground::TooAlike;
        self.is_unproven() || are_alike && self.tally.failing_again == self.tally.failing
    }

    /// What the failure of each region adds to the evidence, in the order of the readings.
    pub(crate) fn weights(&self) -> impl Iterator<Item = u32> {
        let mut weights = self.proof.iter().flat_map(|proof| &proof.weights);
        self.readings.iter().map(move |reading| {
            let weight = if self.is_failing(reading) { weights.next() } else { None };
            weight.map_or(0, |weight| u32::try_from(*weight).unwrap_or(0))
        })
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

fn scope(failing: usize, live: usize, configured: usize) -> Scope {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Scope { failing: number(failing), live: number(live), configured: number(configured) }
}

fn standing(proof: &Proof) -> Standing {
    if proof.suffices() {
        Standing::Complete
    } else if proof.can_grow() {
        Standing::Growing
    } else {
        Standing::Exhausted
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
