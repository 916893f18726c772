//! The soak: the real decision core through years of noise, and through thousands of outages.
//!
//! Five regions with the labels of the standard fleet and one agent each probe one check each minute
//! with a timeout of ten seconds, for one false alert a year. The schedule, the lateness that raises
//! suspicion and the fleet's configuration are the product's own; the network is reduced to a delay.
//!
//! **Skipping.** While all is up and nothing is under way, further successes change only sums. The
//! engine then takes a stretch of them in one step ([`Engine::fast_forward`]); every probe is still
//! drawn, and everything around a failure is played event by event. A test plays the same seeds
//! without skipping and compares verdicts, messages, rounds and what is remembered.
//!
//! **What is left out.** Heartbeats: agents never fall silent here, and the policy's times for that
//! are out of reach. Self-tests: whether a region is believed is part of the setting. Certificates,
//! refusals and slow answers. [`scenario`] times outages with all of that, through the player of
//! scenarios.
//!
//! [`Engine::fast_forward`]: quorate_verdict::Engine::fast_forward
//! [`scenario`]: detect_in_scenarios

mod member;
mod noise;
mod outage;
mod scenario;
mod setting;
mod tally;
mod watch;

pub use noise::Model;
pub use outage::{Delays, Outage, detect};
pub use scenario::detect_in_scenarios;
pub use setting::{Region, Setting};
pub use tally::Tally;
pub use watch::{Moment, Watch};
