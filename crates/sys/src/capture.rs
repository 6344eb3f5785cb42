//! Reading what the services write: many pipes, one thread, one buffer.

use std::io;
use std::path::Path;
use std::time::Duration;

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(windows)]
use windows as platform;

/// The most that one [`Set::drain`] reads.
pub const DRAIN_LIMIT: usize = 64 << 20;

/// The end of a pipe that is read; give it to [`Set::add`].
#[derive(Debug)]
pub struct OutputReader(pub(crate) platform::OutputReader);

/// The end of a pipe that services write to. Only the process made with it in its request gets it.
#[derive(Debug)]
pub struct OutputWriter(pub(crate) platform::OutputWriter);

/// A pipe for a run's output.
pub fn pipe() -> io::Result<(OutputReader, OutputWriter)> {
    platform::pipe().map(|(reader, writer)| (OutputReader(reader), OutputWriter(writer)))
}

/// Where a service sends its `sd_notify` messages.
#[derive(Debug)]
pub struct NotifySocket(pub(crate) platform::NotifySocket);

impl NotifySocket {
    /// A socket at `path`, for the owner only. If the service runs under another account, `user` is that account
    /// (as in [`crate::spawn::Request::user`]); the socket is then an abstract one that takes messages from that
    /// account, root and us only, because a path in our private directory would not be reachable.
    ///
    /// # Errors
    /// `Unsupported` on Windows.
    pub fn bind(path: &Path, user: Option<&str>) -> io::Result<NotifySocket> {
        platform::NotifySocket::bind(path, user).map(NotifySocket)
    }

    /// The value for `NOTIFY_SOCKET`.
    pub fn address(&self) -> String {
        self.0.address()
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Output, exactly as written; and how many bytes its pipe holds.
    Data(&'a [u8], usize),
    /// One message to a [`NotifySocket`].
    Datagram(&'a [u8]),
    /// Nobody can write any more. The reader is gone from the set.
    Eof,
}

/// Wakes a [`Set::wait`] on another thread.
#[derive(Clone, Debug)]
pub struct Waker(platform::Waker);

impl Waker {
    /// The `wait` that runs now, or else the next one, returns at once.
    pub fn wake(&self) {
        self.0.wake();
    }
}

/// All that is read from, each under a token of the caller's.
#[derive(Debug)]
pub struct Set(platform::Set);

impl Set {
    /// An empty one.
    pub fn new() -> io::Result<Set> {
        platform::Set::new().map(Set)
    }

    /// For other threads.
    pub fn waker(&self) -> Waker {
        Waker(self.0.waker())
    }

    /// Reads from this too. The token must be free.
    pub fn add(&mut self, token: u64, reader: OutputReader) -> io::Result<()> {
        self.0.add(token, reader.0)
    }

    /// Takes messages from this too. The token must be free.
    pub fn add_notify(&mut self, token: u64, socket: NotifySocket) -> io::Result<()> {
        self.0.add_notify(token, socket.0)
    }

    /// Lets go of what has this token, unread.
    pub fn remove(&mut self, token: u64) {
        self.0.remove(token);
    }

    /// Reads nothing from this any more, so that whoever writes has to wait, until it is resumed. What was under way
    /// may come still. [`Set::drain`] reads all the same.
    pub fn pause(&mut self, token: u64) {
        self.0.pause(token);
    }

    /// Goes on with what was paused.
    ///
    /// # Errors
    /// The system refuses to wait for it.
    pub fn resume(&mut self, token: u64) -> io::Result<()> {
        self.0.resume(token)
    }

    /// Waits until there is something to read, a wake, or the timeout (`None`: for ever); gives `sink` what is there.
    /// Each call does a bounded amount of work, and nobody's flood keeps another one's line from being read.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        sink: &mut dyn FnMut(u64, Chunk<'_>),
    ) -> io::Result<()> {
        self.0.wait(timeout, sink)
    }

    /// Reads all that is there now from one of them, without waiting, at most [`DRAIN_LIMIT`]. `true`: the end was
    /// seen (or the token is unknown, because it was seen before).
    pub fn drain(&mut self, token: u64, sink: &mut dyn FnMut(u64, Chunk<'_>)) -> io::Result<bool> {
        self.0.drain(token, sink)
    }
}
