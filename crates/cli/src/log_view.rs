//! Logs for `mainstay logs`: whole lines, chosen by time, run and pattern, those of several services in order of time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use anstyle::Style;
use jiff::Timestamp;
use mainstay_logs::{Follower, Lines, LogPos, Stamp, Times, end, of_run, since, tail_start, until};
use regex::bytes::Regex;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, style};

/// Names longer than this do not push the others' output to the right.
const WIDEST: usize = 20;
/// After so many lines it is looked what the others have.
const TURN: usize = 5000;

/// Which lines are wanted. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Written then or later.
    pub since: Option<u64>,
    /// Written then or earlier.
    pub until: Option<u64>,
    /// Written by this run.
    pub run: Option<u64>,
    /// With a match.
    pub grep: Option<Regex>,
}

impl Filter {
    /// Whether all lines are wanted.
    pub fn is_open(&self) -> bool {
        !self.needs_times() && self.grep.is_none()
    }

    fn needs_times(&self) -> bool {
        self.since.is_some() || self.until.is_some() || self.run.is_some()
    }

    /// A line of whose time nothing is known may have been written at any; but it is of no run.
    fn wants(&self, text: &[u8], stamp: Option<Stamp>) -> bool {
        stamp.is_none_or(|stamp| {
            self.since.is_none_or(|since| stamp.time >= since)
                && self.until.is_none_or(|until| stamp.time <= until)
        }) && self.run.is_none_or(|run| stamp.is_some_and(|stamp| stamp.run == run))
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(without_cr(text)))
    }
}

/// What is shown of a line besides its text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// Whose it is.
    pub names: bool,
    /// When it was written.
    pub times: bool,
}

/// A log, and whose it is.
#[derive(Clone, Debug)]
pub struct Source {
    /// The service.
    pub service: String,
    /// The log's name.
    pub name: String,
    /// Which stream it has, if it has only one.
    pub stream: Option<&'static str>,
}

/// Several logs that are read at once.
#[derive(Debug)]
pub struct View {
    dir: PathBuf,
    filter: Filter,
    shape: Shape,
    width: usize,
    logs: Vec<Log>,
    /// The heads, by time.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// The log whose line was begun on the screen and has no end yet.
    open: Option<usize>,
    /// A time and how it was shown last.
    shown_time: (u64, String),
    /// Whether the wanted run is known.
    run_seen: bool,
}

#[derive(Debug)]
struct Log {
    source: Source,
    lines: Lines,
    times: Times,
    /// Nothing is wanted from here on.
    end: Option<LogPos>,
    style: Style,
    /// The next line to show.
    head: Head,
    /// Where another run went on in the line.
    rest: Option<Head>,
    /// For the order: a line is not shown before one that comes before it in the same log.
    time: u64,
    /// It cannot be read.
    broken: bool,
    /// It was said that times are missing.
    told: bool,
}

/// A line, or a piece of one.
#[derive(Debug, Default)]
struct Head {
    start: LogPos,
    text: Vec<u8>,
    ended: bool,
    stamp: Option<Stamp>,
}

#[derive(Serialize)]
struct Record<'a> {
    time: Option<String>,
    service: &'a str,
    run: Option<u64>,
    stream: Option<&'static str>,
    text: &'a str,
    ended: bool,
}

impl View {
    /// No logs yet; they are in `dir`.
    pub fn new(dir: &Path, filter: Filter, shape: Shape) -> View {
        View {
            dir: dir.to_owned(),
            filter,
            shape,
            width: 0,
            logs: Vec::new(),
            next: BinaryHeap::new(),
            open: None,
            shown_time: (0, String::new()),
            run_seen: false,
        }
    }

