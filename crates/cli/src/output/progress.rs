//! One line at the bottom of a terminal that says what is waited for; nothing at all elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::words;

/// A line that is written over and over. Its end clears it.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    on: bool,
    begin: Instant,
    width: usize,
}

/// Shorter waits show nothing: a line that flickers helps nobody.
const PATIENCE: Duration = Duration::from_millis(300);

impl Progress {
    /// Shows nothing yet. Never shows anything if `quiet`, or if standard error is no terminal.
    pub fn new(quiet: bool) -> Progress {
        let on = !quiet && io::stderr().is_terminal();
        let width = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(w, _)| usize::from(w.0));
        Progress { shown: false, on, begin: Instant::now(), width }
    }

    /// How long it has been there.
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Shows `text` and the time so far.
    pub fn show(&mut self, text: &str) {
        let elapsed = self.elapsed();
        if !self.on || (!self.shown && elapsed < PATIENCE) {
            return;
        }
        let time = words::duration(Duration::from_secs(elapsed.as_secs())).replace("0ms", "0s");
        let room = self.width.saturating_sub(time.len() + 4);
        let text: String = words::printable(text).chars().take(room).collect();
        let _ = write!(io::stderr(), "\r\x1b[K{text} ({time})");
        let _ = io::stderr().flush();
        self.shown = true;
    }

    /// Takes the line away, so that something else can be written.
    pub fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.shown = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
