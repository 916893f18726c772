//! What every store must do. A new store passes these cases, or it is not a store.
//!
//! Each case says in its name what it asks, and panics where the store does otherwise.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a case says what it expects, and panicking is how it reports"
)]

mod durable;
mod incidents;
mod outbox;
mod past;
mod people;
mod results;
pub mod sample;

use crate::Store;

/// A case that needs one empty store.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it asks.
    pub name: &'static str,
    /// Runs it on an empty store; panics if the store does otherwise.
    pub run: fn(&mut dyn Store),
}

/// A case that closes the store and opens it again: each call opens the same place, which is empty
/// at first. The case drops the store before it opens the next.
#[derive(Debug, Clone, Copy)]
pub struct DurableCase {
    /// What it asks.
    pub name: &'static str,
    /// Runs it; panics if the store does otherwise.
    pub run: fn(&mut dyn FnMut() -> Box<dyn Store>),
}

/// What every store must do.
pub const CASES: &[&[Case]] =
    &[results::CASES, past::CASES, incidents::CASES, outbox::CASES, people::CASES];

/// What a durable store must do as well.
pub const DURABLE: &[DurableCase] = durable::CASES;

/// Runs every case of [`CASES`], each on a new store from `open`. Returns their names.
pub fn run(open: &mut dyn FnMut() -> Box<dyn Store>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for case in CASES.iter().copied().flatten() {
        (case.run)(open().as_mut());
        names.push(case.name);
    }
    names
}
