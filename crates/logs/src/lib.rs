//! Log files: exactly the bytes a service wrote, in segments of bounded size that break at line ends.
//!
//! A log `web` is the file `web.log`, which grows, and the closed segments `web.log.000001`, `web.log.000002`, …,
//! whose numbers rise. The growing one counts as the number after the highest closed one. Nothing else is stored: what
//! a person sees in the directory is all there is, and any tool can read it.
//!
//! - [`Writer`] appends, closes segments and deletes old ones. Its cost does not depend on the size of the log.
//! - [`Follower`] reads from a [`LogPos`] on, while a writer in another process closes and deletes segments.
//! - [`Lines`] makes whole lines of what a follower reads; [`tail_start`] finds where the last lines begin.
//!
//! Only `std`, and nothing that differs between platforms.
#![forbid(unsafe_code)]

mod catalog;
mod files;
mod follow;
mod lines;
mod segment;
mod tail;
mod writer;

#[cfg(test)]
mod faults;

pub use catalog::Catalog;
pub use files::{Disk, Files};
pub use follow::{Follower, Step};
pub use lines::{Line, Lines, MAX_LINE};
pub use segment::{active_path, closed_path, is_valid_name};
pub use tail::{end, last_lines, tail_start};
pub use writer::{LINE_ALLOWANCE, Settings, Trouble, Writer};

/// A place in a log: a segment's number and a byte in it. Later places compare greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPos {
    /// The segment's number; rises by one with each rotation. The first is 1; 0 stands for "the oldest there is".
    pub segment: u64,
    /// Bytes from its start.
    pub offset: u64,
}
