//! An epoll over all pipes, and one large buffer.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::EventfdFlags;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::{Chunk, DRAIN_LIMIT};
use crate::linux::fd::{above_stdio, timespec};

mod notify;

pub(crate) use notify::NotifySocket;

/// The largest read. Twice this, for what is read and where it is written to, stays in a core's own cache: with twice
/// as much each byte costs a third more.
const BUFFER: usize = 128 << 10;

/// What a pipe holds as the system makes it.
const PIPE: usize = 64 << 10;

/// What one holds once it was found full: its writer has to wait less often. Not for all of them from the beginning,
/// because an account's pipes together may only be so large, and because small writes are faster in what fits a cache.
const FULL_PIPE: usize = 256 << 10;

/// So many are served by one call, in the order in which they became ready.
const EVENTS: usize = 128;

/// The waker's own token.
const WAKER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct OutputReader {
    fd: OwnedFd,
}

#[derive(Debug)]
pub(crate) struct OutputWriter {
    pub(crate) fd: OwnedFd,
}

pub(super) fn pipe() -> io::Result<(OutputReader, OutputWriter)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let reader = above_stdio(reader)?;
    let writer = above_stdio(writer)?;
    // Only our end: a service finds its own as every program expects it.
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)?;
    Ok((OutputReader { fd: reader }, OutputWriter { fd: writer }))
}

#[derive(Clone, Debug)]
pub(super) struct Waker {
    event: Arc<OwnedFd>,
}

impl Waker {
    pub(super) fn wake(&self) {
        // It fails only when the counter is full, and then the wait returns anyway.
        let _ = rustix::io::write(&*self.event, &1_u64.to_ne_bytes());
    }
}

#[derive(Debug)]
enum Source {
    Pipe { fd: OwnedFd, room: usize, grown: bool },
    Notify(NotifySocket),
}

#[derive(Debug)]
pub(super) struct Set {
    epoll: OwnedFd,
    waker: Waker,
    sources: BTreeMap<u64, Source>,
    buffer: Box<[u8]>,
    events: Events,
}

/// Reused by every wait.
struct Events(Vec<epoll::Event>);

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

/// What a read came to.
enum Outcome {
    Some(usize),
    Nothing,
    End,
}

impl Set {
    pub(super) fn new() -> io::Result<Set> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &event, EventData::new_u64(WAKER), EventFlags::IN)?;
        Ok(Set {
            epoll,
            waker: Waker { event: Arc::new(event) },
            sources: BTreeMap::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            events: Events(Vec::with_capacity(EVENTS)),
        })
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    pub(super) fn add(&mut self, token: u64, reader: OutputReader) -> io::Result<()> {
        self.check_free(token)?;
        epoll::add(&self.epoll, &reader.fd, EventData::new_u64(token), EventFlags::IN)?;
        self.sources.insert(token, Source::Pipe { fd: reader.fd, room: PIPE, grown: false });
        Ok(())
    }

    pub(super) fn add_notify(&mut self, token: u64, socket: NotifySocket) -> io::Result<()> {
        self.check_free(token)?;
        epoll::add(&self.epoll, socket.fd(), EventData::new_u64(token), EventFlags::IN)?;
        self.sources.insert(token, Source::Notify(socket));
        Ok(())
    }

    pub(super) fn remove(&mut self, token: u64) {
        // Closing the only descriptor takes it out of the epoll.
        self.sources.remove(&token);
    }

    pub(super) fn pause(&mut self, token: u64) {
        if let Some(Source::Pipe { fd, .. }) = self.sources.get(&token) {
            // All of it: that nobody writes any more would be told over and over otherwise.
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    pub(super) fn resume(&mut self, token: u64) -> io::Result<()> {
        let Some(Source::Pipe { fd, .. }) = self.sources.get(&token) else { return Ok(()) };
        match epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        sink: &mut dyn FnMut(u64, Chunk<'_>),
    ) -> io::Result<()> {
        let timeout = timeout.map(timespec);
        self.events.0.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events.0), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for place in 0..self.events.0.len() {
            let token = self.events.0[place].data.u64();
            if token == WAKER {
                let _ = rustix::io::read(&*self.waker.event, &mut [0_u8; 8]);
            } else {
                self.read_once(token, sink);
            }
        }
        Ok(())
    }

    pub(super) fn drain(&mut self, token: u64, sink: &mut dyn FnMut(u64, Chunk<'_>)) -> io::Result<bool> {
        let mut total = 0;
        while total < DRAIN_LIMIT {
            match self.read_once(token, sink) {
                Outcome::Some(length) => total += length,
                Outcome::Nothing => return Ok(false),
                Outcome::End => return Ok(true),
            }
        }
        Ok(false)
    }

    fn read_once(&mut self, token: u64, sink: &mut dyn FnMut(u64, Chunk<'_>)) -> Outcome {
        let Some(source) = self.sources.get_mut(&token) else { return Outcome::End };
        let outcome = match source {
            Source::Pipe { fd, room, grown } => match rustix::io::read(&*fd, &mut self.buffer[..]) {
                Ok(0) => Outcome::End,
                Ok(length) => {
                    if length >= PIPE && !*grown {
                        // Refused where the account has too many already: then it stays as it is.
                        *room = rustix::pipe::fcntl_setpipe_size(&*fd, FULL_PIPE).unwrap_or(*room);
                        *grown = true;
                    }
                    sink(token, Chunk::Data(&self.buffer[..length], *room));
                    Outcome::Some(length)
                }
                Err(Errno::AGAIN | Errno::INTR) => Outcome::Nothing,
                // A pipe has no other errors; one that had could never be read again.
                Err(_) => Outcome::End,
            },
            Source::Notify(socket) => match socket.receive(&mut self.buffer) {
                Ok(Some(length)) => {
                    sink(token, Chunk::Datagram(&self.buffer[..length]));
                    // An empty one counts too, so that a flood of them ends.
                    Outcome::Some(length + 1)
                }
                Ok(None) => Outcome::Nothing,
                Err(_) => Outcome::End,
            },
        };
        if matches!(outcome, Outcome::End) {
            self.sources.remove(&token);
            sink(token, Chunk::Eof);
        }
        outcome
    }

    fn check_free(&self, token: u64) -> io::Result<()> {
        if token == WAKER || self.sources.contains_key(&token) {
            let text = format!("token {token} is in use");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(())
    }
}
