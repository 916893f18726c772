//! The `quorate-coordinator` program.

fn main() {}
