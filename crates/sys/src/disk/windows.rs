//! `GetDiskFreeSpaceEx`: quotas count too.

use std::io;
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;

use crate::win::{check, long_path};

pub(super) fn free(dir: &Path) -> io::Result<u64> {
    let name = long_path(&std::path::absolute(dir)?)?;
    let mut free = 0;
    // SAFETY: the name ends with a NUL; it and `free` outlive the call.
    check(unsafe {
        GetDiskFreeSpaceExW(name.as_ptr(), &raw mut free, std::ptr::null_mut(), std::ptr::null_mut())
    })?;
    Ok(free)
}
