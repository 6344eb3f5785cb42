//! The README's first command: build, and keep the example stack up.

use std::process::Command;

use crate::packages;
use crate::run::{self, Done, cargo, root, target};

/// Builds Mainstay and the example program, then becomes `mainstay up`.
pub fn run(args: &[&str]) -> Done {
    packages::install(packages::BUILD)?;
    run::run(cargo().args(["build", "--release", "--locked", "-p", "mainstay-cli", "-p", "mainstay-demo"]))?;
    let release = target().join("release");
    let suffix = std::env::consts::EXE_SUFFIX;
    run::run(
        Command::new(release.join(format!("mainstay{suffix}")))
            .arg("up")
            .arg("-f")
            .arg(root().join("examples/demo/mainstay.toml"))
            .args(args)
            .env("DEMO", release.join(format!("mainstay-demo{suffix}"))),
    )
}
