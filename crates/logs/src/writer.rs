//! Appending to a log, closing its segments, deleting old ones.

mod rotate;
mod settings;
mod tally;
mod trouble;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

pub use self::rotate::{Rotated, Why};
pub use self::settings::{OnFull, Settings};
pub use self::tally::Tally;
pub use self::trouble::Trouble;
use crate::LogPos;
use crate::catalog::{Catalog, Numbers};
use crate::files::{Disk, Files};
use crate::index::Index;
use crate::segment::{active_path, is_valid_name};

/// So many bytes beyond `rotate_size` a segment waits for a line end; then it is closed inside the line.
pub const LINE_ALLOWANCE: u64 = 16 << 20;

/// After a loss inside a line the rest of that line is left out too, if it ends within so many bytes.
const SKIP_LIMIT: u64 = 64 << 10;

/// Writes one log.
///
/// Policy, where something does not go as it should:
/// - A write fails (full disk, I/O error): what the system took stays, the rest of that write is dropped and counted.
///   Nothing is kept back, nothing blocks; every later write tries again. The log goes on at a line start: the torn
///   line gets a line end, and the rest of the line that the loss ended in is left out (and counted) too. A line in
///   the log then says how much is missing there: `[mainstay: 4096 bytes of output are missing here]`.
/// - With [`OnFull::Wait`] what finds no space is given back instead, and nothing is missing.
/// - A segment cannot be closed (on Windows somebody may hold it without sharing): it grows on, and closing is tried
///   again later. An old segment that cannot be deleted is tried again at the next rotation.
/// - Somebody deletes or moves the active file: [`Writer::check`], a rotation or an error notices, and the log goes
///   on in a new file with the same number. What was written to the deleted file went with it.
/// - A closed segment is never overwritten, whatever else is in the directory.
///
/// Nothing is synced to the disk: a power failure may cost what the system had not written back.
#[derive(Debug)]
pub struct Writer<F: Files = Disk> {
    files: F,
    dir: Arc<Path>,
    name: String,
    settings: Settings,
    numbers: Numbers,
    /// Open from the first write (or question for the position) on; `None` again after an error.
    file: Option<F::File>,
    /// The active segment's length.
    size: u64,
    /// The size at which it is next closed: `rotate_size`, more while closing fails.
    rotate_at: u64,
    /// Since when there is something in it; known only if segments are closed by age.
    born: Option<SystemTime>,
    /// Whether it ends inside a line.
    open_line: bool,
    /// Set while the line that a loss ended in is being left out: bytes left out so far.
    skipping: Option<u64>,
    /// Whether the first bytes after a loss are still to come.
    torn: bool,
    /// Whether what the disk still has is not ours to use.
    full: bool,
    tally: Tally,
    /// How much of what is lost the log itself does not tell yet.
    untold: u64,
    /// When what was written.
    index: Index<F::File>,
    /// Why it is closed at the next line end, if not for its size.
    wanted: Option<Why>,
}

impl Writer<Disk> {
    /// A writer for a log in the catalog's directory. Nothing is opened yet.
    ///
    /// # Errors
    /// The name cannot be that of a log; it is given back.
    pub fn new(catalog: &mut Catalog, name: &str, settings: Settings) -> Result<Self, String> {
        if !is_valid_name(name) {
            return Err(format!("{name:?} cannot be the name of a log"));
        }
        let numbers = catalog.take(name);
        Ok(Writer::with_files(Disk, catalog.shared_dir(), name, settings, numbers))
    }

    /// Ends the writer; the catalog remembers the numbers for the next one.
    pub fn close(self, catalog: &mut Catalog) {
        let at_least = self.numbers.active();
        catalog.put(self.name, Numbers { at_least, untold: self.untold, ..self.numbers });
    }
}

impl<F: Files> Writer<F> {
    pub(crate) fn with_files(
        files: F,
        dir: Arc<Path>,
        name: &str,
        settings: Settings,
        numbers: Numbers,
    ) -> Writer<F> {
        let untold = numbers.untold;
        Writer {
            files,
            dir,
            name: name.to_owned(),
            settings,
            numbers,
            file: None,
            size: 0,
            rotate_at: settings.rotate_size,
            born: None,
            open_line: false,
            skipping: None,
            torn: untold > 0,
            full: false,
            tally: Tally::default(),
            untold,
            index: Index::new(),
            wanted: None,
        }
    }

