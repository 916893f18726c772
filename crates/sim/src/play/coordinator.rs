//! The coordinator: the real engine, what the store would keep, and the carrying out of effects.
//! Follows the coordinator's engine task; a commit takes no time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AgentId, AgentSettings, BootId, CheckId, Fleet, FleetPolicy, Incident, ProbeResult, RegionId,
    Timestamp, Verdict,
};
use quorate_proto::convert::agent as convert;
use quorate_verdict::{Confirmation, Effect, Engine, Event, Restore, Transition};
use serde_json::Value;

use super::link::{Down, Up};
use super::staff::Staff;
use super::{Job, Player};
use crate::scenario::What;
use crate::trace::Said;

/// The silence after which the coordinator ends a stream.
const IDLE_MAX: Duration = Duration::from_secs(45);
/// The longest half of a round trip that is believed.
const HALF_ROUND_TRIP_MAX: Duration = Duration::from_secs(1);

/// The coordinator, and its store.
#[derive(Debug, Default)]
pub(super) struct Coordinator {
    /// Nothing while the process is gone.
    engine: Option<Engine>,
    pub(super) fleet: Arc<Fleet>,
    pub(super) staff: Staff,
    /// The last stored result of each agent's boot.
    marks: BTreeMap<(usize, BootId), u64>,
    store: Store,
}

/// What outlives the process.
#[derive(Debug, Default)]
struct Store {
    checks: BTreeMap<CheckId, (Verdict, Option<Incident>, Value)>,
    results: VecDeque<ProbeResult>,
    next_round: u64,
    learned: Option<Value>,
    /// Where each agent votes, and when its last result came.
    heard: BTreeMap<AgentId, (RegionId, Timestamp)>,
}

impl Store {
    fn remember(&mut self, check: Option<CheckId>, memory: Value) {
        match check {
            None => self.learned = Some(memory),
            Some(check) => {
                if let Some((_, _, known)) = self.checks.get_mut(&check) {
                    *known = memory;
                }
            }
        }
    }
}

impl Coordinator {
    pub(super) const fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    pub(super) fn settings(&self) -> AgentSettings {
        self.fleet.agent_settings()
    }

    /// When something is due without anybody saying anything.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let engine = self.engine.as_ref()?;
        engine.next_deadline().into_iter().chain(self.staff.replan_at).min()
    }

    /// The verdict that people see: the last one stored.
    pub(super) fn verdict(&self, check: &CheckId) -> Option<&Verdict> {
        self.store.checks.get(check).map(|(verdict, ..)| verdict)
    }

    fn stored_through(&self, agent: usize, boot: BootId) -> u64 {
        self.marks.get(&(agent, boot)).copied().unwrap_or(0)
    }

    /// Forgets results that no vote can come from any more.
    fn trim(&mut self, now: Timestamp) {
        let checks = self.fleet.checks.values();
        let longest =
            checks.map(|check| FleetPolicy::freshness(check.interval, check.timeout)).max();
        let horizon = now.before(longest.unwrap_or_default());
        while self.store.results.front().is_some_and(|result| result.received < horizon) {
            self.store.results.pop_front();
        }
    }
}

impl Player {
    /// Starts the process, from what was stored if there is anything.
    pub(super) fn start_coordinator(&mut self, fleet: Arc<Fleet>) {
        self.coordinator.fleet = Arc::clone(&fleet);
        self.coordinator.staff = Staff::of(&fleet);
        self.coordinator.engine = Some(Engine::new());
        self.apply(Event::Configured(fleet));
        let store = &self.coordinator.store;
        if !store.checks.is_empty() || !store.heard.is_empty() {
            let restore = Restore {
                checks: store.checks.clone(),
                results: store.results.iter().cloned().collect(),
                next_round: store.next_round.max(1),
                learned: store.learned.clone(),
                agents: store.heard.clone(),
            };
            self.apply(Event::Restored(Box::new(restore)));
        }
    }

    /// Ends the process; the streams end with it.
    pub(super) fn stop_coordinator(&mut self) {
        self.coordinator.engine = None;
        self.coordinator.staff = Staff::default();
        for agent in 0..self.members.len() {
            if self.members[agent].stream.is_some() {
                self.hang_up(agent);
            }
        }
    }

    /// Takes in another fleet.
    pub(super) fn reload(&mut self, fleet: Arc<Fleet>) {
        self.coordinator.fleet = Arc::clone(&fleet);
        self.coordinator.staff.reload(&fleet);
        self.apply(Event::Configured(fleet));
        self.coordinator.staff.deal(&self.coordinator.fleet);
        for (agent, session) in self.coordinator.staff.sessions() {
            let duties = self.coordinator.staff.duties(&self.members[agent].id, self.now);
            self.send_down(agent, session, Down::Configure(duties));
        }
    }

