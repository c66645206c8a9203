//! The `faregate` command.
fn main() {}
