//! Low places for the descriptors that a new process gets.
//!
//! A keeper of a thousand services has thousands of descriptors open, and to copy that table for a new process and to
//! close it again takes longer than all the rest. So the new process is born sharing our table, and at once makes one
//! of its own out of the lowest part of it. What it needs must be there: each descriptor is put into one of these
//! places, which are kept for that and hold the null device meanwhile.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::DupFlags;

use crate::linux::fd;

/// Standard input, output and error, and each `cgroup.procs` that it may have to write itself into: one of v2, and one
/// for each controller of v1.
const PLACES: usize = 8;

#[derive(Debug)]
pub(super) struct Slots {
    /// Always the null device.
    null: OwnedFd,
    places: Vec<OwnedFd>,
    used: usize,
}

impl Slots {
    /// The sooner this is made in the life of a process, the lower they are.
    pub(super) fn new() -> io::Result<Slots> {
        let null = fd::null()?;
        let make = |_| Ok(rustix::io::fcntl_dupfd_cloexec(null, 3)?);
        Ok(Slots { null: make(0)?, places: (0..PLACES).map(make).collect::<io::Result<_>>()?, used: 0 })
    }

    /// Puts it into the next place; says which.
    pub(super) fn put(&mut self, fd: BorrowedFd<'_>) -> io::Result<RawFd> {
        if fd.as_raw_fd() == fd::null()?.as_raw_fd() {
            return Ok(self.null.as_raw_fd());
        }
        let place = self.places.get_mut(self.used).ok_or(io::ErrorKind::OutOfMemory)?;
        rustix::io::dup3(fd, place, DupFlags::CLOEXEC)?;
        self.used += 1;
        Ok(place.as_raw_fd())
    }

    /// No descriptor that is needed has a higher number.
    pub(super) fn highest(&self) -> RawFd {
        let all = self.places.iter().chain([&self.null]);
        all.map(AsRawFd::as_raw_fd).max().unwrap_or(2)
    }

    /// Lets go of what was put there: the end of a pipe that stayed open would hide that everybody else closed it.
    pub(super) fn clear(&mut self) {
        if let Ok(null) = fd::null() {
            for place in &mut self.places[..self.used] {
                // Both are open, so that nothing can go wrong.
                let _ = rustix::io::dup3(null, place, DupFlags::CLOEXEC);
            }
        }
        self.used = 0;
    }
}
