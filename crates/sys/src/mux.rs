//! One thread waits for everything at once: messages of other threads, frames of the peer, children that end.
//!
//! A frame is a length (4 bytes, little endian) and that many bytes. It is delivered whole or not at all.

use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::Exit;
use crate::link::Link;
use crate::spawn::Process;

mod wiped;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// The longest frame accepted; a longer one is a broken peer, and closes the link.
pub const MAX_FRAME: usize = 64 << 20;

/// The most that may wait to be written; [`Mux::send`] refuses more.
pub const MAX_QUEUED: usize = 64 << 20;

/// The most messages that may wait; [`Sender::send`] refuses more.
pub const MAX_MESSAGES: usize = 1 << 16;

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Wake<T> {
    /// Another thread said something.
    Message(T),
    /// A child ended and was reaped. On Linux every child is told, also one that was made elsewhere or came to us as
    /// an orphan of a tree; on Windows those that were given to [`Mux::watch`].
    ChildExited {
        /// Its number. It may be given to another process from now on.
        pid: u32,
        /// How it ended.
        exit: Exit,
    },
    /// A frame of the peer.
    Frame(Zeroizing<Vec<u8>>),
    /// The link is gone. Told once; then there is none until [`Mux::set_link`].
    LinkClosed,
    /// Nothing, for so long.
    Timeout,
}

/// Waits for everything.
#[derive(Debug)]
pub struct Mux<T: Send + 'static>(platform::Mux<T>);

/// Gives messages to a [`Mux`] from any thread.
#[derive(Debug)]
pub struct Sender<T: Send + 'static>(platform::Sender<T>);

impl<T: Send + 'static> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender(self.0.clone())
    }
}

impl<T: Send + 'static> Sender<T> {
    /// Never waits. `false`: the message is lost, because the receiver is gone or is so far behind that
    /// [`MAX_MESSAGES`] wait already.
    pub fn send(&self, message: T) -> bool {
        self.0.send(message)
    }

    /// How many messages wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }
}

impl<T: Send + 'static> Mux<T> {
    /// One without a link that watches no children yet.
    pub fn new() -> io::Result<Mux<T>> {
        platform::Mux::new().map(Mux)
    }

    /// For other threads.
    pub fn sender(&self) -> Sender<T> {
        Sender(self.0.sender())
    }

    /// Replaces the link. Whatever was waiting to be written to the old one is dropped, unread frames of it too.
    pub fn set_link(&mut self, link: Option<Link>) {
        self.0.set_link(link.map(|link| link.0));
    }

    /// Sends a frame: queued, and written as far as the peer takes it without waiting; [`Mux::next`] writes the rest.
    ///
    /// # Errors
    /// `WouldBlock`: more than [`MAX_QUEUED`] would wait, nothing of this frame was taken. `NotConnected`: there is no
    /// link. `InvalidInput`: longer than [`MAX_FRAME`]. A peer that has gone is told by [`Wake::LinkClosed`], not here.
    pub fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame)
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        self.0.queued()
    }

    /// Tells when this one ends. On Linux all children are watched anyway.
    pub fn watch(&mut self, process: &Process) -> io::Result<()> {
        self.0.watch(process)
    }

    /// From now on children are reaped by [`Mux::next`]: all children of this process, whoever made them. So only one
    /// in a process may watch.
    pub fn watch_children(&mut self) -> io::Result<()> {
        self.0.watch_children()
    }

    /// Waits for the next thing (`None`: for ever). All sources are served in turn; none starves another.
    ///
    /// # Errors
    /// The operating system refuses to wait or to tell about children. There is no use in going on.
    pub fn next(&mut self, timeout: Option<Duration>) -> io::Result<Wake<T>> {
        self.0.next(timeout)
    }
}
