//! The headwater executable.
fn main() {}
