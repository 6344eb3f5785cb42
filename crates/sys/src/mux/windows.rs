//! A completion port: messages are posted, children are posted by the thread pool's waits, and the link's reads and
//! writes are overlapped. No thread of its own.

mod link;
mod watch;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{MAX_FRAME, MAX_MESSAGES, MAX_QUEUED, Wake};
use crate::link::windows::Link;
use crate::spawn::Process;
use crate::win::port::{Packet, Port};
use link::LinkState;
use watch::Watches;

/// The key of a packet that says: there is a message.
const MESSAGE: usize = 0;
/// The key of a packet that says: a child ended; its value says which.
const CHILD: usize = 1;
/// Keys of links are from here on. Each link has its own, so that words of an old one are known as such.
const LINK: usize = 2;

#[derive(Debug)]
pub(super) struct Mux<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    watches: Watches,
    link: Option<LinkState>,
    next_link: usize,
    /// Whose turn it is: messages, children, link.
    turn: u8,
}

#[derive(Debug)]
struct Shared<T> {
    port: Arc<Port>,
    messages: Mutex<VecDeque<T>>,
    /// Whether a packet for them is on its way: more would only fill the port.
    posted: AtomicBool,
    closed: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Sender<T: Send + 'static>(Arc<Shared<T>>);

impl<T: Send + 'static> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Sender<T> {
    pub(super) fn waiting(&self) -> usize {
        self.0.messages().len()
    }

    pub(super) fn send(&self, message: T) -> bool {
        let shared = &self.0;
        {
            let mut messages = shared.messages();
            if shared.closed.load(Ordering::Acquire) || messages.len() >= MAX_MESSAGES {
                return false;
            }
            messages.push_back(message);
        }
        if !shared.posted.swap(true, Ordering::AcqRel)
            && shared.port.post(Packet { key: MESSAGE, value: 0 }).is_err()
        {
            // It is taken with whatever comes next.
            shared.posted.store(false, Ordering::Release);
        }
        true
    }
}

impl<T> Shared<T> {
    fn messages(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Mux<T> {
    pub(super) fn new() -> io::Result<Self> {
        let port = Arc::new(Port::new()?);
        Ok(Self {
            watches: Watches::new(Arc::clone(&port)),
            shared: Arc::new(Shared {
                port,
                messages: Mutex::new(VecDeque::new()),
                posted: AtomicBool::new(false),
                closed: AtomicBool::new(false),
            }),
            link: None,
            next_link: LINK,
            turn: 0,
        })
    }

    pub(super) fn sender(&self) -> Sender<T> {
        Sender(Arc::clone(&self.shared))
    }

    pub(super) fn set_link(&mut self, link: Option<Link>) {
        self.link = link.map(|link| {
            let key = self.next_link;
            self.next_link += 1;
            LinkState::new(link, key, &self.shared.port)
        });
    }

    pub(super) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        if frame.len() > MAX_FRAME {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a frame that is too long"));
        }
        let Some(link) = &mut self.link else { return Err(io::ErrorKind::NotConnected.into()) };
        if link.queued() + frame.len() + 4 > MAX_QUEUED {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{} bytes wait to be written already", link.queued()),
            ));
        }
        link.send(frame);
        Ok(())
    }

    pub(super) fn queued(&self) -> usize {
        self.link.as_ref().map_or(0, LinkState::queued)
    }

    pub(super) fn watch(&mut self, process: &Process) -> io::Result<()> {
        self.watches.add(process)
    }

    pub(super) fn watch_children(&mut self) -> io::Result<()> {
        // Children are watched one by one, by their handles.
        Ok(())
    }

    pub(super) fn next(&mut self, timeout: Option<Duration>) -> io::Result<Wake<T>> {
        let start = Instant::now();
        // What has arrived is taken first: else a flood of messages would keep the link from being written to.
        let mut wait = Some(Duration::ZERO);
        loop {
            for packet in self.shared.port.take(wait)? {
                self.arrived(packet);
            }
            if let Some(wake) = self.ready() {
                return Ok(wake);
            }
            wait = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
            if wait == Some(Duration::ZERO) {
                return Ok(Wake::Timeout);
            }
        }
    }

    fn arrived(&mut self, packet: Packet) {
        match packet.key {
            MESSAGE => self.shared.posted.store(false, Ordering::Release),
            CHILD => self.watches.ended(packet.value),
            key => {
                if let Some(link) = self.link.as_mut().filter(|link| link.key() == key) {
                    link.finished();
                }
            }
        }
    }

    /// The next thing that is ready, each source in turn.
    fn ready(&mut self) -> Option<Wake<T>> {
        for _ in 0..3 {
            self.turn = (self.turn + 1) % 3;
            let wake = match self.turn {
                0 => self.shared.messages().pop_front().map(Wake::Message),
                1 => self.watches.next().map(|(pid, exit)| Wake::ChildExited { pid, exit }),
                _ => self.heard_from_link(),
            };
            if wake.is_some() {
                return wake;
            }
        }
        None
    }

    fn heard_from_link(&mut self) -> Option<Wake<T>> {
        let link = self.link.as_mut()?;
        if let Some(frame) = link.next_frame() {
            return Some(Wake::Frame(frame));
        }
        if link.is_closed() {
            self.link = None;
            return Some(Wake::LinkClosed);
        }
        None
    }
}

impl<T: Send + 'static> Drop for Mux<T> {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.messages().clear();
    }
}
