//! Whole lines of a log.

use std::collections::VecDeque;
use std::io;

use crate::{Follower, LogPos, Step};

/// A longer line is given out in pieces of this size, in bytes.
pub const MAX_LINE: usize = 256 << 10;

const BLOCK: usize = 64 << 10;

/// A line, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where it starts.
    pub start: LogPos,
    /// What it says, without the line end.
    pub text: &'a [u8],
    /// Whether it has its line end. If not, the next one goes on in the same line.
    pub ended: bool,
}

/// Makes lines of what a [`Follower`] reads.
#[derive(Debug)]
pub struct Lines {
    follower: Follower,
    buffer: Vec<u8>,
    /// The bytes of `buffer` before this were given out.
    start: usize,
    /// The bytes of `buffer` before this have no line end (from `start` on).
    searched: usize,
    /// Where bytes of `buffer` come from: from the index on, until the next entry.
    origins: VecDeque<(usize, LogPos)>,
}

impl Lines {
    /// Lines from where the follower is.
    pub fn new(follower: Follower) -> Lines {
        Lines { follower, buffer: Vec::new(), start: 0, searched: 0, origins: VecDeque::new() }
    }

    /// Where the next line starts.
    pub fn position(&self) -> LogPos {
        self.origin(self.start)
    }

    /// See [`Follower::take_missed`].
    pub fn take_missed(&mut self) -> u64 {
        self.follower.take_missed()
    }

    /// The next whole line, or a piece of [`MAX_LINE`] bytes. None: nothing whole yet; ask again later.
    ///
    /// # Errors
    /// As [`Follower::read`].
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let end = self.searched + at;
                return Ok(Some(self.give(end, true)));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() - self.start >= MAX_LINE {
                return Ok(Some(self.give(self.start + MAX_LINE, false)));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// What there is of a line without its end yet; for when nothing more is expected.
    pub fn take_rest(&mut self) -> Option<Line<'_>> {
        (self.start < self.buffer.len()).then(|| self.give(self.buffer.len(), false))
    }

    fn give(&mut self, end: usize, ended: bool) -> Line<'_> {
        let from = self.start;
        let start = self.origin(from);
        self.start = end + usize::from(ended);
        self.searched = self.start;
        Line { start, text: &self.buffer[from..end], ended }
    }

    /// Reads one more block; false if there is none now.
    fn fill(&mut self) -> io::Result<bool> {
        // What was given out goes; at most a line's beginning is moved.
        let first = self.position();
        self.buffer.drain(..self.start);
        while self.origins.get(1).is_some_and(|(index, _)| *index <= self.start) {
            self.origins.pop_front();
        }
        for (index, _) in &mut self.origins {
            *index = index.saturating_sub(self.start);
        }
        if self.buffer.is_empty() {
            self.origins.clear();
        } else if let Some(origin) = self.origins.front_mut() {
            *origin = (0, first);
        }
        self.searched -= self.start;
        self.start = 0;

        let held = self.buffer.len();
        self.buffer.resize(held + BLOCK, 0);
        let result = self.follower.read(&mut self.buffer[held..]);
        let read = if let Ok(Step::Data(read)) = result { read } else { 0 };
        self.buffer.truncate(held + read);
        result?;
        if read > 0 {
            let end = self.follower.position();
            let from = LogPos { offset: end.offset - read as u64, ..end };
            if self.extrapolated(held) != Some(from) {
                self.origins.push_back((held, from));
            }
        }
        Ok(read > 0)
    }

    /// Where a byte of `buffer`, or the one after its last, comes from.
    fn origin(&self, index: usize) -> LogPos {
        let known = if index < self.buffer.len() { self.extrapolated(index) } else { None };
        known.unwrap_or_else(|| self.follower.position())
    }

    fn extrapolated(&self, index: usize) -> Option<LogPos> {
        let (from, pos) = self.origins.iter().rev().find(|(from, _)| *from <= index)?;
        Some(LogPos { offset: pos.offset + (index - from) as u64, ..*pos })
    }
}
