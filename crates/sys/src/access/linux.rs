//! Modes of files. What a single account may do is found out by becoming it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Wish;

#[derive(Debug)]
pub(super) enum Rights {}

impl Rights {
    #[expect(clippy::unnecessary_wraps, reason = "the other platform has errors")]
    pub(super) fn of(_sid: &str, _also: &[&str]) -> io::Result<Option<Rights>> {
        Ok(None)
    }

    pub(super) fn include(&self, _sid: &str) -> io::Result<bool> {
        match *self {}
    }

    pub(super) fn allow(&self, _path: &Path, _wish: Wish) -> io::Result<bool> {
        match *self {}
    }
}

pub(super) fn name_of(sid: &str) -> String {
    sid.to_owned()
}

pub(super) fn grant(_sid: &str, _path: &Path, _wish: Wish) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// In a directory with the sticky bit nobody replaces what is another's.
pub(super) fn open_to_all(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let is_open = |part: &&Path| {
        part.metadata().is_ok_and(|found| found.mode() & 0o002 != 0 && found.mode() & 0o1000 == 0)
    };
    path.ancestors().find(is_open).map(Path::to_owned)
}
