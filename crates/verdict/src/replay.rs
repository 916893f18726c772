//! Replay: recorded results through the engine once more, under the same policy or another one.
//!
//! **What it does.** Hands the results to an engine in the order in which they were received, at the
//! times at which they were, with a tick at each deadline in between. The same results and the same
//! fleet give the same transitions, always.
//!
//! **What is rebuilt.** Signs of life are not recorded. An agent is taken to be alive from a result
//! until the next one of that check would be overdue, and to be what the health word of its last
//! result says. A probe that is late, but not over, was not recorded either: the suspicion then
//! comes with its end, and the page with the same confirmations as it did.
//!
//! **Rounds.** Nobody can be asked anything. Answers that were recorded are taken for those to the
//! round that the replay has asked last; a round that was not asked then stays without answer.
//!
//! **Revisions.** A check keeps its votes as long as the recorded results keep their revision: when
//! one comes with a revision not seen before, its votes become history, as they did.
//!
//! **What it ignores.** What was learned before the first result (a region counts as failing by
//! noise as often as one that nobody knows), how often agents would have probed, and from where they
//! came: regions that were one place are several.

mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{
    AgentId, Check, CheckId, Fleet, Health, ProbeResult, RegionId, Revision, RoundId, Timestamp,
    Verdict,
};

pub use compare::{Change, Difference, Message, compare};

use crate::{Effect, Engine, Event, Transition};

/// Rounds of one check of which answers may still come.
const ROUNDS_MAX: usize = 64;

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    engine: Engine,
    fleet: Arc<Fleet>,
    now: Timestamp,
    next_beat: Timestamp,
    agents: BTreeMap<AgentId, Member>,
    checks: BTreeMap<CheckId, Record>,
    effects: Vec<Effect>,
    transitions: Vec<(Timestamp, Transition)>,
    left_out: u64,
    of_other_revisions: u64,
}

/// What is known of an agent.
#[derive(Debug)]
struct Member {
    region: RegionId,
    health: Health,
    connected: bool,
    /// Until when it is taken to be alive.
    alive_until: Timestamp,
}

/// What is known of the recorded results of a check.
#[derive(Debug, Default)]
struct Record {
    /// The revision that they have now, and what the engine takes it for.
    present: Option<(Revision, Revision)>,
    past: BTreeSet<Revision>,
    /// The round that the engine has asked last.
    asked: Option<RoundId>,
    /// Recorded rounds, and what the engine takes them for.
    rounds: BTreeMap<RoundId, RoundId>,
}

impl Replay {
    /// Begins at `start`, with nothing known.
    pub fn new(fleet: Arc<Fleet>, start: Timestamp) -> Self {
        let mut replay = Self {
            engine: Engine::new(),
            fleet: Arc::clone(&fleet),
            now: start,
            next_beat: start,
            agents: BTreeMap::new(),
            checks: BTreeMap::new(),
            effects: Vec::new(),
            transitions: Vec::new(),
            left_out: 0,
            of_other_revisions: 0,
        };
        replay.apply(Event::Configured(fleet));
        replay
    }

    /// Takes in the next result. One that was received before an earlier one counts as received
    /// with it: the order in which they were stored is the order in which they were judged.
    pub fn take(&mut self, mut result: ProbeResult) {
        let check = self.fleet.checks.get(&result.check).cloned();
        let Some(check) = check.filter(|check| check.regions.contains(&result.region)) else {
            self.left_out += 1;
            return;
        };
        self.advance(result.received);
        self.of_other_revisions += u64::from(result.revision != check.revision);
        self.hear(&result, &check);
        result.revision = self.revision(&result, &check);
        result.round = result.round.map(|round| self.round(&result.check, round));
        result.received = self.now;
        self.apply(Event::Result(Box::new(result)));
    }

    /// Lets time pass until `to`.
    pub fn advance(&mut self, to: Timestamp) {
        loop {
            let due = self.engine.next_deadline().filter(|at| *at <= to);
            if due.is_none_or(|due| self.next_beat < due) && self.next_beat <= to {
                self.now = self.now.max(self.next_beat);
                self.next_beat = self.now + self.beat_interval();
                self.beat();
            } else if let Some(due) = due {
                self.now = self.now.max(due);
                self.apply(Event::Tick);
            } else {
                break;
            }
        }
        self.now = self.now.max(to);
    }

