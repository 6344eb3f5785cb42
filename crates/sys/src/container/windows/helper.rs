//! Ctrl+C, or Ctrl+Break, to a service alone; and what windows on another desktop than ours are asked.
//!
//! Ctrl+C can only be sent to the console that the sender is on. The keeper never goes on a service's console (a Ctrl+C
//! that comes from elsewhere would reach it too): a helper process does, `mainstay ctrl-c <pid>…`. Making one takes a
//! while, so it is done on a thread beside, and one helper serves all that are waiting: a thousand services that
//! are stopped at once need some ten helpers. Whether a service heard it is told by its end, not by us.
//!
//! A service in somebody's session is asked from there, with the rights of who is signed in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use windows_sys::Win32::System::JobObjects::JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
use windows_sys::Win32::System::Threading::{DETACHED_PROCESS, TerminateProcess};

use super::locked;
use crate::process::windows::wait_ended;
use crate::spawn::windows::{TO_MAKE, join_command_line};
use crate::win::job::{self, Job};
use crate::win::launch::{Launch, launch};
use crate::win::logon::Impersonation;
use crate::win::{self, raw};

/// So many consoles are served by one helper.
const BATCH: usize = 128;

/// A helper that takes longer is stuck at a console that does not answer.
const HELPER_MILLISECONDS: u32 = 5_000;

/// The program that sends Ctrl+C, and its first arguments, if it is not this one.
static HELPER: OnceLock<(PathBuf, Vec<OsString>)> = OnceLock::new();

/// Those that wait for it. The handles keep the numbers from being given to others.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting { processes: BTreeMap::new(), running: false });

/// What a helper is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    CtrlC,
    CtrlBreak,
    /// In another session than ours: its windows are seen from there alone.
    CloseWindow,
}

impl Way {
    const ALL: [Way; 3] = [Way::CtrlC, Way::CtrlBreak, Way::CloseWindow];

    /// What goes before the numbers; no number itself.
    const fn word(self) -> Option<&'static str> {
        match self {
            Way::CtrlC => None,
            Way::CtrlBreak => Some("break"),
            Way::CloseWindow => Some("close"),
        }
    }

    /// The way of a helper whose first argument this is.
    pub(crate) fn of(word: &str) -> Option<Way> {
        Way::ALL.into_iter().find(|way| way.word() == Some(word))
    }
}

/// Who is signed in to a session, as a process on their desktop is made.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) session: u32,
    pub(crate) token: OwnedHandle,
    /// Their variables.
    pub(crate) environment: Vec<u16>,
}

/// The desktop that somebody who is signed in sees.
pub(crate) const DESKTOP: &str = r"winsta0\default";

/// The session, if it is not ours, what is asked, and of whom.
type Errand = (Option<u32>, Way, u32);

struct Waiting {
    /// At most the processes that exist, for each way: one that waits already is not added again.
    processes: BTreeMap<Errand, (OwnedHandle, Option<Arc<Seat>>)>,
    /// Whether a thread looks after them.
    running: bool,
}

/// Sets the helper, for programs other than `mainstay`. The first call counts.
pub(crate) fn set_helper(program: PathBuf, arguments: Vec<OsString>) {
    // A second call changes nothing, as promised.
    let _ = HELPER.set((program, arguments));
}

/// Asks these, on the consoles or desktops where they are.
pub(super) fn ask(seat: Option<Arc<Seat>>, way: Way, targets: Vec<(u32, OwnedHandle)>) -> io::Result<()> {
    let session = seat.as_ref().map(|seat| seat.session);
    let targets = targets.into_iter().map(|(pid, process)| ((session, way, pid), (process, seat.clone())));
    let mut waiting = locked(&WAITING);
    waiting.processes.extend(targets);
    if !waiting.running && !waiting.processes.is_empty() {
        std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(serve)?;
        waiting.running = true;
    }
    Ok(())
}

/// Serves all that wait, then ends.
fn serve() {
    loop {
        let mut batch = BTreeMap::new();
        let (seat, way);
        {
            let mut waiting = locked(&WAITING);
            let Some(((session, first, pid), (process, of))) = waiting.processes.pop_first() else {
                waiting.running = false;
                return;
            };
            (seat, way) = (of, first);
            batch.insert(pid, process);
            let alike = |key: &Errand| (key.0, key.1) == (session, way);
            while batch.len() < BATCH
                && let Some(entry) = waiting.processes.first_entry().filter(|entry| alike(entry.key()))
            {
                let ((.., pid), (process, _)) = entry.remove_entry();
                batch.insert(pid, process);
            }
        }
        // A helper that cannot be made is like a service that does not listen: the next step of the stop follows.
        let _ = help(seat.as_deref(), way, batch.keys().copied());
    }
}

fn help(seat: Option<&Seat>, way: Way, pids: impl Iterator<Item = u32>) -> io::Result<()> {
    let (program, first) = match HELPER.get() {
        Some((program, arguments)) => (program.clone(), arguments.clone()),
        None => (std::env::current_exe()?, vec![OsString::from("ctrl-c")]),
    };
    let word = way.word().map(OsString::from);
    let arguments = first.into_iter().chain(word).chain(pids.map(|pid| OsString::from(pid.to_string())));
    let command_line = join_command_line(program.as_os_str(), arguments)?;
    let null = win::duplicate(raw(&win::open_null()?), true)?;
    let _enabled = seat.map(|_| Impersonation::with(&TO_MAKE)).transpose()?;
    // One that is stuck ends with us: a keeper that goes does not wait for it.
    let job = Job::anonymous(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
    let made = launch(Launch {
        application: &win::long_path(&program)?,
        command_line,
        environment: seat.map(|seat| seat.environment.as_slice()),
        working_dir: None,
        stdio: [&null, &null, &null],
        handles: &[],
        jobs: &[job.handle()],
        flags: DETACHED_PROCESS,
        affinity: None,
        token: seat.map(|seat| &seat.token),
        desktop: seat.map(|_| DESKTOP),
    })?;
    if !wait_ended(&made.process, HELPER_MILLISECONDS) {
        // SAFETY: the handle is open and has all rights.
        unsafe { TerminateProcess(raw(&made.process), job::KILLED) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_knows_what_it_is_for() {
        for way in Way::ALL {
            assert_eq!(way.word().and_then(Way::of), way.word().map(|_| way));
            assert!(way.word().is_none_or(|word| word.parse::<u32>().is_err()), "no number");
        }
        assert_eq!(Way::of("17"), None);
    }
}
