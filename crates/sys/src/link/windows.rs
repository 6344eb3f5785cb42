//! A named pipe of one instance, both ways, overlapped at both ends. The child gets its end as standard input.

use std::io;
use std::os::windows::io::{FromRawHandle, IntoRawHandle, OwnedHandle};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_INPUT_HANDLE, SetStdHandle};

use super::MAX_LINE;
use crate::win::pipe::{self, Blocking, Direction};
use crate::win::{check, open_null, raw};

/// What Windows keeps of each way before the writer has to wait.
const BUFFER: u32 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) pipe: OwnedHandle,
    /// What was read behind the last line.
    pub(crate) read: Vec<u8>,
    blocking: Blocking,
}

#[derive(Debug)]
pub(crate) struct ChildLink(pub(crate) OwnedHandle);

pub(super) fn pair() -> io::Result<(Link, ChildLink)> {
    let (ours, childs) = pipe::pair(Direction::Both, BUFFER)?;
    Ok((Link::new(ours)?, ChildLink(childs)))
}

pub(super) fn from_stdio() -> io::Result<Link> {
    // SAFETY: the handle is looked at before anything is done with it; no other thread exists that could use standard
    // input, and it is replaced before this returns.
    let pipe = unsafe {
        let input = GetStdHandle(STD_INPUT_HANDLE);
        if input.is_null() || GetFileType(input) != FILE_TYPE_PIPE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "standard input is no link: this command is for Mainstay's own use",
            ));
        }
        check(SetHandleInformation(input, HANDLE_FLAG_INHERIT, 0))?;
        check(SetStdHandle(STD_INPUT_HANDLE, open_null()?.into_raw_handle()))?;
        OwnedHandle::from_raw_handle(input)
    };
    Link::new(pipe)
}

impl Link {
    fn new(pipe: OwnedHandle) -> io::Result<Self> {
        Ok(Self { pipe, read: Vec::new(), blocking: Blocking::new()? })
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.blocking.write(&self.pipe, rest)?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    pub(super) fn read_line(&mut self, deadline: Duration) -> io::Result<Option<String>> {
        let start = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.read.drain(..=end).collect();
                line.pop();
                return String::from_utf8(line)
                    .map(Some)
                    .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line that is not UTF-8"));
            }
            if self.read.len() > MAX_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without end"));
            }
            let left = deadline.saturating_sub(start.elapsed());
            match self.blocking.read(&self.pipe, &mut buffer, Some(left)) {
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
                Err(e) if pipe::is_closed(&e) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    pub(super) fn wait_closed(mut self) {
        let mut buffer = [0; 4096];
        // Any error means that nothing will come any more.
        while self.blocking.read(&self.pipe, &mut buffer, None).is_ok() {}
    }
}

impl ChildLink {
    pub(super) fn into_link(self) -> io::Result<Link> {
        Link::new(self.0)
    }

    /// A copy that the child may inherit.
    pub(crate) fn inheritable(&self) -> io::Result<OwnedHandle> {
        crate::win::duplicate(raw(&self.0), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (Link, Link) {
        let (ours, child) = pair().expect("a pair");
        (ours, Link::new(child.0).expect("a link"))
    }

    #[test]
    fn lines_go_both_ways() {
        let (mut one, mut other) = ends();
        one.write_all(b"ready\nsecond\nthi").expect("written");
        let deadline = Duration::from_secs(20);
        assert_eq!(other.read_line(deadline).expect("a line").as_deref(), Some("ready"));
        assert_eq!(other.read_line(deadline).expect("a line").as_deref(), Some("second"));
        other.write_all(b"answer\n").expect("written");
        assert_eq!(one.read_line(deadline).expect("a line").as_deref(), Some("answer"));
        let error = other.read_line(Duration::from_millis(20)).expect_err("no whole line yet");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        one.write_all(b"rd\n").expect("written");
        assert_eq!(other.read_line(deadline).expect("a line").as_deref(), Some("third"));
        drop(one);
        assert_eq!(other.read_line(deadline).expect("closed"), None);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let (mut one, mut other) = ends();
        let writer = std::thread::spawn(move || {
            let long = vec![b'x'; MAX_LINE + 8192];
            // The reader goes away in the middle of it.
            let _ = one.write_all(&long);
        });
        let error = other.read_line(Duration::from_secs(20)).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(other);
        writer.join().expect("no panic");
    }

    #[test]
    fn closing_is_noticed_by_who_waits_for_it() {
        let (mut one, other) = ends();
        let waiter = std::thread::spawn(move || other.wait_closed());
        one.write_all(b"thrown away").expect("written");
        drop(one);
        waiter.join().expect("it returned");
    }
}
