//! The roles that Mainstay starts itself in: `mainstay keeper`, `mainstay daemon`, `mainstay ctrl-c`. Their arguments
//! come from Mainstay alone, and are read without clap: nothing may happen before a keeper has blocked its signals.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use mainstay_config::Layout;
use mainstay_daemon::StoredPlan;
use mainstay_service::{Failure, Level, Running, Service};

use crate::failure::ExitStatus;
use crate::host::Manager;
use crate::installed::Installed;
use crate::stack::Place;

/// `mainstay keeper --stack NAME [--plan FILE] [--config FILE]`, started by `mainstay up` and `mainstay run`, with a link to it as
/// standard input.
pub fn keeper(arguments: &[OsString]) -> ExitCode {
    if arguments.iter().any(|word| word == "--service") {
        return keeper_as_service(arguments);
    }
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

/// `mainstay keeper --service --stack NAME`, started by a service manager.
fn keeper_as_service(arguments: &[OsString]) -> ExitCode {
    let Some(stack) = value(arguments, "--stack") else {
        return refuse("a service manager starts it: mainstay keeper --service --stack NAME");
    };
    let arguments = arguments.to_vec();
    // Signals are the keeper's own, and so are the signs of life: its loop gives them, or nobody does.
    Service::new(&stack).pausable().custom_controls().without_signals().manual_beats().run(move |running| {
        let failed = |status: ExitStatus, text: String| Failure::new(u32::from(status as u8), text);
        let (plan, config) =
            plan_at_start(&stack, &running).map_err(|text| failed(ExitStatus::Usage, text))?;
        let mut args = keeper_arguments(&arguments).map_err(|text| failed(ExitStatus::Failed, text))?;
        (args.leash, args.plan) = (false, plan);
        args.config = config;
        args.host = Some(Arc::new(Manager::new(running)));
        mainstay_keeper::run(args).map_err(|error| {
            let status = match &error {
                mainstay_keeper::Error::AlreadyUp(_) => ExitStatus::AlreadyUp,
                mainstay_keeper::Error::Stack(_) => ExitStatus::Never,
                mainstay_keeper::Error::Failed(_) => ExitStatus::Failed,
            };
            failed(status, error.to_string())
        })
    })
}

/// The plan that a keeper starts with, and the configuration that it is from: read anew, so that a change counts from the
/// next start on. One that is wrong by now changes nothing: the plan of before is taken, and that is told.
fn plan_at_start(stack: &str, running: &Running) -> Result<(Option<PathBuf>, Option<PathBuf>), String> {
    let place = Place::of(stack).map_err(|failure| failure.message)?;
    let installed = Installed::read(&place)
        .ok_or_else(|| format!("stack {stack} is not installed; `mainstay install` does that"))?;
    let config = installed.config().map(PathBuf::from);
    let wrong = match installed.load() {
        Ok(loaded) if loaded.plan.stack == stack => {
            let stored = StoredPlan {
                plan: loaded.plan,
                config: config.as_ref().map(|path| path.to_string_lossy().into_owned()),
                source: Some(loaded.source),
            };
            let offer = mainstay_keeper::plan_offer(&place.dirs.state);
            mainstay_daemon::write_plan_to(offer.clone(), &stored).map_err(|error| error.to_string())?;
            return Ok((Some(offer), config));
        }
        Ok(loaded) => format!("the configuration is now one of stack {}", loaded.plan.stack),
        Err(failure) => match &failure.diagnostics {
            Some(diagnostics) => {
                format!("{}\n{}", failure.message, diagnostics.render(&Layout { width: 100, colour: false }))
            }
            None => failure.message,
        },
    };
    place.plan().map_err(|_| wrong.clone())?;
    running.log(Level::Error, &format!("{wrong}\nthe plan that was accepted last is used"));
    Ok((None, config))
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
        host: None,
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
    let source = crate::sources::of(&stack, &dirs);
    match mainstay_daemon::run(mainstay_daemon::Args { stack, dirs, guard, source }) {
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
