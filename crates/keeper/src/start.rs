//! From nothing to a keeper that may start something: alone, and with nothing left of an earlier one.

use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_sys::container::{Kind, Root};
use mainstay_sys::dirs::{self, Dirs};
use mainstay_sys::{file, process};
use serde::{Deserialize, Serialize};

use crate::journal::{Journal, Left};
use crate::own_log::OwnLog;
use crate::{Args, Error, down_request, when};

/// How long the end of what an earlier keeper left may take.
const LEFTOVERS: Duration = Duration::from_secs(15);

/// `keeper.json`: who keeps a stack, for people and for `mainstay status`. It is there while a keeper runs, and
/// after one was killed; the lock beside it tells which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperFile {
    /// Its process id.
    pub pid: u32,
    /// When it started, as RFC 3339.
    pub started: String,
    /// The configuration file that it was started for.
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// Its program.
    #[serde(default)]
    pub exe: Option<PathBuf>,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

impl KeeperFile {
    /// What the file says, if it is there and can be read.
    pub fn read(dirs: &Dirs) -> Option<KeeperFile> {
        serde_json::from_slice(&std::fs::read(path(dirs)).ok()?).ok()
    }

    pub(crate) fn remove(dirs: &Dirs) {
        let _ = std::fs::remove_file(path(dirs));
    }
}

fn path(dirs: &Dirs) -> PathBuf {
    dirs.state.join("keeper.json")
}

/// What a start leads to.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) lock: File,
    pub(crate) log: OwnLog,
    pub(crate) root: Root,
    pub(crate) journal: Journal,
}