    /// The log's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was written and lost since this writer was made.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Changes when segments are closed and deleted, from the next write on.
    pub fn set_settings(&mut self, settings: Settings) {
        if settings != self.settings {
            self.settings = settings;
            self.rotate_at = settings.rotate_size.max(self.size);
            if settings.rotate_age.is_some() && self.born.is_none() && self.size > 0 {
                self.born = self.file.as_ref().and_then(|file| self.files.born(file).ok());
            }
        }
    }

    /// How it is set.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether the disk counts as full, because less than [`Settings::min_free`] is left.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Whether it does.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Where the next byte will go.
    ///
    /// If the file cannot be opened, it is the place known last; the next write tells the error.
    pub fn position(&mut self) -> LogPos {
        let _ = self.open();
        LogPos { segment: self.numbers.active(), offset: self.size }
    }

    /// What is written from here on comes from `run` and was read at `now`, in milliseconds since 1970. Before each
    /// write, or never: this is what [`Times`](crate::Times) tells later.
    pub fn mark(&mut self, run: u64, now: u64) {
        // A file that cannot be opened is the write's affair.
        if self.open().is_ok() {
            let at = (self.numbers.active(), self.size);
            self.index.mark((&self.files, &self.dir, &self.name), at, run, now);
        }
    }

    /// Notices that somebody deleted, moved, replaced or emptied the active file. Cheap, but a system call: for once
    /// in a few seconds, not for each write.
    pub fn check(&mut self) {
        let Some(file) = &self.file else { return };
        // Who writes alone sees the same length by both ways, unless the path is another file.
        match (self.files.length(file), self.files.length_at(&active_path(&self.dir, &self.name))) {
            (Ok(held), Ok(there)) if held == there => {
                self.open_line &= held > 0;
                self.born = self.born.filter(|_| held > 0);
                self.size = held;
            }
            _ => self.file = None,
        }
    }

