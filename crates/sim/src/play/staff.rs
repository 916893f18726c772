//! Which agents take part, and what each is told to do: the real phases, dealt out by the rules of
//! the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{AgentId, BootId, CheckId, Fleet, ProbeSpec, RegionId, Timestamp};
use quorate_verdict::schedule;

/// How long to wait for more changes before the phases are dealt out anew.
const SETTLE: Duration = Duration::from_secs(1);

/// When an agent probes a check.
#[derive(Debug, Clone)]
pub(super) struct Duty {
    pub(super) spec: Arc<ProbeSpec>,
    pub(super) next_in: Duration,
    pub(super) every: Duration,
}

/// The coordinator's side of a stream.
#[derive(Debug)]
struct Open {
    session: u64,
    boot: BootId,
    half_round_trip: Duration,
    heard: Timestamp,
}

/// The phase of each check for each agent.
type Plan = BTreeMap<AgentId, BTreeMap<CheckId, Duration>>;

/// The agents that take part, and their phases.
#[derive(Debug, Default)]
pub(super) struct Staff {
    specs: BTreeMap<CheckId, Arc<ProbeSpec>>,
    regions: BTreeMap<AgentId, RegionId>,
    open: BTreeMap<usize, Open>,
    gone: BTreeMap<AgentId, Timestamp>,
    plan: Plan,
    paces: BTreeMap<CheckId, Duration>,
    pub(super) replan_at: Option<Timestamp>,
}