    pub(super) fn coordinator_on_time(&mut self) {
        let Some(engine) = &self.coordinator.engine else {
            return;
        };
        if engine.next_deadline().is_some_and(|at| at <= self.now) {
            self.apply(Event::Tick);
        }
        if self.coordinator.staff.replan_at.is_some_and(|at| at <= self.now) {
            self.replan();
        }
    }

    /// Tells the engine, and does what it asks for.
    pub(super) fn apply(&mut self, event: Event) {
        let now = self.now;
        let Some(engine) = self.coordinator.engine.as_mut() else {
            return;
        };
        if let Event::Result(result) = &event {
            // Everything about a probe follows from these, and there are many.
            let outcome = result.observation.outcome;
            self.trace.happened(now, &(&result.id, result.started, result.health, outcome));
        } else if !matches!(event, Event::Tick) {
            self.trace.happened(now, &event);
        }
        let mut effects = Vec::new();
        engine.apply(event, now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Confirm(confirmation) => self.confirm(&confirmation),
                Effect::Transition(transition) => self.transition(*transition),
                Effect::Operator(notice) => self.trace.say(now, Said::Operator(Box::new(notice))),
                Effect::Pace { check, every } => self.pace(&check, every),
                Effect::Remember { check, memory } => {
                    self.coordinator.store.remember(check, memory);
                }
            }
        }
    }

    fn confirm(&mut self, confirmation: &Confirmation) {
        self.trace.happened(self.now, confirmation);
        let store = &mut self.coordinator.store;
        store.next_round = store.next_round.max(confirmation.round.0 + 1);
        for id in &confirmation.agents {
            let agent = self.members.iter().position(|member| member.id == *id);
            let open =
                agent.and_then(|agent| Some((agent, self.coordinator.staff.session(agent)?)));
            if let Some((agent, session)) = open {
                let run = Down::Run {
                    round: confirmation.round,
                    check: confirmation.check.clone(),
                    revision: confirmation.revision,
                    within: confirmation.start_within,
                };
                self.send_down(agent, session, run);
            }
        }
    }

    fn transition(&mut self, transition: Transition) {
        let Transition { check, verdict, incident, alerts, memory } = transition;
        let store = &mut self.coordinator.store;
        let before = store.checks.remove(&check).and_then(|(_, incident, _)| incident);
        let late = incident.clone().filter(|incident| incident.is_past);
        store.checks.insert(check.clone(), (verdict.clone(), incident.or(before), memory));
        let said = Said::Verdict { check: check.clone(), verdict: Box::new(verdict) };
        self.trace.say(self.now, said);
        if let Some(late) = late {
            let opened = self.trace.since_start(late.opened);
            let resolved = self.trace.since_start(late.resolved.unwrap_or(self.now));
            self.trace.say(self.now, Said::LateOutage { check: check.clone(), opened, resolved });
        }
        for (_, alert) in alerts {
            let incident = alert.incident.id.to_string();
            let (check, kind) = (check.clone(), alert.kind);
            let is_grouped = alert.held_until.is_some();
            let said = Said::Alert { check, kind, incident, is_grouped };
            match alert.held_until {
                Some(due) => self.push(due, Job::Tell(Box::new(said))),
                None => self.trace.say(self.now, said),
            }
        }
    }

    /// Sends what was held. The store keeps it while the coordinator is gone.
    pub(super) fn tell(&mut self, said: Box<Said>) {
        if self.coordinator.is_up() {
            self.trace.say(self.now, *said);
        } else {
            self.later(Duration::from_secs(1), Job::Tell(said));
        }
    }

    fn pace(&mut self, check: &CheckId, every: Option<Duration>) {
        self.coordinator.staff.pace(check, every);
        for (agent, session) in self.coordinator.staff.sessions() {
            let id = &self.members[agent].id;
            if let Some(duty) = self.coordinator.staff.duty(id, check, self.now) {
                self.send_down(agent, session, Down::Assign(vec![duty]));
            }
        }
    }

    /// Hears a message of an agent.
    pub(super) fn received(&mut self, agent: usize, session: u64, message: Up) {
        if !self.coordinator.is_up() {
            return;
        }
        if matches!(message, Up::Hello) {
            self.greet(agent, session);
            return;
        }
        if self.coordinator.staff.session(agent) != Some(session) {
            return;
        }
        self.coordinator.staff.heard(agent, self.now);
        match message {
            Up::Hello => {}
            Up::Beat { mut heartbeat, round_trip, clock } => {
                let half = round_trip.map(|trip| (trip / 2).min(HALF_ROUND_TRIP_MAX));
                heartbeat.clock_ahead_micros =
                    half.map(|half| convert::clock_ahead(clock, self.now, half));
                self.coordinator.staff.measured(agent, half);
                self.send_down(agent, session, Down::BeatAck { sent: self.beat_sent(agent) });
                let id = self.members[agent].id.clone();
                self.apply(Event::Alive { agent: id, heartbeat });
            }
            Up::Suspect(suspect) => {
                let received = self.receipt(agent, Duration::ZERO);
                if let Ok(suspicion) = convert::suspicion(&suspect, &received) {
                    self.apply(Event::Suspected(Box::new(suspicion)));
                }
            }
            Up::Declined { round, check } => {
                let id = self.members[agent].id.clone();
                self.apply(Event::Declined { agent: id, round, check });
            }
            Up::Results { sent_at, results } => {
                for _ in 0..self.copies(agent) {
                    self.results(agent, session, sent_at, &results);
                }
            }
        }
    }

    /// When the heartbeat that has just come was sent: a stream keeps its pace.
    fn beat_sent(&self, agent: usize) -> Timestamp {
        self.now.before(self.members[agent].one_way)
    }

    /// How often each message with results is delivered.
    fn copies(&self, agent: usize) -> usize {
        let member = &self.members[agent];
        let suffered = self.world.suffered(&member.region, member.id.as_str(), self.now);
        let times = suffered.filter_map(|(_, fault)| {
            let What::Duplicate { times } = fault.what else { return None };
            Some(times)
        });
        times.max().unwrap_or(1)
    }

    fn receipt(&self, agent: usize, sent_at: Duration) -> convert::Received {
        let member = &self.members[agent];
        convert::Received {
            agent: member.id.clone(),
            region: member.region.clone(),
            boot: self.coordinator.staff.boot(agent),
            received: self.now,
            sent_at,
            half_round_trip: self.coordinator.staff.half_round_trip(agent),
        }
    }

    /// Takes in results: each once, however often it is sent.
    fn results(
        &mut self,
        agent: usize,
        session: u64,
        sent_at: Duration,
        results: &[quorate_proto::agent::v1::Result],
    ) {
        let received = self.receipt(agent, sent_at);
        let mut through = self.coordinator.stored_through(agent, received.boot);
        for result in results.iter().cloned() {
            let Ok(result) = convert::result(result, &received) else {
                continue;
            };
            if result.id.sequence <= through {
                continue;
            }
            through = result.id.sequence;
            let check = self.coordinator.fleet.checks.get(&result.check);
            if check.is_none_or(|check| !check.regions.contains(&result.region)) {
                continue;
            }
            let store = &mut self.coordinator.store;
            let heard = (result.region.clone(), result.received);
            store.heard.insert(result.id.agent.clone(), heard);
            store.results.push_back(result.clone());
            self.apply(Event::Result(Box::new(result)));
        }
        self.coordinator.trim(self.now);
        self.coordinator.marks.insert((agent, received.boot), through);
        self.send_down(agent, session, Down::Ack { through });
    }

    /// An agent's stream is open.
    fn greet(&mut self, agent: usize, session: u64) {
        let member = &self.members[agent];
        if member.dialling != Some(session) {
            return;
        }
        let (id, region, boot) = (member.id.clone(), member.region.clone(), member.boot_id());
        let prefix = member.prefix;
        let fleet = Arc::clone(&self.coordinator.fleet);
        self.coordinator.staff.join(agent, (&id, &region), (session, boot), &fleet, self.now);
        let stored = self.coordinator.stored_through(agent, boot);
        let duties = self.coordinator.staff.duties(&id, self.now);
        self.send_down(agent, session, Down::Welcome { stored, duties });
        self.later(IDLE_MAX, Job::Idle { agent, session });
        self.apply(Event::Connected { agent: id, region, prefix });
    }

    /// Ends a stream on which nothing has come for too long.
    pub(super) fn idle(&mut self, agent: usize, session: u64) {
        if self.coordinator.staff.session(agent) != Some(session) {
            return;
        }
        let at = self.coordinator.staff.last_heard(agent) + IDLE_MAX;
        if at > self.now {
            self.push(at, Job::Idle { agent, session });
        } else {
            self.parted(agent);
        }
    }

    /// The coordinator sees the end of an agent's stream.
    pub(super) fn parted(&mut self, agent: usize) {
        let id = self.members[agent].id.clone();
        let lost_after = self.coordinator.fleet.policy.lost_after;
        if self.coordinator.staff.leave(agent, &id, self.now, lost_after) {
            self.apply(Event::Disconnected { agent: id });
        }
    }

    fn replan(&mut self) {
        let fleet = Arc::clone(&self.coordinator.fleet);
        let moved = self.coordinator.staff.replan(&fleet, self.now);
        for (agent, session) in self.coordinator.staff.sessions() {
            let Some(checks) = moved.get(&self.members[agent].id) else {
                continue;
            };
            let id = &self.members[agent].id;
            let duties: Vec<_> = checks
                .iter()
                .filter_map(|check| self.coordinator.staff.duty(id, check, self.now))
                .collect();
            if !duties.is_empty() {
                self.send_down(agent, session, Down::Assign(duties));
            }
        }
    }
}
