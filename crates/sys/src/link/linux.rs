//! A pair of connected sockets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::MAX_LINE;
use crate::linux::fd;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) fd: OwnedFd,
    /// Read beyond the last line; it comes first for whoever reads next.
    pub(crate) ahead: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct ChildLink {
    fd: OwnedFd,
}

impl ChildLink {
    #[expect(clippy::unnecessary_wraps, reason = "on Windows it can fail")]
    pub(super) fn into_link(self) -> io::Result<Link> {
        Ok(Link { fd: self.fd, ahead: Vec::new() })
    }

    /// What the child gets as its standard input.
    pub(crate) fn stdin(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(super) fn pair() -> io::Result<(Link, ChildLink)> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let ours = fd::above_stdio(ours)?;
    let theirs = fd::above_stdio(theirs)?;
    Ok((Link { fd: ours, ahead: Vec::new() }, ChildLink { fd: theirs }))
}

pub(super) fn from_stdio() -> io::Result<Link> {
    let stdin = io::stdin();
    let kind = rustix::net::sockopt::socket_type(&stdin);
    if kind != Ok(SocketType::STREAM) {
        return Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "standard input is not a link to another process of Mainstay; this command is for Mainstay's own use",
        ));
    }
    let fd = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
    rustix::stdio::dup2_stdin(fd::null()?)?;
    Ok(Link { fd, ahead: Vec::new() })
}

impl Link {
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(super) fn read_line(&mut self, deadline: Duration) -> io::Result<Option<String>> {
        let until = Instant::now().checked_add(deadline);
        let mut searched = 0;
        loop {
            if let Some(at) = self.ahead[searched..].iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.ahead.drain(..=searched + at).collect();
                line.pop();
                return String::from_utf8(line)
                    .map(Some)
                    .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line that is not UTF-8"));
            }
            searched = self.ahead.len();
            if searched > MAX_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line that does not end"));
            }
            if !fd::wait_for(self.fd.as_fd(), PollFlags::IN, until)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut buffer = [0_u8; 4096];
            match rustix::net::recv(&self.fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) | Err(Errno::CONNRESET) => return Ok(None),
                Ok((_, length)) => self.ahead.extend_from_slice(&buffer[..length]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn wait_closed(self) {
        let mut buffer = [0_u8; 4096];
        loop {
            match rustix::net::recv(&self.fd, &mut buffer, RecvFlags::empty()) {
                Ok((_, 0)) => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}