    /// What has changed since this was asked last, and when.
    pub fn transitions(&mut self) -> Vec<(Timestamp, Transition)> {
        std::mem::take(&mut self.transitions)
    }

    /// The verdict of a check with the votes as they are now; `None` before the first.
    pub fn look(&self, check: &CheckId) -> Option<Verdict> {
        self.engine.look(check, self.now)
    }

    /// Results passed over because the fleet has no such check, or not in that region.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Results of another definition of the check than the fleet's: what they saw is taken as it is.
    pub const fn of_other_revisions(&self) -> u64 {
        self.of_other_revisions
    }

    fn apply(&mut self, event: Event) {
        self.engine.apply(event, self.now, &mut self.effects);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Transition(transition) => self.transitions.push((self.now, *transition)),
                Effect::Confirm(confirmation) => {
                    let record = self.checks.entry(confirmation.check).or_default();
                    record.asked = Some(confirmation.round);
                }
                Effect::Operator(_) | Effect::Pace { .. } | Effect::Remember { .. } => {}
            }
        }
    }

    /// Takes a result as a sign of life.
    fn hear(&mut self, result: &ProbeResult, check: &Check) {
        let until = self.now + check.interval + check.timeout + self.fleet.policy.absent_after;
        let agent = &result.id.agent;
        let known = self.agents.get_mut(agent).filter(|member| member.region == result.region);
        let (connected, health) = known.map_or((false, None), |member| {
            member.alive_until = member.alive_until.max(until);
            let before = std::mem::replace(&mut member.health, result.health);
            (std::mem::replace(&mut member.connected, true), Some(before))
        });
        if !connected {
            let region = result.region.clone();
            let member = Member {
                region: region.clone(),
                health: result.health,
                connected: true,
                alive_until: until,
            };
            self.agents.insert(agent.clone(), member);
            self.apply(Event::Connected { agent: agent.clone(), region, prefix: None });
        }
        if health != Some(result.health) {
            let heartbeat = result.health.into();
            self.apply(Event::Alive { agent: agent.clone(), heartbeat });
        }
    }

    /// Often enough that an agent which is taken to be alive never counts as absent.
    fn beat_interval(&self) -> Duration {
        (self.fleet.policy.absent_after / 2).max(Duration::from_millis(1))
    }

    fn beat(&mut self) {
        let now = self.now;
        let (alive, gone): (Vec<_>, Vec<_>) = self
            .agents
            .iter()
            .filter(|(_, member)| member.connected)
            .map(|(agent, member)| (agent.clone(), member.health, member.alive_until))
            .partition(|(_, _, until)| *until > now);
        for (agent, health, _) in alive {
            self.apply(Event::Alive { agent, heartbeat: health.into() });
        }
        for (agent, ..) in gone {
            if let Some(member) = self.agents.get_mut(&agent) {
                member.connected = false;
            }
            self.apply(Event::Disconnected { agent });
        }
    }

    /// What the engine takes the revision of a result for.
    fn revision(&mut self, result: &ProbeResult, check: &Arc<Check>) -> Revision {
        let record = self.checks.entry(result.check.clone()).or_default();
        match record.present {
            Some((recorded, known)) if recorded == result.revision => return known,
            Some(_) if record.past.contains(&result.revision) => return result.revision,
            None => {
                record.present = Some((result.revision, check.revision));
                return check.revision;
            }
            Some((recorded, known)) => {
                record.past.extend([recorded, known]);
                record.present = Some((result.revision, result.revision));
            }
        }
        let mut fleet = (*self.fleet).clone();
        let redefined = Check { revision: result.revision, ..(**check).clone() };
        fleet.checks.insert(check.id.clone(), Arc::new(redefined));
        self.apply(Event::Configured(Arc::new(fleet)));
        result.revision
    }

    /// What the engine takes a recorded round for.
    fn round(&mut self, check: &CheckId, round: RoundId) -> RoundId {
        let record = self.checks.entry(check.clone()).or_default();
        if let Some(known) = record.rounds.get(&round) {
            return *known;
        }
        let Some(asked) = record.asked else {
            // Nobody has asked yet, so it is no answer; but no probe of the schedule either.
            return RoundId(u64::MAX);
        };
        while record.rounds.len() >= ROUNDS_MAX {
            record.rounds.pop_first();
        }
        record.rounds.insert(round, asked);
        asked
    }
}