/// Takes the stack, and ends what is left of an earlier keeper.
pub(crate) fn start(args: &Args) -> Result<Started, Error> {
    for dir in [&args.dirs.run, &args.dirs.state, &args.dirs.log, &notify_dir(&args.dirs)] {
        dirs::create_private(dir).map_err(|error| failed("make the directory", dir, &error))?;
    }
    let lock = lock(args)?;
    // First of all: whoever is refused from now on is told who is here.
    let about = KeeperFile {
        pid: std::process::id(),
        started: when::now(),
        config: args.config.clone(),
        exe: std::env::current_exe().ok(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let text = serde_json::to_vec(&about).unwrap_or_default();
    let path = path(&args.dirs);
    file::write_atomic(&path, &text, true).map_err(|error| failed("write", &path, &error))?;
    let started = prepare(args, lock, &about);
    if started.is_err() {
        KeeperFile::remove(&args.dirs);
    }
    started
}

/// What comes when the stack is ours.
fn prepare(args: &Args, lock: File, about: &KeeperFile) -> Result<Started, Error> {
    take_plan(args)?;
    down_request::clear(&args.dirs.state);
    let log = OwnLog::open(&args.dirs.state);
    let id = stack_id(&args.dirs.state)?;
    let root = Root::open(&id, args.containment)
        .map_err(|error| Error::Failed(format!("cannot hold processes together here: {error}")))?;
    end_leftovers(args, &root, &log)?;
    let journal = Journal::start(&args.dirs.state)
        .map_err(|error| failed("write", &args.dirs.state.join("runs.journal"), &error))?;
    log.say(format_args!(
        "version {}, process {}, keeps {} in {} containment",
        about.version,
        about.pid,
        args.stack,
        containment(root.kind())
    ));
    Ok(Started { lock, log, root, journal })
}

/// How the name of an offered plan begins and ends; between is the process that offers it.
const OFFER: (&str, &str) = ("plan.offer.", ".json");

/// The file in which this process offers a plan to the keeper that it starts. Its name is this process's own: of
/// several that start a stack at once, none can change the plan of the one that gets it.
pub fn plan_offer(state_dir: &Path) -> PathBuf {
    state_dir.join(format!("{}{}{}", OFFER.0, std::process::id(), OFFER.1))
}

/// Makes the offered plan the stack's, and removes offers that nobody needs any more. Called with the lock held.
fn take_plan(args: &Args) -> Result<(), Error> {
    if let Some(offer) = &args.plan {
        let bytes = std::fs::read(offer).map_err(|error| failed("read", offer, &error))?;
        // Two copies: the daemon takes the second where the first is damaged.
        for name in ["plan.json", "plan.copy.json"] {
            let path = args.dirs.state.join(name);
            file::write_atomic(&path, &bytes, true).map_err(|error| failed("write", &path, &error))?;
        }
        // One that stays is removed by a later keeper.
        let _ = std::fs::remove_file(offer);
    }
    for entry in std::fs::read_dir(&args.dirs.state).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(OFFER.0).and_then(|rest| rest.strip_suffix(OFFER.1));
        if pid.is_some_and(|pid| pid.parse().map_or(true, |pid| process::identity(pid).is_none())) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Where the sockets for notifications are.
pub(crate) fn notify_dir(dirs: &Dirs) -> PathBuf {
    dirs.run.join("notify")
}

pub(crate) fn containment(kind: Kind) -> &'static str {
    kind.as_str()
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot {what} {}: {error}", path.display()))
}

/// So long the lock is tried for.
const LOCK_WITHIN: Duration = Duration::from_secs(1);

fn lock(args: &Args) -> Result<File, Error> {
    let path = args.dirs.state.join("keeper.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| failed("open", &path, &error))?;
    // A keeper that was just killed holds it a moment longer, and a client's look at it takes a moment, too.
    let until = Instant::now() + LOCK_WITHIN;
    let mut taken = file.try_lock();
    while matches!(taken, Err(TryLockError::WouldBlock)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
        taken = file.try_lock();
    }
    match taken {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let who = match KeeperFile::read(&args.dirs) {
                Some(KeeperFile { pid, started, config: Some(config), .. }) => {
                    format!("by process {pid} since {started}, from {}", config.display())
                }
                Some(KeeperFile { pid, started, .. }) => format!("by process {pid} since {started}"),
                None => format!("by the process that holds {}", path.display()),
            };
            Err(Error::AlreadyUp(format!("the stack {} is up already, kept {who}", args.stack)))
        }
        Err(TryLockError::Error(error)) => Err(failed("lock", &path, &error)),
    }
}

/// What tells this stack's processes from those of all others: made once, kept for ever. Kept twice, because without it
/// what a killed keeper left could not be found.
fn stack_id(state_dir: &Path) -> Result<String, Error> {
    let paths = [state_dir.join("id"), state_dir.join("id.copy")];
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path)
            .ok()
            .filter(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let found = paths.each_ref().map(read);
    // The standard library seeds this from the system's randomness.
    let new = || format!("{:016x}", RandomState::new().build_hasher().finish());
    let id = found.iter().flatten().next().cloned().unwrap_or_else(new);
    for (path, found) in paths.iter().zip(found) {
        if found.as_ref() != Some(&id) {
            file::write_atomic(path, id.as_bytes(), true).map_err(|error| failed("write", path, &error))?;
        }
    }
    Ok(id)
}

fn end_leftovers(args: &Args, root: &Root, log: &OwnLog) -> Result<(), Error> {
    let left = Journal::read(&args.dirs.state).unwrap_or_else(|error| {
        log.say(format_args!("cannot read the journal of the keeper before: {error}"));
        Left::default()
    });
    // First the daemon: it ends all trees of its lost keeper, and must not mistake ours for them.
    if let Some(daemon) = &left.daemon {
        let until = Instant::now() + LEFTOVERS;
        loop {
            match process::kill(daemon) {
                Ok(true) => {
                    log.say(format_args!("ended process {}, the daemon of the keeper before", daemon.pid))
                }
                Ok(false) => {}
                Err(error) => log.say(format_args!("cannot end process {}: {error}", daemon.pid)),
            }
            if !process::is_alive(daemon) {
                break;
            }
            if Instant::now() >= until {
                let pid = daemon.pid;
                return Err(Error::Failed(format!(
                    "process {pid}, the daemon of a keeper that was killed, does not end; end it by hand"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    match root.end_leftovers(&left.runs, LEFTOVERS) {
        Ok(0) => Ok(()),
        Ok(count) => {
            log.say(format_args!("ended {count} processes that the keeper before had left"));
            Ok(())
        }
        Err(error) => Err(Error::Failed(format!("what a killed keeper left does not end: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stacks_id_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let id = stack_id(dir.path()).unwrap();
        assert_eq!(stack_id(dir.path()).unwrap(), id);
        for name in ["id", "id.copy"] {
            std::fs::write(dir.path().join(name), "broken\n").unwrap();
            assert_eq!(stack_id(dir.path()).unwrap(), id, "the other one is good");
        }
        std::fs::write(dir.path().join("id"), "").unwrap();
        std::fs::write(dir.path().join("id.copy"), [0xFF; 16]).unwrap();
        let other = stack_id(dir.path()).unwrap();
        assert_eq!((other.len(), other == id), (16, false));
    }
}
