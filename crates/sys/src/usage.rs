//! What trees of processes use: processor time, memory, threads, open handles, bytes read and written.
//!
//! One [`Sampler`] looks at all trees of a stack in one go, because the costly part, the look at the machine's
//! processes, is the same for one service and for a thousand.
//!
//! | figure | Linux | Windows |
//! |---|---|---|
//! | processor time | `cpu.stat` of the cgroup; else the sum over the live processes and their reaped children | the job's accounting |
//! | resident | sum of resident pages; a page that several processes share counts once for each | sum of working sets |
//! | private | the resident pages that are not of files or shared memory | private bytes (commit) |
//! | handles | open file descriptors | handles |
//! | read, written | bytes that went to or came from disks (`/proc/<pid>/io`) | all bytes of reads and writes (job) |
//!
//! The proportional set size would share out shared pages, but the kernel walks every page table for it
//! (`smaps_rollup`: up to milliseconds for each process), so it is not taken. Neither platform counts network bytes by
//! process tree without a namespace or a driver of its own; there are none here.

use std::time::Duration;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// What a tree of processes uses, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, user and kernel.
    pub cpu: Duration,
    /// Whether [`cpu`](Usage::cpu) has all processes that ever were in the container, not only those of now and what
    /// these took over. If not, it falls when a process goes whose time nobody took over.
    pub cpu_of_all: bool,
    /// Bytes of memory that are in RAM.
    pub resident: u64,
    /// Bytes of memory that nobody shares.
    pub private: u64,
    /// Processes.
    pub processes: u32,
    /// Threads.
    pub threads: u32,
    /// Open descriptors or handles; none where this account may not look.
    pub handles: Option<u64>,
    /// Bytes read; none where this account may not look.
    pub read: Option<u64>,
    /// Bytes written, likewise.
    pub written: Option<u64>,
    /// The same as [`cpu_of_all`](Usage::cpu_of_all), of bytes.
    pub io_of_all: bool,
}

impl Usage {
    /// Takes in another process of the tree.
    fn add(&mut self, other: &Usage) {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a + b),
            (one, other) => one.or(other),
        };
        self.cpu += other.cpu;
        self.resident += other.resident;
        self.private += other.private;
        self.processes += other.processes;
        self.threads += other.threads;
        self.handles = sum(self.handles, other.handles);
        self.read = sum(self.read, other.read);
        self.written = sum(self.written, other.written);
    }
}

/// A tree that is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree<'a> {
    /// The name of its [container](crate::container::Root::container).
    pub name: &'a str,
    /// Its main process.
    pub main: u32,
}

/// What one look has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Of each tree; none: nothing of it is left.
    pub trees: Vec<Option<Usage>>,
    /// Of each single process; none: it is gone.
    pub processes: Vec<Option<Usage>>,
}

/// Looks at the trees of one stack. For the daemon: it only reads.
#[derive(Debug)]
pub struct Sampler(platform::Sampler);

impl Sampler {
    /// For the containers of this keeper, whose stack has this id; `kind` is the word for how it holds them
    /// ([`Kind::as_str`](crate::container::Kind::as_str)).
    pub fn new(stack_id: &str, keeper: u32, kind: &str) -> Sampler {
        Sampler(platform::Sampler::new(stack_id, keeper, kind))
    }

    /// Looks at all these trees, and at these processes alone.
    pub fn sample(&mut self, trees: &[Tree<'_>], processes: &[u32]) -> Sample {
        self.0.sample(trees, processes)
    }
}
