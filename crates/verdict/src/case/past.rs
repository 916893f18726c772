//! The past: outages that were over before anybody here heard of them.
//!
//! **What it decides.** Results that come too late to vote may still show that the target was down,
//! while the agents could not reach the coordinator or that was gone. They are kept until no more
//! come, and then judged by the same rules in the order in which they ended. An outage that would
//! have been paged is put on record as a closed incident, dated back. Nobody is messaged: it is over.
//!
//! **What it ignores.** What overlaps an outage on record; suspicions and rounds, of which nothing
//! is known afterwards; probes whose agents doubted themselves; and places. Only late results are
//! judged: what other regions said in time is not set beside them, so nothing less than the whole
//! quorum of regions that report late is believed. What waits to be judged does not outlive a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    Evidence, Flag, Fleet, FleetPolicy, Health, Incident, IncidentId, IncidentState, Observation,
    Outcome, ProbeResult, Severity, State, Timestamp,
};

use super::{Case, Context, Shared};
use crate::replay::Replay;
use crate::vote::Sight;
use crate::{Effect, Transition, incident};

/// Late results that are kept of one check.
const RESULTS_MAX: usize = 4_096;

/// Late results that are kept of all checks.
const ALL_MAX: usize = 200_000;

/// The time that is judged in one go, from a failure on.
const SPAN_MAX: Duration = Duration::from_secs(6 * 3_600);

/// How long no late result must have come.
const QUIET: Duration = Duration::from_secs(60);

/// However many still come, they are judged after so long.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// No two checks are judged closer together, so that the present does not wait.
const APART: Duration = Duration::from_millis(100);

/// Late results of one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Past {
    results: Vec<ProbeResult>,
    /// How many of them are booked with what all checks keep.
    booked: usize,
    /// When the first came.
    since: Timestamp,
    /// When they are judged.
    due: Timestamp,
    /// Whether that is a turn of its own, which no other check has.
    has_turn: bool,
}

/// How much all checks keep, and when the next may be judged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lateness {
    kept: usize,
    next: Timestamp,
}

impl Lateness {
    /// Books what a check keeps, as far as there is room.
    fn book(&mut self, past: &mut Past) {
        let room = ALL_MAX.saturating_sub(self.kept);
        past.results.truncate(past.booked + room);
        self.kept += past.results.len() - past.booked;
        past.booked = past.results.len();
    }

    fn forget(&mut self, past: &Past) {
        self.kept -= past.booked;
    }
}

impl Case {
    /// Keeps a result that came too late, from the first failure on.
    pub(super) fn note_late(&mut self, ctx: &Context<'_>, result: &ProbeResult) {
        let outcome = result.observation.outcome;
        // One that claims to have taken so long would come late in the replay as well.
        let is_of_use = result.observation.total < self.terms.fresh_for
            && result.revision == self.terms.revision
            && result.health == Health::Fine
            && !ctx.is_replay
            && !matches!(outcome, Outcome::Inconclusive { .. })
            && (self.past.is_some() || outcome.is_fail());
        if !is_of_use {
            return;
        }
        let share = RESULTS_MAX / self.groups.len().max(1);
        let first = || Box::new(Past { since: ctx.now, ..Past::default() });
        let past = self.past.get_or_insert_with(first);
        past.due = (ctx.now + QUIET).min(past.since + WAIT_MAX);
        past.has_turn = false;
        let of_region = past.results.iter().filter(|known| known.region == result.region);
        if of_region.count() < share {
            past.results.push(bare(result));
        }
    }

    /// When the late results are to be judged.
    pub(super) fn past_due(&self) -> Option<Timestamp> {
        self.past.as_ref().map(|past| past.due)
    }

    /// Judges late results once no more come, and puts on record what they show.
    pub(super) fn recount(
        &mut self,
        ctx: &Context<'_>,
        shared: &mut Shared,
        effects: &mut Vec<Effect>,
    ) {
        let lateness = &mut shared.lateness;
        let Some(past) = self.past.as_mut() else {
            return;
        };
        lateness.book(past);
        if past.due > ctx.now {
            return;
        }
        if self.memory.latched == State::Down || ctx.now < self.grace {
            // What is not over yet is judged when it is.
            past.due = ctx.now + QUIET;
            return;
        }
        if !past.has_turn {
            let turn = lateness.next.max(ctx.now);
            lateness.next = turn + APART;
            if turn > ctx.now {
                (past.due, past.has_turn) = (turn, true);
                return;
            }
        }
        let results = self.forget_past(shared);
        for found in self.outages(ctx, results) {
            let Some(verdict) = self.look(ctx) else {
                continue;
            };
            effects.push(Effect::Transition(Box::new(Transition {
                check: self.check.id.clone(),
                verdict,
                incident: Some(found),
                alerts: Vec::new(),
                memory: self.remember(ctx),
            })));
        }
    }

