//! The stream between an agent and the coordinator: latency, order, cuts, and what goes when.
//! Follows the agent's uplink.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_agent::logic::Waiting;
use quorate_model::{CheckId, Heartbeat, Revision, RoundId, Timestamp};
use quorate_proto::agent::v1 as wire;
use wire::connect_request::Message;

use super::member::Stream;
use super::staff::Duty;
use super::{Job, Player};
use crate::world::FOR_EVER;

/// The most results in a batch, and their bytes.
const BATCH: (usize, usize) = (500, 256 << 10);
/// The most batches under way.
const INFLIGHT_MAX: usize = 4;
/// How long a result waits for company.
const LINGER: Duration = Duration::from_millis(100);
/// The silence after which an agent gives a stream up.
const SILENCE: Duration = Duration::from_secs(30);
/// The bounds of the wait before an attempt to connect.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The time after which an attempt to connect is given up.
const DIAL: Duration = Duration::from_secs(5);

/// From an agent.
#[derive(Debug)]
pub(super) enum Up {
    Hello,
    Beat { heartbeat: Heartbeat, round_trip: Option<Duration>, clock: Timestamp },
    Suspect(wire::Suspect),
    Declined { round: RoundId, check: CheckId },
    Results { sent_at: Duration, results: Vec<wire::Result> },
}

/// To an agent.
#[derive(Debug)]
pub(super) enum Down {
    Welcome { stored: u64, duties: Vec<Duty> },
    Configure(Vec<Duty>),
    Assign(Vec<Duty>),
    BeatAck { sent: Timestamp },
    Run { round: RoundId, check: CheckId, revision: Revision, within: Duration },
    Ack { through: u64 },
}

impl Player {
    /// When a message that is sent now arrives; never if the link is cut for good.
    fn arrival(&mut self, agent: usize, up: bool) -> Option<Timestamp> {
        let member = &self.members[agent];
        let cut = self.world.link_cut(&member.region, member.id.as_str(), self.now);
        let from = cut.unwrap_or(self.now);
        if from == FOR_EVER {
            return None;
        }
        let member = &mut self.members[agent];
        let last = if up { &mut member.last_up } else { &mut member.last_down };
        *last = (from + member.one_way).max(*last);
        Some(*last)
    }

    pub(super) fn send_up(&mut self, agent: usize, session: u64, message: Up) {
        if let Some(at) = self.arrival(agent, true) {
            self.push(at, Job::Up { agent, session, message: Box::new(message) });
        }
    }

    pub(super) fn send_down(&mut self, agent: usize, session: u64, message: Down) {
        if let Some(at) = self.arrival(agent, false) {
            self.push(at, Job::Down { agent, session, message: Box::new(message) });
        }
    }

    fn is_cut(&self, agent: usize) -> bool {
        let member = &self.members[agent];
        self.world.link_cut(&member.region, member.id.as_str(), self.now).is_some()
    }

    pub(super) fn deliver_up(&mut self, agent: usize, session: u64, message: Up) {
        if self.is_cut(agent) {
            // It is on its way when the link is cut: its packets are sent again later.
            self.send_up(agent, session, message);
        } else {
            self.received(agent, session, message);
        }
    }

    /// Tries to reach the coordinator.
    pub(super) fn dial(&mut self, agent: usize, boot: u32) {
        let member = &mut self.members[agent];
        if !member.lives(boot) || member.stream.is_some() || member.dial_at != Some(self.now) {
            return;
        }
        if self.is_cut(agent) {
            self.redial(agent, DIAL);
            return;
        }
        if !self.coordinator.is_up() {
            self.redial(agent, Duration::ZERO);
            return;
        }
        self.next_session += 1;
        let session = self.next_session;
        self.members[agent].dialling = Some(session);
        // A connection, TLS, and the first message: three ways there, two back.
        let wait = self.members[agent].one_way * 5;
        let at = self.now + wait;
        self.members[agent].last_up = at.max(self.members[agent].last_up);
        self.push(at, Job::Up { agent, session, message: Box::new(Up::Hello) });
        self.dial_in(agent, DIAL + wait);
    }

    /// Dials after a wait, and not before.
    pub(super) fn dial_in(&mut self, agent: usize, wait: Duration) {
        let member = &mut self.members[agent];
        let (at, boot) = (self.now + wait, member.boot);
        member.dial_at = Some(at);
        self.push(at, Job::Dial { agent, boot });
    }

    /// Tries again after a wait that grows.
    pub(super) fn redial(&mut self, agent: usize, given_up_after: Duration) {
        let member = &mut self.members[agent];
        if !member.is_up {
            return;
        }
        member.dialling = None;
        let bound = (RETRY.0 * (1 << member.attempts.min(6))).min(RETRY.1);
        member.attempts += 1;
        let luck = self.draw.word("redial").word(member.id.as_str());
        let luck = luck.number(u64::from(member.attempts));
        let wait = luck.between(RETRY.0 / 4, bound);
        self.dial_in(agent, given_up_after + wait);
    }

    /// The stream has ended under the agent.
    pub(super) fn hang_up(&mut self, agent: usize) {
        self.members[agent].stream = None;
        self.redial(agent, Duration::ZERO);
    }

