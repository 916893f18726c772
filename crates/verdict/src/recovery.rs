//! Recovery: when is it over?
//!
//! **What it decides.** An incident ends when fewer regions fail than the quorum, at least a
//! quorum of regions has two successes in a row, and `R` has passed since the first success of the
//! run, seen over the whole fleet and ordered by the start of the probes.
//!
//! A target that answers again only to limit the rate is not well, but no longer down either: the
//! same run of answers makes it `degraded`, with the incident still open.
//!
//! Where failing regions must differ (`distinct`), it also ends when those that still fail no
//! longer do: all others have two successes in a row, however few they are.
//!
//! **Why so.** The first answer after an outage is often followed by the next failure. `R` doubles
//! with each re-open, so what flaps is reported less and less often.
//!
//! **Relapse.** A region that had come back and fails again ends the run. If people had already
//! been shown that it recovers, that counts as a re-open. A region that never came back does not:
//! it may keep failing, and the verdict then becomes `partial` with the incident still open. A
//! quorum that fails again without a new failure, because regions that were silent are back, ends
//! the run as well, but was nobody's re-open.
//!
//! **What it ignores.** Regions that succeeded all along: they say nothing about the repair while
//! anybody who saw the outage can still say that it is over. An outage begins when the check fell, also
//! on top of an older trouble: who came back from that is no witness of this one's end. When nobody can, because those regions
//! are gone, or were outvoted in their own region by agents that never failed, the run begins when
//! those that are left are enough and find the target fine.
//!
//! **After a restart** nothing is resolved for one freshness: the votes must be seen again first.
//!
//! **Example.** Down in five regions, probed every 20 s. Repaired at 0 s, first success at 3 s,
//! all five have succeeded by 20 s and twice by 40 s; three of them by 31 s. Over at 33 s.

use std::time::Duration;

use quorate_model::{FleetPolicy, State, Timestamp};

use crate::count::Count;
use crate::memory::{Memory, Recovery};
use crate::vote::Reading;

/// Follows the recovery of a check that is down.
pub(crate) fn follow(memory: &mut Memory, count: &Count, policy: &FleetPolicy, now: Timestamp) {
    let broken = memory.broke().unwrap_or(Timestamp::EPOCH);
    let few_fail = count.needed.is_some() && !count.is_quorum_failing();
    if let Some(run) = memory.recovery {
        if let Some(relapse) = relapse(count, run) {
            abort(memory, policy, now);
            memory.relapse = Some(relapse);
        } else if run.shown && !few_fail {
            memory.recovery = None;
            memory.relapse = failing(count).map(|reading| reading.last).max();
        }
    }
    if memory.recovery.is_none() {
        let floor = memory.relapse.unwrap_or(broken).max(broken);
        let since = back(count, broken, floor)
            .or_else(|| is_well_without_them(count, floor).then_some(now));
        memory.recovery = since.map(|since| Recovery { since, shown: false });
    }
    if let Some(run) = memory.recovery.as_mut() {
        run.shown |= few_fail;
    }
}

fn failing(count: &Count) -> impl Iterator<Item = &Reading> {
    count.readings.iter().filter(|reading| count.is_failing(reading))
}

/// Start of the failure of a region that had come back.
fn relapse(count: &Count, run: Recovery) -> Option<Timestamp> {
    failing(count).map(|reading| reading.since).filter(|since| *since > run.since).max()
}

/// Start of the first success after `floor` of a region that did not succeed all along.
fn back(count: &Count, broken: Timestamp, floor: Timestamp) -> Option<Timestamp> {
    let back = count.readings.iter().filter(|r| r.is_answered() && r.since > broken);
    let start = |since: Timestamp, last: Timestamp| {
        if since > floor { Some(since) } else { Some(last).filter(|last| *last > floor) }
    };
    back.filter_map(|reading| start(reading.since, reading.last)).min()
}

/// Whether enough regions succeed, and few fail, by what was probed after `floor`.
fn is_well_without_them(count: &Count, floor: Timestamp) -> bool {
    let Some(needed) = count.needed else {
        return false;
    };
    let is_after = count.readings.iter().any(|r| r.succeeds() && r.last > floor);
    let are_enough = count.succeeding_again >= needed || count.is_refuted();
    is_after && !count.is_quorum_failing() && are_enough
}

/// Ends a run that did not last.
pub(crate) fn abort(memory: &mut Memory, policy: &FleetPolicy, now: Timestamp) {
    if memory.recovery.take().is_some_and(|run| run.shown) {
        memory.reopened(policy, now);
    }
}

/// Whether a check that was down has recovered to `want`.
pub(crate) fn is_over(
    memory: &Memory,
    count: &Count,
    want: State,
    time: Duration,
    now: Timestamp,
) -> bool {
    let enough = count.needed.is_some_and(|needed| {
        let are_enough = count.succeeding_again >= needed || count.is_refuted();
        !count.is_quorum_failing() && (want == State::Degraded || are_enough)
    });
    enough && due(memory, time).is_some_and(|due| now >= due)
}

/// When the run has lasted long enough.
pub(crate) fn due(memory: &Memory, time: Duration) -> Option<Timestamp> {
    memory.recovery.filter(|run| run.shown).map(|run| run.since + time)
}
