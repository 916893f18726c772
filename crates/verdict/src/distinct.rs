//! Distinct: do the failing regions differ as much as the check asks?
//!
//! **What it decides.** A check may demand that its failing regions have at least so many different
//! values of a label, such as two providers. Fewer are not enough, however many regions fail and
//! however little it looks like chance.
//!
//! **Why so.** Regions that share a provider or a country fail together for reasons that are not
//! the target's. Weighing them as kin (`evidence`) makes that improbable; this makes it impossible.
//!
//! **All that are left.** With fewer different values among the live regions than asked for, the
//! demand is that all regions that are left fail, and the verdict says `reduced_quorum`: a check is
//! never blind because a provider is gone. The milder rule, all *values* that are left, would let
//! the loss of a region turn failures into a page although others still succeed.
//!
//! **After a start** regions are missing only because they have not come back yet, so for one
//! freshness the full demand holds.
//!
//! **One failure is not enough** of a region that was fine while the others failed already: without
//! a second one in a row it adds no value. In a fault of one provider that lasts, the first lost
//! packet of another would else be a page. Regions that begin to fail together, within one interval
//! and time-out, need no second failure, so an outage is found as fast as ever.
//!
//! **A success counts as there**, also of a region that cannot reach its anchors: with it, other values
//! than the failing ones are left.
//!
//! **What it ignores, on purpose.** Regions without the label add nothing to either side. The
//! configuration admits none.
//!
//! **Example.** Regions a and b of one provider, c and d of another, two demanded, quorum 2. a and
//! b fail: not down. a and c: down. c and d are lost: a and b must both fail, and then it is down.

use std::collections::{BTreeMap, BTreeSet};

use quorate_model::{Check, Distinct, DistinctCount, Scope, plural};

use crate::limits::OWN_FAILURES;
use crate::liveness::RegionState;
use crate::vote::Reading;

/// Whether the failing regions differ enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Variety {
    /// Nothing is demanded.
    #[default]
    NotAsked,
    /// As much as demanded.
    Enough,
    /// Fewer different ones are left than demanded, and all that are left fail.
    AllThatAreLeft,
    /// Not enough.
    Lacking,
}

impl Variety {
    /// What follows from what became of the demands; `is_early` if others may come back any moment.
    pub(crate) fn of(counts: &[DistinctCount], scope: Scope, is_early: bool) -> Self {
        let is_reduced = counts.iter().any(DistinctCount::is_reduced);
        if counts.is_empty() {
            Self::NotAsked
        } else if is_reduced && is_early || counts.iter().any(|count| !count.is_met(scope)) {
            Self::Lacking
        } else if is_reduced {
            Self::AllThatAreLeft
        } else {
            Self::Enough
        }
    }
}

/// What a failure of regions that are too alike lacks, in two clauses: what they share, and what a
/// page needs. `failing` regions of `live` fail.
pub(crate) fn in_words(count: &DistinctCount, failing: usize, live: u32) -> [String; 2] {
    let demand = count.demand();
    let shared = match count.failing.as_slice() {
        [] => format!("of no known {}", count.label),
        [only] if failing == 1 => format!("of {} {only}", count.label),
        [only] => format!("all of {} {only}", count.label),
        several => format!("of the {} {} only", plural(&count.label), listed(several)),
    };
    let lacking = if count.is_reduced() {
        let verb = if count.live == 1 { "is" } else { "are" };
        let left = count.live;
        format!(
            "of {demand} that a page needs only {left} {verb} left, so all {live} live regions \
             must fail"
        )
    } else {
        format!("a page needs failures in {demand}")
    };
    [shared, lacking]
}

/// Such as `a, b and c`.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// Counts the values of each label that is asked for. `labels` are those of the region in this
/// place of the votes.
pub(crate) fn count<'a>(
    check: &Check,
    readings: &[Reading],
    fails: &dyn Fn(&Reading) -> bool,
    labels: &dyn Fn(usize) -> Option<&'a BTreeMap<String, String>>,
) -> Vec<DistinctCount> {
    let first = readings.iter().filter(|reading| fails(reading)).map(|reading| reading.since).min();
    let together = first.map(|first| first + check.interval + check.timeout);
    let is_sure = |reading: &Reading| {
        reading.longest >= OWN_FAILURES || together.is_some_and(|until| reading.since <= until)
    };
    let values = |label: &str, holds: &dyn Fn(&Reading) -> bool| -> BTreeSet<&'a String> {
        let such = readings.iter().enumerate().filter(|(_, reading)| holds(reading));
        such.filter_map(|(place, _)| labels(place)?.get(label)).collect()
    };
    let is_there = |reading: &Reading| reading.state == RegionState::Live || reading.succeeds();
    let count = |Distinct { label, values: asked }: &Distinct| DistinctCount {
        label: label.clone(),
        asked: *asked,
        live: u32::try_from(values(label, &is_there).len()).unwrap_or(u32::MAX),
        failing: values(label, &|r| fails(r) && is_sure(r)).into_iter().cloned().collect(),
    };
    check.distinct.iter().map(count).collect()
}
