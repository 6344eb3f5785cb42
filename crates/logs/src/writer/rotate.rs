//! Closing segments and deleting old ones.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::SystemTime;

use super::{Trouble, Writer};
use crate::files::Files;
use crate::segment::{Form, active_path, closed_path, form_path, index_path, next_path};

/// So many numbers are tried when a closed segment turns out to have the wanted one already.
const NUMBER_TRIES: u32 = 1000;

/// Why a segment was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was large enough.
    Size,
    /// It was old enough.
    Age,
    /// Somebody wanted it.
    Asked,
}

/// Segments that were closed, one or several in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The number of the first.
    pub first: u64,
    /// That of the last.
    pub last: u64,
    /// Why the last was closed.
    pub why: Why,
}

impl<F: Files> Writer<F> {
    /// Closes the active segment if it is old enough; inside a line, at the line's end. For every now and then.
    ///
    /// # Errors
    /// It could not be closed, or an old one not be deleted; it is tried again at the next tick.
    pub fn tick(&mut self, now: SystemTime) -> Result<(), Trouble> {
        if self.file.is_none() || !self.is_aged(now) {
            return Ok(());
        }
        self.rotate_at_line_end(Why::Age)
    }

    /// Closes the active segment because somebody asks for it; inside a line, at the line's end. An empty one stays.
    ///
    /// # Errors
    /// It could not be closed, or an old one not be deleted.
    pub fn rotate_now(&mut self) -> Result<(), Trouble> {
        if self.size == 0 {
            return Ok(());
        }
        self.rotate_at_line_end(Why::Asked)
    }

    fn rotate_at_line_end(&mut self, why: Why) -> Result<(), Trouble> {
        if self.open_line {
            self.rotate_at = self.rotate_at.min(self.size);
            self.wanted = Some(why);
            return Ok(());
        }
        self.rotate(why)
    }

    /// The segments that were closed since the last question, if [`Settings::report`](super::Settings::report) was set then. Some of them may be
    /// deleted by now.
    pub fn take_rotated(&mut self) -> Option<Rotated> {
        self.numbers.rotated.take()
    }

    pub(super) fn is_aged(&self, now: SystemTime) -> bool {
        let (Some(age), Some(born)) = (self.settings.rotate_age, self.born) else { return false };
        self.size > 0 && now.duration_since(born).is_ok_and(|lasted| lasted >= age)
    }

    /// The file of the oldest closed segment, in each form that it may have.
    pub fn oldest(&self) -> Option<(u64, [PathBuf; 3])> {
        let number = *self.numbers.closed.front()?;
        Some((number, Form::ALL.map(|form| form_path(&self.dir, &self.name, number, form))))
    }

    /// Deletes the oldest closed segment to make space. If there is no other, an empty file stays for the numbering.
    ///
    /// # Errors
    /// The system's; the segment may be there still.
    pub fn give_up_oldest(&mut self) -> io::Result<()> {
        let Some((number, paths)) = self.oldest() else { return Ok(()) };
        if let [plain, ..] = &paths
            && self.numbers.closed.len() == 1
        {
            drop(self.files.create(plain)?);
            self.numbers.at_least = self.numbers.active();
        }
        for path in paths.iter().skip(usize::from(self.numbers.closed.len() == 1)) {
            match self.files.remove(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let _ = self.files.remove(&index_path(&self.dir, &self.name, number));
        self.numbers.closed.retain(|closed| *closed != number);
        Ok(())
    }

    /// Closes the active segment and goes on in a new one. If that fails, the old one is still in use.
    pub(super) fn rotate(&mut self, why: Why) -> Result<(), Trouble> {
        let (active, next) = (active_path(&self.dir, &self.name), next_path(&self.dir, &self.name));
        // For when it fails: not at every line from here on.
        self.rotate_at = self.size.saturating_add((self.settings.rotate_size / 64).max(64 << 10));
        // The new file comes first: it is what can fail for want of space or handles.
        let file = match self.files.create(&next) {
            Ok(file) => file,
            Err(error) => return Err(self.trouble("make", next, error)),
        };
        let (number, closed) = self.free_number()?;
        let gone = match self.files.rename(&active, &closed) {
            Ok(()) => {
                self.numbers.closed.push_back(number);
                self.report(number, why);
                None
            }
            // Somebody deleted the active file: nothing is closed, and its number goes on in the new one.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some(self.trouble("close", active.clone(), error))
            }
            Err(error) => return Err(self.trouble("close", active, error)),
        };
        (self.file, self.size, self.open_line, self.born) = (Some(file), 0, false, None);
        self.rotate_at = self.settings.rotate_size;
        self.wanted = None;
        if let Err(error) = self.files.rename(&next, &active) {
            self.file = None;
            return Err(self.trouble("put into place", next, error));
        }
        self.index.next((&self.files, &self.dir, &self.name), self.numbers.active());
        self.prune()?;
        gone.map_or(Ok(()), Err)
    }

    fn report(&mut self, number: u64, why: Why) {
        if self.settings.report {
            let first = self.numbers.rotated.map_or(number, |earlier| earlier.first);
            self.numbers.rotated = Some(Rotated { first, last: number, why });
        }
    }

    /// The active segment's number and the file that it becomes; one that is not there yet.
    fn free_number(&mut self) -> Result<(u64, PathBuf), Trouble> {
        let mut path = PathBuf::new();
        for _ in 0..NUMBER_TRIES {
            let number = self.numbers.active();
            path = closed_path(&self.dir, &self.name, number);
            match self.is_taken(number) {
                Ok(false) => return Ok((number, path)),
                Ok(true) => self.numbers.at_least = number + 1,
                Err((path, error)) => return Err(self.trouble("look at", path, error)),
            }
        }
        Err(self.trouble("find a free number after", path, ErrorKind::AlreadyExists.into()))
    }

    fn is_taken(&self, number: u64) -> Result<bool, (PathBuf, io::Error)> {
        for form in Form::ALL {
            let path = form_path(&self.dir, &self.name, number, form);
            match self.files.length_at(&path) {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err((path, error)),
            }
        }
        Ok(false)
    }

    /// Deletes closed segments beyond those to keep.
    fn prune(&mut self) -> Result<(), Trouble> {
        let keep = usize::try_from(self.settings.keep_files.max(1)).unwrap_or(usize::MAX);
        let excess = self.numbers.closed.len().saturating_sub(keep);
        let mut result = Ok(());
        let mut stays = Vec::new();
        for number in self.numbers.closed.drain(..excess) {
            // Of no use without its segment; the daemon takes what stays.
            let _ = self.files.remove(&index_path(&self.dir, &self.name, number));
            for form in Form::ALL {
                let path = form_path(&self.dir, &self.name, number, form);
                match self.files.remove(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        stays.push(number);
                        result = Err(Trouble { dropped: 0, waiting: 0, what: "delete", path, error });
                        break;
                    }
                    _ => {}
                }
            }
        }
        for number in stays.into_iter().rev() {
            self.numbers.closed.push_front(number);
        }
        result
    }
}
