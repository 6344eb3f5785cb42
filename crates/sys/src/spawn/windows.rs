//! Processes by `CreateProcessW`: in their jobs from the start, with a console of their own that has no window.
//!
//! `CREATE_NO_WINDOW` gives each service its own console, so that Ctrl+C can be sent to it alone. Never
//! `CREATE_NEW_PROCESS_GROUP`: that makes a program, and all that it starts, ignore Ctrl+C.

mod account;
mod batch;
mod command_line;
mod environment;
mod look_up;
mod seat;
mod settings;
mod token;
mod words;

use std::ffi::{OsStr, OsString};
use std::os::windows::io::OwnedHandle;
use std::path::{Path, PathBuf};

use windows_sys::Win32::System::Threading::{CREATE_NO_WINDOW, CREATE_SUSPENDED, TerminateProcess};

use super::{MARKER_VARIABLE, Process, Request, SpawnError, SpawnErrorKind};
use crate::container::windows::DESKTOP;
use crate::win;
use crate::win::launch::{Launch, Launched, launch};
use crate::win::logon::Impersonation;
use account::LoggedOn;
pub(crate) use account::TO_MAKE;
use environment::Environment;
use look_up::Program;

pub(crate) type Handle = OwnedHandle;

pub(super) fn spawn(request: &Request<'_>) -> Result<Process, SpawnError> {
    let made = make(request, Purpose::Run)?;
    let id = crate::process::windows::of_handle(made.pid, &made.process)
        .map_err(|error| SpawnError::new(SpawnErrorKind::Other, error.to_string()))?;
    Ok(Process { pid: made.pid, id, handle: made.process })
}

pub(super) fn rehearse(request: &Request<'_>) -> Result<(), SpawnError> {
    let made = make(request, Purpose::Rehearsal)?;
    // SAFETY: the handle is open and has all rights. Its only thread has run nothing.
    unsafe { TerminateProcess(win::raw(&made.process), 1) };
    Ok(())
}

pub(super) fn program(request: &Request<'_>) -> Option<PathBuf> {
    let name = request.command.first().filter(|name| !name.is_empty())?;
    let directory = working_dir(request.working_dir).ok()?;
    look_up::look_up(name, &directory, &environment_for(request, None).ok()?).ok().map(|program| program.path)
}

/// What a process is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Run,
    /// It stays suspended before its first instruction.
    Rehearsal,
}

fn make(request: &Request<'_>, purpose: Purpose) -> Result<Launched, SpawnError> {
    let Some((name, arguments)) = request.command.split_first().filter(|(name, _)| !name.is_empty()) else {
        return Err(invalid("there is no program in the command"));
    };
    if let Some(text) = request.command.iter().find(|text| text.contains('\0')) {
        return Err(invalid(format!("a NUL character in the command, in {text:?}")));
    }
    let session = request.container.0.session();
    let account = match session {
        Some(session) => Some(seat::take(session)?),
        None => account::wanted(request.user, request.password)?,
    };
    let environment = environment_for(request, account.as_ref())?;
    let working_dir = working_dir(request.working_dir)?;
    let program = look_up::look_up(name, &working_dir, &environment)?;
    let (application, mut command_line) = command_line(name, arguments, &program)?;
    command_line.push(0);

    let application = win::long_path(&application).map_err(|e| invalid(e.to_string()))?;
    // Given always, so that a relative one cannot mean another place by now.
    let directory = win::wide(&working_dir).map_err(|e| invalid(e.to_string()))?;
    let failed = |e| words::of(&e, &program.path, &working_dir);
    let null = win::open_null().and_then(|null| inheritable(&null)).map_err(failed)?;
    let output = request.output.map(|writer| inheritable(&writer.0.0)).transpose().map_err(failed)?;
    let output = output.as_ref().unwrap_or(&null);
    let errors = request.errors.map(|writer| inheritable(&writer.0.0)).transpose().map_err(failed)?;
    let errors = errors.as_ref().unwrap_or(output);
    let wanted = request.settings.cloned().unwrap_or_default();
    let stdin = wanted.stdin.as_deref().map(|path| open_stdin(path, account.as_ref())).transpose()?;
    let stdin = stdin.as_ref().map(inheritable).transpose().map_err(failed)?;
    let affinity = settings::affinity(&wanted.cpus)?;
    let base = account.as_ref().map(|account| &account.token);
    let less = token::wanted(&wanted, base)?;
    // A version of our own token needs no privilege.
    let _enabled = base.map(|_| Impersonation::with(&TO_MAKE)).transpose().map_err(failed)?;
    let (held, affinity) = match purpose {
        Purpose::Run => (0, affinity),
        // Setting processors lets it go.
        Purpose::Rehearsal => (CREATE_SUSPENDED, None),
    };
    let made = launch(Launch {
        application: &application,
        command_line,
        environment: Some(&environment.block()),
        working_dir: Some(&directory),
        stdio: [stdin.as_ref().unwrap_or(&null), output, errors],
        handles: &[],
        jobs: &request.container.0.jobs(),
        flags: CREATE_NO_WINDOW | held | settings::priority_class(wanted.nice),
        affinity,
        token: less.as_ref().or(base),
        // On ours it may not be.
        desktop: base.map(|_| if session.is_some() { DESKTOP } else { "" }),
    })
    .map_err(failed)?;
    match (session, account) {
        (Some(session), Some(account)) => request.container.0.seat(seat::of(session, account)),
        (_, Some(LoggedOn { profile: Some(profile), .. })) => request.container.0.keep(profile),
        _ => {}
    }
    Ok(made)
}

pub(super) fn has_own_account(_user: Option<&str>) -> bool {
    false
}

