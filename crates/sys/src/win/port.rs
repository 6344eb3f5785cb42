//! Completion ports: one place where finished operations of many handles arrive, and words from other threads.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::time::Duration;

use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED_ENTRY, PostQueuedCompletionStatus,
};

use super::{check, milliseconds, owned, raw};

/// So many packets are taken at once.
pub(crate) const BATCH: usize = 64;

/// A completion port for one thread.
#[derive(Debug)]
pub(crate) struct Port(OwnedHandle);

/// What arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Whose it is.
    pub(crate) key: usize,
    /// What it says, if it was posted.
    pub(crate) value: u32,
}

impl Port {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: plain values are passed; this form makes a new port.
        owned(unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, std::ptr::null_mut(), 0, 1) }).map(Self)
    }

    /// From now on each operation on the handle that was begun tells its end here. For good.
    pub(crate) fn add(&self, handle: &OwnedHandle, key: usize) -> io::Result<()> {
        // SAFETY: both handles are open; the port that comes back is the one passed.
        let port = unsafe { CreateIoCompletionPort(raw(handle), raw(&self.0), key, 0) };
        if port.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Says something, from any thread.
    pub(crate) fn post(&self, packet: Packet) -> io::Result<()> {
        // SAFETY: the port is open; without an OVERLAPPED nothing is pointed at.
        check(unsafe { PostQueuedCompletionStatus(raw(&self.0), packet.value, packet.key, std::ptr::null()) })
    }

    /// Takes what is there, after waiting for something at most so long (`None`: for ever).
    pub(crate) fn take(&self, timeout: Option<Duration>) -> io::Result<Vec<Packet>> {
        let mut entries = [OVERLAPPED_ENTRY::default(); BATCH];
        let mut count = 0;
        // SAFETY: the array is as long as said; both results outlive the call.
        let result = check(unsafe {
            GetQueuedCompletionStatusEx(
                raw(&self.0),
                entries.as_mut_ptr(),
                u32::try_from(BATCH).unwrap_or(1),
                &mut count,
                milliseconds(timeout),
                0,
            )
        });
        match result {
            Ok(()) => Ok(entries[..count as usize]
                .iter()
                .map(|entry| Packet { key: entry.lpCompletionKey, value: entry.dwNumberOfBytesTransferred })
                .collect()),
            Err(e) if e.raw_os_error() == Some(WAIT_TIMEOUT.cast_signed()) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }
}
