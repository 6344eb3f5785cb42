//! 1,000 services in one stack: up, status, stop.

use std::fmt::Write;

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually, is_wine, running};

#[test]
fn a_thousand_services() {
    // A Wine process costs a hundred times a Linux one.
    let count = if is_wine() { 50 } else { 1000 };
    let mut config = String::new();
    for n in 0..count {
        writeln!(config, "[service.s{n}]\ncommand = [\"FIXTURE\", \"lines\", \"--count\", \"3\"]").unwrap();
    }
    let stack = Stack::new(&config);
    stack.up();
    let status = eventually("all run", || {
        let status = stack.status_of("t")?;
        status.services.iter().all(|service| service.state == StateName::Running).then_some(status)
    });
    assert_eq!(status.services.len(), count);
    assert_eq!(running(stack.fixture()).len(), count);
    let expected = stack.log("s0");
    assert_eq!(expected.iter().filter(|byte| **byte == b'\n').count(), 3);
    for n in 0..count {
        eventually("its output is in its log", || (stack.log(&format!("s{n}")) == expected).then_some(()));
    }
    let table = stack.run(&["status"]).expect_success().stdout;
    assert!(table.lines().count() >= count);
    stack.down();
}
