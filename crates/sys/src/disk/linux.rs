//! `statvfs`.

use std::io;
use std::path::Path;

pub(super) fn free(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    // Not all that is free: some is root's.
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
