//! Waiting for processes: the thread pool waits for any number of them and posts to the port.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::Arc;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEINWAITTHREAD,
    WT_EXECUTEONLYONCE,
};

use super::CHILD;
use crate::Exit;
use crate::spawn::Process;
use crate::win::port::{Packet, Port};
use crate::win::{check, duplicate, raw};

#[derive(Debug)]
pub(super) struct Watches {
    port: Arc<Port>,
    watches: BTreeMap<u32, Watch>,
    next: u32,
    /// Ended and not yet told. At most as many as were watched.
    ended: VecDeque<Watch>,
}

#[derive(Debug)]
struct Watch {
    pid: u32,
    /// Before the process: unregistered before it is closed.
    _wait: Registration,
    process: OwnedHandle,
}

/// A wait of the thread pool's.
#[derive(Debug)]
struct Registration {
    wait: HANDLE,
    /// What the callback is given.
    notice: *mut Notice,
}

// SAFETY: neither the wait nor the notice belongs to a thread.
unsafe impl Send for Registration {}

#[derive(Debug)]
struct Notice {
    port: Arc<Port>,
    number: u32,
}

impl Watches {
    pub(super) fn new(port: Arc<Port>) -> Self {
        Self { port, watches: BTreeMap::new(), next: 0, ended: VecDeque::new() }
    }

    pub(super) fn add(&mut self, process: &Process) -> io::Result<()> {
        // A number of ours: a process id can come again while the first one's end is still on its way here.
        while self.watches.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let handle = duplicate(raw(&process.handle), false)?;
        let wait = Registration::new(&handle, Notice { port: Arc::clone(&self.port), number })?;
        self.watches.insert(number, Watch { pid: process.pid, _wait: wait, process: handle });
        Ok(())
    }

    /// The port says that this one ended.
    pub(super) fn ended(&mut self, number: u32) {
        self.ended.extend(self.watches.remove(&number));
    }

    /// The next one that is to be told.
    pub(super) fn next(&mut self) -> Option<(u32, Exit)> {
        let watch = self.ended.pop_front()?;
        let mut code = 0;
        // SAFETY: the handle is open with all rights, and `code` outlives the call.
        let exit = match check(unsafe { GetExitCodeProcess(raw(&watch.process), &mut code) }) {
            Ok(()) => Exit::Code(i64::from(code)),
            Err(_) => Exit::Unknown,
        };
        Some((watch.pid, exit))
    }
}

impl Registration {
    fn new(process: &OwnedHandle, notice: Notice) -> io::Result<Self> {
        let mut registration = Self { wait: std::ptr::null_mut(), notice: Box::into_raw(Box::new(notice)) };
        // In the wait thread itself: posting takes no time, and another thread would cost some.
        // SAFETY: the process stays open and the notice is kept until the wait is unregistered, in `drop`.
        check(unsafe {
            RegisterWaitForSingleObject(
                &mut registration.wait,
                raw(process),
                Some(post),
                registration.notice.cast(),
                INFINITE,
                WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD,
            )
        })?;
        Ok(registration)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: with this event the call returns when no callback runs or will run; then the notice is nobody's.
        unsafe {
            if !self.wait.is_null() {
                UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE);
            }
            drop(Box::from_raw(self.notice));
        }
    }
}

unsafe extern "system" fn post(notice: *mut c_void, _timed_out: bool) {
    // SAFETY: `Registration` passed it and frees it only when this cannot run any more.
    let notice = unsafe { &*notice.cast::<Notice>() };
    // It fails only without memory. Then the exit is not seen; the keeper's look at the container still is.
    let _ = notice.port.post(Packet { key: CHILD, value: notice.number });
}
