//! Times written by the measured programs themselves.
//!
//! `mainstay-fixture stamp FILE` appends its monotonic time in nanoseconds as its first act.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::stack::program;

/// The monotonic clock, in nanoseconds.
pub fn now() -> u64 {
    mainstay_sys::clock::monotonic_nanos()
}

/// The floor of all figures: std's spawn (posix_spawn) of the program that stamps, with its output into a pipe.
pub fn spawn_bare(file: &Path) -> Result<Child, String> {
    Command::new(program("mainstay-fixture"))
        .arg("stamp")
        .arg(file)
        .args(["--then", "sleep"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())
}

/// The stamp number `index` (from 0) of the file, once it is there.
pub fn wait_for_stamp(file: &Path, index: usize) -> Result<u64, String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(text) = fs::read_to_string(file)
            && let Some(line) = text.lines().nth(index)
            && text.ends_with('\n')
        {
            return line.trim().parse().map_err(|_| format!("not a stamp: {line}"));
        }
        if Instant::now() > deadline {
            return Err(format!("stamp {index} did not come in 20 s"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// When the last of `count` stamps was made, once all are there; 0 for none.
pub fn wait_for_last(file: &Path, count: usize) -> Result<u64, String> {
    let Some(last) = count.checked_sub(1) else { return Ok(0) };
    wait_for_stamp(file, last)?;
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    text.lines().filter_map(|line| line.trim().parse().ok()).max().ok_or_else(|| "no stamps".to_owned())
}
