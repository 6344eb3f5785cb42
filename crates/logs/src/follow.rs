//! Reading a log from a place on, while somebody else writes, closes and deletes.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::segment::{Form, active_path, form_path, is_closed};
use crate::source::Source;
use crate::{LogPos, listing};

/// So many segments are stepped over in one read before it says "nothing now"; a reader that is overtaken by a
/// writer all the time returns to its caller nevertheless.
const STEPS: u32 = 64;

/// What one read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes, all of one segment. Never 0.
    Data(usize),
    /// Nothing more for now.
    End,
}

/// Reads a log from a place on, each byte once, over the ends of segments.
///
/// It asks only when it is read from; an idle log costs five system calls a time. It keeps the segment that it
/// reads open, so that it reads to its end also when that is deleted meanwhile. Segments that were deleted before it
/// came to them are counted.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    name: String,
    pos: LogPos,
    file: Option<Source>,
    missed: u64,
}

/// What became of the segment that is read.
enum Fate {
    /// It still grows, or nobody has made a new one yet.
    Active,
    /// It is closed: what can be read from it now is its end.
    Closed,
    /// Somebody emptied it or put another file in its place.
    Replaced,
}

impl Follower {
    /// Reads the log `name` in `dir` from `from` on; [`LogPos::default`] is the oldest byte there is. Nothing is
    /// opened yet, and the log need not exist.
    pub fn new(dir: &Path, name: &str, from: LogPos) -> Follower {
        Follower { dir: dir.to_owned(), name: name.to_owned(), pos: from, file: None, missed: 0 }
    }

    /// Where the next byte comes from.
    pub fn position(&self) -> LogPos {
        self.pos
    }

    /// How many segments were deleted before all of them was read, since this was asked last.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// Reads what comes next into `buffer`.
    ///
    /// # Errors
    /// The system's; the place stays what it was, and reading may be tried again.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Step> {
        for _ in 0..STEPS {
            if self.file.is_none() && !self.open()? {
                return Ok(Step::End);
            }
            if let Some(read) = self.read_held(buffer)? {
                return Ok(Step::Data(read));
            }
            match self.fate(buffer)? {
                (Some(read), _) => return Ok(Step::Data(read)),
                (None, Fate::Active) => return Ok(Step::End),
                (None, Fate::Replaced) => (self.file, self.pos.offset) = (None, 0),
                (None, Fate::Closed) => {
                    // It may have grown between the last read and its end.
                    if let Some(read) = self.read_held(buffer)? {
                        return Ok(Step::Data(read));
                    }
                    self.file = None;
                    self.pos = LogPos { segment: self.pos.segment + 1, offset: 0 };
                }
            }
        }
        Ok(Step::End)
    }

    fn read_held(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => {
                    self.pos.offset += read as u64;
                    return Ok(Some(read));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the segment at the position, or the next one that is left. False: there is none yet.
    fn open(&mut self) -> io::Result<bool> {
        for _ in 0..STEPS {
            if self.pos.segment == 0 {
                let first = listing::closed(&self.dir, &self.name)?.first().copied().unwrap_or(1);
                self.pos = LogPos { segment: first, offset: 0 };
            }
            let number = self.pos.segment;
            if let Some(mut source) = Source::closed(&self.dir, &self.name, number)? {
                source.seek(self.pos.offset)?;
                self.file = Some(source);
                return Ok(true);
            }
            // In this order: if no segment from `number` on is closed after the active one was opened, then what was
            // opened is number `number`.
            let active = open(&active_path(&self.dir, &self.name))?;
            match listing::closed(&self.dir, &self.name)?.into_iter().find(|closed| *closed >= number) {
                None => {
                    let Some(file) = active else { return Ok(false) };
                    if file.metadata()?.len() < self.pos.offset {
                        // Not the file that the place was in.
                        self.pos.offset = 0;
                    }
                    let mut source = Source::Plain(file);
                    source.seek(self.pos.offset)?;
                    self.file = Some(source);
                    return Ok(true);
                }
                Some(closed) if closed == number => {}
                Some(closed) => {
                    self.missed += closed - number;
                    self.pos = LogPos { segment: closed, offset: 0 };
                }
            }
        }
        Ok(false)
    }

    /// Finds out, at the end of the held file, whether more can come. Reads on if there is more already.
    fn fate(&mut self, buffer: &mut [u8]) -> io::Result<(Option<usize>, Fate)> {
        let number = self.pos.segment;
        if is_closed(&self.dir, &self.name, number)? {
            return Ok((None, Fate::Closed));
        }
        let active = length_at(&active_path(&self.dir, &self.name))?;
        if active == Some(self.pos.offset) {
            return Ok((None, Fate::Active));
        }
        if let Some(read) = self.read_held(buffer)? {
            return Ok((Some(read), Fate::Active));
        }
        // The active file is not the one held: that one was closed or deleted.
        let closed = listing::closed(&self.dir, &self.name)?;
        if let Some(next) = closed.into_iter().find(|closed| *closed >= number) {
            // Lower numbers may have been deleted before the reader started, so that it took a number too low.
            if next > number && self.is_held(next)? {
                self.pos.segment = next;
            }
            return Ok((None, Fate::Closed));
        }
        Ok((None, if active.is_some() { Fate::Replaced } else { Fate::Active }))
    }

    /// Whether the held file is this closed segment.
    fn is_held(&self, number: u64) -> io::Result<bool> {
        let Some(held) = self.file.as_ref().map(Source::plain_metadata).transpose()?.flatten() else {
            return Ok(false);
        };
        let same = |there: &Metadata, form: Form| {
            // Compressing it keeps the time of the last write.
            held.modified().ok() == there.modified().ok()
                && (form != Form::Plain
                    || (held.len() == there.len() && held.created().ok() == there.created().ok()))
        };
        for form in Form::ALL {
            match std::fs::metadata(form_path(&self.dir, &self.name, number, form)) {
                Ok(there) => return Ok(same(&there, form)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn length_at(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
