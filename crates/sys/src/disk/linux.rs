//! `statvfs`.

use std::io;
use std::path::Path;

pub(super) fn free(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    // Not all that is free: some is root's.
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

pub(super) fn total(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    let of_root = disk.f_bfree.saturating_sub(disk.f_bavail);
    Ok(disk.f_blocks.saturating_sub(of_root).saturating_mul(disk.f_frsize))
}
