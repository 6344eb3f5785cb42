//! Programs of the system, run to their end.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Done, Error, ErrorKind};

/// What a program came to.
pub(super) struct Output {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// No more of what it says is kept.
const MOST: u64 = 64 * 1024;

/// Runs it, at most so long; one that takes longer is killed.
pub(super) fn run(words: &[&str], most: Duration) -> Done<Output> {
    let told = |what: String| Error::new(ErrorKind::Failed, format!("`{}` {what}", words.join(" ")));
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .env("SYSTEMD_PAGER", "")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| told(format!("cannot be started: {error}")))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = |from: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = from.map(|from| from.take(MOST).read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(stdout.map(|s| Box::new(s) as Box<dyn Read + Send>));
    let stderr = read(stderr.map(|s| Box::new(s) as Box<dyn Read + Send>));
    let until = Instant::now() + most;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                let text = format!("`{}` did not end within {} s", words.join(" "), most.as_secs());
                return Err(Error::new(ErrorKind::Late, text));
            }
            Err(error) => return Err(told(format!("cannot be waited for: {error}"))),
        }
    };
    Ok(Output {
        code: status.code().unwrap_or(-1),
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    })
}

/// The same; an error if it fails.
pub(super) fn succeed(words: &[&str], most: Duration) -> Done<String> {
    let output = run(words, most)?;
    if output.code == 0 {
        return Ok(output.stdout);
    }
    let said = output.stderr.trim().lines().next_back().unwrap_or_default().to_owned();
    let denied = ["ccess denied", "authentication required", "ermission denied"];
    let kind =
        if denied.iter().any(|words| said.contains(words)) { ErrorKind::Denied } else { ErrorKind::Failed };
    Err(Error::new(kind, format!("`{}` failed with {}: {said}", words.join(" "), output.code)))
}
