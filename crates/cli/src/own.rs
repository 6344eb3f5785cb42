//! The roles that Mainstay starts itself in: `mainstay keeper`, `mainstay daemon`, `mainstay ctrl-c`. Their arguments
//! come from Mainstay alone, and are read without clap: nothing may happen before a keeper has blocked its signals.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use mainstay_config::Layout;
use mainstay_daemon::{Observer, StoredPlan};
use mainstay_service::{Failure, Host, Running, Service};

use crate::entries;
use crate::failure::ExitStatus;
use crate::host::Manager;
use crate::installed::Installed;
use crate::stack::Place;
use crate::system_log::{self, SystemLog};

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
    let mut arguments = arguments.to_vec();
    // Signals to end are the keeper's own, and so are the signs of life: its loop gives them, or nobody does.
    let service = Service::new(&stack).pausable().reloadable().custom_controls();
    let service = service.power_events().session_events();
    service.without_end_signals().manual_beats().run(move |running| {
        arguments.extend(["--host", host_word(running.host())].map(OsString::from));
        let failed = |status: ExitStatus, text: String| Failure::new(u32::from(status as u8), text);
        let plan = plan_at_start(&stack, &running).map_err(|text| failed(ExitStatus::Usage, text))?;
        let mut args = keeper_arguments(&arguments).map_err(|text| failed(ExitStatus::Failed, text))?;
        (args.leash, args.plan, args.config, args.refused) = (false, plan.offer, plan.config, plan.refused);
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

/// What a keeper starts with.
struct AtStart {
    /// The file with its plan, if it is another than before.
    offer: Option<PathBuf>,
    /// The configuration that it is from.
    config: Option<PathBuf>,
    /// Why that cannot be used, and the plan of before is.
    refused: Option<String>,
}

/// The plan that a keeper starts with, and the configuration that it is from: read anew, so that a change counts from the
/// next start on. One that is wrong by now changes nothing: the plan of before is taken, and that is told.
fn plan_at_start(stack: &str, running: &Running) -> Result<AtStart, String> {
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
            return Ok(AtStart { offer: Some(offer), config, refused: None });
        }
        Ok(loaded) => format!("the configuration is now one of stack {}", loaded.plan.stack),
        Err(failure) => match &failure.diagnostics {
            Some(diagnostics) => {
                format!("{}\n{}", failure.message, diagnostics.render(&Layout { width: 100, colour: false }))
            }
            None => failure.message,
        },
    };
    if place.plan().is_err() {
        // No daemon comes that could tell it.
        system_log::configuration_refused(stack, running.host(), &wrong);
        return Err(wrong);
    }
    let refused = Some(format!("{wrong}\nthe plan that was accepted last is used"));
    Ok(AtStart { offer: None, config, refused })
}

/// How a daemon is told whose log its events go to.
fn host_word(host: Host) -> &'static str {
    match host {
        Host::Scm => "scm",
        Host::Systemd => "systemd",
        Host::Terminal | Host::Mainstay => "none",
    }
}

fn observers(host: Option<&str>, place: &Place) -> Vec<Box<dyn Observer>> {
    let host = match host {
        Some("scm") => Host::Scm,
        Some("systemd") => Host::Systemd,
        _ => return Vec::new(),
    };
    let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(SystemLog::new(place.clone(), host))];
    let installed = Installed::read(place).filter(|installed| !installed.entries.is_empty());
    if let Some((installed, manager)) =
        installed.and_then(|installed| Some((installed.clone(), installed.manager().ok()?)))
    {
        observers.push(Box::new(entries::Starter::new(&place.name, installed.entries, manager)));
    }
    observers
}

fn keeper_arguments(arguments: &[OsString]) -> Result<mainstay_keeper::Args, String> {
    let stack = value(arguments, "--stack").ok_or("`mainstay up` starts it: mainstay keeper --stack NAME")?;
    Ok(mainstay_keeper::Args {
        dirs: mainstay_sys::dirs::stack(&stack).map_err(|e| e.to_string())?,
        config: value(arguments, "--config").map(PathBuf::from),
        plan: value(arguments, "--plan").map(PathBuf::from),
        refused: None,
        daemon_exe: std::env::current_exe().map_err(|e| format!("cannot find the own program: {e}"))?,
        daemon_args: daemon_arguments(&stack, value(arguments, "--host")),
        containment: mainstay_keeper::containment_from_environment().map_err(|e| e.to_string())?,
        leash: true,
        host: None,
        stack,
    })
}

fn daemon_arguments(stack: &str, host: Option<String>) -> Vec<OsString> {
    let host = host.into_iter().flat_map(|host| ["--host".to_owned(), host]);
    ["daemon", "--stack", stack].map(str::to_owned).into_iter().chain(host).map(OsString::from).collect()
}

/// `mainstay daemon --stack NAME --guard TEXT [--host WORD]`, started by the keeper.
pub fn daemon(arguments: &[OsString]) -> ExitCode {
    let (Some(stack), Some(guard)) = (value(arguments, "--stack"), value(arguments, "--guard")) else {
        return refuse("the keeper starts it: mainstay daemon --stack NAME --guard TEXT");
    };
    let place = match Place::of(&stack) {
        Ok(place) => place,
        Err(failure) => return refuse(&failure.message),
    };
    let source = crate::sources::of(&stack, &place.dirs);
    let observers = observers(value(arguments, "--host").as_deref(), &place);
    match mainstay_daemon::run(mainstay_daemon::Args { stack, dirs: place.dirs, guard, source, observers }) {
        Ok(()) => ExitStatus::Done.into(),
        Err(error) => {
            complain(&format!("daemon: {error}"));
            ExitStatus::Failed.into()
        }
    }
}

/// `mainstay entry --stack NAME --service NAME [mirror]`, started by the service manager.
pub fn entry(arguments: &[OsString]) -> ExitCode {
    let (Some(stack), Some(service)) = (value(arguments, "--stack"), value(arguments, "--service")) else {
        return refuse("the service manager starts it: mainstay entry --stack NAME --service NAME");
    };
    entries::run(&stack, &service, arguments).unwrap_or_else(|error| refuse(&error))
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
