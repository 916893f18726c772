//! The whole product: one coordinator, five agents, real targets, networks that can be cut.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

mod full_disk;
mod history;
mod in_process;
mod processes;
mod refusals;
