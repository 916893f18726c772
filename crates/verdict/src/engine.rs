//! The engine: one value that knows the fleet, and turns events into effects.
//!
//! An event about a check is judged at once, in time that depends on the regions of that check
//! only. What follows from time or from the fleet is put on the alarms and judged a bounded number
//! of checks at a time; [`Engine::next_deadline`] is then in the past until the rest is done.

mod origin;
mod quiet;
mod restore;
mod setup;

use std::sync::Arc;

use quorate_model::{
    AgentId, CheckId, Fleet, Heartbeat, RegionId, RoundId, State, Timestamp, Verdict,
};

use crate::alarms::{Alarms, CheckIx, Subject};
use crate::anchors::Anchors;
use crate::baseline::Baselines;
use crate::burst::Bursts;
use crate::case::{Case, Context, Shared, Trial};
use crate::index::Index;
use crate::learned::{self, Unstored};
use crate::limits::JUDGED_MAX;
use crate::liveness::{AgentIx, Change, RegionIx, RegionState, Roster};
use crate::operators::{self, Watch};
use crate::{Effect, Event};

pub use quiet::Stretch;

/// The decision core.
#[derive(Debug)]
pub struct Engine {
    fleet: Arc<Fleet>,
    roster: Roster,
    cases: Vec<Option<Box<Case>>>,
    by_check: Index<CheckId, CheckIx>,
    /// Places in `cases` that are free.
    free: Vec<CheckIx>,
    alarms: Alarms,
    watch: Watch,
    shared: Shared,
    baselines: Baselines,
    anchors: Anchors,
    unstored: Unstored,
    bursts: Bursts,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new() -> Self {
        Self {
            fleet: Arc::default(),
            roster: Roster::default(),
            cases: Vec::new(),
            by_check: Index::default(),
            free: Vec::new(),
            alarms: Alarms::default(),
            watch: Watch::default(),
            shared: Shared { next_round: 1, ..Shared::default() },
            baselines: Baselines::default(),
            anchors: Anchors::default(),
            unstored: Unstored::default(),
            bursts: Bursts::default(),
        }
    }

    /// Applies one event at `now` and pushes what must be done, in order, to `effects`.
    ///
    /// `now` must not be earlier than that of the call before.
    pub fn apply(&mut self, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
        let before = effects.len();
        self.take(event, now, effects);
        self.run_due(now, effects);
        if self.unstored.is_due(self.fleet.policy.remember_every, now) {
            let memory = learned::write(&self.baselines, &self.roster);
            effects.push(Effect::Remember { check: None, memory });
        }
        self.bursts.hold(&mut effects[before..], &self.fleet.policy, now);
    }

    fn take(&mut self, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
        match event {
            Event::Configured(fleet) => self.configure(fleet, now, effects),
            Event::Restored(restore) => self.restore(*restore, now, effects),
            Event::Connected { agent, region, prefix } => {
                let ix = self.enrol(&agent, &region, now);
                let agent = self.roster.agent_mut(ix);
                (agent.connected, agent.prefix) = (true, prefix);
                self.hear(ix, None, now, effects);
                self.survey(now);
            }
            Event::Disconnected { agent } => {
                if let Some(ix) = self.roster.find(&agent) {
                    self.roster.agent_mut(ix).connected = false;
                }
            }
            Event::Alive { agent, heartbeat } => {
                if let Some(ix) = self.roster.find(&agent) {
                    self.hear(ix, Some(heartbeat), now, effects);
                    self.judge_anchors(now);
                }
            }
            Event::Result(result) => {
                let agent = self.known(&result.id.agent, &result.region, now, effects);
                if result.observation.outcome.is_success()
                    && self.roster.succeeded(agent, result.started.min(now))
                {
                    self.judge_anchors(now);
                }
                self.about(&result.check, now, effects, |case, ctx| case.take(ctx, agent, &result));
            }
            Event::Suspected(suspicion) => {
                let agent = self.known(&suspicion.agent, &suspicion.region, now, effects);
                let check = suspicion.check.clone();
                self.about(&check, now, effects, |case, ctx| {
                    case.late(ctx, agent, &suspicion);
                    None
                });
            }
            Event::Declined { agent, round, check } => {
                if let Some(ix) = self.roster.find(&agent) {
                    self.about(&check, now, effects, |case, ctx| {
                        case.declined(ix, round, ctx.now);
                        None
                    });
                }
            }
            Event::Tick => {}
        }
    }

