//! The cgroup of one tree.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::read::{open_dir, open_file};
use crate::container::linux::usage::members;

/// A tree's cgroup. Its files stay open while something in it runs.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    dir: OwnedFd,
    procs: OwnedFd,
    cpu: Option<OwnedFd>,
}

impl Group {
    pub(super) fn new(path: PathBuf) -> Group {
        Group { path, open: None }
    }

    /// How many descriptors it holds.
    pub(super) fn count(&self) -> usize {
        self.open.as_ref().map_or(0, |open| 2 + usize::from(open.cpu.is_some()))
    }

    /// Nothing in it has run, or no more descriptors may be held.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// The processes in it and below.
    pub(super) fn members(&mut self) -> Vec<u32> {
        if self.open.is_none() {
            self.open = Open::new(&self.path);
        }
        let own = self.open.as_ref().and_then(Open::members);
        own.unwrap_or_else(|| members(&self.path))
    }

    /// The processor time of everything that ever ran in it; after [`members`](Group::members).
    pub(super) fn cpu(&self) -> Option<Duration> {
        let mut buffer = [0_u8; 1024];
        // The end may be missing: what is asked for comes first.
        let length = rustix::io::pread(self.open.as_ref()?.cpu.as_ref()?, &mut buffer, 0).ok()?;
        let mut lines = buffer[..length].split(|&byte| byte == b'\n');
        let micros = std::str::from_utf8(lines.find_map(|line| line.strip_prefix(b"usage_usec "))?).ok()?;
        micros.trim().parse().ok().map(Duration::from_micros)
    }
}

impl Open {
    fn new(path: &Path) -> Option<Open> {
        let dir = open_dir(rustix::fs::CWD, path)?;
        let procs = open_file(&dir, "cgroup.procs")?;
        // Version 1 has none.
        let cpu = open_file(&dir, "cpu.stat");
        Some(Open { dir, procs, cpu })
    }

    /// None: there are others below it, or it is gone.
    fn members(&self) -> Option<Vec<u32>> {
        // One link from above, one from itself, and one from each below.
        let links = rustix::fs::fstat(&self.dir).ok()?.st_nlink;
        (links == 2).then_some(())?;
        let mut text = Vec::new();
        let mut buffer = [0_u8; 4096];
        loop {
            let length = rustix::io::pread(&self.procs, &mut buffer, text.len() as u64).ok()?;
            if length == 0 {
                break;
            }
            text.extend_from_slice(&buffer[..length]);
        }
        let text = std::str::from_utf8(&text).ok()?;
        Some(text.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid > 0).collect())
    }
}
