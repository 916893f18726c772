//! What the end-to-end tests and the benchmark share.

pub mod cluster;
pub mod processes;
pub mod raw_agent;
