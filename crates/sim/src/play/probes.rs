//! Probes: from the slot or the request to the result in the outbox. Follows the agent's prober.

use std::sync::Arc;
use std::time::Duration;

use quorate_agent::logic::{SuspectDraft, doubt, health, put_off};
use quorate_model::{CheckId, Health, MeasuredResult, Outcome, Revision, RoundId, Timestamp};

use super::member::{Flight, Wish};
use super::{Job, Player};
use crate::scenario::What;
use crate::world::Ask;

/// How often a starved process is found to be late.
const LAG_EVERY: Duration = Duration::from_secs(1);

impl Player {
    /// Makes sure that the agent wakes for its next slot.
    pub(super) fn arm(&mut self, agent: usize) {
        let member = &mut self.members[agent];
        let next = member.schedule.next_due().filter(|_| member.is_up);
        if let Some(next) = next.filter(|next| member.wake_at.is_none_or(|at| *next < at)) {
            member.wake_at = Some(next.max(self.now));
            let boot = member.boot;
            self.push(next, Job::Wake { agent, boot });
        }
    }

    pub(super) fn wake(&mut self, agent: usize, boot: u32) {
        let member = &mut self.members[agent];
        if !member.lives(boot) || member.wake_at != Some(self.now) {
            return;
        }
        member.wake_at = None;
        for due in member.schedule.take_due(self.now) {
            let member = &mut self.members[agent];
            let Some(spec) = member.config.get(&due.check).map(Arc::clone) else {
                continue;
            };
            if !member.running.insert(due.check.clone()) {
                continue;
            }
            let target = self.targets.get(&due.check).map_or("", String::as_str);
            match member.rates.reserve(self.now, target, spec.interval / 2) {
                Some(wait) => {
                    let flight = self.flight(spec, Wish::Scheduled);
                    self.later(wait, Job::Start { agent, boot, flight });
                }
                None => {
                    member.running.remove(&due.check);
                }
            }
        }
        self.arm(agent);
    }

    fn flight(&self, spec: Arc<quorate_model::ProbeSpec>, wish: Wish) -> Box<Flight> {
        Box::new(Flight { spec, wish, started: self.now, seen: None })
    }

    /// Starts a probe that was asked for, or says no.
    pub(super) fn ask(
        &mut self,
        agent: usize,
        (session, round): (u64, RoundId),
        (check, revision): (&CheckId, Revision),
        within: Duration,
    ) {
        let member = &mut self.members[agent];
        let spec =
            member.config.get(check).filter(|spec| spec.revision == revision).map(Arc::clone);
        let new = !member.rounds.contains(round, check);
        let Some(spec) = spec.filter(|_| new && member.rates.confirm(self.now)) else {
            self.decline(agent, session, round, check);
            return;
        };
        member.rounds.insert(round, check);
        let boot = member.boot;
        let start_by = self.now + within;
        let flight = self.flight(spec, Wish::Asked { session, round, start_by });
        self.start(agent, boot, *flight);
    }

    pub(super) fn start(&mut self, agent: usize, boot: u32, mut flight: Flight) {
        if !self.members[agent].lives(boot) {
            return;
        }
        self.probes += 1;
        flight.started = self.now;
        let member = &self.members[agent];
        let (region, id) = (member.region.clone(), member.id.clone());
        let is_asked = flight.wish != Wish::Scheduled;
        let (check, timeout) = (&flight.spec.check, flight.spec.timeout);
        let second_after = member.lookups.second_after(check, timeout, is_asked);
        let target = self.targets.get(&flight.spec.check).cloned().unwrap_or_default();
        let seen = self.world.probe(&Ask {
            region: &region,
            agent: id.as_str(),
            target: &target,
            timeout,
            slow_after: flight.spec.slow_after,
            asked: is_asked,
            second_after,
            number: self.probes,
            now: self.now,
        });
        let (total, lasts) = (seen.observation.total, seen.lasts);
        flight.seen = Some(seen);
        let flight = Box::new(flight);
        let wait = member.patience.suspect_after(&flight.spec);
        if total > wait {
            self.later(wait, Job::Late { agent, boot, flight: flight.clone() });
        }
        self.later(lasts, Job::End { agent, boot, flight });
    }

