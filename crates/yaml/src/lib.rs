//! YAML text in, a typed value or every located problem out.
//!
//! Reads no files and no environment.

mod problem;

pub use problem::{Problem, Severity};
