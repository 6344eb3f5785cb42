//! From the death of a process to the first instruction of the next one, beside a bare spawn.

use std::path::Path;
use std::process::Stdio;

use crate::stack::{Stack, program};
use crate::stamps::{now, spawn_bare, wait_for_stamp};
use crate::stats::{median, percentile};

const ROUNDS: usize = 200;

pub fn run() -> Result<(), String> {
    let (mut bare, mut ours) = measure()?;
    let (bare_median, ours_median) = (median(&mut bare), median(&mut ours));
    println!(
        "bare spawn to first instruction   median {bare_median:8.3} ms  p90 {:8.3} ms",
        percentile(&mut bare, 0.9)
    );
    println!(
        "SIGKILL to the next one's first   median {ours_median:8.3} ms  p90 {:8.3} ms",
        percentile(&mut ours, 0.9)
    );
    println!("ratio {:.2} (target 1.5)", ours_median / bare_median);
    Ok(())
}

/// Milliseconds of bare spawns and of restarts, in turn, so that both meet the machine in the same mood.
fn measure() -> Result<(Vec<f64>, Vec<f64>), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (file, bare_file) = (dir.path().join("stamps"), dir.path().join("bare"));
    // Default settings. A hand restart between the rounds sets the count of crashes back, so that each one is the
    // first in a row; the default is to restart that one at once.
    let config = format!(
        "[service.app]\ncommand = [{:?}, \"stamp\", {:?}, \"--then\", \"sleep\"]\n",
        program("mainstay-fixture"),
        file
    );
    let (stack, _) = Stack::up(&config)?;
    let (mut bare, mut ours) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    let mut seen = 0;
    for round in 0..ROUNDS {
        wait_for_stamp(&file, seen)?;
        let status = stack
            .mainstay(&["restart", "app", "-s", "bench"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.map_err(|error| error.to_string())?;
        seen += 1;
        wait_for_stamp(&file, seen)?;
        let pid = stack.pid("app")?.ok_or("the service has no pid")?;
        bare.push(bare_spawn(&bare_file, round)?);
        let before = now();
        kill(pid)?;
        seen += 1;
        let stamp = wait_for_stamp(&file, seen)?;
        ours.push(stamp.saturating_sub(before) as f64 / 1e6);
    }
    Ok((bare, ours))
}

/// std's spawn (posix_spawn) of the same program with its output into a pipe.
fn bare_spawn(file: &Path, round: usize) -> Result<f64, String> {
    let before = now();
    let mut child = spawn_bare(file)?;
    let stamp = wait_for_stamp(file, round)?;
    let _ = child.kill();
    let _ = child.wait();
    Ok(stamp.saturating_sub(before) as f64 / 1e6)
}

fn kill(pid: u32) -> Result<(), String> {
    let id = mainstay_sys::process::identity(pid).ok_or("it is gone")?;
    mainstay_sys::process::kill(&id).map(drop).map_err(|error| format!("cannot kill {pid}: {error}"))
}
