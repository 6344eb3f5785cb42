//! The few file operations that a writer needs, so that tests can put a disk with faults in their place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::SystemTime;

/// What a [`Writer`](crate::Writer) does to files.
pub trait Files {
    /// An open file.
    type File: Write;
    /// Opens for appending, making it if it is not there; tells its length and whether it ends inside a line.
    ///
    /// # Errors
    /// As the system's.
    fn append(&self, path: &Path) -> io::Result<(Self::File, u64, bool)>;
    /// Makes an empty file for appending, emptying what is there.
    ///
    /// # Errors
    /// As the system's.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// The length of an open file.
    ///
    /// # Errors
    /// As the system's.
    fn length(&self, file: &Self::File) -> io::Result<u64>;
    /// Since when an open file has been there; or, where that is not known, when it was last written to.
    ///
    /// # Errors
    /// As the system's.
    fn born(&self, file: &Self::File) -> io::Result<SystemTime>;
    /// The length of the file at a path; `NotFound` if there is none.
    ///
    /// # Errors
    /// As the system's.
    fn length_at(&self, path: &Path) -> io::Result<u64>;
    /// Gives a file another name. The other name is known to be free.
    ///
    /// # Errors
    /// As the system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a file.
    ///
    /// # Errors
    /// As the system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    type File = File;

    fn append(&self, path: &Path) -> io::Result<(File, u64, bool)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
        }
        Ok((file, length, last != [b'\n']))
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().append(true).create_new(true).open(path)
    }

    fn length(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn born(&self, file: &File) -> io::Result<SystemTime> {
        let metadata = file.metadata()?;
        metadata.created().or_else(|_| metadata.modified())
    }

    fn length_at(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}
