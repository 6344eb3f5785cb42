//! Files that are whole or not there.

use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Replaces a file so that whoever reads it, now or after a power cut, sees the old content or the new one, never a
/// part. `private`: for the owner only.
pub fn write_atomic(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    platform::write_atomic(path, bytes, private)
}
