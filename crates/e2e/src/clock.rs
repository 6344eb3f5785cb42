//! A wall clock of a stack's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Stack;

/// What keeper and daemon of a stack take for the wall clock; their monotonic clock goes on as ever. Linux: a preloaded
/// library (`libfaketime`) does it.
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// Gives a stack that is not up a clock that shows the right time. None, with the reason, where that cannot be.
    pub fn of(stack: &mut Stack) -> Result<Clock, &'static str> {
        if cfg!(windows) {
            return Err("the clock of a process cannot be changed there");
        }
        let library = library().ok_or("libfaketime is not installed")?;
        let clock = Clock { file: stack.home().join("clock") };
        clock.set("+0");
        stack.set("LD_PRELOAD", &library.to_string_lossy());
        stack.set("FAKETIME_TIMESTAMP_FILE", &clock.file.to_string_lossy());
        stack.set("FAKETIME_NO_CACHE", "1");
        stack.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Ok(clock)
    }

    /// Has it differ by as much from the right time: `+90`, in seconds, or `-1d`.
    pub fn set(&self, offset: &str) {
        // It is read all the time, and never to be read in parts.
        let new = self.file.with_extension("new");
        fs::write(&new, offset).unwrap();
        fs::rename(&new, &self.file).unwrap();
    }

    /// Has it show a time from now on, in seconds of the Unix epoch.
    pub fn set_to(&self, time: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.set(&format!("{:+}", time.cast_signed() - now.cast_signed()));
    }
}

/// Where Debian has the library.
fn library() -> Option<PathBuf> {
    let dirs = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/faketime"];
    dirs.iter().map(|dir| Path::new(dir).join("libfaketimeMT.so.1")).find(|path| path.is_file())
}
