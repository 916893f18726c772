//! One agent: the real agent's parts, and what stands in for its sockets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorate_agent::logic::{Lag, Lookups, MemorySpool, Outbox, Patience, Rates, Rounds, Schedule};
use quorate_model::{
    AgentId, BootId, CheckId, Evidence, Health, Prefix, ProbeSpec, RegionId, RoundId, Timestamp,
};

use super::selftest::SelfTest;
use crate::random::Draw;
use crate::world::Seen;

/// The bounds of one way between an agent and the coordinator.
const ONE_WAY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(60));
/// The limits of an agent that is started without any of its own.
const LIMITS: (u32, u32, u32) = (200, 5, 100);
/// The most rounds remembered.
const ROUNDS_MAX: usize = 4_096;
/// The bounds of the spool.
const SPOOL: (usize, usize) = (200_000, 64 << 20);

/// Why a probe runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Scheduled,
    Asked { session: u64, round: RoundId, start_by: Timestamp },
}

/// A probe on its way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) spec: Arc<ProbeSpec>,
    pub(super) wish: Wish,
    pub(super) started: Timestamp,
    pub(super) seen: Option<Seen>,
}

impl Flight {
    pub(super) fn evidence(&self) -> Option<&Evidence> {
        self.seen.as_ref().map(|seen| &seen.observation.evidence)
    }
}

/// The agent's side of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) number: u64,
    /// The last result sent on it, or stored before it.
    pub(super) sent: u64,
    pub(super) inflight: VecDeque<u64>,
    /// When patient results go.
    pub(super) linger: Option<Timestamp>,
    pub(super) heard: Timestamp,
    pub(super) round_trip: Option<Duration>,
}

/// An agent.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: AgentId,
    pub(super) region: RegionId,
    /// From where the coordinator sees it.
    pub(super) prefix: Option<Prefix>,
    pub(super) is_up: bool,
    pub(super) boot: u32,
    pub(super) booted: Timestamp,
    pub(super) one_way: Duration,
    /// When the last message of each direction arrives: a stream keeps the order.
    pub(super) last_up: Timestamp,
    pub(super) last_down: Timestamp,
    pub(super) config: BTreeMap<CheckId, Arc<ProbeSpec>>,
    pub(super) schedule: Schedule,
    pub(super) wake_at: Option<Timestamp>,
    pub(super) running: BTreeSet<CheckId>,
    pub(super) rounds: Rounds,
    pub(super) rates: Rates,
    pub(super) outbox: Outbox,
    pub(super) lag: Lag,
    pub(super) lookups: Lookups,
    pub(super) patience: Patience,
    pub(super) test: SelfTest,
    /// Failures that wait for the word of a self-test.
    pub(super) undecided: BTreeMap<u64, Flight>,
    pub(super) stream: Option<Stream>,
    /// A stream that is being opened.
    pub(super) dialling: Option<u64>,
    /// When the next attempt to connect is.
    pub(super) dial_at: Option<Timestamp>,
    pub(super) attempts: u32,
}

fn outbox() -> Outbox {
    Outbox::new(Box::new(MemorySpool::new(SPOOL.0, SPOOL.1)))
}

impl Member {
    pub(super) fn new(
        id: AgentId,
        (region, prefix): (RegionId, Option<Prefix>),
        draw: Draw,
        now: Timestamp,
    ) -> Self {
        Self {
            one_way: draw.word("link").word(id.as_str()).between(ONE_WAY.0, ONE_WAY.1),
            id,
            region,
            prefix,
            is_up: true,
            boot: 1,
            booted: now,
            last_up: now,
            last_down: now,
            config: BTreeMap::new(),
            schedule: Schedule::default(),
            wake_at: None,
            running: BTreeSet::new(),
            rounds: Rounds::new(ROUNDS_MAX),
            rates: Rates::new(LIMITS.0, LIMITS.1, LIMITS.2),
            outbox: outbox(),
            lag: Lag::default(),
            lookups: Lookups::default(),
            patience: Patience::default(),
            test: SelfTest::default(),
            undecided: BTreeMap::new(),
            stream: None,
            dialling: None,
            dial_at: None,
            attempts: 0,
        }
    }

    /// Ends the process: what it held in memory is gone, its configuration is on disk.
    pub(super) fn die(&mut self) {
        self.is_up = false;
        self.boot += 1;
        self.wake_at = None;
        self.running.clear();
        self.rounds = Rounds::new(ROUNDS_MAX);
        self.rates = Rates::new(LIMITS.0, LIMITS.1, LIMITS.2);
        self.outbox = outbox();
        self.lag = Lag::default();
        self.lookups = Lookups::default();
        self.patience = Patience::default();
        self.test = SelfTest::default();
        self.undecided.clear();
        self.stream = None;
        self.dialling = None;
        self.attempts = 0;
    }

    pub(super) fn boot_id(&self) -> BootId {
        BootId(u128::from(self.boot))
    }

    /// The monotonic clock of this boot.
    pub(super) fn uptime(&self, at: Timestamp) -> Duration {
        at.since(self.booted)
    }

    pub(super) fn lives(&self, boot: u32) -> bool {
        self.is_up && self.boot == boot
    }

    pub(super) fn is_session(&self, number: u64) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.number == number)
    }

    /// What the agent thinks of itself now.
    pub(super) fn health(&self, now: Timestamp) -> Health {
        let uptime = self.uptime(now);
        quorate_agent::logic::health(self.test.is_island, || self.lag.is_late(uptime))
    }
}
