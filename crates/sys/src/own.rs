//! Mainstay's own processes.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::container::Root;
use crate::link::ChildLink;
use crate::process::ProcessId;
use crate::spawn::Process;

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(windows)]
use windows as platform;

/// Starts a keeper that outlives us and our terminal: a session (Windows: no console) of its own, out of our job
/// where that is allowed. It gets the link as [`crate::link::from_stdio`], and keeps our working directory and
/// environment. `args` without the program's name.
pub fn spawn_keeper(exe: &Path, args: &[OsString], link: ChildLink, stderr: File) -> io::Result<ProcessId> {
    platform::spawn_keeper(exe, args, link, stderr)
}

/// Starts a daemon: our child, outside of all containers, with the link as [`crate::link::from_stdio`]. On Windows it
/// inherits the stack's job handle that [`Root::guard_argument`] speaks of.
pub fn spawn_daemon(
    exe: &Path,
    args: &[OsString],
    link: ChildLink,
    stderr: File,
    root: &Root,
) -> io::Result<Process> {
    platform::spawn_daemon(exe, args, link, stderr, root)
}

/// Makes this process fit to be a keeper; once, first thing, before any thread exists.
///
/// Linux: orphans of our trees become our children; we are the last to be chosen when memory runs out, and may open
/// as many files as allowed (services get the limits that we had); inherited descriptors are not passed on.
/// Windows: services do not inherit that Ctrl+C is ignored.
pub fn become_keeper() -> io::Result<()> {
    platform::become_keeper()
}

/// So many files this process may have open, after a keeper has raised it as far as allowed; none where there is no
/// such limit (Windows).
pub fn most_open_files() -> Option<u64> {
    platform::most_open_files()
}

/// From here on this thread gets processor and disk when nobody else wants them, as far as the system has that.
pub fn step_back() {
    platform::step_back();
}

/// Calls `f` with the name of each signal that asks us to end (`SIGTERM`, `SIGINT`, `SIGHUP`; Windows: `Ctrl+C`,
/// `console closed`, `shutdown`), on a thread of its own. The signals do nothing else from then on. One that was
/// ignored when we were started (`nohup`) stays ignored. Several callers each get their call.
pub fn on_terminate(f: impl Fn(&'static str) + Send + 'static) -> io::Result<()> {
    platform::on_terminate(Box::new(f))
}
