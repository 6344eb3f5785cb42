//! The end of a log, read backwards in blocks: what it costs depends on what is asked for, not on the log's size.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use crate::segment::active_path;
use crate::source::Source;
use crate::{Follower, LogPos, Step, listing};

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
        let mut closed = listing::closed(dir, name)?;
        for _ in 0..TRIES {
            let active = open(&active_path(dir, name))?;
            let again = listing::closed(dir, name)?;
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
        let source = match snapshot.active.take().filter(|_| is_last) {
            Some(file) => Some(Source::Plain(file)),
            None if is_last => None,
            None => Source::closed(dir, name, number)?,
        };
        let Some(source) = source else {
            if is_last {
                start = LogPos { segment: number, offset: 0 };
                continue;
            }
            break;
        };
        let from_offset = if number == from.segment { from.offset } else { 0 };
        let to_offset = if number == start.segment { start.offset } else { u64::MAX };
        let (offset, done) = match source {
            Source::Plain(mut file) => {
                let upper = file.metadata()?.len().min(to_offset);
                left.scan(&mut file, from_offset.min(upper), upper)?
            }
            Source::Zstd(_) | Source::Gzip(_) => {
                let open = || Source::closed(dir, name, number)?.ok_or_else(|| ErrorKind::NotFound.into());
                match left.scan_packed(&open, from_offset, to_offset) {
                    // Deleted meanwhile, as if it had been before.
                    Err(error) if error.kind() == ErrorKind::NotFound => break,
                    scanned => scanned?,
                }
            }
        };
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

    /// The same for a segment that can only be read forward: once to count, and once more to the place. Needs no more
    /// memory for a long one than for a short one.
    fn scan_packed(
        &mut self,
        open: &dyn Fn() -> io::Result<Source>,
        lower: u64,
        upper: u64,
    ) -> io::Result<(u64, bool)> {
        if self.lines == 0 {
            return Ok((upper, true));
        }
        let mut counted = Counted::new(open()?, lower, upper)?;
        let mut lower = lower.min(counted.length);
        let cut = counted.length - lower > self.bytes;
        if cut {
            lower = counted.length - self.bytes;
            counted = Counted::new(open()?, lower, upper)?;
        }
        let seen = counted.length - lower;
        let starts = counted.ends - u64::from(self.at_end && seen > 0 && counted.ended);
        if starts >= self.lines {
            return Ok((nth_end(open()?, lower, starts - self.lines + 1)?, true));
        }
        self.lines -= starts;
        self.bytes -= seen;
        self.at_end &= seen == 0;
        Ok((lower, cut))
    }
}

/// The line ends in a part of a segment.
struct Counted {
    ends: u64,
    /// Where the part ends, at most where it was to.
    length: u64,
    /// Whether it ends with a line end.
    ended: bool,
}

impl Counted {
    fn new(mut source: Source, lower: u64, upper: u64) -> io::Result<Counted> {
        let mut counted = Counted { ends: 0, length: 0, ended: false };
        let mut block = vec![0; BLOCK as usize];
        while counted.length < upper {
            let most = BLOCK.min(upper - counted.length) as usize;
            let read = source.read(&mut block[..most])?;
            if read == 0 {
                break;
            }
            let part = &block[(lower.saturating_sub(counted.length).min(read as u64) as usize)..read];
            counted.ends += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            counted.ended = block[read - 1] == b'\n';
            counted.length += read as u64;
        }
        Ok(counted)
    }
}

/// The place behind the line end number `n` from `lower` on.
fn nth_end(mut source: Source, lower: u64, mut n: u64) -> io::Result<u64> {
    source.seek(lower)?;
    let mut at = lower;
    let mut block = vec![0; BLOCK as usize];
    loop {
        let read = source.read(&mut block)?;
        if read == 0 {
            return Ok(at);
        }
        for (index, byte) in block[..read].iter().enumerate() {
            n -= u64::from(*byte == b'\n');
            if n == 0 {
                return Ok(at + index as u64 + 1);
            }
        }
        at += read as u64;
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
