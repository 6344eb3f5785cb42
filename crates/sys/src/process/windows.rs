//! A number and a creation time, checked through a handle: while that is open, the number stays its own.

use std::io;
use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, FILETIME, NTSTATUS, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SUSPEND_RESUME,
    PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, TerminateProcess, WaitForSingleObject,
};

use super::ProcessId;
use crate::win::security::Account;
use crate::win::{check, explain, job, owned, raw, suspend};

pub(crate) fn identity(pid: u32) -> Option<ProcessId> {
    let handle = open(pid, PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE).ok()??;
    if has_ended(&handle) {
        return None;
    }
    of_handle(pid, &handle).ok()
}

pub(super) fn is_alive(id: &ProcessId) -> bool {
    match open_exactly(id, PROCESS_SYNCHRONIZE) {
        Ok(Some(handle)) => !has_ended(&handle),
        Ok(None) => false,
        // There is one that we may not look at. Ours never became so: it is another one's by now.
        Err(_) => false,
    }
}

pub(crate) fn kill(id: &ProcessId) -> io::Result<bool> {
    let Some(handle) = open_exactly(id, PROCESS_TERMINATE | PROCESS_SYNCHRONIZE)? else { return Ok(false) };
    if has_ended(&handle) {
        return Ok(false);
    }
    end(id.pid, &handle)
}

/// Ends an open process, if the handle has the right to; false: it had ended.
pub(crate) fn end(pid: u32, handle: &OwnedHandle) -> io::Result<bool> {
    // SAFETY: the handle is open.
    match check(unsafe { TerminateProcess(raw(handle), job::KILLED) }) {
        Ok(()) => Ok(true),
        // It is ending already: Windows then says that it may not be ended.
        Err(e) if e.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) && has_ended(handle) => {
            Ok(false)
        }
        Err(e) => Err(explain(format_args!("process {pid} cannot be ended"), &e)),
    }
}

pub(super) fn suspend(id: &ProcessId) -> io::Result<()> {
    stand_still(id, suspend::suspend)
}

pub(super) fn resume(id: &ProcessId) -> io::Result<()> {
    stand_still(id, suspend::resume)
}

fn stand_still(id: &ProcessId, how: fn(&OwnedHandle) -> NTSTATUS) -> io::Result<()> {
    match open_exactly(id, PROCESS_SUSPEND_RESUME)? {
        Some(handle) if how(&handle) >= 0 => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

pub(super) fn own_user() -> String {
    Account::own().map_or_else(|_| "unknown".to_owned(), |account| account.name())
}

/// The file name of the program that a process runs, without `.exe`.
pub(crate) fn program(pid: u32) -> Option<String> {
    let handle = open(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok()??;
    let path = job::image(&handle)?.to_string_lossy().into_owned();
    let name = path.rsplit('\\').next()?;
    Some(name.strip_suffix(".exe").unwrap_or(name).to_owned())
}

/// The identity of an open process.
pub(crate) fn of_handle(pid: u32, handle: &OwnedHandle) -> io::Result<ProcessId> {
    Ok(ProcessId { pid, start: created(handle)?, boot: crate::clock::boot_id() })
}

/// Waits until the process has ended, at most so long.
pub(crate) fn wait_ended(handle: &OwnedHandle, milliseconds: u32) -> bool {
    // SAFETY: the handle is open and has the right to be waited for.
    unsafe { WaitForSingleObject(raw(handle), milliseconds) != WAIT_TIMEOUT }
}

/// Opens exactly this process; `None` if it is gone.
pub(crate) fn open_exactly(id: &ProcessId, access: u32) -> io::Result<Option<OwnedHandle>> {
    if id.boot != crate::clock::boot_id() {
        return Ok(None);
    }
    let Some(handle) = open(id.pid, access | PROCESS_QUERY_LIMITED_INFORMATION)? else { return Ok(None) };
    Ok((created(&handle)? == id.start).then_some(handle))
}

/// Whether it has ended. Not by its exit code: 259 is a code like any other.
fn has_ended(handle: &OwnedHandle) -> bool {
    wait_ended(handle, 0)
}

pub(crate) fn open(pid: u32, access: u32) -> io::Result<Option<OwnedHandle>> {
    // SAFETY: plain values are passed.
    match owned(unsafe { OpenProcess(access, 0, pid) }) {
        Ok(handle) => Ok(Some(handle)),
        // What Windows says of a number that no process has.
        Err(e) if e.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed()) => Ok(None),
        Err(e) => Err(e),
    }
}

fn created(handle: &OwnedHandle) -> io::Result<u64> {
    let mut times = [FILETIME::default(); 4];
    let [creation, exit, kernel, user] = &mut times;
    // SAFETY: the handle is open with the right to query, and the four results outlive the call.
    check(unsafe { GetProcessTimes(raw(handle), creation, exit, kernel, user) })?;
    Ok(u64::from(times[0].dwHighDateTime) << 32 | u64::from(times[0].dwLowDateTime))
}
