//! Signals that ask us to end.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::pipe::PipeFlags;

type Callback = Box<dyn Fn(&'static str) + Send>;

/// Where the handler writes to; set before it is installed.
static PIPE: AtomicI32 = AtomicI32::new(-1);

static CALLBACKS: Mutex<Vec<Callback>> = Mutex::new(Vec::new());

const SIGNALS: [(i32, &str); 3] =
    [(libc::SIGTERM, "SIGTERM"), (libc::SIGINT, "SIGINT"), (libc::SIGHUP, "SIGHUP")];

pub(in crate::own) fn on_terminate(f: Callback) -> io::Result<()> {
    let mut callbacks = CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner);
    if PIPE.load(Ordering::Acquire) < 0 {
        // Nonblocking, so that the handler never waits; what is lost in a full pipe are more of the same.
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::empty())?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || deliver(&reader))?;
        PIPE.store(writer.as_raw_fd(), Ordering::Release);
        // For as long as the process lives: the handler uses it.
        std::mem::forget(writer);
        for (signal, _) in SIGNALS {
            install(signal)?;
        }
    }
    callbacks.push(f);
    Ok(())
}

fn deliver(reader: &OwnedFd) {
    let mut byte = [0_u8];
    loop {
        match rustix::io::read(reader, &mut byte) {
            Ok(0) => return,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        }
        let Some((_, name)) = SIGNALS.iter().find(|(signal, _)| *signal == i32::from(byte[0])) else {
            continue;
        };
        for callback in CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            callback(name);
        }
    }
}

/// One that is ignored stays so: `nohup` and shells mean it. One that a part of this program takes already is that part's.
fn install(signal: i32) -> io::Result<()> {
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: both structures are valid when zeroed and written through valid pointers. The handler does only what
    // a handler may: one write, with errno kept.
    unsafe {
        if libc::sigaction(signal, std::ptr::null(), before.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        if before.assume_init_ref().sa_sigaction != libc::SIG_DFL {
            return Ok(());
        }
        (*action.as_mut_ptr()).sa_sigaction = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        (*action.as_mut_ptr()).sa_flags = libc::SA_RESTART;
        if libc::sigaction(signal, action.as_ptr(), std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

extern "C" fn handler(signal: libc::c_int) {
    // The three signals have small numbers.
    let byte = [signal.to_le_bytes()[0]];
    // SAFETY: errno's address is always valid; the write is of one byte from a valid place to a descriptor that is
    // never closed.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(PIPE.load(Ordering::Acquire), byte.as_ptr().cast(), 1);
        *libc::__errno_location() = errno;
    }
}
