//! What an agent is started with.

use std::path::PathBuf;
use std::time::Duration;

use quorate_checks::{CheckKind, Environment};
use quorate_model::BootId;
use quorate_runtime::Clock;

use crate::Identity;

/// Everything that [`run`](crate::run) needs.
#[derive(Debug)]
pub struct Options {
    /// Who the agent is.
    pub identity: Identity,
    /// `host:port` of the coordinator's listeners for agents, at least one; the next is tried when
    /// one fails.
    pub coordinators: Vec<String>,
    /// The way out, and the local policy.
    pub environment: Environment,
    /// The check kinds that it runs.
    pub kinds: &'static [&'static dyn CheckKind],
    /// Where it keeps its last configuration; without it, it starts empty.
    pub state: Option<PathBuf>,
    /// The clock of the process.
    pub clock: Clock,
    /// This run of the process: the numbers of its results are unique within it.
    pub boot: BootId,
    /// How much it does at most.
    pub limits: Limits,
}

impl Options {
    /// Options with all check kinds, default limits, a new boot id and no state folder.
    pub fn new(
        identity: Identity,
        coordinators: Vec<String>,
        environment: Environment,
        clock: Clock,
    ) -> Self {
        Self {
            identity,
            coordinators,
            environment,
            kinds: quorate_checks::KINDS,
            state: None,
            clock,
            boot: BootId(u128::from_be_bytes(quorate_runtime::random::bytes())),
            limits: Limits::default(),
        }
    }
}

/// How much an agent does at most. No message from a coordinator widens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Scheduled probes a second, in all.
    pub rate: u32,
    /// Scheduled probes a second, for each destination.
    pub rate_per_address: u32,
    /// Confirmations a second, in all.
    pub confirmation_rate: u32,
    /// Probes in flight, in all.
    pub in_flight: usize,
    /// Those of them that are kept free for confirmations.
    pub reserved: usize,
    /// Checks.
    pub checks: usize,
    /// The least time between two scheduled probes of a check.
    pub interval: Duration,
    /// Results that wait for the coordinator.
    pub spool_results: usize,
    /// Their size in bytes.
    pub spool_bytes: usize,
    /// How long the end may take: for probes to stop, and for results to be acknowledged.
    pub grace: Duration,
    /// The longest wait before an attempt to connect.
    pub reconnect: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rate: 200,
            rate_per_address: 5,
            confirmation_rate: 100,
            in_flight: 64,
            reserved: 16,
            checks: 5_000,
            interval: Duration::from_secs(1),
            spool_results: 200_000,
            spool_bytes: 64 << 20,
            grace: Duration::from_secs(8),
            reconnect: Duration::from_secs(30),
        }
    }
}
