//! The local control endpoint: a Unix socket or a named pipe that only the stack's owner can use.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::dirs::Dirs;

mod caller;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

pub use caller::Caller;

/// Where a stack's endpoint is. It prints as the path or the pipe's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub(crate) platform::Address);

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The address of a stack's endpoint. Linux: `api.sock` in the run directory; Windows: `\\.\pipe\mainstay\<stack>`.
pub fn address(dirs: &Dirs, stack: &str) -> Address {
    Address(platform::address(dirs, stack))
}

/// Takes connections of the stack's owner.
#[derive(Debug)]
pub struct Listener(platform::Listener);

impl Listener {
    /// Replaces what an earlier daemon left there. The run directory must exist and be private
    /// ([`crate::dirs::create_private`]). Inside a tokio runtime.
    pub fn bind(address: &Address) -> io::Result<Listener> {
        platform::Listener::bind(&address.0).map(Listener)
    }

    /// The next connection of the owner, of an administrator or of an entry ([`Stream::caller`]). Anybody else's is dropped,
    /// and the next one waited for. An error is worth a short wait and another try.
    pub async fn accept(&mut self) -> io::Result<Stream> {
        self.0.accept().await.map(|(inner, peer)| Stream { inner, peer })
    }
}

/// Connects to a stack's daemon, after a look at who is there: another account's process is refused
/// (`PermissionDenied`). `NotFound` and `ConnectionRefused` mean that no daemon listens now.
pub async fn connect(address: &Address) -> io::Result<Stream> {
    platform::connect(&address.0).await.map(|(inner, peer)| Stream { inner, peer })
}

/// Who is at the other end.
#[derive(Debug)]
struct Peer {
    who: String,
    caller: Caller,
}

impl Peer {
    /// One that may do everything.
    fn owner(who: String) -> Peer {
        Peer { who, caller: Caller::Owner }
    }
}

/// Who it is, in words: `root (mainstay, pid 4242)`.
fn who(account: &str, pid: u32, program: Option<String>) -> String {
    // A process may call itself anything.
    let program = program.unwrap_or_default().replace(|c: char| c.is_control() || "()".contains(c), "?");
    if program.is_empty() {
        format!("{account} (pid {pid})")
    } else {
        format!("{account} ({program}, pid {pid})")
    }
}

/// A connection.
#[derive(Debug)]
pub struct Stream {
    inner: platform::Stream,
    peer: Peer,
}

impl Stream {
    /// The other side, for "asked by": its account, and for a server the program and the process, too. `root
    /// (mainstay, pid 4242)`.
    pub fn peer(&self) -> String {
        self.peer.who.clone()
    }

    /// What the other side may ask. A client is not asked anything.
    pub fn caller(&self) -> Caller {
        self.peer.caller.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
