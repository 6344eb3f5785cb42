//! Ways to tell a program something that exist on Windows alone.

use std::io;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Sets the event of this name, which somebody has made and waits for.
///
/// # Errors
/// Nobody has made it, or it is not ours to set. Always on Linux.
pub fn set_event(name: &str) -> io::Result<()> {
    platform::set_event(name)
}

/// Sends a code from 128 to 255 to a Windows service, which answers it.
///
/// # Errors
/// There is no such service, it does not run, or does not take the code. Always on Linux.
pub fn control_service(service: &str, code: u8) -> io::Result<()> {
    platform::control_service(service, code)
}
