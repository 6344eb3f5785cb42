//! The roles that Mainstay starts itself in: `mainstay keeper`, `mainstay daemon`, `mainstay ctrl-c`. Their arguments
//! come from Mainstay alone, and are read without clap: nothing may happen before a keeper has blocked its signals.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::ExitStatus;

/// `mainstay keeper --stack NAME [--plan FILE] [--config FILE]`, started by `mainstay up` and `mainstay run`, with a link to it as
/// standard input.
pub fn keeper(arguments: &[OsString]) -> ExitCode {
    match keeper_arguments(arguments)
        .and_then(|arguments| mainstay_keeper::run(arguments).map_err(|e| e.to_string()))
    {
        Ok(()) => ExitStatus::Done.into(),
        Err(error) => {
            complain(&format!("keeper: {error}"));
            ExitStatus::Failed.into()
        }
    }
}

fn keeper_arguments(arguments: &[OsString]) -> Result<mainstay_keeper::Args, String> {
    let stack = value(arguments, "--stack").ok_or("`mainstay up` starts it: mainstay keeper --stack NAME")?;
    Ok(mainstay_keeper::Args {
        dirs: mainstay_sys::dirs::stack(&stack).map_err(|e| e.to_string())?,
        config: value(arguments, "--config").map(PathBuf::from),
        plan: value(arguments, "--plan").map(PathBuf::from),
        daemon_exe: std::env::current_exe().map_err(|e| format!("cannot find the own program: {e}"))?,
        daemon_args: vec!["daemon".into(), "--stack".into(), stack.clone().into()],
        containment: mainstay_keeper::containment_from_environment().map_err(|e| e.to_string())?,
        leash: true,
        stack,
    })
}

/// `mainstay daemon --stack NAME --guard TEXT`, started by the keeper.
pub fn daemon(arguments: &[OsString]) -> ExitCode {
    let (Some(stack), Some(guard)) = (value(arguments, "--stack"), value(arguments, "--guard")) else {
        return refuse("the keeper starts it: mainstay daemon --stack NAME --guard TEXT");
    };
    let dirs = match mainstay_sys::dirs::stack(&stack) {
        Ok(dirs) => dirs,
        Err(error) => return refuse(&error.to_string()),
    };
    match mainstay_daemon::run(&mainstay_daemon::Args { stack, dirs, guard }) {
        Ok(()) => ExitStatus::Done.into(),
        Err(error) => {
            complain(&format!("daemon: {error}"));
            ExitStatus::Failed.into()
        }
    }
}

/// `mainstay ctrl-c [break] PID …`, started by the keeper on Windows.
pub fn ctrl_c(arguments: &[OsString]) -> ExitCode {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    match mainstay_sys::console::send_as_told(&words) {
        Some(Ok(())) => ExitStatus::Done.into(),
        Some(Err(error)) => {
            complain(&format!("ctrl-c: {error}"));
            ExitStatus::Failed.into()
        }
        None => refuse("the keeper starts it: mainstay ctrl-c PID ..."),
    }
}

fn value(arguments: &[OsString], name: &str) -> Option<String> {
    let at = arguments.iter().position(|word| word == name)?;
    arguments.get(at + 1)?.to_str().map(str::to_owned)
}

fn refuse(text: &str) -> ExitCode {
    complain(text);
    ExitStatus::Usage.into()
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "mainstay: {text}");
}