/// The command line, with its NUL, of a program of Mainstay's own.
pub(crate) fn join_command_line(
    program: &OsStr,
    arguments: impl Iterator<Item = OsString>,
) -> std::io::Result<Vec<u16>> {
    let wrong = |what| std::io::Error::new(std::io::ErrorKind::InvalidInput, what);
    let mut texts = Vec::new();
    for text in std::iter::once(program.to_owned()).chain(arguments) {
        let text = text.into_string().map_err(|text| wrong(format!("not Unicode: {}", text.display())))?;
        if text.contains('\0') {
            return Err(wrong(format!("a NUL character inside {text:?}")));
        }
        texts.push(text);
    }
    let (first, rest) = texts.split_first().ok_or_else(|| wrong("no program".to_owned()))?;
    let mut line = command_line::join(first, rest.iter().map(String::as_str))
        .ok_or_else(|| wrong(format!("a quotation mark in the program's name: {first}")))?;
    line.push(0);
    if line.len() > command_line::LIMIT {
        return Err(wrong(format!("the command line of {first} is too long")));
    }
    Ok(line)
}

/// The program's path and the command line, both with their NUL, of a command that is run as we are.
pub(crate) fn program_and_line(command: &[String]) -> std::io::Result<(Vec<u16>, Vec<u16>)> {
    let wrong = |error: SpawnError| std::io::Error::new(std::io::ErrorKind::InvalidInput, error.message);
    let Some((name, arguments)) = command.split_first().filter(|(name, _)| !name.is_empty()) else {
        return Err(wrong(invalid("there is no program in the command")));
    };
    let program = look_up::look_up(name, &std::env::current_dir()?, &Environment::own()).map_err(wrong)?;
    let (application, mut line) = command_line(name, arguments, &program).map_err(wrong)?;
    line.push(0);
    Ok((win::long_path(&application)?, line))
}

fn invalid(message: impl Into<String>) -> SpawnError {
    SpawnError::new(SpawnErrorKind::Invalid, message)
}

/// A copy that the new process may inherit. Nobody else does: every process made here gets listed handles only.
fn inheritable(handle: &OwnedHandle) -> std::io::Result<OwnedHandle> {
    win::duplicate(win::raw(handle), true)
}

fn environment_for(request: &Request<'_>, account: Option<&LoggedOn>) -> Result<Environment, SpawnError> {
    let mut environment =
        account.map_or_else(Environment::own, |account| Environment::of_account(&account.variables));
    for name in request.remove {
        environment.remove(name);
    }
    environment.set_all(request.environment).map_err(invalid)?;
    environment.set(MARKER_VARIABLE, &request.container.0.marker(request.run)).map_err(invalid)?;
    Ok(environment)
}

/// The working directory, absolute, and there.
fn working_dir(asked: Option<&Path>) -> Result<PathBuf, SpawnError> {
    let wrong = |message: String| SpawnError::new(SpawnErrorKind::WorkingDirectory, message);
    let path = match asked {
        Some(path) => std::path::absolute(path),
        None => std::env::current_dir(),
    };
    let path = path.map_err(|e| wrong(format!("no working directory: {e}")))?;
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => Err(wrong(format!("the working directory is not a directory: {}", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(wrong(format!("the working directory does not exist: {}", path.display())))
        }
        Err(e) => Err(wrong(format!("the working directory cannot be used: {}: {e}", path.display()))),
    }
}

fn command_line(
    name: &str,
    arguments: &[String],
    program: &Program,
) -> Result<(PathBuf, Vec<u16>), SpawnError> {
    let arguments = arguments.iter().map(String::as_str);
    let (application, line, limit) = if program.batch {
        let Some(script) = program.path.to_str() else {
            return Err(invalid(format!("the script's path is not Unicode: {}", program.path.display())));
        };
        let line = batch::join(script, arguments)
            .map_err(|why| invalid(format!("{script} cannot be given these arguments: {why}")))?;
        let cmd = win::system_directory()
            .map_err(|e| {
                SpawnError::new(SpawnErrorKind::NoInterpreter, format!("no cmd.exe for {script}: {e}"))
            })?
            .join("cmd.exe");
        (cmd, line, batch::LIMIT)
    } else {
        // The name as it was given, as on other systems; the file to run is named apart from it.
        let Some(line) = command_line::join(name, arguments) else {
            return Err(invalid(format!("a quotation mark in the program's name: {name}")));
        };
        (program.path.clone(), line, command_line::LIMIT)
    };
    if line.len() >= limit {
        let message = format!(
            "the command line of {} is {} characters long; Windows takes {} ({})",
            program.path.display(),
            line.len(),
            limit - 1,
            if program.batch { "for a batch file" } else { "for a program" },
        );
        return Err(SpawnError::new(SpawnErrorKind::TooLong, message));
    }
    Ok((application, line))
}

/// As the account of the process: what that may not read it is not given.
fn open_stdin(path: &Path, account: Option<&LoggedOn>) -> Result<OwnedHandle, SpawnError> {
    let told = |error: std::io::Error| SpawnError::new(SpawnErrorKind::Setting, format!("stdin: {error}"));
    let _as_account = account.map(|account| Impersonation::of(&account.token)).transpose().map_err(told)?;
    settings::stdin(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_limited() {
        let program = Program { path: PathBuf::from(r"C:\x.exe"), batch: false };
        let long = ["a".repeat(32_800)];
        assert_eq!(command_line("x", &long, &program).expect_err("too long").kind, SpawnErrorKind::TooLong);
        let program = Program { path: PathBuf::from(r"C:\x.bat"), batch: true };
        let long = ["a".repeat(8_200)];
        assert_eq!(command_line("x", &long, &program).expect_err("too long").kind, SpawnErrorKind::TooLong);
    }
}
