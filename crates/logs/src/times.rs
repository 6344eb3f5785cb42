//! When a line was written, and by which run, as far as that was noted beside the log.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::index::{RECORD, Record};
use crate::segment::{Form, active_path, form_path, index_path, is_closed};
use crate::{LogPos, listing};

/// What is known about a byte of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it was read from the service, in milliseconds since 1970. Of a service that writes all the time the times
    /// in between are reckoned.
    pub time: u64,
    /// The run that wrote it.
    pub run: u64,
}

/// A part of a segment that came from one run in a short time.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u64,
    time: u64,
    /// When its last byte was read, if that is known.
    until: Option<u64>,
    run: u64,
}

/// Tells the [`Stamp`]s of a log that is read, in order mostly, while somebody else writes it.
#[derive(Debug)]
pub struct Times {
    dir: PathBuf,
    name: String,
    segment: u64,
    parts: Vec<Part>,
    /// Bytes of the index that `parts` were made of.
    read: u64,
    /// `parts` tells all about the bytes before this.
    covered: u64,
    /// The part that was asked for last.
    at: usize,
}

impl Times {
    /// Those of the log `name` in `dir`. Nothing is opened yet.
    pub fn new(dir: &Path, name: &str) -> Times {
        Times {
            dir: dir.to_owned(),
            name: name.to_owned(),
            segment: 0,
            parts: Vec::new(),
            read: 0,
            covered: 0,
            at: 0,
        }
    }

    /// What is known about the byte at `pos`. None: nothing is, because the index is missing.
    pub fn at(&mut self, pos: LogPos) -> Option<Stamp> {
        if pos.segment != self.segment {
            self.load(pos.segment);
        } else if pos.offset >= self.covered {
            self.refresh();
        }
        if !self.is_in(self.at, pos.offset) {
            self.at = self.parts.partition_point(|part| part.start <= pos.offset).checked_sub(1)?;
        }
        let part = self.parts.get(self.at)?;
        let stamp = Stamp { time: part.time, run: part.run };
        let (Some(until), Some(next)) = (part.until, self.parts.get(self.at + 1)) else { return Some(stamp) };
        let lasted = u128::from(until.saturating_sub(part.time));
        let share =
            u128::from(pos.offset - part.start) * lasted / u128::from((next.start - part.start).max(1));
        Some(Stamp { time: part.time + u64::try_from(share).unwrap_or(0), ..stamp })
    }

    /// How many of the bytes from `pos` on, of `length`, are of the same run, if not all are. For the `pos` that was
    /// asked for last.
    pub fn same_run(&self, pos: LogPos, length: usize) -> Option<usize> {
        let run = self.parts.get(self.at)?.run;
        let end = pos.offset + length as u64;
        let later = self.parts.iter().skip(self.at + 1).take_while(|part| part.start < end);
        let other = later.into_iter().find(|part| part.run != run && part.start > pos.offset)?;
        usize::try_from(other.start - pos.offset).ok()
    }

    fn is_in(&self, at: usize, offset: u64) -> bool {
        self.parts.get(at).is_some_and(|part| part.start <= offset)
            && self.parts.get(at + 1).is_none_or(|next| offset < next.start)
    }

    fn load(&mut self, segment: u64) {
        self.segment = segment;
        self.parts.clear();
        (self.read, self.covered, self.at) = (0, 0, 0);
        self.refresh();
    }

    /// Reads what has come. Records come before what they tell about, so that whatever was written until now is
    /// covered by those that are there now.
    fn refresh(&mut self) {
        let closed = is_closed(&self.dir, &self.name, self.segment).unwrap_or(false);
        let length = || std::fs::metadata(active_path(&self.dir, &self.name)).map_or(0, |m| m.len());
        let covered = if closed { u64::MAX } else { length() };
        // What cannot be read is not known, like what is not there.
        let _ = self.read_on();
        self.covered = covered;
    }