    /// When to apply [`Event::Tick`] next, if nothing else happens. May be in the past.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.alarms.next()
    }

    /// The present state of a check; `None` before the first verdict.
    pub fn state(&self, check: &CheckId) -> Option<State> {
        let ix = self.by_check.get(check)?;
        self.cases.get(ix.0 as usize)?.as_ref()?.published()
    }

    /// The present verdict of a check with the votes as they are at `now`: a ballot is published
    /// only with a change, and regions go on voting. Changes nothing.
    pub fn look(&self, check: &CheckId, now: Timestamp) -> Option<Verdict> {
        let ix = self.by_check.get(check)?;
        self.cases.get(ix.0 as usize)?.as_ref()?.look(&self.context(None, now))
    }

    /// Whether a region's failures count now.
    pub fn region_state(&self, region: &RegionId) -> RegionState {
        operators::state(&self.roster, region)
    }

    /// Hands out the number of a round that somebody else starts, such as a probe on demand.
    pub fn allot_round(&mut self) -> RoundId {
        let round = RoundId(self.shared.next_round);
        self.shared.next_round += 1;
        round
    }

    /// The agent that sent something, which is a sign of life.
    fn known(
        &mut self,
        agent: &AgentId,
        region: &RegionId,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> AgentIx {
        let ix = self.enrol(agent, region, now);
        self.hear(ix, None, now, effects);
        ix
    }

    fn enrol(&mut self, agent: &AgentId, region: &RegionId, now: Timestamp) -> AgentIx {
        let (ix, before) = self.roster.enrol(agent, region, now);
        if let Some(before) = before {
            for region in [before, self.roster.agent(ix).region] {
                self.follow_region(region, Change::Votes, now);
            }
        }
        ix
    }

    fn hear(
        &mut self,
        ix: AgentIx,
        heartbeat: Option<Heartbeat>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let policy = &self.fleet.policy;
        let agent = self.roster.agent_mut(ix);
        let ahead = heartbeat.and_then(|heartbeat| heartbeat.clock_ahead_micros);
        let news = ahead.is_some_and(|ahead| agent.clock.compared(ahead, policy, now));
        let was_lost = agent.told_lost;
        let change = self.roster.heard(ix, heartbeat, policy, now);
        if change != Change::None || news || was_lost || self.roster.agent(ix).alarm.is_none() {
            self.tend_agent(ix, now, effects);
            self.follow(ix, change, now);
        }
    }

    /// An agent has changed: what follows for its region, and for the checks that it votes on.
    fn follow(&mut self, ix: AgentIx, change: Change, now: Timestamp) {
        if change == Change::None {
            return;
        }
        self.survey(now);
        self.follow_region(self.roster.agent(ix).region, change, now);
    }

    /// Looks again which regions share a place, and soon which no longer do.
    fn survey(&mut self, now: Timestamp) {
        let keeps = self.roster.survey_due(&self.fleet.policy).is_some_and(|due| now < due);
        self.survey_now(keeps, now);
        if let Some(due) = self.roster.survey_due(&self.fleet.policy).filter(|_| keeps) {
            self.alarms.arm(&mut self.roster.places.alarm, Subject::Places, due);
        }
    }

    fn survey_now(&mut self, keeps: bool, now: Timestamp) {
        for region in self.roster.survey(self.fleet.policy.merge_places, keeps, now) {
            self.follow_region(region, Change::State, now);
        }
    }

    fn follow_region(&mut self, region: RegionIx, change: Change, now: Timestamp) {
        for (place, case) in (0_u32..).zip(&mut self.cases) {
            if let Some(case) = case.as_mut().filter(|case| case.votes_in(region)) {
                case.disturb();
                self.alarms.arm(&mut case.alarm, Subject::Check(CheckIx(place)), now);
            }
        }
        if change == Change::State {
            let place = self.roster.region_mut(region);
            self.alarms.arm(&mut place.alarm, Subject::Region(region), now);
            self.watch_fleet(now);
            for member in self.roster.region(region).agents.clone() {
                self.watch_agent(member, now);
            }
        }
    }

    fn watch_agent(&mut self, ix: AgentIx, at: Timestamp) {
        self.alarms.arm(&mut self.roster.agent_mut(ix).alarm, Subject::Agent(ix), at);
    }

    fn watch_fleet(&mut self, now: Timestamp) {
        self.watch.changed(now);
        let due = self.watch.due(&self.fleet.policy);
        self.alarms.arm(&mut self.watch.alarm, Subject::Fleet, due);
    }

    fn wake_check(&mut self, ix: CheckIx, at: Timestamp) {
        if let Some(case) = self.cases[ix.0 as usize].as_mut() {
            case.disturb();
            self.alarms.arm(&mut case.alarm, Subject::Check(ix), at);
        }
    }

    fn tend_agent(&mut self, ix: AgentIx, now: Timestamp, effects: &mut Vec<Effect>) {
        let policy = &self.fleet.policy;
        if let Some(next) = operators::tend_agent(&mut self.roster, ix, policy, now, effects) {
            self.watch_agent(ix, next);
        }
    }

    /// Lets a check take something in, and judges it.
    fn about(
        &mut self,
        check: &CheckId,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        take: impl FnOnce(&mut Case, &Context<'_>) -> Option<Trial>,
    ) {
        let Some(ix) = self.by_check.get(check) else {
            return;
        };
        let ctx = Context::of((&self.fleet, &self.roster, &self.baselines), now);
        let Some(case) = self.cases[ix.0 as usize].as_mut() else {
            return;
        };
        let mut has_failed = None;
        let trial = take(case, &ctx);
        let is_calm = case.calm_until(now).is_some();
        if let Some(Trial { region, failed }) = trial {
            self.baselines.learn(case.kind, region, failed, now);
            self.unstored.learned();
            if failed {
                has_failed = Some(region);
            } else {
                case.agree(region, now, &mut self.shared.conflicts);
            }
        }
        if let Some(region) = has_failed {
            self.note_noise(region, now);
        }
        if is_calm {
            debug_assert!(self.is_judged(ix, now));
            self.heed_conflicts(now);
        } else {
            self.judge(ix, now, effects);
        }
    }

    /// Whether to judge a check now would have no effect and change nothing.
    fn is_judged(&self, ix: CheckIx, now: Timestamp) -> bool {
        self.case(ix).is_some_and(|case| case.is_judged(&self.context(None, now)))
    }

    fn judge(&mut self, ix: CheckIx, now: Timestamp, effects: &mut Vec<Effect>) {
        // Taken out, so that it can look at its origin, which is a case like itself.
        let Some(mut case) = self.cases[ix.0 as usize].take() else {
            return;
        };
        let origin = case.origin().and_then(|ix| self.cases.get(ix.0 as usize)?.as_deref());
        let ctx =
            Context { origin, ..Context::of((&self.fleet, &self.roster, &self.baselines), now) };
        if let Some(next) = case.judge(&ctx, &mut self.shared, effects) {
            self.alarms.arm(&mut case.alarm, Subject::Check(ix), next);
        }
        self.cases[ix.0 as usize] = Some(case);
        self.follow_links(ix, now);
        self.heed_conflicts(now);
        self.heed_resolvers(now);
    }

    /// Looks again which anchors are bad, and what that makes of the agents.
    fn judge_anchors(&mut self, now: Timestamp) {
        if self.anchors.judge(&self.roster, self.fleet.anchors.len(), now) {
            self.blame_anchors(now);
        }
    }

    fn blame_anchors(&mut self, now: Timestamp) {
        let blamed = (self.anchors.bad, self.fleet.anchors.len());
        for (region, change) in self.roster.blame(blamed, now) {
            self.follow_region(region, change, now);
            for member in self.roster.region(region).agents.clone() {
                self.watch_agent(member, now);
            }
        }
        self.alarms.arm(&mut self.anchors.alarm, Subject::Anchors, now);
    }

    fn tend_anchors(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.anchors.alarm = None;
        let (names, policy) = (&self.fleet.anchors, &self.fleet.policy);
        if let Some(next) = self.anchors.tend(names, policy, now, effects) {
            self.alarms.arm(&mut self.anchors.alarm, Subject::Anchors, next);
        }
    }

    /// Looks at the regions whose resolvers are in trouble, or no longer.
    fn heed_resolvers(&mut self, now: Timestamp) {
        while let Some(region) = self.shared.resolvers.take_changed() {
            let place = self.roster.region_mut(region);
            self.alarms.arm(&mut place.alarm, Subject::Region(region), now);
        }
    }

    /// Acts on what the conflicts say of regions.
    fn heed_conflicts(&mut self, now: Timestamp) {
        while let Some(region) = self.shared.conflicts.take_changed() {
            let is_suspect = self.shared.conflicts.is_suspect(region);
            let change = if self.roster.suspect(region, is_suspect, now) {
                Change::State
            } else {
                Change::Votes
            };
            self.follow_region(region, change, now);
            let place = self.roster.region_mut(region);
            self.alarms.arm(&mut place.alarm, Subject::Region(region), now);
        }
    }

    /// Does what is due, a bounded number of steps at a time.
    fn run_due(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for _ in 0..JUDGED_MAX {
            match self.alarms.due(now) {
                None => return,
                Some(Subject::Agent(ix)) => {
                    self.roster.agent_mut(ix).alarm = None;
                    let change = self.roster.refresh(ix, &self.fleet.policy, now, false);
                    self.tend_agent(ix, now, effects);
                    self.follow(ix, change, now);
                }
                Some(Subject::Region(ix)) => {
                    self.roster.region_mut(ix).alarm = None;
                    self.tend_region(ix, now, effects);
                }
                Some(Subject::Fleet) => self.tend_fleet(now, effects),
                Some(Subject::Places) => {
                    self.roster.places.alarm = None;
                    self.survey(now);
                }
                Some(Subject::Anchors) => self.tend_anchors(now, effects),
                Some(Subject::Check(ix)) => {
                    self.wake(ix, now, effects);
                }
            }
        }
    }

    /// The alarm of a check goes off: it is judged, unless its votes were renewed meanwhile.
    fn wake(&mut self, ix: CheckIx, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(case) = self.cases[ix.0 as usize].as_mut() else {
            return;
        };
        case.alarm = None;
        if let Some(end) = case.calm_until(now) {
            self.alarms.arm(&mut case.alarm, Subject::Check(ix), end);
            debug_assert!(self.is_judged(ix, now));
        } else {
            self.judge(ix, now, effects);
        }
    }

    /// Looks whether a region fails too often for nothing.
    fn note_noise(&mut self, ix: RegionIx, now: Timestamp) {
        let place = self.roster.region_mut(ix);
        if let Some(next) = place.noise.look(self.baselines.worst(ix), now) {
            self.alarms.arm(&mut place.alarm, Subject::Region(ix), next);
        }
    }

    fn tend_region(&mut self, ix: RegionIx, now: Timestamp, effects: &mut Vec<Effect>) {
        let review = self.shared.conflicts.review(ix, now);
        self.heed_conflicts(now);
        self.note_noise(ix, now);
        let disputes = || self.shared.conflicts.disputes(ix, now);
        let policy = &self.fleet.policy;
        let told = self.roster.region(ix).told;
        let next = operators::tend_region(&mut self.roster, ix, (policy, &disputes), now, effects);
        if self.roster.region(ix).told != told {
            self.unstored.learned();
        }
        let about = (&self.roster, policy);
        let resolver = self.shared.resolvers.tend(ix, about, now, effects);
        let mut notices = Vec::new();
        let place = self.roster.tend_place(ix, &self.fleet, now, &mut notices);
        effects.extend(notices.into_iter().map(Effect::Operator));
        if let Some(next) = [next, review, resolver, place].into_iter().flatten().min() {
            let place = self.roster.region_mut(ix);
            self.alarms.arm(&mut place.alarm, Subject::Region(ix), next);
        }
    }

    fn tend_fleet(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.watch.alarm = None;
        let due = self.watch.due(&self.fleet.policy);
        if due > now {
            self.alarms.arm(&mut self.watch.alarm, Subject::Fleet, due);
        } else {
            self.watch.tend(&self.fleet, &self.roster, now, effects);
        }
    }
}
