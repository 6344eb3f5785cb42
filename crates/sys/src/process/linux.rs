//! Identity by start time, and signals through pidfds.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::ProcessId;
use crate::linux::{proc, users};

pub(super) fn identity(pid: u32) -> Option<ProcessId> {
    let stat = proc::stat(pid)?;
    Some(ProcessId { pid, start: stat.start, boot: crate::clock::boot_id() })
}

pub(super) fn is_alive(id: &ProcessId) -> bool {
    id.boot == crate::clock::boot_id()
        && proc::stat(id.pid).is_some_and(|stat| stat.start == id.start && !stat.is_dead())
}

pub(super) fn kill(id: &ProcessId) -> io::Result<bool> {
    if id.boot != crate::clock::boot_id() {
        return Ok(false);
    }
    match Held::open(id.pid, id.start) {
        Some(held) => held.signal(Signal::KILL),
        None => Ok(false),
    }
}

pub(super) fn suspend(id: &ProcessId) -> io::Result<()> {
    stand_still(id, Signal::STOP)
}

pub(super) fn resume(id: &ProcessId) -> io::Result<()> {
    stand_still(id, Signal::CONT)
}

fn stand_still(id: &ProcessId, how: Signal) -> io::Result<()> {
    match Held::open(id.pid, id.start) {
        Some(held) if held.signal(how)? => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

pub(super) fn own_user() -> String {
    users::name_of(rustix::process::geteuid().as_raw())
}

/// A process that cannot turn into another one while this is held.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) pid: u32,
    pub(crate) start: u64,
    /// Absent where a sandbox refuses pidfds; then each signal looks at the start time first.
    fd: Option<OwnedFd>,
}

impl Held {
    /// `None`: that process is gone.
    pub(crate) fn open(pid: u32, start: u64) -> Option<Held> {
        let fd = match rustix::process::pidfd_open(raw(pid)?, PidfdFlags::empty()) {
            Ok(fd) => Some(fd),
            Err(Errno::SRCH | Errno::INVAL) => return None,
            // No descriptors left, or no pidfds at all: looking first is nearly as good.
            Err(_) => None,
        };
        // Looked at while held: if it is the right one now, then it was the right one that we opened.
        proc::stat(pid).filter(|stat| stat.start == start && !stat.is_dead())?;
        Some(Held { pid, start, fd })
    }

    /// `false`: it is gone.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        let sent = match &self.fd {
            Some(fd) => rustix::process::pidfd_send_signal(fd, signal),
            None => match (proc::stat(self.pid), raw(self.pid)) {
                (Some(stat), Some(pid)) if stat.start == self.start => {
                    rustix::process::kill_process(pid, signal)
                }
                _ => Err(Errno::SRCH),
            },
        };
        match sent {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// As rustix takes it; 0 and what does not fit is no process.
pub(crate) fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
