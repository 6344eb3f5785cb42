//! Named pipes on a completion port.
//!
//! Each pipe has a small read of its own under way. When that is done, what has come since is read with one large
//! buffer that all share. So a thousand idle pipes cost little memory, and a flood is read in large pieces.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::windows::io::OwnedHandle;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Chunk, DRAIN_LIMIT};
use crate::win::pipe::{self, Blocking, Direction, Operation};
use crate::win::port::{Packet, Port};
use crate::win::raw;

/// What Windows keeps of a pipe before its writer has to wait.
const PIPE_BUFFER: u32 = 256 << 10;
/// The read that is always under way.
const SMALL: usize = 4 << 10;
/// The buffer that all share.
const LARGE: usize = 256 << 10;
/// What one pipe may bring before another one's turn.
const TURN: usize = 1 << 20;
/// The key of a wake. Keys of pipes are above.
const WAKE: usize = 0;

#[derive(Debug)]
pub(crate) struct OutputReader(OwnedHandle);

#[derive(Debug)]
pub(crate) struct OutputWriter(pub(crate) OwnedHandle);

pub(super) fn pipe() -> io::Result<(OutputReader, OutputWriter)> {
    let (reader, writer) = pipe::pair(Direction::Inbound, PIPE_BUFFER)?;
    Ok((OutputReader(reader), OutputWriter(writer)))
}

/// Never made.
#[derive(Debug)]
pub(crate) enum NotifySocket {}

impl NotifySocket {
    pub(super) fn bind(path: &Path, _user: Option<&str>) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("there are no notification sockets on Windows ({}); use mainstay notify", path.display()),
        ))
    }

    pub(super) fn address(&self) -> String {
        match *self {}
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<Wake>);

#[derive(Debug)]
struct Wake {
    port: Port,
    /// Whether one is on its way: more would only fill the queue.
    posted: AtomicBool,
}

impl Waker {
    pub(super) fn wake(&self) {
        if !self.0.posted.swap(true, Ordering::AcqRel)
            && self.0.port.post(Packet { key: WAKE, value: 0 }).is_err()
        {
            self.0.posted.store(false, Ordering::Release);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Set {
    wake: Arc<Wake>,
    tokens: BTreeMap<u64, usize>,
    pipes: BTreeMap<usize, Pipe>,
    /// Those that have no read under way: their turn comes with the next wait.
    ready: VecDeque<usize>,
    next_key: usize,
    large: Box<[u8]>,
    blocking: Blocking,
}

/// One pipe, and the read that is under way.
#[derive(Debug)]
struct Pipe {
    token: u64,
    handle: OwnedHandle,
    operation: Box<Operation>,
    buffer: Box<[u8; SMALL]>,
    /// Windows may write to `operation` and `buffer`.
    pending: bool,
    /// Nothing is read from it for now.
    paused: bool,
}

/// What a look at a pipe brought.
enum Look {
    Bytes(usize),
    Nothing,
    End,
}

impl Set {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            wake: Arc::new(Wake { port: Port::new()?, posted: AtomicBool::new(false) }),
            tokens: BTreeMap::new(),
            pipes: BTreeMap::new(),
            ready: VecDeque::new(),
            next_key: WAKE + 1,
            large: vec![0; LARGE].into_boxed_slice(),
            blocking: Blocking::new()?,
        })
    }

