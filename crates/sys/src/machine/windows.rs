//! `GetSystemTimes` and `GlobalMemoryStatusEx`.

use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};
use windows_sys::Win32::System::Threading::GetSystemTimes;

use super::{Machine, Share};
use crate::win::check;

pub(super) fn look() -> Machine {
    Machine { busy: busy(), memory: memory() }
}

pub(super) fn processes() -> Option<Share> {
    None
}

fn busy() -> Option<Duration> {
    let mut times = [FILETIME::default(); 3];
    let [idle, kernel, user] = &mut times;
    // SAFETY: the three results outlive the call.
    check(unsafe { GetSystemTimes(idle, kernel, user) }).ok()?;
    let [idle, kernel, user] =
        times.map(|time| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime));
    // In units of 100 ns. The kernel's has the idle time in it.
    Some(Duration::from_micros((kernel + user).saturating_sub(idle) / 10))
}

fn memory() -> Option<Share> {
    #[expect(clippy::cast_possible_truncation, reason = "64 bytes")]
    let mut status = MEMORYSTATUSEX { dwLength: size_of::<MEMORYSTATUSEX>() as u32, ..Default::default() };
    // SAFETY: the structure says its own length and outlives the call.
    check(unsafe { GlobalMemoryStatusEx(&mut status) }).ok()?;
    Some(Share { total: status.ullTotalPhys, used: status.ullTotalPhys.saturating_sub(status.ullAvailPhys) })
}
