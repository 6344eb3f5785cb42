//! One `poll` over what a SIGCHLD handler writes to, the link's socket and an eventfd: no helper threads, for latency.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::WaitOptions;

use super::{MAX_MESSAGES, Wake};
use crate::Exit;
use crate::link::linux::Link;
use crate::linux::fd::timespec;
use crate::spawn::Process;

mod children;
mod peer;

use peer::Peer;

/// After so many deliveries without a look at the kernel it is asked what else has come.
const POLL_EVERY: u32 = 64;

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<VecDeque<T>>,
    /// Signalled when the queue stops being empty.
    event: OwnedFd,
    gone: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Sender<T> {
    pub(super) fn waiting(&self) -> usize {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn send(&self, message: T) -> bool {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.gone.load(Ordering::Relaxed) || queue.len() >= MAX_MESSAGES {
            return false;
        }
        let first = queue.is_empty();
        queue.push_back(message);
        drop(queue);
        if first {
            // It fails only when the counter is full, and then the receiver is woken already.
            let _ = rustix::io::write(&self.shared.event, &1_u64.to_ne_bytes());
        }
        true
    }
}

/// What is served in turn.
#[derive(Clone, Copy, Debug)]
enum Source {
    Children,
    Link,
    Messages,
}

const SOURCES: [Source; 3] = [Source::Children, Source::Link, Source::Messages];

#[derive(Debug)]
pub(super) struct Mux<T> {
    shared: Arc<Shared<T>>,
    /// Readable when a child has ended. Present once children are watched.
    ended: Option<Arc<OwnedFd>>,
    /// A child may be waiting to be reaped.
    children_due: bool,
    peer: Option<Peer>,
    /// The place in `SOURCES` to begin with.
    turn: usize,
    since_poll: u32,
}

impl<T> Drop for Mux<T> {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.gone.store(true, Ordering::Relaxed);
        queue.clear();
    }
}

impl<T> Mux<T> {
    pub(super) fn new() -> io::Result<Mux<T>> {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Shared { queue: Mutex::default(), event, gone: AtomicBool::new(false) };
        Ok(Mux {
            shared: Arc::new(shared),
            ended: None,
            children_due: false,
            peer: None,
            turn: 0,
            since_poll: 0,
        })
    }

    pub(super) fn sender(&self) -> Sender<T> {
        Sender { shared: Arc::clone(&self.shared) }
    }

    pub(super) fn set_link(&mut self, link: Option<Link>) {
        self.peer = link.map(Peer::new);
    }

    pub(super) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        match &mut self.peer {
            Some(peer) => peer.send(frame),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.peer.as_ref().map_or(0, Peer::queued)
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Windows has to register each process")]
    pub(super) fn watch(&mut self, _process: &Process) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn watch_children(&mut self) -> io::Result<()> {
        self.ended = Some(children::watch()?);
        // Some may have ended before.
        self.children_due = true;
        Ok(())
    }

    pub(super) fn next(&mut self, timeout: Option<Duration>) -> io::Result<Wake<T>> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if self.since_poll >= POLL_EVERY {
                self.poll(Some(Duration::ZERO))?;
            }
            if let Some(wake) = self.serve()? {
                self.since_poll += 1;
                return Ok(wake);
            }
            let left = until.map(|at| at.saturating_duration_since(Instant::now()));
            if !self.poll(left)? && left.is_some_and(|left| left.is_zero()) {
                return Ok(Wake::Timeout);
            }
        }
    }

    /// What is here already, each source having its turn.
    fn serve(&mut self) -> io::Result<Option<Wake<T>>> {
        for step in 0..SOURCES.len() {
            let place = (self.turn + step) % SOURCES.len();
            let found = match SOURCES[place] {
                Source::Children => self.reap()?,
                Source::Link => self.take_frame(),
                Source::Messages => self.take_message(),
            };
            if found.is_some() {
                self.turn = place + 1;
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// One at a time: a number is free for another process once it was reaped, and the one who is told of it here
    /// must have forgotten it before that one can be made.
    fn reap(&mut self) -> io::Result<Option<Wake<T>>> {
        while self.children_due {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let exit = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Exit::Code(i64::from(code)),
                        (None, Some(signal)) => Exit::Signal(signal),
                        (None, None) => Exit::Unknown,
                    };
                    let pid = pid.as_raw_nonzero().get().cast_unsigned();
                    return Ok(Some(Wake::ChildExited { pid, exit }));
                }
                Ok(None) | Err(Errno::CHILD) => self.children_due = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn take_frame(&mut self) -> Option<Wake<T>> {
        let peer = self.peer.as_mut()?;
        if let Some(frame) = peer.take() {
            return Some(Wake::Frame(frame));
        }
        if peer.is_closed() {
            self.peer = None;
            return Some(Wake::LinkClosed);
        }
        None
    }

    fn take_message(&mut self) -> Option<Wake<T>> {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front().map(Wake::Message)
    }

    /// Waits for the kernel and takes in what there is; `false`: nothing came.
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.since_poll = 0;
        let timeout = timeout.map(timespec);
        let mut fds = Vec::with_capacity(3);
        fds.push(PollFd::new(&self.shared.event, PollFlags::IN));
        if let Some(peer) = &self.peer {
            fds.push(PollFd::from_borrowed_fd(peer.fd(), peer.interest()));
        }
        if let Some(ended) = &self.ended {
            fds.push(PollFd::new(&**ended, PollFlags::IN));
        }
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::INTR) => {
                // Most likely a child that has ended, which the descriptor says once more.
                self.children_due = self.ended.is_some();
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
        let mut happened = fds.iter().map(PollFd::revents);
        let mut next = |present: bool| {
            if present { happened.next().unwrap_or(PollFlags::empty()) } else { PollFlags::empty() }
        };
        let (event, link, signal) = (next(true), next(self.peer.is_some()), next(self.ended.is_some()));
        if !event.is_empty() {
            // Only resets the counter; the queue says what there is.
            let _ = rustix::io::read(&self.shared.event, &mut [0_u8; 8]);
        }
        if let (false, Some(ended)) = (signal.is_empty(), &self.ended) {
            // Which child it was is not said: several exits make one signal.
            let _ = rustix::io::read(&**ended, &mut [0_u8; 8]);
            self.children_due = true;
        }
        if let Some(peer) = &mut self.peer {
            peer.attend(link);
        }
        Ok(true)
    }
}
