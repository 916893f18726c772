//! The ten invariants of the decision, each over random compositions: fleets of one to nine
//! regions, agents, policies, faults, orders and delays of delivery, clocks, exclusions, restarts.
//!
//! `QUORATE_CASES=10000` plays that many compositions of each instead of the quick number. A
//! failure prints its seed and the smallest composition found that still fails;
//! `QUORATE_SEED=...` plays that one alone.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod agreement;
mod behind;
mod composition;
mod draw;
mod driver;
mod incidents;
mod liveness;
mod origin;
mod proof;
mod safety;
mod world;
