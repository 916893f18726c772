//! Nothing that was acknowledged is lost.

fn main() {}
