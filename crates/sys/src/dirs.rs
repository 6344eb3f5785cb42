//! Where a stack's files live.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(windows)]
use windows as platform;

/// Puts all of it under one directory: `<dir>/<stack>/{run,state,log}`. For tests and portable installations.
pub const HOME_VARIABLE: &str = "MAINSTAY_HOME";

/// The directories of one stack. They need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// What lives as long as the stack is up: the control endpoint.
    pub run: PathBuf,
    /// What is kept: plan, journal, lock, events.
    pub state: PathBuf,
    /// The services' output.
    pub log: PathBuf,
}

/// The directories of a stack of the user who asks (as an administrator: of the machine).
pub fn stack(name: &str) -> io::Result<Dirs> {
    check_name(name)?;
    if let Some(home) = home() {
        return Ok(below(&home, name));
    }
    platform::stack(name)
}

/// The configuration of a stack that `mainstay install` writes: `/etc/mainstay/<stack>.toml`, a user's own below
/// `XDG_CONFIG_HOME`, on Windows beside the stack's other files.
pub fn config(name: &str) -> io::Result<PathBuf> {
    check_name(name)?;
    match home() {
        Some(home) => Ok(home.join(name).join("mainstay.toml")),
        None => platform::config(name),
    }
}

/// All stacks of this user that have a state directory, sorted by name.
pub fn stacks() -> Vec<String> {
    let found = match home() {
        Some(home) => names_in(&home, Some("state")),
        None => platform::stacks(),
    };
    let mut names: Vec<String> = found.into_iter().filter(|name| check_name(name).is_ok()).collect();
    names.sort();
    names.dedup();
    names
}

/// What an account may do with a stack's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Only look at them, and ask its daemon: the account of an entry.
    Read,
    /// Everything: the account that the stack runs under.
    All,
}

/// An account that a stack was given to by an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The account's SID as text.
    pub sid: String,
    /// What it may do.
    pub right: Right,
}

/// Gives a stack's directories, and all that is in them, to these accounts as well, and takes them from all that had
/// them before: the service of the stack runs under an account that did not make them. They are made if they are not
/// there. The directory above them, with the configuration that `install` writes, these accounts may only read.
/// Windows; elsewhere nothing is done, and `accounts` is empty.
///
/// # Errors
/// The directories are not ours to give.
pub fn give_to(dirs: &Dirs, accounts: &[Given]) -> io::Result<()> {
    platform::give_to(dirs, accounts)
}

/// Makes a directory, and those above it that are missing, for the owner only. One that is there already is made
/// private; one that belongs to somebody else is refused.
pub fn create_private(path: &Path) -> io::Result<()> {
    platform::create_private(path)
}

/// Makes a directory, and those above it that are missing, as everybody else does, and gives it to an account: Linux `name`,
/// `uid`, `name:group` or `uid:gid`. On Windows who has it follows from the directory above.
pub fn create_for(path: &Path, owner: Option<&str>) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    owner.map_or(Ok(()), |owner| platform::give(path, owner))
}

fn home() -> Option<PathBuf> {
    let dir = std::env::var_os(HOME_VARIABLE).filter(|dir| !dir.is_empty())?;
    // A relative one is taken from here, once; other processes of the stack may have another working directory.
    Some(std::path::absolute(&dir).unwrap_or_else(|_| PathBuf::from(dir)))
}

/// `<base>/<stack>/{run,state,log}`.
pub(crate) fn below(base: &Path, name: &str) -> Dirs {
    let dir = base.join(name);
    Dirs { run: dir.join("run"), state: dir.join("state"), log: dir.join("log") }
}

/// The directories in `base`, those only that have `inner` in them if it is given.
pub(crate) fn names_in(base: &Path, inner: Option<&str>) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(base) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| match inner {
            Some(inner) => entry.path().join(inner).is_dir(),
            None => entry.path().is_dir(),
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// A stack's name becomes a directory, a pipe, a cgroup: nothing in it may lead elsewhere.
fn check_name(name: &str) -> io::Result<()> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if plain && !name.is_empty() && !name.starts_with('.') && name.len() <= 64 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{name:?} cannot be a stack's name: use letters, digits, '-', '_' and '.', at most 64"),
    ))
}
