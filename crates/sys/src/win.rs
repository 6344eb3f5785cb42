//! What the Windows sides of the modules share: errors, wide strings, jobs, security descriptors.

pub(crate) mod job;
pub(crate) mod launch;
pub(crate) mod logon;
pub(crate) mod pipe;
pub(crate) mod port;
pub(crate) mod security;
pub(crate) mod suspend;
pub(crate) mod token;
pub(crate) mod who;

use std::ffi::{OsStr, OsString, c_void};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, GENERIC_READ, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING,
};
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, INFINITE};

/// `Err` with the thread's last error if a Win32 call returned FALSE.
pub(crate) fn check(ok: i32) -> io::Result<()> {
    if ok == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Owns the handle that a Win32 call returned, or `Err` with the last error if it returned none.
pub(crate) fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every caller passes a handle that it just got and keeps no copy of.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// The raw value of a handle.
pub(crate) fn raw(handle: &OwnedHandle) -> HANDLE {
    handle.as_raw_handle()
}

/// A second handle to the same object.
pub(crate) fn duplicate(handle: HANDLE, inheritable: bool) -> io::Result<OwnedHandle> {
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: both process handles are the pseudo handle of this process, and `copy` outlives the call.
    check(unsafe {
        let own = GetCurrentProcess();
        DuplicateHandle(own, handle, own, &mut copy, 0, i32::from(inheritable), DUPLICATE_SAME_ACCESS)
    })?;
    owned(copy)
}

/// The error with what was tried put in front of it; its kind is kept.
pub(crate) fn explain(what: impl std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// A Win32 status code as an error.
pub(crate) fn code(status: u32) -> io::Error {
    io::Error::from_raw_os_error(status.cast_signed())
}

/// UTF-16 with a NUL at the end, as most calls want it. A NUL inside would cut the text: refused.
pub(crate) fn wide(text: impl AsRef<OsStr>) -> io::Result<Vec<u16>> {
    let mut units: Vec<u16> = text.as_ref().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a NUL character inside {:?}", text.as_ref()),
        ));
    }
    units.push(0);
    Ok(units)
}

/// The text up to the first NUL.
pub(crate) fn text_until_nul(units: &[u16]) -> OsString {
    OsString::from_wide(units.split(|unit| *unit == 0).next().unwrap_or_default())
}

/// The text that a pointer from Windows points at.
///
/// # Safety
/// `pointer` is null or points at a NUL-terminated string.
pub(crate) unsafe fn text_at(pointer: *const u16) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises a NUL at the end; nothing behind it is read.
    unsafe {
        let mut length = 0;
        while *pointer.add(length) != 0 {
            length += 1;
        }
        String::from_utf16_lossy(std::slice::from_raw_parts(pointer, length))
    }
}

/// Calls something that fills a buffer and returns the length it needs, until the buffer is long enough.
pub(crate) fn fill(mut call: impl FnMut(*mut u16, u32) -> u32) -> io::Result<OsString> {
    let mut buffer = vec![0_u16; 260];
    // Bound: twice is enough unless the text grows meanwhile; the longest path is 32,767.
    for _ in 0..8 {
        let length = call(buffer.as_mut_ptr(), u32::try_from(buffer.len()).unwrap_or(u32::MAX)) as usize;
        match length {
            0 => return Err(io::Error::last_os_error()),
            n if n < buffer.len() => return Ok(OsString::from_wide(&buffer[..n])),
            n => buffer.resize((n + 1).max(buffer.len() * 2), 0),
        }
    }
    Err(io::Error::other("a text from Windows that grows without end"))
}

/// `C:\Windows\System32`.
pub(crate) fn system_directory() -> io::Result<PathBuf> {
    // SAFETY: `fill` passes a buffer and its length.
    fill(|buffer, length| unsafe { GetSystemDirectoryW(buffer, length) }).map(PathBuf::from)
}

/// The device that swallows everything and is always at its end.
pub(crate) fn open_null() -> io::Result<OwnedHandle> {
    open_device(OsStr::new("NUL"), GENERIC_READ | GENERIC_WRITE)
}

/// Opens what exists already, shared with everybody.
pub(crate) fn open_device(name: &OsStr, access: u32) -> io::Result<OwnedHandle> {
    let name = wide(name)?;
    // SAFETY: `name` ends with a NUL and outlives the call; the optional pointers are null.
    owned(unsafe {
        CreateFileW(
            name.as_ptr(),
            access,
            FILE_SHARE_READ | FILE_SHARE_WRITE,
            std::ptr::null(),
            OPEN_EXISTING,
            0,
            std::ptr::null_mut(),
        )
    })
}

/// The path made absolute and in the form without the limit of 260 characters where it needs it.
pub(crate) fn long_path(path: &Path) -> io::Result<Vec<u16>> {
    let absolute = std::path::absolute(path)?;
    let text = absolute.as_os_str();
    let units: Vec<u16> = text.encode_wide().collect();
    if units.len() < 248 || units.starts_with(&[u16::from(b'\\'); 2]) {
        return wide(text);
    }
    let mut long = OsString::from(r"\\?\");
    long.push(text);
    wide(long)
}

/// A timeout as Win32 wants it, rounded up so that nobody looks too early.
pub(crate) fn milliseconds(timeout: Option<Duration>) -> u32 {
    match timeout {
        None => INFINITE,
        Some(time) => {
            u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE).min(INFINITE - 1)
        }
    }
}

/// The size of a value as Win32 wants it.
pub(crate) fn size_of<T>() -> u32 {
    u32::try_from(std::mem::size_of::<T>()).unwrap_or(u32::MAX)
}

/// A pointer to a value, as Win32's untyped parameters want it.
pub(crate) fn pointer<T>(value: &T) -> *const c_void {
    std::ptr::from_ref(value).cast()
}
