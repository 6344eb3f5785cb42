//! Letting a process stand still.

use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS};

use super::raw;

#[link(name = "ntdll")]
unsafe extern "system" {
    // Not in the documented interface, but unchanged since Windows XP, and what every debugger and task manager uses.
    fn NtSuspendProcess(process: HANDLE) -> NTSTATUS;
    fn NtResumeProcess(process: HANDLE) -> NTSTATUS;
}

/// Suspends it; negative: it is not. The handle needs `PROCESS_SUSPEND_RESUME`.
pub(crate) fn suspend(process: &OwnedHandle) -> NTSTATUS {
    // SAFETY: the handle is open; without the right to suspend the call refuses.
    unsafe { NtSuspendProcess(raw(process)) }
}

/// Lets it go on, once for each time that it was suspended.
pub(crate) fn resume(process: &OwnedHandle) -> NTSTATUS {
    // SAFETY: as above.
    unsafe { NtResumeProcess(raw(process)) }
}
