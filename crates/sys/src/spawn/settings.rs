//! What a process is given of the system, where it is not what we have ourselves.

use std::path::PathBuf;

/// Settings of a new process. All absent: it has what we have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Its group, by name or number; that of the account if absent. Linux.
    pub group: Option<String>,
    /// Its further groups, by name or number; those of the account if absent. Linux.
    pub supplementary_groups: Option<Vec<String>>,
    /// Its nice value, -20 to 19. On Windows a priority class: high to -14, above normal to -7, normal to 9, below
    /// normal to 18, idle at 19.
    pub nice: Option<i8>,
    /// The processors that it may run on, by number; all of ours if empty. Those that are not there are passed over.
    pub cpus: Vec<u16>,
    /// Limits of the kernel by their name (`nofile`, see [`RLIMITS`]). Linux.
    pub rlimits: Vec<Rlimit>,
    /// The bits that new files do not get. Linux.
    pub umask: Option<u32>,
    /// Standard input is this file; empty (the null device) if absent. Opened as the account of the process. A named
    /// pipe is opened for writing too where that is allowed, so that it neither blocks nor ends.
    pub stdin: Option<PathBuf>,
    /// What it cannot do though its account could. Linux.
    pub sandbox: Option<Sandbox>,
    /// The privileges that it goes without. Windows.
    pub privileges: Option<Privileges>,
    /// Its integrity level; that of its account if absent. Windows.
    pub integrity: Option<Integrity>,
}

/// Which of its account's privileges a process goes without, by Windows' names. One that this Windows does not know nobody
/// has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// Without these.
    Remove(Vec<String>),
    /// Without all others than these and `SeChangeNotifyPrivilege`.
    Keep(Vec<String>),
}

/// How far Windows trusts a process. It can be lowered alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Integrity {
    /// Nearly nothing can be written.
    Low,
    /// An ordinary user's programs.
    Medium,
    /// An administrator's.
    High,
    /// Services.
    System,
}

/// What a process and all of its children cannot do though their account could. Names and meanings are those of
/// systemd.exec(5). Paths are absolute; a `-` before one passes over it if it is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// No program gives it more rights than it has (set-user-ID, file capabilities).
    pub no_new_privileges: bool,
    /// Capabilities by their name in capabilities(7), with `CAP_` or without: it has these and can never have
    /// others. `None`: as the account has them.
    pub capabilities: Option<Vec<String>>,
    /// `/tmp` and `/var/tmp` are empty at its start, its own, and gone with it.
    pub private_tmp: bool,
    /// `/dev/shm` and System V's shared memory, semaphores and queues are its own, and gone with it; of POSIX' queues it
    /// sees no names.
    pub private_ipc: bool,
    /// Directories and files that it cannot change, with everything below.
    pub read_only_paths: Vec<String>,
    /// Those that it can change though they lie below a read-only one.
    pub read_write_paths: Vec<String>,
    /// Those that it cannot see into.
    pub inaccessible_paths: Vec<String>,
    /// System calls for the administration of the machine fail with "operation not permitted".
    pub filter_system_calls: bool,
}

/// One limit of the kernel. `u64::MAX` is "unlimited".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// One of [`RLIMITS`].
    pub name: String,
    /// What holds.
    pub soft: u64,
    /// How far the process may raise it. `None`: as it is for us.
    pub hard: Option<u64>,
}

/// The names of the kernel's limits: those of setrlimit(2) in small letters.
pub const RLIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
