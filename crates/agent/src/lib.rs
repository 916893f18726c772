//! Schedules probes, runs them within limits, streams their results, spools when cut off.
//!
//! [`join`] makes an [`Identity`] out of a join bundle; [`run`] is the agent itself. Inside, the
//! prober decides what is probed when, the outbox holds what it saw, and the uplink keeps one
//! stream to a coordinator. Each works on when another cannot.

mod anchors;
mod config;
mod config_cache;
mod dial;
mod families;
pub mod file;
mod files;
mod identity;
mod join;
mod lag;
mod lookups;
mod options;
mod outbox;
mod patience;
mod probe;
mod prober;
mod rates;
mod reachability;
mod rounds;
mod run;
mod schedule;
mod selftest;
mod sentinel;
mod spool;
#[cfg(test)]
mod testing;
mod tls;
mod uplink;

/// What an agent decides, without sockets, clocks and tasks: a simulation plays with it.
pub mod logic {
    pub use crate::anchors::{GAP, attempt_limit, decide_limit, health, is_cut_off};
    pub use crate::lag::{LATE, Lag, doubt};
    pub use crate::lookups::Lookups;
    pub use crate::outbox::{Outbox, SuspectDraft, Waiting};
    pub use crate::patience::Patience;
    pub use crate::rates::Rates;
    pub use crate::rounds::Rounds;
    pub use crate::schedule::{Due, Schedule, Slot, put_off};
    pub use crate::spool::{MemorySpool, Spool};
}

pub use dial::DialError;
pub use identity::{Identity, IdentityError, Joined};
pub use join::{JoinError, join};
pub use options::{Limits, Options};
pub use run::{AgentError, run};
pub use tls::TlsSetupError;