    pub(super) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }

    pub(super) fn add(&mut self, token: u64, reader: OutputReader) -> io::Result<()> {
        if self.tokens.contains_key(&token) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("token {token} is in use")));
        }
        let key = self.next_key;
        self.wake.port.add(&reader.0, key)?;
        self.next_key += 1;
        self.tokens.insert(token, key);
        self.pipes.insert(key, Pipe::new(token, reader.0));
        self.ready.push_back(key);
        Ok(())
    }

    pub(super) fn add_notify(&mut self, _token: u64, socket: NotifySocket) -> io::Result<()> {
        match socket {}
    }

    pub(super) fn remove(&mut self, token: u64) {
        if let Some(key) = self.tokens.remove(&token) {
            // Dropping it takes its read back. Packets of it that still arrive belong to nobody.
            self.pipes.remove(&key);
        }
    }

    pub(super) fn pause(&mut self, token: u64) {
        let key = self.tokens.get(&token);
        if let Some(pipe) = key.and_then(|key| self.pipes.get_mut(key)) {
            pipe.paused = true;
        }
    }

    pub(super) fn resume(&mut self, token: u64) -> io::Result<()> {
        let Some(key) = self.tokens.get(&token).copied() else { return Ok(()) };
        let Some(pipe) = self.pipes.get_mut(&key).filter(|pipe| pipe.paused) else { return Ok(()) };
        pipe.paused = false;
        if pipe.pending {
            // Its packet may have come and been passed over.
            return self.wake.port.post(Packet { key, value: 0 });
        }
        self.ready.push_back(key);
        Ok(())
    }

    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        sink: &mut dyn FnMut(u64, Chunk<'_>),
    ) -> io::Result<()> {
        // Reads are begun first, or there would be nothing to wait for.
        let served = self.serve_ready(sink);
        let timeout = if served { Some(Duration::ZERO) } else { timeout };
        for packet in self.wake.port.take(timeout)? {
            if packet.key == WAKE {
                self.wake.posted.store(false, Ordering::Release);
            } else {
                self.finished(packet.key, sink);
            }
        }
        self.serve_ready(sink);
        Ok(())
    }

    pub(super) fn drain(&mut self, token: u64, sink: &mut dyn FnMut(u64, Chunk<'_>)) -> io::Result<bool> {
        let Some(key) = self.tokens.get(&token).copied() else { return Ok(true) };
        let Some(pipe) = self.pipes.get_mut(&key) else { return Ok(true) };
        let mut total = 0;
        if pipe.pending {
            // Whatever it got before it was taken back comes first.
            match pipe.take_back() {
                Look::Bytes(count) => {
                    total += count;
                    sink(token, Chunk::Data(&pipe.buffer[..count], PIPE_BUFFER as usize));
                }
                Look::Nothing => {}
                Look::End => {
                    self.end(key, sink);
                    return Ok(true);
                }
            }
            self.ready.push_back(key);
        }
        while total < DRAIN_LIMIT {
            match self.read_large(key) {
                Look::Bytes(count) => {
                    total += count;
                    sink(token, Chunk::Data(&self.large[..count], PIPE_BUFFER as usize));
                }
                Look::Nothing => break,
                Look::End => {
                    self.end(key, sink);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A read is done. Or the packet is that of an earlier one, which [`Set::drain`] took back and began anew.
    fn finished(&mut self, key: usize, sink: &mut dyn FnMut(u64, Chunk<'_>)) {
        let takes = |pipe: &&mut Pipe| !pipe.paused && pipe.is_done();
        let Some(pipe) = self.pipes.get_mut(&key).filter(takes) else { return };
        // It is done, so this takes nothing back.
        match pipe.take_back() {
            Look::Bytes(count) => {
                sink(pipe.token, Chunk::Data(&pipe.buffer[..count], PIPE_BUFFER as usize));
                // More may have come since: whoever looks seldom must get it all at once.
                self.ready.push_back(key);
            }
            Look::Nothing => self.ready.push_back(key),
            Look::End => self.end(key, sink),
        }
    }

    /// Gives each pipe that is ready its turn. Whether one of them had something.
    fn serve_ready(&mut self, sink: &mut dyn FnMut(u64, Chunk<'_>)) -> bool {
        let mut served = false;
        for _ in 0..self.ready.len() {
            if let Some(key) = self.ready.pop_front() {
                served |= self.serve(key, sink);
            }
        }
        served
    }

    fn serve(&mut self, key: usize, sink: &mut dyn FnMut(u64, Chunk<'_>)) -> bool {
        let Some(pipe) = self.pipes.get(&key).filter(|pipe| !pipe.pending && !pipe.paused) else {
            return false;
        };
        let token = pipe.token;
        let mut total = 0;
        while total < TURN {
            match self.read_large(key) {
                Look::Bytes(count) => {
                    total += count;
                    sink(token, Chunk::Data(&self.large[..count], PIPE_BUFFER as usize));
                    if count < LARGE {
                        // All that was there. Whoever writes little by little is not run after: what comes meanwhile
                        // is read with the next wait, more of it at once.
                        self.begin(key, sink);
                        return true;
                    }
                }
                Look::Nothing => return self.begin(key, sink) || total > 0,
                Look::End => {
                    self.end(key, sink);
                    return true;
                }
            }
        }
        self.ready.push_back(key);
        true
    }

    /// Reads what is there now into the large buffer.
    fn read_large(&mut self, key: usize) -> Look {
        let Some(pipe) = self.pipes.get(&key) else { return Look::End };
        match pipe::available(&pipe.handle) {
            Ok(0) => Look::Nothing,
            // It is there and nobody else reads: this does not wait.
            Ok(count) => {
                let room = count.min(LARGE);
                let read = self.blocking.read(&pipe.handle, &mut self.large[..room], Some(Duration::ZERO));
                looked(read)
            }
            Err(e) => looked(Err(e)),
        }
    }

    /// Begins the next small read. Whether that showed the end instead.
    fn begin(&mut self, key: usize, sink: &mut dyn FnMut(u64, Chunk<'_>)) -> bool {
        let ended = self.pipes.get_mut(&key).is_some_and(|pipe| !pipe.begin());
        if ended {
            self.end(key, sink);
        }
        ended
    }

    fn end(&mut self, key: usize, sink: &mut dyn FnMut(u64, Chunk<'_>)) {
        if let Some(pipe) = self.pipes.remove(&key) {
            self.tokens.remove(&pipe.token);
            sink(pipe.token, Chunk::Eof);
        }
    }
}

impl Pipe {
    fn new(token: u64, handle: OwnedHandle) -> Self {
        Self {
            token,
            handle,
            operation: Box::new(Operation::new()),
            buffer: Box::new([0; SMALL]),
            pending: false,
            paused: false,
        }
    }

    /// Begins the small read. Its end is always told by a packet, also if it is at once. `false`: the end was reached.
    fn begin(&mut self) -> bool {
        let buffer = self.buffer.as_mut_ptr();
        // SAFETY: operation and buffer are boxed, and neither used nor freed before the read is done or taken back.
        let begun = unsafe { self.operation.read(raw(&self.handle), buffer, SMALL) };
        self.pending = begun.is_ok();
        self.pending
    }

    fn is_done(&self) -> bool {
        self.pending && self.operation.result(raw(&self.handle)).is_some()
    }

    /// What the small read brought. One that is not done is taken back.
    fn take_back(&mut self) -> Look {
        self.pending = false;
        match self.operation.cancel(raw(&self.handle)) {
            Ok(Some(count)) => looked(Ok(count)),
            Ok(None) => Look::Nothing,
            Err(e) => looked(Err(e)),
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.pending {
            self.take_back();
        }
    }
}

fn looked(result: io::Result<usize>) -> Look {
    match result {
        // Somebody wrote nothing: that is not the end.
        Ok(0) => Look::Nothing,
        Ok(count) => Look::Bytes(count),
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Look::Nothing,
        // Closed by the last writer; nothing can be read after any other error either.
        Err(_) => Look::End,
    }
}
