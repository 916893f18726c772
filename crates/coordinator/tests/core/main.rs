//! A whole coordinator between agents over real mTLS and a real receiver of webhooks.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects"
)]

mod bench;
mod clock;
mod config;
mod decisions;
mod fake_agent;
mod faulty_store;
mod hello;
mod receiver;
mod restart;
mod results;