    /// Reads this log too: its last so many wanted lines, or all.
    ///
    /// # Errors
    /// It can't be read.
    pub fn add(&mut self, source: &Source, lines: Option<u64>) -> io::Result<()> {
        let name = source.name.as_str();
        let (start, end) = self.range(name)?;
        let style = style::TURNS[self.logs.len() % style::TURNS.len()];
        let log = |start| Log {
            source: source.clone(),
            lines: Lines::new(Follower::new(&self.dir, name, start)),
            times: Times::new(&self.dir, name),
            end,
            style,
            head: Head::default(),
            rest: None,
            time: 0,
            broken: false,
            told: false,
        };
        let start = match lines {
            // Those at the end are found from the end.
            Some(lines) if end.is_none() && self.filter.run.is_none() && self.filter.grep.is_none() => {
                start.max(tail_start(&self.dir, name, lines)?)
            }
            Some(lines) => {
                let mut log = log(start);
                let mut starts = VecDeque::new();
                while log.advance(&self.filter, true, true)? {
                    starts.push_back(log.head.start);
                    if starts.len() as u64 > lines {
                        starts.pop_front();
                    }
                }
                let after = log.lines.position();
                starts.front().copied().unwrap_or(after)
            }
            None => start,
        };
        let log = log(start);
        self.width = self.width.max(name.len().min(WIDEST));
        self.logs.push(log);
        Ok(())
    }

    /// Between which places the lines are that may be wanted.
    fn range(&mut self, name: &str) -> io::Result<(LogPos, Option<LogPos>)> {
        let dir = &self.dir;
        let (mut start, mut stop) = (LogPos::default(), None);
        if let Some(time) = self.filter.since {
            start = since(dir, name, time)?;
        }
        if let Some(time) = self.filter.until {
            stop = until(dir, name, time)?;
        }
        if let Some(run) = self.filter.run {
            let (from, to) = match of_run(dir, name, run)? {
                Some(range) => {
                    self.run_seen = true;
                    range
                }
                // It may come.
                None => (end(dir, name)?, None),
            };
            start = start.max(from);
            stop = match (stop, to) {
                (Some(stop), Some(to)) => Some(stop.min(to)),
                (stop, to) => stop.or(to),
            };
        }
        Ok((start, stop))
    }

    /// Says what could not be found out. After the last log was added.
    pub fn explain(&self, output: &Output) {
        if let Some(run) = self.filter.run.filter(|_| !self.run_seen) {
            output.note(&format!("nothing is known of output of run {run}"));
        }
    }

    /// Writes what has come since the last time; says whether there may be more already.
    ///
    /// # Errors
    /// The output can't be written. A log that can't be read is told once and left out.
    pub fn pump(&mut self, output: &mut Output) -> Result<bool, Failure> {
        self.show(false, output)
    }

    /// Writes all that is there, also lines without an end. For when nothing more is to come.
    ///
    /// # Errors
    /// Like [`pump`](View::pump).
    pub fn finish(&mut self, output: &mut Output) -> Result<(), Failure> {
        while self.show(true, output)? {}
        // The very end of a single log is as it was written.
        if self.open.take().is_some() && self.shape.names {
            output.text("\n")?;
        }
        Ok(())
    }

    fn show(&mut self, all: bool, output: &mut Output) -> Result<bool, Failure> {
        let waiting: Vec<usize> = self.next.iter().map(|Reverse((_, index))| *index).collect();
        for index in 0..self.logs.len() {
            if !waiting.contains(&index) {
                self.advance(index, all, output);
            }
        }
        for _ in 0..TURN {
            // Pieces of a line stay together.
            let going_on = self.open.filter(|open| self.next.iter().any(|Reverse((_, index))| index == open));
            let index = match going_on {
                Some(open) => {
                    self.next.retain(|Reverse((_, index))| *index != open);
                    open
                }
                None => match self.next.pop() {
                    Some(Reverse((_, index))) => index,
                    None => return Ok(false),
                },
            };
            self.write(index, output)?;
            self.advance(index, all, output);
        }
        Ok(true)
    }

