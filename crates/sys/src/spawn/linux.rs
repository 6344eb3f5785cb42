//! Everything is prepared beforehand; the new process itself does only what only it can do.

use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{MARKER_VARIABLE, Process, Request, SpawnError, SpawnErrorKind};
use crate::linux::fd;
use crate::process::ProcessId;

pub(crate) mod account;
pub(crate) mod child;
mod clone;
pub(crate) mod details;
pub(crate) mod environment;
mod explain;
pub(crate) mod launch;
pub(crate) mod sandbox;
mod slots;

use details::Details;
use environment::Environment;
use launch::{Launch, Purpose};
use rustix::process::{Pid, WaitOptions};
use sandbox::Sandbox;
use zeroize::Zeroize;

pub(super) fn spawn(request: &Request<'_>) -> Result<Process, SpawnError> {
    let process = finish(make(request, Purpose::Run)?);
    request.container.0.started(&process.id, request.output.map(|writer| &writer.0));
    Ok(process)
}

pub(super) fn rehearse(request: &Request<'_>) -> Result<(), SpawnError> {
    let Some(pid) = Pid::from_raw(make(request, Purpose::Rehearsal)?.cast_signed()) else { return Ok(()) };
    // It stands still, traced, before its first instruction.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) if status.stopped() => {}
            Err(rustix::io::Errno::INTR) => {}
            _ => return Ok(()),
        }
    }
}

pub(super) fn program(request: &Request<'_>) -> Option<PathBuf> {
    let account = account::wanted(request.user, request.settings).ok()?;
    let environment = service_environment(request, account.as_ref()).ok()?;
    let own = std::env::current_dir().ok()?;
    let base = request.working_dir.map_or(own.clone(), |dir| own.join(dir));
    let files = programs(request, &environment).ok()?;
    files.iter().map(|file| base.join(OsStr::from_bytes(file.as_bytes()))).find(|path| path.is_file())
}

/// The new process's number.
fn make(request: &Request<'_>, purpose: Purpose) -> Result<u32, SpawnError> {
    let account = account::wanted(request.user, request.settings)
        .map_err(|text| SpawnError::new(SpawnErrorKind::User, text))?;
    let container = &request.container.0;
    container.check_open()?;
    let output = match request.output {
        Some(writer) => writer.0.fd.as_fd(),
        None => null()?,
    };
    let environment = service_environment(request, account.as_ref())?;
    let cgroup = container.cgroup();
    let entries = container
        .entries()
        .map_err(|error| SpawnError::new(SpawnErrorKind::Containment, error.to_string()))?;
    let fresh;
    let sandbox = request.settings.and_then(|settings| settings.sandbox.as_ref());
    let sandbox = sandbox.map(Sandbox::of).transpose()?;
    let mut launch = Launch {
        programs: programs(request, &environment)?,
        arguments: arguments(request)?,
        environment: environment.entries,
        directory: directory(request, sandbox.as_ref())?,
        account: account.as_ref(),
        stdin: null()?,
        stdout: output,
        stderr: request.errors.map_or(output, |writer| writer.0.fd.as_fd()),
        cgroup: cgroup.as_deref(),
        entries: &entries,
        insist: false,
        original_limits: true,
        details: Details::of(request.settings)?,
        sandbox,
        purpose,
    };
    let mut outcome = launch.run();
    if outcome.as_ref().is_err_and(|failure| failure.step == child::Step::Unborn) {
        // The cgroup bears a grudge for an earlier kill; a new one does not.
        fresh = container.renewed_cgroup();
        launch.cgroup = fresh.as_deref();
        launch.insist = true;
        outcome = launch.run();
    }
    let pid = outcome.map_err(|failure| explain::explain(request, &launch, &failure));
    environment::wipe(std::mem::take(&mut launch.environment));
    pid
}

pub(super) fn has_own_account(user: Option<&str>) -> bool {
    let own = rustix::process::geteuid().as_raw();
    matches!(account::wanted(user, None), Ok(Some(account)) if account.uid != 0 && account.uid != own)
}

/// The identity is read at once: until it is reaped, and that is not before we return, the number is its own.
pub(crate) fn finish(pid: u32) -> Process {
    let id = crate::process::identity(pid).unwrap_or_else(|| ProcessId {
        pid,
        start: 0,
        boot: crate::clock::boot_id(),
    });
    Process { pid, id }
}

fn null() -> Result<std::os::fd::BorrowedFd<'static>, SpawnError> {
    fd::null()
        .map_err(|error| SpawnError::new(SpawnErrorKind::Other, format!("cannot open /dev/null: {error}")))
}

fn service_environment(
    request: &Request<'_>,
    account: Option<&account::Account>,
) -> Result<Environment, SpawnError> {
    let marker = request.container.0.marker(request.run);
    let mut set: Vec<(&[u8], Vec<u8>)> = Vec::with_capacity(request.environment.len() + 5);
    if let Some(account) = account {
        for (name, value) in account.variables() {
            if !request.environment.contains_key(name) {
                set.push((name.as_bytes(), value.to_vec()));
            }
        }
    }
    if !request.environment.contains_key(MARKER_VARIABLE) {
        set.push((MARKER_VARIABLE.as_bytes(), marker.into_bytes()));
    }
    set.extend(request.environment.iter().map(|(name, value)| (name.as_bytes(), value.clone().into_bytes())));
    let environment = Environment::build(request.remove, &set);
    // Some may be secret.
    set.iter_mut().for_each(|(_, value)| value.zeroize());
    environment
}

/// What is tried, in this order.
fn programs(request: &Request<'_>, environment: &Environment) -> Result<Vec<CString>, SpawnError> {
    let invalid = |text: &str| Err(SpawnError::new(SpawnErrorKind::Invalid, text));
    let Some(program) = request.command.first() else {
        return invalid("the command is empty: it needs a program");
    };
    if program.is_empty() {
        return invalid("the program's name is empty");
    }
    let text = |bytes: Vec<u8>| {
        CString::new(bytes).map_err(|_| {
            SpawnError::new(
                SpawnErrorKind::Invalid,
                format!("the program's name has a NUL inside: {program:?}"),
            )
        })
    };
    if program.contains('/') {
        return Ok(vec![text(program.clone().into_bytes())?]);
    }
    environment
        .path()
        .split(|&byte| byte == b':')
        .map(|dir| {
            let mut path = dir.to_vec();
            // An empty entry means the working directory.
            if !path.is_empty() && !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(program.as_bytes());
            text(path)
        })
        .collect()
}

fn arguments(request: &Request<'_>) -> Result<Vec<CString>, SpawnError> {
    let one = |(place, argument): (usize, &String)| {
        CString::new(argument.as_bytes()).map_err(|_| {
            SpawnError::new(
                SpawnErrorKind::Invalid,
                format!("argument {place} has a NUL inside: {argument:?}"),
            )
        })
    };
    request.command.iter().enumerate().map(one).collect()
}

fn directory(request: &Request<'_>, sandbox: Option<&Sandbox>) -> Result<Option<CString>, SpawnError> {
    let own;
    let dir = match request.working_dir {
        Some(dir) => dir,
        // Ours is that of another view of the files: it would be a way around what is mounted.
        None if sandbox.is_some_and(|sandbox| !sandbox.mounts.is_empty()) => {
            own = std::env::current_dir().unwrap_or_else(|_| "/".into());
            &own
        }
        None => return Ok(None),
    };
    CString::new(dir.as_os_str().as_bytes()).map(Some).map_err(|_| {
        SpawnError::new(
            SpawnErrorKind::Invalid,
            format!("the working directory has a NUL inside: {}", dir.display()),
        )
    })
}
