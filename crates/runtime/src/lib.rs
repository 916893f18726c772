//! The process shell: tasks, clock, signals, telemetry, back-off and random numbers.

mod backoff;
mod clock;
pub mod fields;
pub mod random;
pub mod signal;
mod tasks;
pub mod telemetry;

pub use backoff::Backoff;
pub use clock::Clock;
pub use tasks::Tasks;
