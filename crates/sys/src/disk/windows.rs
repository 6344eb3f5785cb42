//! `GetDiskFreeSpaceEx`: quotas count too.

use std::io;
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;

use crate::win::{check, long_path};

pub(super) fn free(dir: &Path) -> io::Result<u64> {
    space(dir).map(|(free, _)| free)
}

pub(super) fn total(dir: &Path) -> io::Result<u64> {
    space(dir).map(|(_, total)| total)
}

fn space(dir: &Path) -> io::Result<(u64, u64)> {
    let name = long_path(&std::path::absolute(dir)?)?;
    let (mut free, mut total) = (0, 0);
    // SAFETY: the name ends with a NUL; it and the results outlive the call.
    check(unsafe {
        GetDiskFreeSpaceExW(name.as_ptr(), &raw mut free, &raw mut total, std::ptr::null_mut())
    })?;
    Ok((free, total))
}
