//! Keeper and daemon as processes.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit};

use crate::container::Root;
use crate::link::ChildLink;
use crate::linux::fd;
use crate::process::ProcessId;
use crate::spawn::linux::details::Details;
use crate::spawn::linux::environment::Environment;
use crate::spawn::linux::finish;
use crate::spawn::linux::launch::{self, Launch, ORIGINALS, Originals, Purpose};
use crate::spawn::{MARKER_VARIABLE, Process};

mod terminate;

pub(super) use terminate::on_terminate;

/// More open files than this are of no use, and where the limit is a billion some programs count up to it.
const MAX_OPEN_FILES: u64 = 1 << 20;

/// How far the keeper moves away from being chosen when memory runs out. -1000 would be "never".
const OOM_SCORE_ADJ: i32 = -900;

pub(super) fn spawn_keeper(
    exe: &Path,
    args: &[OsString],
    link: ChildLink,
    stderr: File,
) -> io::Result<ProcessId> {
    Ok(spawn(exe, args, &link, &stderr, &[])?.id)
}

pub(super) fn spawn_daemon(
    exe: &Path,
    args: &[OsString],
    link: ChildLink,
    stderr: File,
    _root: &Root,
) -> io::Result<Process> {
    // It belongs to no run, also if the keeper was started by a service.
    spawn(exe, args, &link, &stderr, &[MARKER_VARIABLE])
}

fn spawn(
    exe: &Path,
    args: &[OsString],
    link: &ChildLink,
    stderr: &File,
    remove: &[&str],
) -> io::Result<Process> {
    let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::other);
    let program = text(exe.as_os_str())?;
    let mut arguments = vec![program.clone()];
    for argument in args {
        arguments.push(text(argument)?);
    }
    let stderr = fd::above_stdio(stderr.try_clone()?.into())?;
    let mut launch = Launch {
        programs: vec![program],
        arguments,
        environment: Environment::build(remove, &[]).map_err(io::Error::other)?.entries,
        directory: None,
        account: None,
        stdin: link.0.stdin(),
        stdout: fd::null()?,
        stderr: stderr.as_fd(),
        cgroup: None,
        entries: &[],
        insist: false,
        original_limits: false,
        details: Details::default(),
        sandbox: None,
        purpose: Purpose::Run,
    };
    let launched = launch.run().map_err(|failure| {
        let error = failure.error;
        io::Error::new(error.kind(), format!("cannot start {}: {error}", exe.display()))
    })?;
    Ok(finish(launched))
}

pub(super) fn become_keeper() -> io::Result<()> {
    let own = Pid::from_raw(std::process::id().cast_signed());
    rustix::process::set_child_subreaper(own)?;
    // Only for who looks at a list of processes.
    let _ = rustix::thread::set_name(c"mainstay-keeper");
    launch::prepare()?;
    let originals = Originals { open_files: raise_open_files(), oom_score_adj: lower_oom_score() };
    // Called twice the first originals are the true ones.
    let _ = ORIGINALS.set(originals);
    Ok(())
}

pub(super) fn step_back() {
    /// `IOPRIO_WHO_PROCESS` and `IOPRIO_CLASS_IDLE` in its place (linux/ioprio.h).
    const WHO_PROCESS: libc::c_int = 1;
    const IDLE: libc::c_int = 3 << 13;
    // On Linux each thread has a priority of its own; 0 is the one that asks.
    // SAFETY: neither call takes a pointer. Refusals leave the thread as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, IDLE);
    }
}

pub(super) fn most_open_files() -> Option<u64> {
    Some(rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(MAX_OPEN_FILES).min(MAX_OPEN_FILES))
}

/// As far as allowed; says what it was, if that was changed.
fn raise_open_files() -> Option<libc::rlimit> {
    let before = rustix::process::getrlimit(Resource::Nofile);
    let most = before.maximum.unwrap_or(MAX_OPEN_FILES).min(MAX_OPEN_FILES);
    let current = before.current?;
    if current >= most {
        return None;
    }
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: before.maximum })
        .ok()?;
    Some(libc::rlimit { rlim_cur: current, rlim_max: before.maximum.unwrap_or(libc::RLIM_INFINITY) })
}

/// If allowed; says what it was, if that was changed.
fn lower_oom_score() -> Option<Vec<u8>> {
    let path = "/proc/self/oom_score_adj";
    let before = std::fs::read_to_string(path).ok()?.trim().to_owned();
    if before.parse::<i32>().ok()? <= OOM_SCORE_ADJ {
        return None;
    }
    std::fs::write(path, OOM_SCORE_ADJ.to_string()).ok()?;
    Some(before.into_bytes())
}
