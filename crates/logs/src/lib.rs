//! Log files: exactly the bytes a service wrote, in segments of bounded size that break at line ends.
//!
//! A log `web` is the file `web.log`, which grows, and the closed segments `web.log.000001`, `web.log.000002`, …,
//! whose numbers rise. The growing one counts as the number after the highest closed one. Closed ones may be compressed,
//! as `web.log.000001.zst` or `.gz`. Any tool can read them. When they were written stands in `web.log.000001.idx`,
//! which can be deleted without harm.
//!
//! - [`Writer`] appends, closes segments and deletes old ones. Its cost does not depend on the size of the log.
//! - [`Follower`] reads from a [`LogPos`] on, while a writer in another process closes and deletes segments.
//! - [`Lines`] makes whole lines of what a follower reads; [`tail_start`] finds where the last lines begin.
//!
//! - [`Times`] tells when a line was written, and by which run.
//! - [`pack()`] compresses a closed segment while others read it.
//!
//! Nothing in here differs between platforms.
#![forbid(unsafe_code)]

mod catalog;
mod files;
mod follow;
mod index;
mod lines;
mod listing;
mod pack;
mod segment;
mod source;
mod tail;
mod times;
mod writer;

#[cfg(test)]
mod faults;

pub use catalog::Catalog;
pub use files::{Disk, Files};
pub use follow::{Follower, Step};
pub use lines::{Line, Lines, MAX_LINE};
pub use pack::{Closed, clean_up, list, pack, remove};
pub use segment::{Form, active_path, closed_file, closed_path, is_valid_name, stderr_name, stderr_of};
pub use tail::{end, last_lines, tail_start};
pub use times::{Stamp, Times, of_run, since, until};
pub use writer::{LINE_ALLOWANCE, OnFull, Rotated, Settings, Tally, Trouble, Why, Writer};

/// A place in a log: a segment's number and a byte in it. Later places compare greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPos {
    /// The segment's number; rises by one with each rotation. The first is 1; 0 stands for "the oldest there is".
    pub segment: u64,
    /// Bytes from its start.
    pub offset: u64,
}
