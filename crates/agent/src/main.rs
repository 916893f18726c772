//! The `quorate-agent` program.

fn main() {}
