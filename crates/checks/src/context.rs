//! What a probe is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use quorate_model::Phase;

use crate::policy::Policy;
use crate::resolve::{Resolver, second_after};
use crate::tls::{TlsBase, TlsError};
use crate::wall::WallClock;

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
        let index = Phase::ALL.iter().position(|other| *other == phase).unwrap_or(0);
        self.0.store(u8::try_from(index).unwrap_or(0), Ordering::Relaxed);
    }

    /// The phase that began last; `dns` before any.
    pub fn current(&self) -> Phase {
        Phase::ALL.get(usize::from(self.0.load(Ordering::Relaxed))).copied().unwrap_or(Phase::Dns)
    }
}

/// What all probes of an agent share: made once, cheap to clone.
#[derive(Debug, Clone)]
pub struct Environment {
    pub(crate) egress: Egress,
    pub(crate) policy: Arc<Policy>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) tls: TlsBase,
    pub(crate) wall: WallClock,
}

/// Why an agent cannot probe at all.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The configuration of the system's resolver cannot be used.
    #[error("cannot read the resolver's configuration, see /etc/resolv.conf")]
    Resolver(#[source] hickory_resolver::net::NetError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Environment {
    /// Reads the system's resolver configuration and trusted roots, once.
    pub fn new(egress: Egress, policy: Policy) -> Result<Self, EnvironmentError> {
        Ok(Self {
            egress,
            policy: Arc::new(policy),
            resolver: Arc::new(Resolver::system().map_err(EnvironmentError::Resolver)?),
            tls: TlsBase::system()?,
            wall: WallClock::default(),
        })
    }

    /// The same with a second resolver at these addresses, which is asked when the system's is in
    /// trouble; without any if there are none. It is reached directly, whatever the egress.
    pub fn with_second_resolver(
        mut self,
        servers: &[SocketAddr],
    ) -> Result<Self, EnvironmentError> {
        let resolver = Resolver::clone(&self.resolver).with_second(servers);
        self.resolver = Arc::new(resolver.map_err(EnvironmentError::Resolver)?);
        Ok(self)
    }

    /// What this agent may contact.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The clock by which dates are judged.
    pub fn wall(&self) -> &WallClock {
        &self.wall
    }
}

/// What a probe is given beside its own options. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProbeContext {
    /// The whole probe's time; then it has failed in the phase it had reached.
    pub timeout: Duration,
    /// The time after which a success is slow.
    pub slow_after: Duration,
    /// How to reach the world, and what of it.
    pub environment: Environment,
    /// How long the first resolver is waited for before the second one is asked.
    pub second_after: Duration,
    /// Where the probe notes its phase.
    pub phase: PhaseCell,
    /// Whether to contact the target over the address family by which the probe does not vote.
    pub(crate) is_other_family: bool,
}

impl ProbeContext {
    /// The context of one probe, with a phase cell of its own.
    pub fn new(environment: Environment, timeout: Duration, slow_after: Duration) -> Self {
        Self {
            timeout,
            slow_after,
            environment,
            second_after: second_after(timeout),
            phase: PhaseCell::default(),
            is_other_family: false,
        }
    }

    /// The context of the same probe over the other address family: a probe of a name votes by IPv4
    /// where it has such an address, so this one uses IPv6.
    #[must_use]
    pub fn over_other_family(&self) -> Self {
        Self { phase: PhaseCell::default(), is_other_family: true, ..self.clone() }
    }

    /// Whether it is such a one.
    pub fn is_over_other_family(&self) -> bool {
        self.is_other_family
    }
}
