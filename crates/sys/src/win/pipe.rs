//! Pipes whose one end can be read and written overlapped: named ones, for anonymous ones cannot.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BROKEN_PIPE, ERROR_HANDLE_EOF, ERROR_IO_INCOMPLETE, ERROR_IO_PENDING,
    ERROR_NO_DATA, ERROR_OPERATION_ABORTED, ERROR_PIPE_NOT_CONNECTED, GENERIC_READ, GENERIC_WRITE, HANDLE,
    WAIT_TIMEOUT,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_READ_ATTRIBUTES, OPEN_EXISTING,
    PIPE_ACCESS_DUPLEX, PIPE_ACCESS_INBOUND, ReadFile, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_WAIT,
    PeekNamedPipe,
};
use windows_sys::Win32::System::Threading::{CreateEventW, WaitForSingleObject};

use super::security::{Account, Object};
use super::{check, milliseconds, owned, raw, wide};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the second end to the first. The second end is an ordinary handle, fit to be a program's output.
    Inbound,
    /// Both ways. Both ends are overlapped.
    Both,
}

/// Both ends of a new pipe. Neither is inheritable; nobody else can have got hold of one.
pub(crate) fn pair(direction: Direction, buffer: u32) -> io::Result<(OwnedHandle, OwnedHandle)> {
    let descriptor = Account::own()?.private(Object::Kernel)?;
    let attributes = descriptor.attributes(false);
    let (open_mode, access, flags) = match direction {
        Direction::Inbound => (PIPE_ACCESS_INBOUND, GENERIC_WRITE | FILE_READ_ATTRIBUTES, 0),
        Direction::Both => (PIPE_ACCESS_DUPLEX, GENERIC_READ | GENERIC_WRITE, FILE_FLAG_OVERLAPPED),
    };
    let output = if direction == Direction::Both { buffer } else { 0 };
    // Bound: a name that somebody took is not taken again; more than a few are an attack, and end in an error.
    let mut tries = 0;
    let (server, name) = loop {
        let name = wide(unique_name())?;
        // SAFETY: the name ends with a NUL; it and the descriptor outlive the call.
        let server = owned(unsafe {
            CreateNamedPipeW(
                name.as_ptr(),
                open_mode | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
                1,
                output,
                buffer,
                0,
                &attributes,
            )
        });
        tries += 1;
        match server {
            Ok(server) => break (server, name),
            // What Windows says when the name exists.
            Err(e) if e.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) && tries < 16 => {}
            Err(e) => return Err(e),
        }
    };
    // The pipe has one instance: if this succeeds, the other end is ours. There is no need to wait for a connection.
    // SAFETY: the name ends with a NUL and outlives the call.
    let client = owned(unsafe {
        CreateFileW(name.as_ptr(), access, 0, std::ptr::null(), OPEN_EXISTING, flags, std::ptr::null_mut())
    })?;
    Ok((server, client))
}

fn unique_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let random = RandomState::new().hash_one(number);
    format!(r"\\.\pipe\mainstay-{}-{number}-{random:016x}", std::process::id())
}

/// Whether the error means that the other side has closed.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    [ERROR_BROKEN_PIPE, ERROR_HANDLE_EOF, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED]
        .contains(&error.raw_os_error().map_or(0, i32::cast_unsigned))
}

/// How many bytes can be read at once.
pub(crate) fn available(pipe: &OwnedHandle) -> io::Result<usize> {
    let mut bytes = 0;
    // SAFETY: the handle is open, and `bytes` outlives the call; nothing else is asked for.
    check(unsafe {
        PeekNamedPipe(
            raw(pipe),
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
            &mut bytes,
            std::ptr::null_mut(),
        )
    })?;
    Ok(bytes as usize)
}

/// An operation that Windows may be doing. It writes to this memory until it is done: a `Box` keeps it in its place.
pub(crate) struct Operation(OVERLAPPED);

// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Operation {}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Operation")
    }
}

/// How an operation began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// So many bytes at once.
    Done(usize),
    /// It goes on.
    Pending,
}

impl Operation {
    pub(crate) fn new() -> Self {
        Self(OVERLAPPED::default())
    }

    /// # Safety
    /// Neither this nor the buffer is moved, freed, or otherwise used until the operation is done.
    pub(crate) unsafe fn read(&mut self, pipe: HANDLE, buffer: *mut u8, length: usize) -> io::Result<Begun> {
        self.reset();
        let mut done = 0;
        // SAFETY: the caller keeps buffer and operation.
        let ok = unsafe { ReadFile(pipe, buffer, length_of(length), &mut done, &mut self.0) };
        begun(ok, done)
    }

