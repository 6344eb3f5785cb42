//! Formatting, lints for both targets, licences and advisories.

use std::process::Command;

use crate::packages;
use crate::run::{Done, cargo, installed, output, run as run_command, succeeds};

/// The Windows target.
pub const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// Every lint.
pub fn run() -> Done {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    run_command(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    windows_target()?;
    run_command(
        cargo().args(["clippy", "--workspace", "--exclude", "xtask", "--exclude", "mainstay-bench"]).args([
            "--all-targets",
            "--locked",
            "--target",
            WINDOWS,
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    deny()
}

/// Makes sure that programs for Windows can be built.
pub fn windows_target() -> Done {
    packages::install(packages::MINGW)?;
    let installed = output(Command::new("rustup").args(["target", "list", "--installed"]))
        .is_some_and(|list| list.lines().any(|line| line.trim() == WINDOWS));
    if installed { Ok(()) } else { run_command(Command::new("rustup").args(["target", "add", WINDOWS])) }
}

/// `cargo deny`. The advisory database lives on a public git host: where that can't be reached, everything else is
/// checked and the advisories are said to be skipped.
fn deny() -> Done {
    if !installed("cargo-deny") {
        // Without optimisation: it is used once, and built in a third of the time.
        run_command(cargo().args(["install", "cargo-deny", "--locked", "--debug", "--no-default-features"]))?;
    }
    run_command(cargo().args(["deny", "--locked", "check", "bans", "licenses", "sources"]))?;
    if succeeds(cargo().args(["deny", "fetch", "db"])) {
        run_command(cargo().args(["deny", "--locked", "check", "advisories"]))
    } else {
        println!("SKIPPED cargo deny check advisories: the advisory database cannot be reached from here");
        Ok(())
    }
}
