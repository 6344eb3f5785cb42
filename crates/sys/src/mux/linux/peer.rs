//! The other side of the link: frames in, frames out, never waiting.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use zeroize::Zeroizing;

use crate::link::linux::Link;
use crate::mux::{MAX_FRAME, MAX_QUEUED, wiped};

/// So much is read at a time.
const READ: usize = 256 << 10;

/// A buffer that has grown beyond this is given back when it is empty.
const KEEP: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Peer {
    link: Link,
    /// Read and not yet taken, from `taken` on.
    incoming: Vec<u8>,
    taken: usize,
    /// To be written, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// Nothing can be written any more; what was sent to us may still be read.
    deaf: bool,
    closed: bool,
}

impl Peer {
    pub(super) fn new(mut link: Link) -> Peer {
        let incoming = std::mem::take(&mut link.ahead);
        Peer { link, incoming, taken: 0, outgoing: Vec::new(), sent: 0, deaf: false, closed: false }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.link.fd.as_fd()
    }

    pub(super) fn queued(&self) -> usize {
        self.outgoing.len() - self.sent
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// What to wait for. While a whole frame waits to be taken, no more is read.
    pub(super) fn interest(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        if self.frame_length().is_none() {
            flags |= PollFlags::IN;
        }
        if self.queued() > 0 {
            flags |= PollFlags::OUT;
        }
        flags
    }

    pub(super) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let Some(length) = u32::try_from(frame.len()).ok().filter(|_| frame.len() <= MAX_FRAME) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a frame of {} bytes; {MAX_FRAME} are the most", frame.len()),
            ));
        };
        if self.deaf || self.closed {
            // It is told as a closed link once what it sent before is read.
            return Ok(());
        }
        // One frame is always taken, so that the longest can be sent at all.
        if self.queued() > 0 && self.queued() + 4 + frame.len() > MAX_QUEUED {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the peer does not read"));
        }
        wiped::append(&mut self.outgoing, &length.to_le_bytes());
        wiped::append(&mut self.outgoing, frame);
        self.flush();
        Ok(())
    }

    /// Does what the kernel says can be done.
    pub(super) fn attend(&mut self, happened: PollFlags) {
        if happened.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP) {
            self.flush();
        }
        let readable = PollFlags::IN | PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if happened.intersects(readable) && self.frame_length().is_none() {
            self.fill();
        }
    }

    /// The next whole frame.
    pub(super) fn take(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let length = self.frame_length()?;
        let start = self.taken + 4;
        let frame = Zeroizing::new(self.incoming[start..start + length].to_vec());
        self.taken = start + length;
        if self.taken == self.incoming.len() {
            self.taken = 0;
            wiped::clear(&mut self.incoming, KEEP);
        }
        Some(frame)
    }

    /// What the header of the frame at hand says.
    fn announced(&self) -> Option<usize> {
        let header = self.incoming.get(self.taken..self.taken + 4)?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        // Where an address has fewer bits than this it is too long in any case.
        Some(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Its length, if it is there as a whole.
    fn frame_length(&self) -> Option<usize> {
        let length = self.announced()?;
        (self.incoming.len() - self.taken - 4 >= length).then_some(length)
    }

    fn flush(&mut self) {
        while !self.deaf && self.queued() > 0 {
            let rest = &self.outgoing[self.sent..];
            match rustix::net::send(&self.link.fd, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => break,
                Err(_) => self.deaf = true,
            }
        }
        if self.deaf || self.queued() == 0 {
            self.sent = 0;
            wiped::clear(&mut self.outgoing, if self.deaf { 0 } else { KEEP });
        } else if self.sent >= KEEP {
            wiped::drop_front(&mut self.outgoing, std::mem::take(&mut self.sent));
        }
    }

    /// Reads once. Called only when no whole frame is left to take.
    fn fill(&mut self) {
        wiped::drop_front(&mut self.incoming, std::mem::take(&mut self.taken));
        // Not filled with zeros first: for a ping that would be most of its cost.
        wiped::make_room(&mut self.incoming, READ);
        let outcome = rustix::net::recv(
            &self.link.fd,
            rustix::buffer::spare_capacity(&mut self.incoming),
            RecvFlags::DONTWAIT,
        );
        match outcome {
            Ok((_, 0)) => self.closed = true,
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.closed = true,
        }
        if self.announced().is_some_and(|length| length > MAX_FRAME) {
            self.closed = true;
            self.incoming.clear();
        }
    }
}
