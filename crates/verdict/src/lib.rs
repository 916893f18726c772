//! The decision core. Judging is a value: an [`Event`] and the time go in, [`Effect`]s come out.
//!
//! There is no clock, no I/O, no randomness, no floating point and no log in here; the same events
//! at the same times give the same effects, always.

mod effect;
mod engine;
mod event;
pub mod explain;
pub mod schedule;

pub use effect::{Confirmation, Effect, Transition};
pub use engine::{Engine, RegionState};
pub use event::{Event, Restore};
