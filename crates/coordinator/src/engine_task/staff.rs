//! Which agents there are, and what each is told to do.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::{AgentId, BootId, CheckId, NoticeKind, OperatorNotice, RegionId, Timestamp};
use quorate_store::Write;
use quorate_verdict::Event;

use super::Owner;
use crate::assign::{self, Member, Staff};
use crate::bus::{Alive, Connected, Duties, SessionId, ToEngine, ToSession};
use crate::ledger::Decided;
use crate::outbox;

/// How long to wait for more changes before the phases are dealt out anew.
const SETTLE: Duration = Duration::from_secs(1);

/// Runs of an agent whose marks are kept in memory. The store knows the others too.
const RUNS_MAX: usize = 32;

/// The agents that take part: those whose stream is open, and those that have only just gone.
#[derive(Debug, Default)]
pub(super) struct Crew {
    staff: Staff,
    open: BTreeMap<AgentId, SessionId>,
    gone: BTreeMap<AgentId, Timestamp>,
}

impl Crew {
    pub(super) fn staff(&self) -> &Staff {
        &self.staff
    }

    /// Whether the agent has opened another stream after this one: two streams may speak in the
    /// wrong order.
    fn has_later(&self, connected: &Connected) -> bool {
        self.open.get(&connected.agent).is_some_and(|open| *open > connected.session)
    }

    /// Takes an agent in. Returns whether that changes who takes part.
    fn join(&mut self, connected: &Connected) -> bool {
        let agent = connected.agent.clone();
        self.open.insert(agent.clone(), connected.session);
        self.gone.remove(&agent);
        let member = Member { region: connected.region.clone(), kinds: connected.kinds.clone() };
        self.staff.insert(agent, member.clone()) != Some(member)
    }

    /// Notes that a stream has closed. Returns whether it was the agent's present one.
    fn leave(&mut self, agent: &AgentId, session: SessionId, now: Timestamp) -> bool {
        let present = self.open.get(agent) == Some(&session);
        if present {
            self.open.remove(agent);
            self.gone.insert(agent.clone(), now);
        }
        present
    }

    /// Strikes off those that have been gone for `lost_after`. Returns when the next one is due.
    fn strike_off(&mut self, now: Timestamp, lost_after: Duration) -> Option<Timestamp> {
        let staff = &mut self.staff;
        self.gone.retain(|agent, since| {
            let stays = *since + lost_after > now;
            if !stays {
                staff.remove(agent);
            }
            stays
        });
        self.gone.values().min().map(|since| *since + lost_after)
    }
}

impl Owner {
    /// Hears what a session says.
    pub(super) fn hear(&mut self, word: ToEngine) {
        let now = self.clock.now();
        match word {
            ToEngine::Connected(connected) => self.connected(&connected, now),
            ToEngine::Alive(alive) => self.alive(alive, now),
            ToEngine::Results(batch) => self.results(batch),
            ToEngine::Suspected(suspicion) => {
                let check = self.fleet.checks.get(&suspicion.check);
                if check.is_some_and(|check| check.regions.contains(&suspicion.region)) {
                    self.tell_engine(Event::Suspected(suspicion), now);
                }
            }
            ToEngine::Declined { agent, round, check } => {
                self.tell_engine(Event::Declined { agent, round, check }, now);
            }
            ToEngine::Configured { agent, rejections } => self.configured(&agent, &rejections, now),
            ToEngine::Disconnected { agent, session } => {
                if self.crew.leave(&agent, session, now) {
                    self.show_agent(&agent, |view| view.connected = false);
                    self.replan_by(now + self.fleet.policy.lost_after);
                    self.tell_engine(Event::Disconnected { agent }, now);
                }
            }
        }
    }

    fn tell_engine(&mut self, event: Event, now: Timestamp) {
        self.engine.apply(event, now, &mut self.effects);
        self.settle_effects();
    }

    /// Forgets the marks of an agent's earlier runs once there are many of them.
    fn forget_runs(&mut self, agent: &AgentId, present: BootId) {
        let runs = (agent.clone(), BootId(0))..=(agent.clone(), BootId(u128::MAX));
        let runs: Vec<_> = self.marks.range(runs).map(|(run, mark)| (run.clone(), *mark)).collect();
        if runs.len() < RUNS_MAX {
            return;
        }
        for (run, mark) in runs {
            if run.1 != present && mark.queued == mark.stored {
                self.marks.remove(&run);
            }
        }
    }