    pub(super) fn deliver_down(&mut self, agent: usize, session: u64, message: Down) {
        if self.is_cut(agent) {
            self.send_down(agent, session, message);
            return;
        }
        let member = &mut self.members[agent];
        if !member.is_up {
            return;
        }
        if let Down::Welcome { stored, duties } = message {
            if member.dialling == Some(session) {
                self.welcomed(agent, session, stored, &duties);
            }
            return;
        }
        let Some(stream) = member.stream.as_mut().filter(|stream| stream.number == session) else {
            return;
        };
        stream.heard = self.now;
        let half = stream.round_trip.unwrap_or_default() / 2;
        match message {
            Down::Welcome { .. } => {}
            Down::Configure(duties) => self.configured(agent, &duties, half),
            Down::Assign(duties) => {
                for duty in &duties {
                    self.assign(agent, duty, self.now.before(half));
                }
                self.arm(agent);
            }
            Down::BeatAck { sent } => {
                let round_trip = self.now.since(sent);
                let best = stream.round_trip.map_or(round_trip, |best| best.min(round_trip));
                stream.round_trip = Some(best);
            }
            Down::Run { round, check, revision, within } => {
                self.ask(agent, (session, round), (&check, revision), within);
            }
            Down::Ack { through } => {
                while stream.inflight.front().is_some_and(|last| *last <= through) {
                    stream.inflight.pop_front();
                }
                member.outbox.ack_through(through.min(stream.sent));
                self.pump(agent);
            }
        }
    }

    fn welcomed(&mut self, agent: usize, session: u64, stored: u64, duties: &[Duty]) {
        let member = &mut self.members[agent];
        let stored = stored.min(member.outbox.last());
        member.outbox.begin_session();
        member.outbox.ack_through(stored);
        member.dialling = None;
        member.attempts = 0;
        member.stream = Some(Stream {
            number: session,
            sent: stored,
            inflight: VecDeque::new(),
            linger: None,
            heard: self.now,
            round_trip: None,
        });
        let half = member.one_way;
        self.configured(agent, duties, half);
        self.beat(agent, session);
        self.pump(agent);
    }

    /// Takes a whole configuration; checks that are not in it are no longer probed.
    fn configured(&mut self, agent: usize, duties: &[Duty], half: Duration) {
        let member = &mut self.members[agent];
        let before = std::mem::take(&mut member.config);
        for duty in duties {
            member.config.insert(duty.spec.check.clone(), std::sync::Arc::clone(&duty.spec));
        }
        for gone in before.keys().filter(|check| !member.config.contains_key(*check)) {
            member.schedule.remove(gone);
        }
        for duty in duties {
            self.assign(agent, duty, self.now.before(half));
        }
        self.arm(agent);
    }

    /// The regular heartbeat, and a look at how long the coordinator has been silent.
    pub(super) fn beat(&mut self, agent: usize, session: u64) {
        let heard = self.members[agent].stream.as_ref().map(|stream| stream.heard);
        if heard.is_some_and(|heard| self.now.since(heard) > SILENCE) {
            self.hang_up(agent);
            return;
        }
        self.heartbeat(agent, session);
        let every = self.coordinator.settings().heartbeat;
        self.later(every, Job::Beat { agent, session });
    }

    pub(super) fn heartbeat(&mut self, agent: usize, session: u64) {
        let member = &self.members[agent];
        let health = member.health(self.now);
        let heartbeat = Heartbeat { failing_anchors: member.test.failing, ..health.into() };
        let clock = self.world.wall(&member.region, member.id.as_str(), self.now);
        let round_trip = member.stream.as_ref().and_then(|stream| stream.round_trip);
        self.send_up(agent, session, Up::Beat { heartbeat, round_trip, clock });
    }

    pub(super) fn decline(&mut self, agent: usize, session: u64, round: RoundId, check: &CheckId) {
        self.send_up(agent, session, Up::Declined { round, check: check.clone() });
    }

    /// Sends what can go: suspicions first, then results.
    pub(super) fn pump(&mut self, agent: usize) {
        loop {
            let member = &mut self.members[agent];
            let uptime = self.now.since(member.booted);
            let Some(stream) = member.stream.as_mut() else {
                return;
            };
            let session = stream.number;
            if let Some(message) = member.outbox.next_message(session, uptime) {
                if let Message::Suspect(suspect) = message {
                    self.send_up(agent, session, Up::Suspect(suspect));
                }
                continue;
            }
            if stream.inflight.len() >= INFLIGHT_MAX {
                return;
            }
            let full = u64::try_from(BATCH.0).unwrap_or(u64::MAX);
            match member.outbox.waiting_after(stream.sent, full) {
                Waiting::Nothing => {
                    stream.linger = None;
                    return;
                }
                Waiting::Pressing => {}
                Waiting::Patient => {
                    let at = *stream.linger.get_or_insert(self.now + LINGER);
                    if at > self.now {
                        self.push(at, Job::Linger { agent, session });
                        return;
                    }
                }
            }
            stream.linger = None;
            let results = member.outbox.batch_after(stream.sent, BATCH.0, BATCH.1);
            let Some(last) = results.last().map(|result| result.sequence) else {
                return;
            };
            stream.sent = last;
            stream.inflight.push_back(last);
            self.send_up(agent, session, Up::Results { sent_at: uptime, results });
        }
    }
}
