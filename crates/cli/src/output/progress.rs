//! One line at the bottom of a terminal that says what is waited for; elsewhere a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::words;

/// A line that is written over and over. Its end clears it.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    /// Whether there is a terminal.
    on: bool,
    /// Whether there is something else that is read later.
    plain: bool,
    begin: Instant,
    /// When the last plain line was written.
    last: Instant,
    width: usize,
}

/// So often something is said where there is no terminal.
const NOW_AND_THEN: Duration = Duration::from_secs(10);

/// Shorter waits show nothing: a line that flickers helps nobody.
const PATIENCE: Duration = Duration::from_millis(300);

impl Progress {
    /// Shows nothing yet. Never shows anything if `quiet`.
    pub fn new(quiet: bool) -> Progress {
        let terminal = io::stderr().is_terminal();
        let width = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(w, _)| usize::from(w.0));
        let now = Instant::now();
        Progress {
            shown: false,
            on: terminal && !quiet,
            plain: !terminal && !quiet,
            begin: now,
            last: now,
            width,
        }
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

    /// Shows how many of all are done, and what the first of the others waits for.
    pub fn count(&mut self, done: usize, all: usize, word: &str, waiting: &str) {
        let text = counted(done, all, word, waiting);
        if self.plain && self.last.elapsed() >= NOW_AND_THEN {
            self.last = Instant::now();
            // There is nobody left to tell if this fails.
            let _ = writeln!(io::stderr(), "{}", words::printable(&text));
        }
        self.show(&text);
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

fn counted(done: usize, all: usize, word: &str, waiting: &str) -> String {
    if all > 1 { format!("{done}/{all} {word}; {waiting}") } else { waiting.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_counted() {
        assert_eq!(counted(812, 1000, "started", "api: starting"), "812/1000 started; api: starting");
        assert_eq!(counted(0, 1, "started", "api: starting"), "api: starting");
    }
}