    fn connected(&mut self, connected: &Connected, now: Timestamp) {
        let agent = &connected.agent;
        if self.crew.has_later(connected) {
            return;
        }
        self.forget_runs(agent, connected.boot);
        if self.crew.join(connected) {
            // The others hear of their new phases when no more changes come.
            let own = assign::plan(&self.fleet, self.crew.staff()).remove(agent);
            self.plan.insert(agent.clone(), own.unwrap_or_default());
            self.replan_by(now + SETTLE);
        }
        let stored = self.marks.get(&(agent.clone(), connected.boot));
        let word = ToSession::Opened {
            resume_after: stored.map_or(0, |mark| mark.stored),
            duties: Box::new(self.duties(agent)),
        };
        self.bus.tell_this_session(agent, connected.session, word);
        self.show_agent(agent, |view| {
            view.connected = true;
            view.region = connected.region.clone();
            view.version = Some(connected.version.clone());
            view.last_seen = Some(now);
            view.spooled = connected.spooled;
            view.round_trip = None;
            view.clock_ahead_micros = None;
        });
        if self.ledger.has_room() {
            let seen = Write::AgentSeen {
                agent: agent.clone(),
                at: now,
                version: connected.version.clone(),
            };
            self.ledger.record(None, vec![seen], Vec::new());
        }
        let (agent, region) = (agent.clone(), connected.region.clone());
        self.tell_engine(Event::Connected { agent, region, prefix: connected.prefix }, now);
    }

    fn alive(&mut self, alive: Alive, now: Timestamp) {
        let (agent, heartbeat) = (alive.agent, alive.heartbeat);
        self.show_agent(&agent, |view| {
            view.health = Some(heartbeat.health);
            view.last_seen = Some(now);
            view.spooled = alive.spooled;
            view.dropped = alive.dropped;
            view.round_trip = alive.round_trip.or(view.round_trip);
            view.clock_ahead_micros = heartbeat.clock_ahead_micros.or(view.clock_ahead_micros);
        });
        self.tell_engine(Event::Alive { agent, heartbeat }, now);
    }

    /// Shows which checks an agent refuses, and tells the operators of those that are new.
    fn configured(
        &mut self,
        agent: &AgentId,
        rejections: &BTreeMap<CheckId, (String, String)>,
        now: Timestamp,
    ) {
        let before = self.show_rejections(agent, rejections);
        let notices: Vec<Decided> = rejections
            .iter()
            .filter(|(check, why)| before.get(*check) != Some(*why))
            .map(|(check, (reason, message))| OperatorNotice {
                kind: NoticeKind::ConfigError,
                at: now,
                resolved: false,
                region: None,
                agent: Some(agent.clone()),
                check: Some(check.clone()),
                message: format!("agent {agent} does not run check {check}: {message} ({reason})"),
            })
            .map(|notice| outbox::notice_entries(&self.fleet.operators, &notice))
            .filter(|entries| !entries.is_empty())
            .map(Decided::Notices)
            .collect();
        if !notices.is_empty() {
            self.ledger.record(None, Vec::new(), notices);
        }
    }

    fn duties(&self, agent: &AgentId) -> Duties {
        let none = BTreeMap::new();
        let phases = self.plan.get(agent).unwrap_or(&none);
        assign::duties(&self.fleet, self.version, &self.specs, phases, &self.paces)
    }

    fn replan_by(&mut self, at: Timestamp) {
        self.replan_at = Some(self.replan_at.map_or(at, |planned| planned.min(at)));
    }

    /// Deals out the phases among those who take part now, and tells whom that concerns.
    pub(super) fn replan(&mut self, now: Timestamp) {
        self.replan_at = self.crew.strike_off(now, self.fleet.policy.lost_after);
        let plan = assign::plan(&self.fleet, self.crew.staff());
        let before = std::mem::replace(&mut self.plan, plan);
        for agent in self.crew.open.keys() {
            let (old, new) = (before.get(agent), self.plan.get(agent));
            if old == new {
                continue;
            }
            let duties = new
                .into_iter()
                .flatten()
                .filter(|(check, phase)| old.and_then(|old| old.get(*check)) != Some(*phase))
                .filter_map(|(check, phase)| {
                    let spec = self.specs.get(check)?;
                    Some(assign::duty(spec, *phase, &self.paces))
                })
                .collect();
            self.bus.tell_session(agent, ToSession::Assign(duties));
        }
    }

    /// Tells all agents what they are to do, after a change of the configuration.
    pub(super) fn configure_all(&self) {
        for agent in self.crew.open.keys() {
            let duties = Box::new(self.duties(agent));
            self.bus.tell_session(agent, ToSession::Configure(duties));
        }
    }

    /// The region in which an agent votes, as far as is known.
    pub(super) fn region_of(&self, agent: &AgentId) -> Option<&RegionId> {
        self.crew.staff.get(agent).map(|member| &member.region)
    }
}
