//! Plays scenario files: a fleet, checks, faults on a virtual clock, and what must come out.
//!
//! [`parse`] reads a file, [`play`](fn@play) runs it with the real decision core and the real logic
//! of the agents over a modelled network, [`judge`](fn@judge) compares what came with what was
//! expected. Nothing waits and nothing is random: the same file and seed give the same run.

mod configure;
mod judge;
mod play;
mod random;
mod raw;
mod read;
mod report;
mod scenario;
pub mod soak;
mod text;
mod trace;
mod world;

pub use judge::{Ruling, judge};
pub use play::{Played, play};
pub use read::parse;
pub use report::{document, line};
pub use scenario::Scenario;
pub use trace::{Entry, Said};
