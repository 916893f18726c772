//! One stream, from the welcome to its end.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_model::{AnchorSet, Timestamp};
use quorate_proto::agent::v1 as wire;
use quorate_proto::convert::agent as convert;
use tokio::sync::{mpsc, watch};
use tonic::Streaming;
use wire::connect_request::Message;
use wire::connect_response::Message as Reply;

use super::{Ended, Uplink, retry_after};
use crate::outbox::Waiting;
use crate::prober::Command;

/// The most results in a batch. Source: `ResultBatch.results`.
const BATCH_COUNT: usize = 500;
/// The most bytes of results in a batch.
const BATCH_BYTES: usize = 256 << 10;
/// How long a result waits for company.
const LINGER: Duration = Duration::from_millis(100);
/// The most batches under way, whatever the coordinator allows.
const INFLIGHT_MAX: usize = 32;
/// Heartbeats whose acks are waited for; older ones are forgotten.
const HEARTBEATS_MAX: usize = 64;
/// The time without any message from the coordinator after which the stream counts as dead; its
/// acks of heartbeats come far more often.
const SILENCE: Duration = Duration::from_secs(30);
/// The bounds of the time between two heartbeats.
const HEARTBEAT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
/// The longest round trip of a heartbeat whose ack can tell the time.
const PROMPT: Duration = Duration::from_secs(2);
/// The time for the coordinator to end the stream after a goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a successful greeting gives.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) welcome: wire::Welcome,
    pub(super) sender: mpsc::Sender<wire::ConnectRequest>,
    pub(super) incoming: Streaming<wire::ConnectResponse>,
}

/// The state of a stream.
#[derive(Debug)]
pub(super) struct Session<'a> {
    uplink: &'a Uplink,
    number: u64,
    address: &'a str,
    sender: mpsc::Sender<wire::ConnectRequest>,
    incoming: Streaming<wire::ConnectResponse>,
    /// The last result sent on this stream, or stored before it.
    sent: u64,
    /// The last result of each batch under way.
    inflight: VecDeque<u64>,
    inflight_max: usize,
    /// Until when patient results wait for company.
    linger: Option<Timestamp>,
    heartbeat: HeartbeatState,
    /// When the coordinator was last heard.
    heard: Timestamp,
    /// Messages that were not understood.
    unknown: u64,
    /// Since when the agent has been leaving.
    leaving: Option<Timestamp>,
}