    fn advance(&mut self, index: usize, all: bool, output: &Output) {
        let stamps = self.filter.needs_times() || self.shape.times || output.json || self.logs.len() > 1;
        let Some(log) = self.logs.get_mut(index).filter(|log| !log.broken) else { return };
        match log.advance(&self.filter, stamps, all) {
            Ok(true) => {
                log.time = log.time.max(log.head.stamp.map_or(0, |stamp| stamp.time));
                self.next.push(Reverse((log.time, index)));
                let timed = self.filter.since.is_some() || self.filter.until.is_some();
                if timed && log.head.stamp.is_none() && !std::mem::replace(&mut log.told, true) {
                    let name = &log.source.name;
                    output.note(&format!(
                        "{name}: of some lines it is not known when they were written; they are shown"
                    ));
                }
            }
            Ok(false) => {}
            Err(error) => {
                log.broken = true;
                let (name, dir) = (&log.source.name, self.dir.display());
                output.warning(&format!("cannot read the log of {name} in {dir}: {error}"));
            }
        }
        let missed = log.lines.take_missed();
        if missed > 0 {
            let name = &log.source.name;
            output.note(&format!("{name}: {missed} rotated log files were deleted before they were shown"));
        }
    }

    fn write(&mut self, index: usize, output: &mut Output) -> Result<(), Failure> {
        let Some(log) = self.logs.get(index) else { return Ok(()) };
        let head = &log.head;
        if output.json {
            return output.json(&Record {
                time: head.stamp.and_then(|stamp| timestamp(stamp.time)).map(|time| format!("{time:.3}")),
                service: &log.source.service,
                run: head.stamp.map(|stamp| stamp.run),
                stream: log.source.stream,
                text: &String::from_utf8_lossy(without_cr(&head.text)),
                ended: head.ended,
            });
        }
        let goes_on = self.open == Some(index);
        if self.open.is_some() && !goes_on {
            output.text("\n")?;
        }
        if !goes_on && self.shape.times {
            let time = head.stamp.map_or(0, |stamp| stamp.time);
            if self.shown_time.0 != time || self.shown_time.1.is_empty() {
                self.shown_time = (time, local(head.stamp));
            }
            let time = output.paint.apply(style::DIM, &self.shown_time.1);
            output.text(&time)?;
            output.text(" ")?;
        }
        if !goes_on && self.shape.names {
            let (name, width) = (&log.source.name, self.width);
            let name = output.paint.apply(log.style, &format!("{name:width$} |"));
            output.text(&name)?;
            output.text(" ")?;
        }
        // Among others' lines the CR of a program on Windows would move what follows on a terminal.
        output.bytes(if self.shape.names { without_cr(&head.text) } else { &head.text })?;
        if head.ended {
            // A colour that a service left on must not run into the next one's line.
            if self.shape.names && output.paint.is_on() && head.text.contains(&0x1b) {
                output.text("\x1b[0m")?;
            }
            output.text("\n")?;
        }
        self.open = (!head.ended).then_some(index);
        Ok(())
    }
}

impl Log {
    /// Goes on to the next wanted line. `all`: also one without an end. False: there is none now.
    fn advance(&mut self, filter: &Filter, stamps: bool, all: bool) -> io::Result<bool> {
        loop {
            if let Some(rest) = self.rest.take() {
                self.head = rest;
            } else {
                let line = match self.lines.next_line()? {
                    Some(line) => line,
                    None if all => match self.lines.take_rest() {
                        Some(line) => line,
                        None => return Ok(false),
                    },
                    None => return Ok(false),
                };
                (self.head.start, self.head.ended, self.head.stamp) = (line.start, line.ended, None);
                self.head.text.clear();
                self.head.text.extend_from_slice(line.text);
            }
            let head = &mut self.head;
            if self.end.is_some_and(|end| head.start >= end) {
                return Ok(false);
            }
            if stamps {
                head.stamp = self.times.at(head.start);
                // Where a run ended inside a line, what the next one wrote is a line of its own.
                if let Some(own) = self.times.same_run(head.start, head.text.len()) {
                    let offset = head.start.offset + own as u64;
                    self.rest = Some(Head {
                        start: LogPos { offset, ..head.start },
                        text: head.text.split_off(own),
                        ended: std::mem::replace(&mut head.ended, true),
                        stamp: None,
                    });
                }
            }
            if filter.wants(&head.text, head.stamp) {
                return Ok(true);
            }
        }
    }
}

fn without_cr(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn timestamp(millis: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()
}

/// In the reader's time zone; of the same width if it is not known.
fn local(stamp: Option<Stamp>) -> String {
    match stamp.and_then(|stamp| timestamp(stamp.time)) {
        Some(time) => {
            time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
        }
        None => format!("{:23}", "-"),
    }
}