    /// Appends bytes, closing and deleting segments as they become due.
    ///
    /// # Errors
    /// Some bytes were dropped, or a segment could not be closed or deleted.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Trouble> {
        let skipped = self.skip(data);
        let mut rest = &data[skipped..];
        let mut minor = None;
        while !rest.is_empty() {
            match self.step(rest, &mut minor) {
                Ok(written) => {
                    self.tally.wrote(&rest[..written]);
                    rest = &rest[written..];
                }
                Err((written, trouble)) => {
                    self.tally.wrote(&rest[..written]);
                    let lost = &rest[written..];
                    if self.settings.on_full == OnFull::Wait && trouble.is_full() {
                        let dropped = skipped as u64;
                        return Err(Trouble { dropped, waiting: lost.len(), ..trouble });
                    }
                    self.lose(lost);
                    return Err(Trouble { dropped: (skipped + lost.len()) as u64, ..trouble });
                }
            }
        }
        if skipped > 0 {
            let error = io::Error::other("its start could not be written");
            let trouble =
                self.trouble("write the rest of a line to", active_path(&self.dir, &self.name), error);
            return Err(Trouble { dropped: skipped as u64, ..trouble });
        }
        minor.map_or(Ok(()), Err)
    }

    /// Writes a first part of `rest`, up to where a segment ends; tells its length. An error tells how much of
    /// `rest` was written in spite of it.
    fn step(&mut self, rest: &[u8], minor: &mut Option<Trouble>) -> Result<usize, (usize, Trouble)> {
        if self.full {
            let error =
                io::Error::new(ErrorKind::StorageFull, "less space than min_free is left on the disk");
            return Err((0, self.trouble("write to", active_path(&self.dir, &self.name), error)));
        }
        self.open().map_err(|trouble| (0, trouble))?;
        if self.torn {
            if self.open_line {
                self.put(b"\n").map_err(|(_, trouble)| (0, trouble))?;
            }
            if self.untold > 0 {
                let text = missing(self.untold);
                self.put(text.as_bytes()).map_err(|(written, trouble)| {
                    // All but the line end is enough to have told it.
                    self.untold *= u64::from(written + 1 < text.len());
                    (0, trouble)
                })?;
                self.untold = 0;
            }
            self.torn = false;
        }
        let (length, close) = self.part(rest);
        self.put(&rest[..length])?;
        if close && let Err(trouble) = self.rotate(self.wanted.unwrap_or(Why::Size)) {
            *minor = Some(trouble);
        }
        Ok(length)
    }

    /// How much of `rest` goes into the active segment, and whether that closes it.
    fn part(&self, rest: &[u8]) -> (usize, bool) {
        let room = |until: u64| usize::try_from(until.saturating_sub(self.size)).unwrap_or(usize::MAX);
        // The earliest byte that would end a line at or after `rotate_at`.
        let from = room(self.rotate_at).saturating_sub(1);
        if from >= rest.len() {
            return (rest.len(), false);
        }
        let cut = room(self.rotate_at.saturating_add(LINE_ALLOWANCE)).clamp(from + 1, usize::MAX);
        let search = &rest[from..rest.len().min(cut)];
        match search.iter().position(|byte| *byte == b'\n') {
            Some(at) => (from + at + 1, true),
            None if cut <= rest.len() => (cut, true),
            None => (rest.len(), false),
        }
    }

    /// Writes all of `bytes` to the open file. An error tells how many were written before it.
    fn put(&mut self, bytes: &[u8]) -> Result<(), (usize, Trouble)> {
        let mut done = 0;
        while done < bytes.len() {
            let result = match &mut self.file {
                Some(file) => file.write(&bytes[done..]),
                None => Err(ErrorKind::NotFound.into()),
            };
            let error = match result {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(written) => {
                    done += written;
                    if self.size == 0 && self.settings.rotate_age.is_some() {
                        self.born = Some(SystemTime::now());
                    }
                    self.size += written as u64;
                    self.open_line = bytes[done - 1] != b'\n';
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            // The next write opens anew: that also helps where the handle itself went bad.
            self.file = None;
            return Err((done, self.trouble("write to", active_path(&self.dir, &self.name), error)));
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), Trouble> {
        if self.file.is_some() {
            return Ok(());
        }
        let path = active_path(&self.dir, &self.name);
        match self.files.append(&path) {
            Ok((file, size, open_line)) => {
                self.born = match self.settings.rotate_age {
                    Some(_) if size > 0 => self.files.born(&file).ok(),
                    _ => None,
                };
                (self.file, self.size, self.open_line) = (Some(file), size, open_line);
                self.rotate_at = self.settings.rotate_size.max(size);
                let large = size >= self.settings.rotate_size;
                if size > 0 && !open_line && (large || self.is_aged(SystemTime::now())) {
                    // The size became smaller since it was written, or time has passed. If closing fails it is tried
                    // again later.
                    let _ = self.rotate(if large { Why::Size } else { Why::Age });
                }
                Ok(())
            }
            Err(error) => Err(self.trouble("open", path, error)),
        }
    }

    /// How many bytes at the start of `data` are left out because the start of their line was lost.
    fn skip(&mut self, data: &[u8]) -> usize {
        let Some(so_far) = self.skipping else { return 0 };
        let skipped = match data.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                self.skipping = None;
                at + 1
            }
            None if so_far + data.len() as u64 > SKIP_LIMIT => {
                self.skipping = None;
                0
            }
            None => {
                self.skipping = Some(so_far + data.len() as u64);
                data.len()
            }
        };
        self.count(&data[..skipped]);
        skipped
    }

    fn lose(&mut self, lost: &[u8]) {
        self.count(lost);
        self.torn = true;
        self.skipping = (lost.last() != Some(&b'\n')).then_some(0);
    }

    /// Bytes that come too late to be written at all.
    pub fn discard(&mut self, lost: &[u8]) {
        self.lose(lost);
    }

    fn count(&mut self, lost: &[u8]) {
        self.tally.lost(lost);
        self.untold += lost.len() as u64;
    }

    fn trouble(&self, what: &'static str, path: PathBuf, error: io::Error) -> Trouble {
        Trouble { dropped: 0, waiting: 0, what, path, error }
    }
}

/// What the log says where something is missing.
fn missing(bytes: u64) -> String {
    format!("[mainstay: {bytes} bytes of output are missing here]\n")
}
