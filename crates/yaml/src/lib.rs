//! YAML text in, a typed value or every located problem out.
//!
//! [`Document::parse`] builds a tree in which each key and each value has its place;
//! [`Document::read`] turns the tree into a typed value. A value that does not fit is noted, taken
//! out, and reading goes on, so that a file is mended in one go and not one error at a time.
//!
//! Reads no files and no environment.

mod document;
mod fault;
mod parse;
mod problem;
mod reader;
mod suggest;
mod tree;

pub use document::{Document, Reading};
pub use parse::decode;
pub use problem::{Problem, Severity};
pub use suggest::{did_you_mean, shown, suggest};
