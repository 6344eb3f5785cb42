//! Unbiased interrupt time, and the boot's number.

use windows_sys::Win32::System::WindowsProgramming::QueryUnbiasedInterruptTimePrecise;

/// Where Windows shows every process some of the kernel's own values, read-only: `KUSER_SHARED_DATA`, whose address
/// and layout are fixed and documented for drivers.
const SHARED_DATA: usize = 0x7FFE_0000;
/// Its `BootId`: rises by one with each boot.
const BOOT_ID: usize = 0x2C4;

pub(super) fn monotonic_nanos() -> u64 {
    let mut ticks = 0;
    // SAFETY: `ticks` outlives the call.
    unsafe { QueryUnbiasedInterruptTimePrecise(&mut ticks) };
    // Units of 100 ns; 64 bits of nanoseconds last 584 years.
    ticks.saturating_mul(100)
}

/// The boot's number rather than its time, which moves whenever somebody sets the clock: an identity that changed
/// under a living process would be worse than none. Where the kernel keeps no number (Wine: 0) the creation time
/// beside it has to tell boots apart, and does.
pub(super) fn boot_id() -> String {
    let address = std::ptr::with_exposed_provenance::<u32>(SHARED_DATA + BOOT_ID);
    // SAFETY: the page is mapped, readable, at this address in every process; the value is aligned.
    let number = unsafe { address.read_volatile() };
    format!("boot-{number}")
}

pub(super) fn is_synchronised() -> Option<bool> {
    None
}