    /// # Safety
    /// Neither this nor the buffer is moved, freed, or otherwise changed until the operation is done.
    pub(crate) unsafe fn write(
        &mut self,
        pipe: HANDLE,
        buffer: *const u8,
        length: usize,
    ) -> io::Result<Begun> {
        self.reset();
        let mut done = 0;
        // SAFETY: the caller keeps buffer and operation.
        let ok = unsafe { WriteFile(pipe, buffer, length_of(length), &mut done, &mut self.0) };
        begun(ok, done)
    }

    fn reset(&mut self) {
        let event = self.0.hEvent;
        self.0 = OVERLAPPED::default();
        self.0.hEvent = event;
    }

    /// What came of it; `None` while it goes on.
    pub(crate) fn result(&self, pipe: HANDLE) -> Option<io::Result<usize>> {
        let mut done = 0;
        // SAFETY: the operation was begun on this handle; both outlive the call.
        match check(unsafe { GetOverlappedResult(pipe, &self.0, &mut done, 0) }) {
            Ok(()) => Some(Ok(done as usize)),
            Err(e) if e.raw_os_error() == Some(ERROR_IO_INCOMPLETE.cast_signed()) => None,
            Err(e) => Some(Err(e)),
        }
    }

    /// Takes it back, or lets it be done if it is too late for that. Afterwards Windows has forgotten it. `Ok(None)`:
    /// taken back, nothing was transferred.
    pub(crate) fn cancel(&mut self, pipe: HANDLE) -> io::Result<Option<usize>> {
        // SAFETY: the operation was begun on this handle. One that is done already gives an error, which is fine.
        unsafe { CancelIoEx(pipe, &self.0) };
        // Bound: an operation on a pipe is cancelled at once.
        loop {
            match self.result(pipe) {
                Some(Err(e)) if e.raw_os_error() == Some(ERROR_OPERATION_ABORTED.cast_signed()) => {
                    return Ok(None);
                }
                Some(result) => return result.map(Some),
                None => std::thread::sleep(Duration::from_micros(100)),
            }
        }
    }
}

fn begun(ok: i32, done: u32) -> io::Result<Begun> {
    match check(ok) {
        Ok(()) => Ok(Begun::Done(done as usize)),
        Err(e) if e.raw_os_error() == Some(ERROR_IO_PENDING.cast_signed()) => Ok(Begun::Pending),
        Err(e) => Err(e),
    }
}

fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Reads and writes one after the other on an overlapped handle, as if it were an ordinary one. It may be that of a
/// completion port, which hears nothing of it.
#[derive(Debug)]
pub(crate) struct Blocking {
    event: OwnedHandle,
    operation: Box<Operation>,
}

impl Blocking {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: plain values are passed.
        let event = owned(unsafe { CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()) })?;
        let mut operation = Box::new(Operation::new());
        // The lowest bit keeps the completion from being told to a port.
        operation.0.hEvent = event.as_raw_handle().map_addr(|address| address | 1);
        Ok(Self { event, operation })
    }

    /// Reads what is there; waits for something at most so long (`None`: for ever).
    pub(crate) fn read(
        &mut self,
        pipe: &OwnedHandle,
        buffer: &mut [u8],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        // SAFETY: `finish` does not return before the operation is done.
        let begun = unsafe { self.operation.read(raw(pipe), buffer.as_mut_ptr(), buffer.len()) };
        self.finish(pipe, begun, timeout)
    }

    /// Writes some of it; waits until the other side takes it.
    pub(crate) fn write(&mut self, pipe: &OwnedHandle, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: `finish` does not return before the operation is done.
        let begun = unsafe { self.operation.write(raw(pipe), bytes.as_ptr(), bytes.len()) };
        self.finish(pipe, begun, None)
    }

    fn finish(
        &mut self,
        pipe: &OwnedHandle,
        begun: io::Result<Begun>,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        match begun? {
            Begun::Done(count) => return Ok(count),
            Begun::Pending => {}
        }
        // SAFETY: the event is open.
        let waited = unsafe { WaitForSingleObject(raw(&self.event), milliseconds(timeout)) };
        if waited != WAIT_TIMEOUT
            && let Some(result) = self.operation.result(raw(pipe))
        {
            return result;
        }
        self.operation.cancel(raw(pipe))?.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}
