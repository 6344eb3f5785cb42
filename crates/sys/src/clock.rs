//! Time that never jumps, and which boot of the machine this is.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Nanoseconds of a clock that only goes forward, at an even pace, and stands still while the machine sleeps
/// (Linux: `CLOCK_MONOTONIC`; Windows: unbiased interrupt time). The same in all processes of one boot.
pub fn monotonic_nanos() -> u64 {
    platform::monotonic_nanos()
}

/// Whether something keeps the wall clock right, if the system knows: Linux does, of the kernel's clock.
pub fn is_synchronised() -> Option<bool> {
    platform::is_synchronised()
}

/// A word that is the same for all processes until the machine boots again.
///
/// Linux: the kernel's random boot id. Windows has none: the time of the boot, rounded so that the clock being set
/// a little does not change it; a process's start time beside it tells boots apart in any case.
pub fn boot_id() -> String {
    platform::boot_id()
}