/// The heartbeats of a stream.
#[derive(Debug)]
struct HeartbeatState {
    next: Timestamp,
    sequence: u64,
    unanswered: VecDeque<(u64, Timestamp)>,
    round_trip: Option<Duration>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        uplink: &'a Uplink,
        number: u64,
        address: &'a str,
        greeting: Greeting,
    ) -> Self {
        let now = uplink.clock.now();
        // Results above the last one made cannot have been stored.
        let stored = greeting.welcome.resume_after_sequence.min(uplink.outbox.last());
        uplink.outbox.begin_session();
        uplink.outbox.ack_through(stored);
        let allowed = usize::try_from(greeting.welcome.max_inflight_batches).unwrap_or(1);
        set_wall(uplink, greeting.welcome.server_time, Duration::ZERO);
        if let Some(settings) = greeting.welcome.settings {
            settle(uplink, settings);
        }
        Self {
            uplink,
            number,
            address,
            sender: greeting.sender,
            incoming: greeting.incoming,
            sent: stored,
            inflight: VecDeque::new(),
            inflight_max: allowed.clamp(1, INFLIGHT_MAX),
            linger: None,
            heartbeat: HeartbeatState {
                next: now,
                sequence: 0,
                unanswered: VecDeque::new(),
                round_trip: None,
            },
            heard: now,
            unknown: 0,
            leaving: None,
        }
    }

    /// Works until the stream ends.
    ///
    /// # Cancellation
    ///
    /// Dropping it closes the stream; results that were not acknowledged stay in the outbox.
    pub(super) async fn run(mut self) -> Ended {
        let uplink = self.uplink;
        let mut island = uplink.selftest.subscribe();
        let mut was_island = island.borrow_and_update().island;
        let mut settings = uplink.settings.clone();
        loop {
            if self.is_done() {
                return self.farewell().await;
            }
            let now = uplink.clock.now();
            if now.since(self.heard) > SILENCE {
                return Ended::Silent { address: self.address.to_owned() };
            }
            let (ready, wake) = self.outlook(now);
            let sender = self.sender.clone();
            tokio::select! {
                message = self.incoming.message() => {
                    self.heard = uplink.clock.now();
                    match message {
                        Ok(Some(message)) => if let Some(ended) = self.receive(message).await {
                            return ended;
                        },
                        Ok(None) => return Ended::Closed { address: self.address.to_owned() },
                        Err(status) => return Ended::Refused {
                            address: self.address.to_owned(),
                            status: Box::new(status),
                        },
                    }
                }
                Ok(permit) = sender.reserve(), if ready => {
                    if let Some(message) = self.next_message() {
                        permit.send(wire::ConnectRequest { message: Some(message) });
                    }
                }
                () = uplink.outbox.changed() => {}
                () = uplink.clock.sleep_until(wake) => {}
                Ok(()) = island.changed() => {
                    let is_island = island.borrow_and_update().island;
                    if is_island != was_island {
                        was_island = is_island;
                        self.heartbeat.next = now;
                    }
                }
                Ok(()) = settings.changed() => self.hasten(now, &mut settings),
                () = uplink.drain.cancelled(), if self.leaving.is_none() => {
                    self.leaving = Some(uplink.clock.now());
                }
            }
        }
    }

    /// A shorter interval between heartbeats counts from now on.
    fn hasten(
        &mut self,
        now: Timestamp,
        settings: &mut watch::Receiver<quorate_model::AgentSettings>,
    ) {
        let interval = settings.borrow_and_update().heartbeat.clamp(HEARTBEAT.0, HEARTBEAT.1);
        self.heartbeat.next = self.heartbeat.next.min(now + interval);
    }

    /// Whether the agent is leaving and has nothing left to send, or no time.
    fn is_done(&self) -> bool {
        self.leaving.is_some_and(|since| {
            let (spooled, _) = self.uplink.outbox.counts();
            spooled == 0 || self.uplink.clock.now().since(since) >= self.uplink.grace
        })
    }

    /// Says goodbye and lets the coordinator end the stream.
    async fn farewell(mut self) -> Ended {
        let goodbye = Message::Goodbye(wire::Goodbye { reason: "shutdown".to_owned() });
        let message = wire::ConnectRequest { message: Some(goodbye) };
        let end = async {
            // Without a stream there is nobody to say it to.
            if self.sender.send(message).await.is_ok() {
                drop(self.sender);
                while let Ok(Some(_)) = self.incoming.message().await {}
            }
        };
        if tokio::time::timeout(FAREWELL, end).await.is_err() {
            tracing::debug!("coordinator did not end the stream in time");
        }
        Ended::Finished
    }

    /// Whether something can be sent now, and when to look again if nothing happens.
    fn outlook(&mut self, now: Timestamp) -> (bool, Timestamp) {
        let silent = self.heard + SILENCE + Duration::from_millis(1);
        let mut wake = silent;
        if let Some(since) = self.leaving {
            wake = wake.min(since + self.uplink.grace);
        }
        let blocked = wake;
        wake = wake.min(self.heartbeat.next);
        let mut ready = self.heartbeat.next <= now || self.uplink.outbox.has_message();
        if self.inflight.len() < self.inflight_max {
            match self.uplink.outbox.waiting_after(self.sent, BATCH_COUNT as u64) {
                Waiting::Nothing => self.linger = None,
                Waiting::Pressing => ready = true,
                Waiting::Patient => {
                    let linger = *self.linger.get_or_insert(now + LINGER);
                    ready |= linger <= now || self.leaving.is_some();
                    wake = wake.min(linger);
                }
            }
        }
        // What is ready waits for room, not for the clock.
        (ready, if ready { blocked } else { wake })
    }

    /// What goes next: heartbeat, suspicions, answers, results.
    fn next_message(&mut self) -> Option<Message> {
        let now = self.uplink.clock.now();
        if self.heartbeat.next <= now {
            return Some(self.beat(now));
        }
        let uptime = self.uplink.clock.uptime();
        if let Some(message) = self.uplink.outbox.next_message(self.number, uptime) {
            return Some(message);
        }
        if self.inflight.len() >= self.inflight_max {
            return None;
        }
        let results = self.uplink.outbox.batch_after(self.sent, BATCH_COUNT, BATCH_BYTES);
        let last = results.last()?.sequence;
        self.sent = last;
        self.inflight.push_back(last);
        self.linger = None;
        Some(Message::ResultBatch(wire::ResultBatch {
            sent_at: Some(convert::duration_to_wire(uptime)),
            results,
        }))
    }

    fn beat(&mut self, now: Timestamp) -> Message {
        let uplink = self.uplink;
        let interval = uplink.settings.borrow().heartbeat;
        let beat = &mut self.heartbeat;
        beat.next = now + interval.clamp(HEARTBEAT.0, HEARTBEAT.1);
        beat.sequence += 1;
        if beat.unanswered.len() >= HEARTBEATS_MAX {
            beat.unanswered.pop_front();
        }
        beat.unanswered.push_back((beat.sequence, now));
        let (spooled, dropped) = uplink.outbox.counts();
        let failing = uplink.selftest.subscribe().borrow().failing;
        let health = crate::probe::health(&uplink.selftest, &uplink.lag, uplink.clock.uptime());
        Message::Heartbeat(wire::Heartbeat {
            sequence: beat.sequence,
            spooled_result_count: i64::try_from(spooled).unwrap_or(i64::MAX),
            dropped_result_count: i64::try_from(dropped).unwrap_or(i64::MAX),
            health: convert::health_to_wire(health),
            round_trip: beat.round_trip.map(convert::duration_to_wire),
            send_time: Some(convert::timestamp_to_wire(uplink.clock.wall())),
            failing_anchors: failing.map(AnchorSet::bits),
        })
    }

    /// Takes a message. Something if it ends the stream.
    async fn receive(&mut self, message: wire::ConnectResponse) -> Option<Ended> {
        let half = self.heartbeat.round_trip.unwrap_or_default() / 2;
        match message.message {
            Some(Reply::HeartbeatAck(ack)) => self.heard_beat(&ack),
            Some(Reply::ConfigUpdate(update)) => {
                let sent = self.heard.before(half);
                self.command(Command::Configure {
                    session: self.number,
                    update: Box::new(update),
                    sent,
                })
                .await;
            }
            Some(Reply::ResultAck(ack)) => self.acked(ack.through_sequence),
            Some(Reply::RunProbe(run)) => {
                let received = self.heard;
                self.command(Command::Run { session: self.number, run, received }).await;
            }
            Some(Reply::Drain(drain)) => {
                return Some(Ended::Drained {
                    address: self.address.to_owned(),
                    retry_after: retry_after(&drain),
                });
            }
            Some(Reply::Welcome(_)) => {
                return Some(Ended::Protocol {
                    address: self.address.to_owned(),
                    problem: "it sent a second welcome",
                });
            }
            None => {
                self.unknown += 1;
                tracing::debug!(count = self.unknown, "unknown message ignored");
            }
        }
        None
    }

    /// Hands a command to the prober, which never waits for the stream. Waits for room.
    async fn command(&self, command: Command) {
        if self.uplink.commands.send(command).await.is_err() {
            tracing::debug!("command ignored, the agent is stopping");
        }
    }

    fn heard_beat(&mut self, ack: &wire::HeartbeatAck) {
        let beat = &mut self.heartbeat;
        let Some(at) = beat.unanswered.iter().position(|(number, _)| *number == ack.sequence)
        else {
            return;
        };
        if let Some((_, sent)) = beat.unanswered.drain(..=at).next_back() {
            let round_trip = self.heard.since(sent);
            beat.round_trip = Some(beat.round_trip.map_or(round_trip, |best| best.min(round_trip)));
            if round_trip <= PROMPT {
                set_wall(self.uplink, ack.server_time, round_trip / 2);
            }
        }
    }

    /// Forgets what is stored. An ack for what was never sent counts up to what was.
    fn acked(&mut self, through: u64) {
        let through = through.min(self.sent);
        self.uplink.outbox.ack_through(through);
        while self.inflight.front().is_some_and(|last| *last <= through) {
            self.inflight.pop_front();
        }
    }
}

/// Takes the coordinator's time for the dates of certificates: it was sent so long ago.
fn set_wall(uplink: &Uplink, time: Option<prost_types::Timestamp>, ago: Duration) {
    if let Some(Ok(time)) = time.map(|time| convert::timestamp_from_wire("server_time", time)) {
        uplink.wall.tell(time + ago);
    }
}

/// Passes settings on to the prober, which owns them.
fn settle(uplink: &Uplink, settings: wire::AgentSettings) {
    match convert::settings_from_wire(settings) {
        Ok(settings) => {
            // The queue is empty at the start of a stream, or the next update brings them again.
            if uplink.commands.try_send(Command::Settle(settings)).is_err() {
                tracing::debug!("settings of the welcome not taken");
            }
        }
        Err(error) => tracing::warn!(%error, "settings of the welcome are not used"),
    }
}
