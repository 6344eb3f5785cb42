//! mainstay-bench
fn main() {}