    /// A probe is late: says so, and has the self-test look at once.
    pub(super) fn late(&mut self, agent: usize, boot: u32, flight: &Flight) {
        let member = &self.members[agent];
        let Some(seen) = flight.seen.as_ref().filter(|_| member.lives(boot)) else {
            return;
        };
        let draft = SuspectDraft {
            check: flight.spec.check.clone(),
            revision: flight.spec.revision,
            phase: seen.waits_in,
            started_at: member.uptime(flight.started),
            health: member.health(self.now),
        };
        member.outbox.push_suspect(draft);
        let waits_in = seen.waits_in;
        self.members[agent].lookups.late(&flight.spec.check, waits_in);
        self.request_test(agent);
        self.pump(agent);
    }

    pub(super) fn ended(&mut self, agent: usize, boot: u32, flight: Flight) {
        if !self.members[agent].lives(boot) {
            return;
        }
        if let Some(seen) = &flight.seen {
            self.members[agent].lookups.ended(&flight.spec.check, &seen.observation);
            self.members[agent].patience.ended(&flight.spec, &seen.observation);
        }
        match flight.seen.as_ref().map(|seen| seen.observation.outcome) {
            Some(Outcome::Fail { .. } | Outcome::Blocked { .. }) => self.decide(agent, flight),
            Some(Outcome::Ok | Outcome::Slow | Outcome::Inconclusive { .. }) => {
                self.finish(agent, &flight);
            }
            None => {}
        }
    }

    /// Makes the result of a probe that is over.
    pub(super) fn finish(&mut self, agent: usize, flight: &Flight) {
        let Some(seen) = flight.seen.as_ref() else {
            return;
        };
        let check = &flight.spec.check;
        let asked_for = flight.evidence().and_then(|evidence| evidence.retry_after);
        let member = &mut self.members[agent];
        if flight.wish == Wish::Scheduled {
            member.running.remove(check);
        }
        let started_at = member.uptime(flight.started);
        let ended_at = started_at + seen.lasts;
        let health = health(member.test.is_island, || member.lag.overlaps(started_at, ended_at));
        let mut observation = seen.observation.clone();
        if health == Health::Overloaded {
            doubt(&mut observation);
        }
        let result = MeasuredResult {
            sequence: 0,
            check: check.clone(),
            revision: flight.spec.revision,
            round: match flight.wish {
                Wish::Scheduled => None,
                Wish::Asked { round, .. } => Some(round),
            },
            started_at,
            ended_at,
            health,
            observation,
        };
        if let Some(delay) = asked_for {
            let delay = put_off(seen.observation.outcome, delay, flight.spec.interval);
            member.schedule.postpone(check, self.now + delay);
            member.wake_at = None;
            self.arm(agent);
        }
        let boot = self.members[agent].boot;
        match self.delay(agent) {
            Some(by) => self.later(by, Job::Keep { agent, boot, result: Box::new(result) }),
            None => self.keep(agent, boot, result),
        }
    }

    fn delay(&self, agent: usize) -> Option<Duration> {
        let member = &self.members[agent];
        let suffered = self.world.suffered(&member.region, member.id.as_str(), self.now);
        suffered
            .filter_map(|(_, fault)| {
                let What::Delay { by } = fault.what else { return None };
                Some(by)
            })
            .max()
    }

    pub(super) fn keep(&mut self, agent: usize, boot: u32, result: MeasuredResult) {
        if self.members[agent].lives(boot) {
            self.members[agent].outbox.push_result(result);
            self.pump(agent);
        }
    }

    /// The process of a starved agent runs late, for as long as it is starved.
    pub(super) fn lag(&mut self, agent: usize, boot: u32) {
        let member = &self.members[agent];
        let mut suffered = self.world.suffered(&member.region, member.id.as_str(), self.now);
        if !member.lives(boot) || !suffered.any(|(_, fault)| matches!(fault.what, What::Overload)) {
            return;
        }
        let now = member.uptime(self.now);
        member.lag.note(now.saturating_sub(LAG_EVERY), now);
        drop(suffered);
        self.later(LAG_EVERY, Job::Lag { agent, boot });
    }

    /// The slots of a check, as an assignment that was sent at `sent` gives them.
    pub(super) fn assign(&mut self, agent: usize, duty: &super::staff::Duty, sent: Timestamp) {
        let member = &mut self.members[agent];
        if member.config.contains_key(&duty.spec.check) {
            let slot = quorate_agent::logic::Slot {
                next: sent + duty.next_in.min(duty.every),
                every: duty.every,
            };
            member.schedule.set(&duty.spec.check, slot);
        }
    }
}
