//! A process's identity: its number alone may belong to another one a moment later.

use std::io;

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(windows)]
use windows as platform;

/// Which process, for good: no other process on this machine ever has the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in the kernel's own units (Linux: clock ticks since boot; Windows: creation FILETIME).
    pub start: u64,
    /// The boot it lives in ([`crate::clock::boot_id`]).
    pub boot: String,
}

/// The identity of the process that has this number now; `None` if there is none.
pub fn identity(pid: u32) -> Option<ProcessId> {
    platform::identity(pid)
}

/// Whether exactly this process still runs. One that has ended but was not yet reaped does not.
pub fn is_alive(id: &ProcessId) -> bool {
    platform::is_alive(id)
}

/// Ends exactly this process at once (SIGKILL, TerminateProcess); never another that got its number since.
/// `false` if it is gone already.
pub fn kill(id: &ProcessId) -> io::Result<bool> {
    platform::kill(id)
}

/// Lets exactly this process stand still (SIGSTOP, NtSuspendProcess), as one that hangs does.
pub fn suspend(id: &ProcessId) -> io::Result<()> {
    platform::suspend(id)
}

/// Lets it go on.
pub fn resume(id: &ProcessId) -> io::Result<()> {
    platform::resume(id)
}

/// The account that this process runs under, for "asked by root".
pub fn own_user() -> String {
    platform::own_user()
}
