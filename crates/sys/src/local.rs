//! Connections to servers on this machine that listen at a name instead of a port: a Unix socket, or a named pipe on
//! Windows. Nothing is known of who is there; for the stack's own endpoint see [`crate::endpoint`].

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects to the Unix socket at this path, or to the named pipe of this name (`\\.\pipe\…`). A pipe whose instances
/// are all busy is waited for; the caller limits the time. Inside a tokio runtime.
///
/// # Errors
/// `NotFound` and `ConnectionRefused` mean that nobody listens there.
pub async fn connect(name: &str) -> io::Result<Box<dyn Duplex>> {
    platform::connect(name).await
}
