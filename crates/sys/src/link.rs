//! A byte stream between Mainstay's own processes: keeper and daemon, `up` and keeper.

use std::io;
use std::time::Duration;

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(windows)]
use windows as platform;

/// The longest line that [`Link::read_line`] accepts, in bytes.
pub const MAX_LINE: usize = 64 << 10;

/// One side of it. The other side's process going away, however it goes, closes it.
#[derive(Debug)]
pub struct Link(pub(crate) platform::Link);

/// The other side, to be given to a child made by [`crate::own`].
#[derive(Debug)]
pub struct ChildLink(pub(crate) platform::ChildLink);

/// Both sides.
pub fn pair() -> io::Result<(Link, ChildLink)> {
    platform::pair().map(|(link, child)| (Link(link), ChildLink(child)))
}

/// In the child: takes the link from standard input (on Windows and output), and puts the null device in its place
/// so that nothing leaks into grandchildren. Once, before any thread exists.
pub fn from_stdio() -> io::Result<Link> {
    platform::from_stdio().map(Link)
}

impl ChildLink {
    /// The other side for this same process: for tests, and for both sides in two threads.
    pub fn into_link(self) -> io::Result<Link> {
        self.0.into_link().map(Link)
    }
}

impl Link {
    /// Writes all of it; waits while the other side is slow.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next line, without its line end; `None` when the other side has closed.
    ///
    /// # Errors
    /// `TimedOut` after `deadline`; `InvalidData` for a line longer than [`MAX_LINE`] or one that is not UTF-8.
    pub fn read_line(&mut self, deadline: Duration) -> io::Result<Option<String>> {
        self.0.read_line(deadline)
    }

    /// Returns when the other side has closed; what it still says is thrown away. For a thread of its own.
    pub fn wait_closed(self) {
        self.0.wait_closed();
    }
}
