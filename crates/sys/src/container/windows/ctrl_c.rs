//! Ctrl+C, or Ctrl+Break, to a service alone.
//!
//! It can only be sent to the console that the sender is on. The keeper never goes on a service's console (a Ctrl+C
//! that comes from elsewhere would reach it too): a helper process does, `mainstay ctrl-c <pid>…`. Making one takes a
//! while, so it is done on a thread beside, and one helper serves all that are waiting: a thousand services that
//! are stopped at once need some ten helpers. Whether a service heard it is told by its end, not by us.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use windows_sys::Win32::System::Threading::{DETACHED_PROCESS, TerminateProcess};

use super::locked;
use crate::process::windows::wait_ended;
use crate::spawn::Process;
use crate::spawn::windows::join_command_line;
use crate::win::job::{self, Job};
use crate::win::launch::{Launch, launch};
use crate::win::{self, raw};

/// So many consoles are served by one helper.
const BATCH: usize = 128;

/// A helper that takes longer is stuck at a console that does not answer.
const HELPER_MILLISECONDS: u32 = 5_000;

/// The program that sends Ctrl+C, and its first arguments, if it is not this one.
static HELPER: OnceLock<(PathBuf, Vec<OsString>)> = OnceLock::new();

/// Those whose consoles wait for it. The handles keep the numbers from being given to others.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting { processes: BTreeMap::new(), running: false });

struct Waiting {
    /// By what is sent (true for Ctrl+Break) and to whom. At most the processes that exist, for each: one that waits
    /// already is not added again.
    processes: BTreeMap<(bool, u32), OwnedHandle>,
    /// Whether a thread looks after them.
    running: bool,
}

/// Sets the helper, for programs other than `mainstay`. The first call counts.
pub(crate) fn set_helper(program: PathBuf, arguments: Vec<OsString>) {
    // A second call changes nothing, as promised.
    let _ = HELPER.set((program, arguments));
}

/// Sends it to the console of the main process, or to those of all that is left.
pub(super) fn send(job: &Job, main: Option<&Process>, brk: bool) -> io::Result<()> {
    let mut targets = Vec::new();
    match main.filter(|main| !wait_ended(&main.handle, 0)) {
        Some(main) => targets.push((main.pid, win::duplicate(raw(&main.handle), false)?)),
        None => {
            for pid in job.working()? {
                targets.extend(job.open(pid, 0)?.map(|process| (pid, process)));
            }
        }
    }
    send_to(targets, brk)
}

/// Sends it to the consoles of these.
pub(super) fn send_to(targets: Vec<(u32, OwnedHandle)>, brk: bool) -> io::Result<()> {
    let targets = targets.into_iter().map(|(pid, process)| ((brk, pid), process));
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
        let brk;
        {
            let mut waiting = locked(&WAITING);
            let Some(((kind, pid), process)) = waiting.processes.pop_first() else {
                waiting.running = false;
                return;
            };
            brk = kind;
            batch.insert(pid, process);
            while batch.len() < BATCH
                && let Some(entry) = waiting.processes.first_entry().filter(|entry| entry.key().0 == brk)
            {
                let ((_, pid), process) = entry.remove_entry();
                batch.insert(pid, process);
            }
        }
        // A helper that cannot be made is like a service that does not listen: the next step of the stop follows.
        let _ = help(batch.keys().copied(), brk);
    }
}

fn help(pids: impl Iterator<Item = u32>, brk: bool) -> io::Result<()> {
    let (program, first) = match HELPER.get() {
        Some((program, arguments)) => (program.clone(), arguments.clone()),
        None => (std::env::current_exe()?, vec![OsString::from("ctrl-c")]),
    };
    // A word that is no number goes before them.
    let kind = brk.then(|| OsString::from("break"));
    let arguments = first.into_iter().chain(kind).chain(pids.map(|pid| OsString::from(pid.to_string())));
    let command_line = join_command_line(program.as_os_str(), arguments)?;
    let null = win::duplicate(raw(&win::open_null()?), true)?;
    let made = launch(Launch {
        application: &win::long_path(&program)?,
        command_line,
        environment: None,
        working_dir: None,
        stdio: [&null, &null, &null],
        handles: &[],
        jobs: &[],
        flags: DETACHED_PROCESS,
        affinity: None,
        token: None,
        desktop: None,
    })?;
    if !wait_ended(&made.process, HELPER_MILLISECONDS) {
        // SAFETY: the handle is open and has all rights.
        unsafe { TerminateProcess(raw(&made.process), job::KILLED) };
    }
    Ok(())
}
