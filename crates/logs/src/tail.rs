//! The end of a log, read backwards in blocks: what it costs depends on what is asked for, not on the log's size.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use crate::segment::{active_path, closed_path};
use crate::{Follower, LogPos, Step, catalog};

const BLOCK: u64 = 64 << 10;

/// The directory is listed again if it changed meanwhile, at most so often.
const TRIES: u32 = 16;

/// The segments of a log at one moment: closed numbers, and the active file under the number after them.
struct Snapshot {
    closed: Vec<u64>,
    active: Option<File>,
}

impl Snapshot {
    fn take(dir: &Path, name: &str) -> io::Result<Snapshot> {
        let mut closed = catalog::closed(dir, name)?;
        for _ in 0..TRIES {
            let active = open(&active_path(dir, name))?;
            let again = catalog::closed(dir, name)?;
            if again.last() == closed.last() {
                return Ok(Snapshot { closed: again, active });
            }
            closed = again;
        }
        // Closed faster than it can be listed: the closed ones alone are a true picture too.
        Ok(Snapshot { closed, active: None })
    }

    fn active_number(&self) -> u64 {
        self.closed.last().map_or(1, |highest| highest + 1)
    }
}

/// Where a log ends now.
///
/// # Errors
/// The system's.
pub fn end(dir: &Path, name: &str) -> io::Result<LogPos> {
    let snapshot = Snapshot::take(dir, name)?;
    let offset = snapshot.active.as_ref().map_or(Ok(0), |file| file.metadata().map(|m| m.len()))?;
    Ok(LogPos { segment: snapshot.active_number(), offset })
}

/// Where the last `lines` lines of a log begin; a last line without its line end counts.
///
/// # Errors
/// The system's.
pub fn tail_start(dir: &Path, name: &str, lines: u64) -> io::Result<LogPos> {
    back(dir, name, LogPos::default(), None, lines, u64::MAX)
}

/// The last `lines` lines between two places, as they are in the log, the newest `max_bytes` of them at the most.
///
/// # Errors
/// The system's.
pub fn last_lines(
    dir: &Path,
    name: &str,
    (from, to): (LogPos, LogPos),
    lines: u64,
    max_bytes: usize,
) -> io::Result<Vec<u8>> {
    let start = back(dir, name, from, Some(to), lines, max_bytes as u64)?;
    let mut follower = Follower::new(dir, name, start);
    let mut text = Vec::new();
    let mut buffer = vec![0; BLOCK.min(max_bytes as u64 + 1) as usize];
    while follower.position() < to {
        let Step::Data(read) = follower.read(&mut buffer)? else { break };
        let after = follower.position();
        let beyond = if after.segment > to.segment { read as u64 } else { 0 };
        let beyond =
            beyond.max(if after.segment == to.segment { after.offset.saturating_sub(to.offset) } else { 0 });
        text.extend_from_slice(&buffer[..read - (beyond as usize).min(read)]);
    }
    text.drain(..text.len().saturating_sub(max_bytes));
    Ok(text)
}

/// Goes back from `to` (the end if absent) over `lines` lines, at most to `from` and over at most `max_bytes`.
fn back(
    dir: &Path,
    name: &str,
    from: LogPos,
    to: Option<LogPos>,
    lines: u64,
    max_bytes: u64,
) -> io::Result<LogPos> {
    let mut snapshot = Snapshot::take(dir, name)?;
    let active_number = snapshot.active_number();
    let mut left = Left { lines, bytes: max_bytes, at_end: true };
    let mut numbers = snapshot.closed.clone();
    numbers.push(active_number);
    let mut start = to.unwrap_or(LogPos { segment: active_number, offset: u64::MAX });
    for number in numbers.into_iter().rev() {
        // The range may name a number higher than the directory shows: closed segments were deleted by hand.
        let is_last = number == active_number;
        let number = if is_last { number.max(start.segment) } else { number };
        if number > start.segment || number < from.segment {
            continue;
        }
        let file = match snapshot.active.take().filter(|_| is_last) {
            Some(file) => Some(file),
            None if is_last => None,
            None => open(&closed_path(dir, name, number))?,
        };
        let Some(mut file) = file else {
            if is_last {
                start = LogPos { segment: number, offset: 0 };
                continue;
            }
            break;
        };
        let length = file.metadata()?.len();
        let upper = if number == start.segment { length.min(start.offset) } else { length };
        let lower = if number == from.segment { from.offset.min(upper) } else { 0 };
        let (offset, done) = left.scan(&mut file, lower, upper)?;
        start = LogPos { segment: number, offset };
        if done {
            break;
        }
    }
    Ok(start)
}

/// What is still wanted while going back.
struct Left {
    lines: u64,
    bytes: u64,
    /// No byte was seen yet: a line end here ends the last line and starts no other.
    at_end: bool,
}

impl Left {
    /// Goes back through a part of a file; tells where it came to and whether that is all that was wanted.
    fn scan(&mut self, file: &mut File, lower: u64, upper: u64) -> io::Result<(u64, bool)> {
        let mut at = upper;
        let mut block = Vec::new();
        if self.lines == 0 {
            return Ok((at, true));
        }
        while at > lower {
            if self.bytes == 0 {
                return Ok((at, true));
            }
            let size = BLOCK.min(at - lower).min(self.bytes);
            block.resize(size as usize, 0);
            file.seek(SeekFrom::Start(at - size))?;
            file.read_exact(&mut block)?;
            for (index, byte) in block.iter().enumerate().rev() {
                if *byte == b'\n' && !self.at_end {
                    self.lines -= 1;
                    if self.lines == 0 {
                        return Ok((at - size + index as u64 + 1, true));
                    }
                }
                self.at_end = false;
            }
            at -= size;
            self.bytes -= size;
        }
        Ok((at, false))
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
