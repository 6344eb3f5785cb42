//! Runs the figures.

use crate::run::{Done, cargo, run as run_command, target};
use crate::wine;

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

/// Mainstay beside NSSM and Shawl under Wine's service control manager. `args` say where these are: `--nssm nssm.exe
/// --shawl shawl.exe`, below the repository or the target directory, which Wine sees.
pub fn peers_windows(args: &[&str]) -> Done {
    const TARGET: &str = "x86_64-pc-windows-gnu";
    let build = ["build", "--release", "--locked", "--target", TARGET];
    let parts = ["-p", "mainstay-cli", "-p", "mainstay-fixture", "-p", "mainstay-bench"];
    let bins = ["--bin", "mainstay", "--bin", "mainstay-fixture", "--bin", "peers_windows"];
    run_command(cargo().args(build).args(parts).args(bins))?;
    let programs = target().join(TARGET).join("release");
    let mainstay = programs.join("mainstay.exe").display().to_string();
    let bench = programs.join("peers_windows.exe").display().to_string();
    let (wine, name) = wine::prepare()?;
    println!("under {name}");
    let mut line = vec![bench.as_str(), "--mainstay", mainstay.as_str()];
    line.extend(args);
    let done = run_command(&mut wine::command(&wine, "wine", &line));
    wine::finish(&wine);
    done
}
