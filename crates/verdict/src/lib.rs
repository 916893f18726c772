//! The decision core. Judging is a value: an [`Event`] and the time go in, [`Effect`]s come out.
//!
//! There is no clock, no I/O, no randomness, no floating point and no log in here; the same events
//! at the same times give the same effects, always.
//!
//! One rule stands in each module, with the argument for it: `liveness` (who can be believed, and
//! which regions are one place), `anchors` (whether their self-tests can), `conflict` (who is at odds
//! with all the others), `vote` (what a region says), `episode` (whom to ask again), `hosts` (what
//! asking may cost), `quorum` (when it is down), `distinct` (whether failing regions differ enough),
//! `evidence` (whether that can be coincidence), `baseline` (how often a region fails for nothing),
//! `noisy` (which region does so all day), `learned` (what of that outlives a restart), `slow` (what
//! fails now and then), `mixed` (what fails now and then and was taken for down), `certificate` (what
//! will end soon), `recovery` (when it is over), `incident` (what people are told), `mute` (when they
//! are not), `burst` (when in one message), `cause` (who is responsible), `edge` (which edge of a
//! delivery network is), `origin` (what stands behind one), `clocks` (whose wall clock is wrong),
//! `resolvers` (who cannot look up names) and `operators` (what is wrong with ourselves). `case`
//! applies them to one check, and there `calm` says what needs no judgement, `sight` what becomes of a
//! check that nobody can see, and `past` what of an outage that was over before it was heard of.
//! [`Engine`] applies them to all checks.

mod alarms;
mod anchors;
mod ballot;
mod baseline;
mod burst;
mod case;
mod cause;
mod certificate;
mod clocks;
mod conflict;
mod count;
mod distinct;
mod edge;
mod effect;
mod engine;
mod episode;
mod event;
mod evidence;
pub mod explain;
mod hosts;
mod incident;
mod index;
mod learned;
mod limits;
mod liveness;
mod memory;
mod mixed;
mod mute;
mod noisy;
mod operators;
mod origin;
pub mod plan;
mod quorum;
mod recovery;
pub mod replay;
mod resolvers;
pub mod schedule;
mod slow;
mod vote;

pub use effect::{Confirmation, Effect, Transition};
pub use engine::{Engine, Stretch};
pub use event::{Event, Restore};
pub use liveness::RegionState;
