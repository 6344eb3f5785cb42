//! How a log is kept.

use std::time::Duration;

/// When segments are closed and deleted, and what happens when the disk is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A segment is closed at the first line end at or after this size, in bytes.
    pub rotate_size: u64,
    /// A segment is closed at the first line end when it is this old; see [`Writer::tick`](super::Writer::tick).
    pub rotate_age: Option<Duration>,
    /// So many closed segments are kept. 0 counts as 1: the newest closed one carries the numbering on.
    pub keep_files: u32,
    /// Below so many free bytes on the disk closed segments are given up, and then the disk counts as full. The
    /// writer does not look at the disk: see [`Writer::set_full`](super::Writer::set_full).
    pub min_free: Option<u64>,
    /// What happens to output for which there is no space.
    pub on_full: OnFull,
    /// Whether [`Writer::take_rotated`](super::Writer::take_rotated) tells of closed segments.
    pub report: bool,
}

/// What happens to output for which there is no space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It is left out and counted.
    #[default]
    Drop,
    /// It is given back: whoever writes has to wait.
    Wait,
}
