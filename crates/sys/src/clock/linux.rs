//! `CLOCK_MONOTONIC` and the kernel's boot id.

use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

pub(super) fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

pub(super) fn boot_id() -> String {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
    })
    .clone()
}

/// See adjtimex(2): it changes nothing with no modes set.
pub(super) fn is_synchronised() -> Option<bool> {
    let mut state = std::mem::MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: all zeroes is a valid request that only reads, and the structure outlives the call.
    let outcome = unsafe { libc::adjtimex(state.as_mut_ptr()) };
    (outcome >= 0).then_some(outcome != libc::TIME_ERROR)
}
