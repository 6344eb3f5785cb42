//! What a tree may use: the words that both platforms share.

use std::path::PathBuf;

/// Limits of a whole tree. All absent: as much as there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, swapped ones included.
    pub memory: Option<u64>,
    /// Bytes of memory beyond which the tree is slowed down. Linux, cgroup v2.
    pub memory_high: Option<u64>,
    /// Thousandths of a processor.
    pub cpu_millis: Option<u32>,
    /// The share of the processors, 1 to 10,000; others have 100.
    pub cpu_weight: Option<u32>,
    /// Processes; on Linux threads count.
    pub processes: Option<u32>,
    /// Bytes a second read from the disk that `io_path` is on. Linux.
    pub io_read: Option<u64>,
    /// Bytes a second written to it. Linux.
    pub io_write: Option<u64>,
    /// The share of the disks, 1 to 10,000; others have 100. Linux.
    pub io_weight: Option<u32>,
    /// See `io_read`; our working directory if absent.
    pub io_path: Option<PathBuf>,
}

/// A limit that does not hold here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotEnforced {
    /// Its name: `memory`, `memory_high`, `cpu`, `cpu_weight`, `processes`, `io_read`, `io_write`, `io_weight`.
    pub limit: &'static str,
    /// Why, as a clause.
    pub why: String,
    /// What a person can do, as a clause; may be empty.
    pub to_do: String,
}

impl NotEnforced {
    pub(crate) fn new(limit: &'static str, why: impl Into<String>, to_do: impl Into<String>) -> NotEnforced {
        NotEnforced { limit, why: why.into(), to_do: to_do.into() }
    }
}

/// Memory ran out for a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryHit {
    /// Whether its own limit was reached; otherwise the machine, or a group around it, had no more.
    pub own: bool,
    /// Its limit, in bytes.
    pub limit: Option<u64>,
    /// The most that was used, in bytes; by an earlier run in the same container, where that cannot be told apart.
    pub peak: Option<u64>,
    /// So many processes the kernel killed for it.
    pub killed: u64,
}

/// What a tree came up against since [`super::Container::begin_run`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Memory.
    pub memory: Option<MemoryHit>,
    /// Processes.
    pub processes: Option<ProcessesHit>,
}

/// A tree wanted more processes than it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessesHit {
    /// Its limit.
    pub limit: u64,
    /// So many times one more was refused.
    pub refused: u64,
}
