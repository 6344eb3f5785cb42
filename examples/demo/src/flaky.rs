//! A program that works for some seconds and then falls over.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::{say, some_number};

const TROUBLES: [&str; 4] =
    ["out of coffee", "the queue bit me", "divided a cake by zero guests", "lost my place in the list"];

/// Counts, then fails.
pub fn run() -> ExitCode {
    let steps = 3 + some_number(6);
    for step in 1..=steps {
        say(&format!("step {step}"));
        thread::sleep(Duration::from_millis(1000));
    }
    let trouble = TROUBLES[usize::try_from(some_number(4)).unwrap_or(0)];
    say(&format!("fatal: {trouble}"));
    ExitCode::from(3)
}
