//! The end of children as a descriptor.
//!
//! A handler and not a signalfd: that one misses signals in a process where one thread does not block them, and
//! nobody can answer for all threads of a process.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::EventfdFlags;

/// Where the handler writes to.
static EVENT: AtomicI32 = AtomicI32::new(-1);

/// The same, made once and never closed, because a handler may use it at any time.
static KEPT: Mutex<Option<Arc<OwnedFd>>> = Mutex::new(None);

/// A descriptor that becomes readable when a child has ended. The same one for all who ask: children are reaped by
/// one.
pub(super) fn watch() -> io::Result<Arc<OwnedFd>> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let event = match &*kept {
        Some(event) => Arc::clone(event),
        None => {
            let made = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            Arc::clone(kept.insert(Arc::new(made)))
        }
    };
    EVENT.store(event.as_raw_fd(), Ordering::Release);
    install()?;
    Ok(event)
}

/// In place of an inherited "ignore", which would have the kernel reap our children unseen. Stopped children are no
/// news.
fn install() -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both structures are valid when zeroed, and written through valid pointers that the calls only read. The
    // handler does only what a handler may: one write, with errno kept.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        (*action.as_mut_ptr()).sa_flags = libc::SA_NOCLDSTOP | libc::SA_RESTART;
        if libc::sigaction(libc::SIGCHLD, action.as_ptr(), std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        // An inherited mask may block it.
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        match libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut()) {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

extern "C" fn handler(_signal: libc::c_int) {
    let one = 1_u64;
    // SAFETY: errno's address is always valid; the write is of eight bytes from a valid place to a descriptor that is
    // never closed.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(EVENT.load(Ordering::Acquire), (&raw const one).cast(), size_of::<u64>());
        *libc::__errno_location() = errno;
    }
}