impl Staff {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self { specs: specs(fleet), ..Self::default() }
    }

    pub(super) fn reload(&mut self, fleet: &Fleet) {
        self.specs = specs(fleet);
        self.paces.retain(|check, _| fleet.checks.contains_key(check));
    }

    /// Deals out all phases.
    pub(super) fn deal(&mut self, fleet: &Fleet) {
        let mut by_region: BTreeMap<RegionId, Vec<AgentId>> = BTreeMap::new();
        for (agent, region) in &self.regions {
            by_region.entry(region.clone()).or_default().push(agent.clone());
        }
        let mut plan: Plan = self.regions.keys().map(|id| (id.clone(), BTreeMap::new())).collect();
        for (id, check) in &fleet.checks {
            for (agent, phase) in schedule::slots_apart(check, &by_region, &fleet.regions) {
                plan.entry(agent).or_default().insert(id.clone(), phase);
            }
        }
        self.plan = plan;
    }

    pub(super) fn join(
        &mut self,
        agent: usize,
        (id, region): (&AgentId, &RegionId),
        (session, boot): (u64, BootId),
        fleet: &Fleet,
        now: Timestamp,
    ) {
        let open = Open { session, boot, half_round_trip: Duration::ZERO, heard: now };
        self.open.insert(agent, open);
        self.gone.remove(id);
        if self.regions.insert(id.clone(), region.clone()).as_ref() != Some(region) {
            // The others hear of their new phases when no more changes come.
            let before = std::mem::take(&mut self.plan);
            self.deal(fleet);
            let own = self.plan.remove(id).unwrap_or_default();
            self.plan = before;
            self.plan.insert(id.clone(), own);
            self.replan_by(now + SETTLE);
        }
    }

    /// Notes that a stream has closed. Whether there was one.
    pub(super) fn leave(
        &mut self,
        agent: usize,
        id: &AgentId,
        now: Timestamp,
        lost_after: Duration,
    ) -> bool {
        let was_open = self.open.remove(&agent).is_some();
        if was_open {
            self.gone.insert(id.clone(), now);
            self.replan_by(now + lost_after);
        }
        was_open
    }

    fn replan_by(&mut self, at: Timestamp) {
        self.replan_at = Some(self.replan_at.map_or(at, |planned| planned.min(at)));
    }

    /// Strikes off those who have been gone for long, and deals out the phases anew. Whose phases
    /// of which checks have moved.
    pub(super) fn replan(
        &mut self,
        fleet: &Fleet,
        now: Timestamp,
    ) -> BTreeMap<AgentId, Vec<CheckId>> {
        let lost_after = fleet.policy.lost_after;
        let regions = &mut self.regions;
        self.gone.retain(|agent, since| {
            let stays = *since + lost_after > now;
            if !stays {
                regions.remove(agent);
            }
            stays
        });
        self.replan_at = self.gone.values().min().map(|since| *since + lost_after);
        let before = std::mem::take(&mut self.plan);
        self.deal(fleet);
        let moved = |id: &AgentId, phases: &BTreeMap<CheckId, Duration>| {
            let old = before.get(id);
            let changed = phases
                .iter()
                .filter(|(check, phase)| old.and_then(|old| old.get(*check)) != Some(*phase));
            changed.map(|(check, _)| check.clone()).collect::<Vec<_>>()
        };
        self.plan.iter().map(|(id, phases)| (id.clone(), moved(id, phases))).collect()
    }

    pub(super) fn pace(&mut self, check: &CheckId, every: Option<Duration>) {
        match every {
            Some(every) => self.paces.insert(check.clone(), every),
            None => self.paces.remove(check),
        };
    }

    /// What an agent is to do for a check, as of now.
    pub(super) fn duty(&self, id: &AgentId, check: &CheckId, now: Timestamp) -> Option<Duty> {
        let phase = self.plan.get(id)?.get(check)?;
        let spec = self.specs.get(check)?;
        let pace = self.paces.get(check);
        let every = pace
            .map_or(spec.interval, |pace| (*pace).clamp(Duration::from_millis(1), spec.interval));
        Some(Duty { spec: Arc::clone(spec), next_in: next_in(*phase, every, now), every })
    }

    /// Everything that an agent is to do.
    pub(super) fn duties(&self, id: &AgentId, now: Timestamp) -> Vec<Duty> {
        let checks = self.plan.get(id).into_iter().flat_map(BTreeMap::keys);
        checks.filter_map(|check| self.duty(id, check, now)).collect()
    }

    pub(super) fn sessions(&self) -> Vec<(usize, u64)> {
        self.open.iter().map(|(agent, open)| (*agent, open.session)).collect()
    }

    pub(super) fn session(&self, agent: usize) -> Option<u64> {
        self.open.get(&agent).map(|open| open.session)
    }

    pub(super) fn heard(&mut self, agent: usize, now: Timestamp) {
        if let Some(open) = self.open.get_mut(&agent) {
            open.heard = now;
        }
    }

    pub(super) fn last_heard(&self, agent: usize) -> Timestamp {
        self.open.get(&agent).map_or(Timestamp::EPOCH, |open| open.heard)
    }

    pub(super) fn measured(&mut self, agent: usize, half_round_trip: Option<Duration>) {
        if let (Some(open), Some(half)) = (self.open.get_mut(&agent), half_round_trip) {
            open.half_round_trip = half;
        }
    }

    pub(super) fn half_round_trip(&self, agent: usize) -> Duration {
        self.open.get(&agent).map_or(Duration::ZERO, |open| open.half_round_trip)
    }

    pub(super) fn boot(&self, agent: usize) -> BootId {
        self.open.get(&agent).map_or(BootId(0), |open| open.boot)
    }
}

fn specs(fleet: &Fleet) -> BTreeMap<CheckId, Arc<ProbeSpec>> {
    let spec = |check| Arc::new(ProbeSpec::of(check, &fleet.policy));
    fleet.checks.iter().map(|(id, check)| (id.clone(), spec(check))).collect()
}

/// The time from `now` to the next instant that is congruent to the phase modulo `every`.
pub(crate) fn next_in(phase: Duration, every: Duration, now: Timestamp) -> Duration {
    let every = i128::try_from(every.as_micros().max(1)).unwrap_or(i128::MAX);
    let phase = i128::try_from(phase.as_micros()).unwrap_or(0);
    let wait = (phase - i128::from(now.as_micros())).rem_euclid(every);
    Duration::from_micros(u64::try_from(wait).unwrap_or(0))
}