    fn read_on(&mut self) -> io::Result<()> {
        let mut file = match File::open(index_path(&self.dir, &self.name, self.segment)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        if file.metadata()?.len() < self.read {
            self.parts.clear();
            (self.read, self.at) = (0, 0);
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (records, _) = bytes.as_chunks::<RECORD>();
        for record in records.iter().filter_map(Record::decode) {
            self.push(record);
        }
        self.read += (records.len() * RECORD) as u64;
        Ok(())
    }

    fn push(&mut self, record: Record) {
        let before = self.parts.len();
        // One that begins earlier than the one before: somebody emptied the file.
        while self.parts.last().is_some_and(|part| part.start >= record.offset) {
            self.parts.pop();
        }
        let follows = self.parts.len() == before;
        if let Some(part) = self.parts.last_mut().filter(|_| follows) {
            part.until = Some(part.time + u64::from(record.before));
        }
        self.parts.push(Part { start: record.offset, time: record.time, until: None, run: record.run });
    }
}

/// From where on a log was written at `time` or later, in milliseconds since 1970; a little before that place. Segments
/// of whose times nothing is known may be behind it.
///
/// # Errors
/// The directory cannot be read.
pub fn since(dir: &Path, name: &str, time: u64) -> io::Result<LogPos> {
    let (mut times, numbers) = all(dir, name)?;
    let mut start = LogPos::default();
    for number in numbers.iter().rev().copied() {
        times.load(number);
        if let Some(part) = times.parts.iter().rev().find(|part| part.time < time) {
            start = LogPos { segment: number, offset: part.start };
            break;
        }
        start = LogPos { segment: number, offset: 0 };
        if times.parts.is_empty() && written(dir, name, number).is_some_and(|written| written < time) {
            start = LogPos { segment: number + 1, offset: 0 };
            break;
        }
    }
    Ok(start)
}

/// Where what was written until `time` ends, in milliseconds since 1970; none: at the end of the log.
///
/// # Errors
/// The directory cannot be read.
pub fn until(dir: &Path, name: &str, time: u64) -> io::Result<Option<LogPos>> {
    let (mut times, numbers) = all(dir, name)?;
    let active = numbers.last().copied();
    let after = |number| (Some(number) != active).then_some(LogPos { segment: number + 1, offset: 0 });
    // The end of the newest segment of which nothing is known, behind all that is known to be later.
    let mut unknown = None;
    for number in numbers.iter().rev().copied() {
        times.load(number);
        match times.parts.iter().rposition(|part| part.time <= time) {
            Some(last) => {
                let next = times.parts.get(last + 1);
                let end = || unknown.unwrap_or_else(|| after(number));
                return Ok(next.map_or_else(end, |next| Some(LogPos { segment: number, offset: next.start })));
            }
            None if !times.parts.is_empty() => unknown = None,
            None if exists(dir, name, number) => unknown = unknown.or(Some(after(number))),
            None => {}
        }
    }
    Ok(unknown.unwrap_or(Some(LogPos::default())))
}

/// Where a run's output begins and ends in a log (none: at its end); none if nothing of it is known.
///
/// # Errors
/// The directory cannot be read.
pub fn of_run(dir: &Path, name: &str, run: u64) -> io::Result<Option<(LogPos, Option<LogPos>)>> {
    let (mut times, numbers) = all(dir, name)?;
    let active = numbers.last().copied();
    let mut found: Option<(LogPos, Option<LogPos>)> = None;
    for number in numbers {
        times.load(number);
        let Some(first) = times.parts.iter().find(|part| part.run == run) else { continue };
        let last = times.parts.iter().rposition(|part| part.run == run).unwrap_or(0);
        let end = match times.parts.get(last + 1) {
            Some(next) => Some(LogPos { segment: number, offset: next.start }),
            None => (Some(number) != active).then_some(LogPos { segment: number + 1, offset: 0 }),
        };
        let start = LogPos { segment: number, offset: first.start };
        found = Some((found.map_or(start, |(start, _)| start), end));
    }
    Ok(found)
}

/// All segments' numbers, rising; the last is the active one's.
fn all(dir: &Path, name: &str) -> io::Result<(Times, Vec<u64>)> {
    let mut numbers = listing::closed(dir, name)?;
    numbers.push(numbers.last().map_or(1, |highest| highest + 1));
    Ok((Times::new(dir, name), numbers))
}

/// When a closed segment was last written to.
fn written(dir: &Path, name: &str, number: u64) -> Option<u64> {
    let metadata = |form| std::fs::metadata(form_path(dir, name, number, form)).ok();
    let modified = Form::ALL.into_iter().find_map(metadata)?.modified().ok()?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// Whether a segment has anything in it.
fn exists(dir: &Path, name: &str, number: u64) -> bool {
    let closed = Form::ALL.map(|form| form_path(dir, name, number, form));
    let mut lengths = closed.iter().filter_map(|path| std::fs::metadata(path).ok()).peekable();
    match lengths.peek() {
        Some(_) => lengths.any(|metadata| metadata.len() > 0),
        None => std::fs::metadata(active_path(dir, name)).is_ok_and(|metadata| metadata.len() > 0),
    }
}
