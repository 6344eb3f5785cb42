//! Mainstay's figures, each beside the floor of the same machine in the same run: `cargo xtask bench [NAMES]`.
//!
//! Absolute times depend on the machine and its neighbours; the ratios are what the targets speak of. Linux only:
//! it reads `/proc`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod capture;
mod many;
mod restart;
mod sampler;
mod stack;
mod stamps;
mod stats;

use std::process::ExitCode;

/// What a measurement gives: lines of a table, or why it could not be made.
type Measured = Result<(), String>;

/// A measurement and its name.
type Bench = (&'static str, fn() -> Measured);

const ALL: [Bench; 5] = [
    ("restart", restart::run),
    ("capture", capture::run),
    ("trickle", capture::trickle),
    ("many", many::run),
    ("sampler", sampler::run),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| !ALL.iter().any(|(known, _)| known == name)) {
        let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("bench: no measurement is called {unknown}; there are: {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut failed = false;
    for (name, run) in ALL {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        println!("## {name}");
        if let Err(error) = run() {
            eprintln!("bench: {name}: {error}");
            failed = true;
        }
        println!();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
