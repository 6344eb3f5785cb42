//! Making a process, exactly as asked, inside its container from its first instruction on.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::capture::OutputWriter;
use crate::container::Container;
use crate::process::ProcessId;

mod settings;

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(windows)]
use windows as platform;

pub use settings::{Integrity, Privileges, RLIMITS, Rlimit, Sandbox, Settings};

/// Every process of a run finds in this variable whose it is: `<stack id>/<container>/<run>`. Set by [`spawn`].
pub const MARKER_VARIABLE: &str = "MAINSTAY_RUN";

/// What to run, and how.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it may have a password")]
pub struct Request<'a> {
    /// Program and arguments, passed exactly. A program without a slash is looked for in the service's own `PATH`;
    /// a relative one with a slash is relative to `working_dir`.
    pub command: &'a [String],
    /// The working directory; ours if absent.
    pub working_dir: Option<&'a Path>,
    /// Set over our own environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Taken out of our own environment, before `environment` is set.
    pub remove: &'a [&'a str],
    /// The account it runs under; ours if absent. Linux: `name`, `uid`, `name:group` or `uid:gid`. Windows: `LocalService`,
    /// `NetworkService`, `NT SERVICE\name`, a managed account with its `$`, `DOMAIN\user`, `.\user`, `user@domain`.
    pub user: Option<&'a str>,
    /// Its password, where it has one. Windows.
    pub password: Option<&'a str>,
    /// What else it is given; as we have it if absent.
    pub settings: Option<&'a Settings>,
    /// Where its whole tree is kept together.
    pub container: &'a Container,
    /// The run's number: the last part of the [`MARKER_VARIABLE`].
    pub run: u64,
    /// Takes standard output and standard error, in one stream; the null device if absent. Drop it after the spawn,
    /// or the reader never sees the end.
    pub output: Option<&'a OutputWriter>,
    /// Takes standard error, in place of `output`.
    pub errors: Option<&'a OutputWriter>,
}

/// Makes the process. On Linux it must be called on the thread that reaps children ([`crate::mux::Mux::next`]).
///
/// # Errors
/// Why it could not be made, in words that name the path at fault.
pub fn spawn(request: &Request<'_>) -> Result<Process, SpawnError> {
    platform::spawn(request)
}

/// Makes the process as [`spawn`] would, up to its program's first instruction, and ends it there: nothing of the program
/// runs. What is wrong with the program, the account, the directory or a setting is found by the system itself. On Linux the
/// caller has no other children that it waits for on another thread.
///
/// # Errors
/// Why [`spawn`] would fail.
pub fn rehearse(request: &Request<'_>) -> Result<(), SpawnError> {
    platform::rehearse(request)
}

/// The file that [`spawn`] would run, if it is there.
pub fn program(request: &Request<'_>) -> Option<std::path::PathBuf> {
    platform::program(request)
}

/// Whether the kernel's limit of processes for one account (`nproc`) would bind a process of this account, and would
/// count none of ours: it is another one, and not root. Not on Windows.
pub fn has_own_account(user: Option<&str>) -> bool {
    platform::has_own_account(user)
}

/// A process that was made here. Dropping this does not end it.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its identity.
    pub id: ProcessId,
    /// While it is open the number stays its own. On Linux it does until the process is reaped.
    #[cfg(windows)]
    pub(crate) handle: platform::Handle,
}

/// Why a process could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnError {
    /// The kind, for programs.
    pub kind: SpawnErrorKind,
    /// What, where, and what next, for people.
    pub message: String,
}

/// The kinds of [`SpawnError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnErrorKind {
    /// There is no such program.
    NotFound,
    /// The program is there, but may not be executed.
    NotExecutable,
    /// The program is a script, or needs a loader, that is not there.
    NoInterpreter,
    /// The file is not a program for this system.
    WrongFormat,
    /// The working directory is missing or closed to the account.
    WorkingDirectory,
    /// There is no such account.
    User,
    /// We may not become the account.
    NotAllowed,
    /// One of its [`Settings`] cannot be had.
    Setting,
    /// Arguments and environment are longer than the system takes.
    TooLong,
    /// Something cannot be passed at all: a NUL inside, an empty command, an argument that a `.bat` would misread.
    Invalid,
    /// The container could not take it.
    Containment,
    /// The system has no room: processes, memory, descriptors.
    Resources,
    /// Anything else.
    Other,
}

impl SpawnError {
    pub(crate) fn new(kind: SpawnErrorKind, message: impl Into<String>) -> SpawnError {
        SpawnError { kind, message: message.into() }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SpawnError {}