    /// Keeps nothing any more. Returns what was kept.
    pub(crate) fn forget_past(&mut self, shared: &mut Shared) -> Vec<ProbeResult> {
        let past = self.past.take();
        past.map_or_else(Vec::new, |past| {
            shared.lateness.forget(&past);
            past.results
        })
    }

    /// The outages that these results show and nobody knows of.
    fn outages(&self, ctx: &Context<'_>, mut results: Vec<ProbeResult>) -> Vec<Incident> {
        results.sort_by_key(|result| (result.received, result.started));
        results.dedup_by(|one, other| one.id == other.id);
        let mut found = Vec::new();
        let mut rest = &results[..];
        loop {
            let fails = |result: &ProbeResult| result.observation.outcome.is_fail();
            let Some(begin) = rest.iter().position(fails) else {
                return found;
            };
            let first = rest[begin].received;
            let end = rest.partition_point(|result| result.received <= first + SPAN_MAX);
            found.extend(self.outages_of(ctx, &rest[begin..end]));
            rest = &rest[end..];
        }
    }

    /// The outages that the results of one span show.
    fn outages_of(&self, ctx: &Context<'_>, results: &[ProbeResult]) -> Vec<Incident> {
        let (Some(first), Some(last)) = (results.first(), results.last()) else {
            return Vec::new();
        };
        let last = last.received;
        let mut replay = Replay::new(Arc::new(self.alone(ctx)), first.started);
        for result in results {
            replay.take(result.clone());
        }
        replay.advance(last + self.terms.fresh_for);
        let mut found: BTreeMap<IncidentId, Incident> = BTreeMap::new();
        for (_, transition) in replay.transitions() {
            if let Some(incident) = transition.incident {
                found.insert(incident.id, incident);
            }
        }
        let until = |of: &Incident| of.resolved.unwrap_or(ctx.now);
        let is_known = |found: &Incident| {
            let is_outage = |known: &&Incident| {
                known.severity == Severity::Page && known.verdict.state != State::Unknown
            };
            self.incident.as_deref().filter(is_outage).is_some_and(|known| {
                known.first_failure <= until(found) && found.first_failure <= until(known)
            })
        };
        let is_whole = |found: &Incident| {
            let is_outage = found.severity == Severity::Page && found.verdict.state == State::Down;
            is_outage && !found.verdict.flags.contains(&Flag::ReducedQuorum)
        };
        let closed = |found: Incident| self.closed(ctx, found, last);
        found.into_values().filter(is_whole).map(closed).filter(|found| !is_known(found)).collect()
    }

    /// The incident as it is over: by what came late, or else by the first success known since.
    fn closed(&self, ctx: &Context<'_>, mut found: Incident, last: Timestamp) -> Incident {
        if incident::is_open(Some(&found)) {
            let sight = Sight { now: ctx.now, cut: None };
            let readings = self.readings(ctx.roster, sight);
            let fine = readings.iter().filter(|reading| reading.succeeds());
            let since = fine.map(|reading| reading.since).filter(|since| *since >= last).min();
            found.state = IncidentState::Resolved;
            found.resolved = Some(since.unwrap_or(last));
        }
        found.is_past = true;
        found.verdict.flags.insert(Flag::Past);
        let summary = &mut found.verdict.summary;
        *summary = format!("seen only afterwards, when it was over, so nobody was told: {summary}");
        found
    }

    /// A fleet of this check and nothing else. Its agents are heard by their results only, so that
    /// silence means nothing.
    fn alone(&self, ctx: &Context<'_>) -> Fleet {
        let policy = FleetPolicy {
            absent_after: self.terms.fresh_for * 2,
            lost_after: SPAN_MAX,
            ..*ctx.policy()
        };
        let mut check = (*self.check).clone();
        check.origin = None;
        // Nobody else is here, so it would see nothing most of the time.
        check.alert.alerts_no_quorum = false;
        Fleet {
            policy,
            checks: [(check.id.clone(), Arc::new(check))].into(),
            mutes: ctx.fleet.mutes.clone(),
            anchors: Vec::new(),
            operators: Vec::new(),
            regions: ctx.fleet.regions.clone(),
        }
    }
}

/// What is needed of a result, as received when it ended.
fn bare(result: &ProbeResult) -> ProbeResult {
    let seen = &result.observation;
    ProbeResult {
        received: result.started + seen.total,
        round: None,
        observation: Observation {
            outcome: seen.outcome,
            total: seen.total,
            phases: Vec::new(),
            evidence: Evidence { status: seen.evidence.status, ..Evidence::default() },
        },
        ..result.clone()
    }
}
