//! What a probe is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use quorate_model::Phase;

/// How an agent reaches the world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Egress {
    /// Directly.
    #[default]
    Direct,
    /// Through a SOCKS5 proxy without authentication, which is asked to connect to addresses, not
    /// names. Source: RFC 1928.
    Socks5(SocketAddr),
    /// Through an HTTP proxy that is asked to CONNECT. Source: RFC 9110, section 9.3.6.
    HttpConnect(SocketAddr),
}

/// Where a running probe is, for whoever grows impatient.
#[derive(Debug, Clone, Default)]
pub struct PhaseCell(Arc<AtomicU8>);

impl PhaseCell {
    /// Notes that `phase` has begun.
    pub fn enter(&self, phase: Phase) {
        let index = Phase::ALL
            .iter()
            .position(|other| *other == phase)
            .unwrap_or(0);
        self.0
            .store(u8::try_from(index).unwrap_or(0), Ordering::Relaxed);
    }

    /// The phase that began last; `dns` before any.
    pub fn current(&self) -> Phase {
        Phase::ALL
            .get(usize::from(self.0.load(Ordering::Relaxed)))
            .copied()
            .unwrap_or(Phase::Dns)
    }
}

/// What a probe is given beside its own options. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProbeContext {
    /// The whole probe's time; then it has failed in the phase it had reached.
    pub timeout: Duration,
    /// The time after which a success is slow.
    pub slow_after: Duration,
    /// How to reach the world.
    pub egress: Egress,
    /// Where the probe notes its phase.
    pub phase: PhaseCell,
}
