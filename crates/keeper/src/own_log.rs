//! `daemon.log`: what keeper and daemon themselves have to say, when nobody listens otherwise.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::when;

/// Beyond this size it becomes `daemon.log.1`.
const MAX_SIZE: u64 = 4 << 20;

/// The file. Losing a line of it is not worth stopping for: errors are passed over.
#[derive(Debug)]
pub(crate) struct OwnLog {
    path: PathBuf,
    file: Option<File>,
}

impl OwnLog {
    pub(crate) fn open(state_dir: &Path) -> OwnLog {
        let path = state_dir.join("daemon.log");
        let file = OpenOptions::new().append(true).create(true).open(&path).ok();
        OwnLog { path, file }
    }

    /// One line.
    pub(crate) fn say(&self, text: fmt::Arguments<'_>) {
        if let Some(mut file) = self.file.as_ref() {
            let _ = file.write_all(format!("{} keeper: {text}\n", when::now()).as_bytes());
        }
    }

    /// A handle to append with, for a daemon's standard error.
    pub(crate) fn handle(&self) -> io::Result<File> {
        match &self.file {
            Some(file) => file.try_clone(),
            None => OpenOptions::new().append(true).create(true).open(&self.path),
        }
    }

    /// Keeps it from growing without end. The daemon holds the file open and cannot be told to open another one, so
    /// the content is copied and the file emptied; a line written in between is lost.
    pub(crate) fn trim(&self) {
        let Some(file) = &self.file else { return };
        if file.metadata().is_ok_and(|metadata| metadata.len() > MAX_SIZE) {
            let _ = std::fs::copy(&self.path, self.path.with_extension("log.1"));
            // Also if the copy failed: a full disk is no reason to fill it more.
            let _ = file.set_len(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_all_handles_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let log = OwnLog::open(dir.path());
        let mut daemons = log.handle().unwrap();
        daemons.write_all(&vec![b'x'; 5 << 20]).unwrap();
        log.trim();
        log.say(format_args!("after {}", 1));
        daemons.write_all(b"daemon\n").unwrap();
        let text = std::fs::read_to_string(dir.path().join("daemon.log")).unwrap();
        assert!(text.ends_with("Z keeper: after 1\ndaemon\n") && text.len() < 100, "{text}");
        assert_eq!(std::fs::metadata(dir.path().join("daemon.log.1")).unwrap().len(), 5 << 20);
    }
}
