//! Wires the host together.
fn main() {}
