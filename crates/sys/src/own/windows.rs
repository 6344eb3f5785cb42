//! Keeper and daemon: processes without a console, which get their link as standard input.

mod session_end;
mod terminate;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED;
use windows_sys::Win32::System::Console::SetConsoleCtrlHandler;
use windows_sys::Win32::System::Diagnostics::Debug::{
    SEM_FAILCRITICALERRORS, SEM_NOOPENFILEERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, DETACHED_PROCESS, GetCurrentThread, SetThreadPriority,
    THREAD_MODE_BACKGROUND_BEGIN, THREAD_PRIORITY_LOWEST,
};

use crate::container::Root;
use crate::link::ChildLink;
use crate::process::ProcessId;
use crate::process::windows::of_handle;
use crate::spawn::Process;
use crate::spawn::windows::join_command_line;
use crate::win::launch::{Launch, Launched, launch};
use crate::win::{self, check, explain};

pub(super) fn most_open_files() -> Option<u64> {
    None
}

pub(super) fn step_back() {
    // Background mode lowers disk and memory priority too.
    // SAFETY: the pseudo handle is always valid. Refusals leave the thread as it was.
    unsafe {
        if SetThreadPriority(GetCurrentThread(), THREAD_MODE_BACKGROUND_BEGIN) == 0 {
            SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_LOWEST);
        }
    }
}

pub(super) fn spawn_keeper(
    exe: &Path,
    args: &[OsString],
    link: ChildLink,
    stderr: File,
) -> io::Result<ProcessId> {
    // Out of the terminal's job, if there is one that lets us: else it would end the keeper with the terminal.
    let made = match start(exe, args, &link, &stderr, &[], CREATE_BREAKAWAY_FROM_JOB) {
        Err(e) if e.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) => {
            start(exe, args, &link, &stderr, &[], 0)
        }
        result => result,
    };
    let made = made.map_err(|e| explain(format_args!("cannot start the keeper, {}", exe.display()), &e))?;
    of_handle(made.pid, &made.process)
}

pub(super) fn spawn_daemon(
    exe: &Path,
    args: &[OsString],
    link: ChildLink,
    stderr: File,
    root: &Root,
) -> io::Result<Process> {
    let made = start(exe, args, &link, &stderr, &[root.0.guard()], 0)
        .map_err(|e| explain(format_args!("cannot start the daemon, {}", exe.display()), &e))?;
    let id = of_handle(made.pid, &made.process)?;
    Ok(Process { pid: made.pid, id, handle: made.process })
}

/// No console at all: what happens to the terminal, and Ctrl+C in it, is none of theirs.
fn start(
    exe: &Path,
    args: &[OsString],
    link: &ChildLink,
    stderr: &File,
    handles: &[&OwnedHandle],
    flags: u32,
) -> io::Result<Launched> {
    let null = win::open_null()?;
    let null = win::duplicate(null.as_raw_handle(), true)?;
    let link = link.0.inheritable()?;
    let stderr = win::duplicate(stderr.as_raw_handle(), true)?;
    launch(Launch {
        application: &win::long_path(exe)?,
        command_line: join_command_line(exe.as_os_str(), args.iter().cloned())?,
        environment: None,
        working_dir: None,
        stdio: [&link, &null, &stderr],
        handles,
        jobs: &[],
        flags: DETACHED_PROCESS | flags,
        affinity: None,
        token: None,
        desktop: None,
    })
}

pub(super) fn become_keeper() -> io::Result<()> {
    // A shell that started us in the background made us ignore Ctrl+C, and our children would inherit that.
    // SAFETY: plain values are passed.
    check(unsafe { SetConsoleCtrlHandler(None, 0) })?;
    // Nor shall a program that lacks a library, or finds no disk in a drive, wait in a message box that nobody sees.
    // SAFETY: plain values are passed.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOOPENFILEERRORBOX) };
    Ok(())
}

pub(super) fn on_terminate(f: Box<dyn Fn(&'static str) + Send>) -> io::Result<()> {
    terminate::add(f)
}
