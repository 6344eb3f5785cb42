//! mainstay-demo
fn main() {}
