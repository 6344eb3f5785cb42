//! mainstay-cli
fn main() {}
