//! Recovery: when is it over?
//!
//! **What it decides.** An incident ends when fewer regions fail than the quorum, at least a
//! quorum of regions has two successes in a row, and `R` has passed since the first success of the
//! run, seen over the whole fleet and ordered by the start of the probes.
//!
//! A target that answers again only to limit the rate is not well, but no longer down either: the
//! same run of answers makes it `degraded`, with the incident still open.
//!
//! **Why so.** The first answer after an outage is often followed by the next failure. `R` doubles
//! with each re-open, so what flaps is reported less and less often.
//!
//! **Relapse.** A region that had come back and fails again ends the run. If people had already
//! been shown that it recovers, that counts as a re-open. A region that never came back does not:
//! it may keep failing, and the verdict then becomes `partial` with the incident still open.
//!
//! **What it ignores.** Regions that succeeded all along: they say nothing about the repair.
//!
//! **After a restart** nothing is resolved for one freshness: the votes must be seen again first.
//!
//! **Example.** Down in five regions, probed every 20 s. Repaired at 0 s, first success at 3 s,
//! all five have succeeded by 20 s and twice by 40 s; three of them by 31 s. Over at 33 s.

use std::time::Duration;

use quorate_model::{FleetPolicy, State, Timestamp};

use crate::count::Count;
use crate::memory::{Memory, Recovery};

/// Follows the recovery of a check that is down.
pub(crate) fn follow(memory: &mut Memory, count: &Count, policy: &FleetPolicy, now: Timestamp) {
    let broken = memory.first_failure.unwrap_or(Timestamp::EPOCH);
    if let Some(run) = memory.recovery {
        let failing = count.readings.iter().filter(|reading| count.is_failing(reading));
        let relapse = failing.map(|reading| reading.since).filter(|since| *since > run.since).max();
        if relapse.is_some() {
            abort(memory, policy, now);
            memory.relapse = relapse;
        }
    }
    if memory.recovery.is_none() {
        let floor = memory.relapse.unwrap_or(broken).max(broken);
        let back = count.readings.iter().filter(|r| r.is_answered() && r.since > broken);
        let start = |since: Timestamp, last: Timestamp| {
            if since > floor { Some(since) } else { Some(last).filter(|last| *last > floor) }
        };
        let since = back.filter_map(|reading| start(reading.since, reading.last)).min();
        memory.recovery = since.map(|since| Recovery { since, shown: false });
    }
    let few_fail = count.needed.is_some_and(|needed| count.tally.failing < needed);
    if let Some(run) = memory.recovery.as_mut() {
        run.shown |= few_fail;
    }
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
        count.tally.failing < needed
            && (want == State::Degraded || count.succeeding_again >= needed)
    });
    enough && due(memory, time).is_some_and(|due| now >= due)
}

/// When the run has lasted long enough.
pub(crate) fn due(memory: &Memory, time: Duration) -> Option<Timestamp> {
    memory.recovery.filter(|run| run.shown).map(|run| run.since + time)
}
