//! The output of several services on one screen: whole lines, each with its service's name before it.
//!
//! Read straight from the log files: it goes on whether or not a daemon is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anstyle::Style;
use mainstay_logs::{Follower, Line, Lines, LogPos};

use crate::failure::Failure;
use crate::output::Output;
use crate::output::style;

/// So many lines of one service in a row, then the next one has its turn.
const TURN: usize = 500;
/// Names longer than this do not push the others' output to the right.
const WIDEST: usize = 20;

/// Several logs that are read at once.
#[derive(Debug)]
pub struct Tails {
    dir: PathBuf,
    width: usize,
    logs: BTreeMap<String, Tail>,
}

#[derive(Debug)]
struct Tail {
    lines: Lines,
    style: Style,
    /// The last piece given out had no line end: the next one goes on in the same line.
    open: bool,
}

impl Tails {
    /// No logs yet; they are in `dir`.
    pub fn new(dir: &Path) -> Tails {
        Tails { dir: dir.to_owned(), width: 0, logs: BTreeMap::new() }
    }

    /// Reads this log too, from `from` on.
    pub fn add(&mut self, name: &str, from: LogPos) {
        if self.logs.contains_key(name) {
            return;
        }
        let style = style::TURNS[self.logs.len() % style::TURNS.len()];
        let lines = Lines::new(Follower::new(&self.dir, name, from));
        self.width = self.width.max(name.len().min(WIDEST));
        self.logs.insert(name.to_owned(), Tail { lines, style, open: false });
    }

    /// Whether this log is among them.
    pub fn has(&self, name: &str) -> bool {
        self.logs.contains_key(name)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.logs.len()
    }

    /// What stands before a line about `name`: the name and `mark`.
    pub fn prefix(&self, name: &str, mark: char, output: &Output) -> String {
        let width = self.width;
        let colour = self.logs.get(name).map_or(Style::new(), |tail| tail.style);
        output.paint.apply(colour, &format!("{name:width$} {mark}"))
    }

    /// Writes what has come since the last time; says whether there may be more already.
    ///
    /// # Errors
    /// The output can't be written. A log that can't be read is told once and left out.
    pub fn pump(&mut self, output: &mut Output) -> Result<bool, Failure> {
        self.pump_those(|_| true, output)
    }

    /// The same for one log: to show something that its service did after what it wrote before. A stack with many
    /// services has many events, and looking at all logs for each would take longer than the events do.
    ///
    /// # Errors
    /// Like [`pump`](Tails::pump).
    pub fn pump_one(&mut self, name: &str, output: &mut Output) -> Result<(), Failure> {
        while self.pump_those(|other| other == name, output)? {}
        Ok(())
    }

    fn pump_those(&mut self, which: impl Fn(&str) -> bool, output: &mut Output) -> Result<bool, Failure> {
        let mut more = false;
        let mut broken = Vec::new();
        let width = self.width;
        for (name, tail) in self.logs.iter_mut().filter(|(name, _)| which(name)) {
            let prefix = output.paint.apply(tail.style, &format!("{name:width$} |"));
            for turn in 0..TURN {
                match tail.lines.next_line() {
                    Ok(Some(line)) if output.json => {
                        write_json(output, name, &line)?;
                        more |= turn + 1 == TURN;
                    }
                    Ok(Some(line)) => {
                        write(output, &prefix, &line, &mut tail.open)?;
                        more |= turn + 1 == TURN;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        broken.push((name.clone(), error));
                        break;
                    }
                }
            }
            let missed = tail.lines.take_missed();
            if missed > 0 {
                output
                    .note(&format!("{name}: {missed} rotated log files were deleted before they were shown"));
            }
        }
        for (name, error) in broken {
            self.logs.remove(&name);
            output.warning(&format!("cannot read the log of {name} in {}: {error}", self.dir.display()));
        }
        Ok(more)
    }

    /// Writes all that is there, also lines without an end. For when nothing more is to come.
    ///
    /// # Errors
    /// Like [`pump`](Tails::pump).
    pub fn finish(&mut self, output: &mut Output) -> Result<(), Failure> {
        while self.pump(output)? {}
        let width = self.width;
        for (name, tail) in &mut self.logs {
            let prefix = output.paint.apply(tail.style, &format!("{name:width$} |"));
            if output.json {
                if let Some(line) = tail.lines.take_rest() {
                    write_json(output, name, &line)?;
                }
                continue;
            }
            if let Some(line) = tail.lines.take_rest() {
                write(output, &prefix, &line, &mut tail.open)?;
            }
            if std::mem::take(&mut tail.open) {
                output.text("\n")?;
            }
        }
        Ok(())
    }
}

/// A line, or a piece of a very long one, as JSON. Bytes that are not UTF-8 are replaced; the log has them as they are.
fn write_json(output: &mut Output, service: &str, line: &Line<'_>) -> Result<(), Failure> {
    let text = line.text.strip_suffix(b"\r").unwrap_or(line.text);
    output.json(&serde_json::json!({
        "type": "output",
        "service": service,
        "text": String::from_utf8_lossy(text),
        "ended": line.ended,
    }))
}

fn write(output: &mut Output, prefix: &str, line: &Line<'_>, open: &mut bool) -> Result<(), Failure> {
    if !*open {
        output.text(prefix)?;
        output.text(" ")?;
    }
    // A program on Windows ends its lines with CR LF; the CR would move what follows on a terminal.
    output.bytes(line.text.strip_suffix(b"\r").unwrap_or(line.text))?;
    *open = !line.ended;
    if line.ended {
        // A colour that a service left on must not run into the next one's line.
        if output.paint.is_on() && line.text.contains(&0x1b) {
            output.text("\x1b[0m")?;
        }
        output.text("\n")?;
    }
    Ok(())
}
