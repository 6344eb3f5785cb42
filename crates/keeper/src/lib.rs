//! The keeper: the true parent of all services of a stack. It makes and ends processes, captures their output,
//! keeps what the daemon has to know, and starts another daemon when one is gone. It decides nothing.
//!
//! - `state` is what it knows, `life` when a daemon is started and given up: both pure.
//! - `control` is its loop: one thread that waits for everything and never blocks on anything slow.
//! - `capture` is the thread that reads pipes and writes logs.
//!
//! A panic here would end every service, so that there is no way to one: every error is a case.
#![forbid(unsafe_code)]

mod capture;
mod control;
mod down_request;
mod dynamic_user;
mod host;
mod journal;
mod life;
mod own_log;
mod rehearsal;
mod start;
mod state;
mod when;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_sys::container::Kind;
use mainstay_sys::dirs::Dirs;

pub use down_request::ask_down;
pub use dynamic_user::{dynamic_directories, remove_dynamic_directories};
pub use host::{Ask, Host};
pub use rehearsal::{Rehearsal, Stage};
pub use start::{KeeperFile, plan_offer};

/// Set to `session`, `cgroup` or `job`, it forces that way of holding trees together.
pub const CONTAINMENT_VARIABLE: &str = "MAINSTAY_CONTAINMENT";

/// What a keeper is started with.
#[derive(Clone, Debug)]
pub struct Args {
    /// The stack's name.
    pub stack: String,
    /// Where its files live.
    pub dirs: Dirs,
    /// The configuration file, to be shown to people.
    pub config: Option<PathBuf>,
    /// The plan that `mainstay up` offers: it becomes the stack's plan if this keeper gets the stack. Absent, the
    /// plan is what is there.
    pub plan: Option<PathBuf>,
    /// Why the configuration of now is not what the plan is made from, if it cannot be used; told to the daemon.
    pub refused: Option<String>,
    /// The program that daemons are made from.
    pub daemon_exe: PathBuf,
    /// Its arguments; `--guard` and [`mainstay_sys::container::Root::guard_argument`] come after them.
    pub daemon_args: Vec<OsString>,
    /// How trees are held together, if not as the machine offers.
    pub containment: Option<Kind>,
    /// Whether standard input is a link to whoever started it. It is told `ready` or `error: …`, and when it
    /// closes without having said `detached`, the stack goes down.
    pub leash: bool,
    /// The service manager that started it, if one did.
    pub host: Option<Arc<dyn Host>>,
}

/// Why a keeper ended, other than that everything is down as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Another keeper holds this stack.
    AlreadyUp(String),
    /// Its services have failed for good; each with its reason.
    Stack(Vec<String>),
    /// Anything else, in words.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::AlreadyUp(text) | Error::Failed(text) => f.write_str(text),
            Error::Stack(failed) => write!(f, "the stack has failed: {}", failed.join("; ")),
        }
    }
}

impl std::error::Error for Error {}

/// The way of holding trees together that [`CONTAINMENT_VARIABLE`] asks for.
///
/// # Errors
/// It asks for one that there is not.
pub fn containment_from_environment() -> Result<Option<Kind>, Error> {
    let Some(value) = std::env::var_os(CONTAINMENT_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let known = [Kind::Cgroup, Kind::Session, Kind::Job];
    match known.into_iter().find(|kind| value == kind.as_str()) {
        Some(kind) => Ok(Some(kind)),
        None => Err(Error::Failed(format!(
            "{CONTAINMENT_VARIABLE} is {value:?}; it can be session, cgroup or job"
        ))),
    }
}

/// Is the keeper, until everything is down. To be called first thing in its process, before any thread exists.
///
/// # Errors
/// It could not start, or could not end as it should. The leash was told.
pub fn run(args: Args) -> Result<(), Error> {
    control::Keeper::start(args)?.run()
}
