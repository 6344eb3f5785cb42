//! What the system says about processes that it ended because memory ran out.

use std::time::Duration;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// The kernel killed a process because memory ran out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// Its own words.
    pub message: String,
    /// How long ago.
    pub ago: Duration,
}

/// What the kernel said last about killing process `pid` for want of memory; none if it said nothing, or if this
/// account may not read the kernel's messages. Windows ends nobody for that: an allocation fails instead.
pub fn killed(pid: u32) -> Option<Killed> {
    platform::killed(pid)
}
