//! The sending end of the `sd_notify` protocol.

use std::ffi::OsStr;
use std::io;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Sends one message to the socket that a `NOTIFY_SOCKET` variable names: a path, or `@` and an abstract name.
/// `Unsupported` on Windows.
pub fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    platform::send(socket, text)
}
