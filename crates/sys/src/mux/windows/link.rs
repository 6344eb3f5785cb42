//! The link in a mux: one read and one write under way, frames cut out of what was read.

use std::os::windows::io::OwnedHandle;

use zeroize::Zeroizing;

use super::MAX_FRAME;
use crate::link::windows::Link;
use crate::mux::wiped;
use crate::win::pipe::Operation;
use crate::win::port::Port;
use crate::win::raw;

/// What one read takes.
const READ: usize = 64 << 10;
/// Frames are put together until a write has this many bytes: one call for many small ones.
const WRITE: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct LinkState {
    key: usize,
    /// Before the handle: taken back before it is closed.
    reading: Transfer,
    writing: Transfer,
    pipe: OwnedHandle,
    /// Read and not yet cut into frames; the first `cut` bytes are done with.
    inbox: Vec<u8>,
    cut: usize,
    /// Not yet begun to be written.
    outbox: Vec<u8>,
    /// How much of the write's buffer was written already.
    written: usize,
    closed: bool,
}

/// An operation and its buffer.
#[derive(Debug)]
struct Transfer {
    operation: Box<Operation>,
    buffer: Vec<u8>,
    pending: bool,
}

impl Transfer {
    fn new() -> Self {
        Self { operation: Box::new(Operation::new()), buffer: Vec::new(), pending: false }
    }
}

impl LinkState {
    pub(super) fn new(link: Link, key: usize, port: &Port) -> Self {
        let closed = port.add(&link.pipe, key).is_err();
        let mut state = Self {
            key,
            reading: Transfer::new(),
            writing: Transfer::new(),
            pipe: link.pipe,
            inbox: link.read,
            cut: 0,
            outbox: Vec::new(),
            written: 0,
            closed,
        };
        state.reading.buffer = vec![0; READ];
        state.go_on();
        state
    }

    pub(super) fn key(&self) -> usize {
        self.key
    }

    pub(super) fn queued(&self) -> usize {
        let under_way = if self.writing.pending { self.writing.buffer.len() - self.written } else { 0 };
        self.outbox.len() + under_way
    }

    /// Nothing more will be read, and every whole frame was taken.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn send(&mut self, frame: &[u8]) {
        // The caller has looked at the length.
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        wiped::append(&mut self.outbox, &length.to_le_bytes());
        wiped::append(&mut self.outbox, frame);
        self.go_on();
    }

    /// One of the operations is done.
    pub(super) fn finished(&mut self) {
        if self.reading.pending {
            match self.reading.operation.result(raw(&self.pipe)) {
                None => {}
                Some(Ok(count)) => {
                    self.reading.pending = false;
                    wiped::append(&mut self.inbox, &self.reading.buffer[..count]);
                    self.reading.buffer[..count].fill(0);
                }
                Some(Err(_)) => {
                    self.reading.pending = false;
                    self.closed = true;
                }
            }
        }
        if self.writing.pending {
            match self.writing.operation.result(raw(&self.pipe)) {
                None => {}
                Some(Ok(count)) => {
                    self.writing.pending = false;
                    self.written += count;
                }
                // The reader tells that the peer has gone, after what it said before.
                Some(Err(_)) => self.nobody_reads(),
            }
        }
        self.go_on();
    }

    fn nobody_reads(&mut self) {
        self.writing.pending = false;
        wiped::clear(&mut self.writing.buffer, 0);
        self.written = 0;
        wiped::clear(&mut self.outbox, 0);
    }

    /// The next whole frame.
    pub(super) fn next_frame(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let length = self.frame_length()?;
        let start = self.cut + 4;
        let frame = Zeroizing::new(self.inbox.get(start..start + length)?.to_vec());
        self.cut = start + length;
        if self.cut == self.inbox.len() {
            // A large frame was the exception.
            wiped::clear(&mut self.inbox, 2 * READ);
            self.cut = 0;
        } else if self.cut >= READ {
            wiped::drop_front(&mut self.inbox, std::mem::take(&mut self.cut));
        }
        self.go_on();
        Some(frame)
    }

    /// What the length in front of the next frame says.
    fn frame_length(&self) -> Option<usize> {
        let header = self.inbox.get(self.cut..self.cut + 4)?;
        Some(u32::from_le_bytes(header.try_into().ok()?) as usize)
    }

    fn has_whole_frame(&self) -> bool {
        self.frame_length().is_some_and(|length| self.inbox.len() - self.cut - 4 >= length)
    }

    /// Begins what can be begun.
    fn go_on(&mut self) {
        if self.frame_length().is_some_and(|length| length > MAX_FRAME) {
            // No use in reading on: where the next frame begins is not known.
            self.closed = true;
            wiped::clear(&mut self.inbox, 0);
            self.cut = 0;
        }
        // Not while there is a whole frame that nobody took: the peer waits then, and memory has a bound.
        if !self.closed && !self.reading.pending && !self.has_whole_frame() {
            self.begin_read();
        }
        if !self.closed && !self.writing.pending {
            self.begin_write();
        }
    }

    fn begin_read(&mut self) {
        let transfer = &mut self.reading;
        let buffer = transfer.buffer.as_mut_ptr();
        // SAFETY: the operation is boxed and the buffer on the heap; neither is used or freed before the read is done
        // or, when this is dropped, taken back.
        let begun = unsafe { transfer.operation.read(raw(&self.pipe), buffer, READ) };
        // One that is done at once is told by a packet all the same.
        transfer.pending = begun.is_ok();
        self.closed = begun.is_err();
    }

    fn begin_write(&mut self) {
        if self.written == self.writing.buffer.len() {
            self.written = 0;
            wiped::clear(&mut self.writing.buffer, 4 * WRITE);
            if self.outbox.is_empty() {
                return;
            }
            std::mem::swap(&mut self.writing.buffer, &mut self.outbox);
            if self.outbox.capacity() > 4 * WRITE {
                self.outbox = Vec::new();
            }
        }
        let transfer = &mut self.writing;
        let rest = &transfer.buffer[self.written..];
        // SAFETY: the operation is boxed and the buffer on the heap; neither is changed or freed before the write is done
        // or, when this is dropped, taken back.
        match unsafe { transfer.operation.write(raw(&self.pipe), rest.as_ptr(), rest.len()) } {
            Ok(_) => transfer.pending = true,
            Err(_) => self.nobody_reads(),
        }
    }
}

impl Drop for LinkState {
    fn drop(&mut self) {
        for transfer in [&mut self.reading, &mut self.writing] {
            if transfer.pending {
                // Either way it is over, and nobody wants to know how.
                let _ = transfer.operation.cancel(raw(&self.pipe));
            }
        }
    }
}
