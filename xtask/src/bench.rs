//! Runs the figures.

use crate::run::{Done, cargo, run as run_command};

/// Builds in release and runs `bench`.
pub fn run(args: &[&str]) -> Done {
    run_command(cargo().args([
        "build",
        "--release",
        "--locked",
        "-p",
        "mainstay-cli",
        "-p",
        "mainstay-fixture",
    ]))?;
    run_command(cargo().args(["run", "--release", "--locked", "-q", "-p", "mainstay-bench", "--"]).args(args))
}
