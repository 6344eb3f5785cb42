//! How full a disk is.

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

/// Bytes that this account can still write on the disk that a directory is on.
pub fn free(dir: &Path) -> io::Result<u64> {
    platform::free(dir)
}

/// Bytes of the whole disk that a directory is on, as far as this account may have them.
pub fn total(dir: &Path) -> io::Result<u64> {
    platform::total(dir)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_disk_has_some_space_and_what_is_not_there_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let free = super::free(dir.path()).expect("a number");
        assert!(free > 0 && free < 1 << 60, "{free}");
        assert!(super::total(dir.path()).expect("a number") >= free);
        assert!(super::free(&dir.path().join("none")).is_err());
    }
}
