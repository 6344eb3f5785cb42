//! Be a service: under the service control manager of Windows, under systemd, under Mainstay, or in a terminal, where
//! Ctrl+C stops it. One function is all of these.
//!
//! ```no_run
//! use std::time::Duration;
//! use mainstay_service::{Failure, Running, Service};
//!
//! fn serve(running: Running) -> Result<(), Failure> {
//!     // … open what has to be open …
//!     running.ready();
//!     while !running.stop_token().wait_timeout(Duration::from_secs(1)) {
//!         // … work …
//!     }
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Service::new("worker").run(serve)
//! }
//! ```
//!
//! - Events (pause, continue, reload, controls of your own) come from [`Running::next`], or as methods of a [`Handler`].
//! - An async `main` goes to [`Service::run_async`] with the `block_on` of any runtime, and awaits [`Running::event`] or the
//!   [`StopToken`]. The library itself needs no runtime.
//! - [`Manager`](manager::Manager) installs, removes, starts, stops and asks; [`command_line::run`] makes a command line of
//!   it.
//! - [`Running::log`] writes to the Event Log, the journal or the terminal.
//!
//! # Coming from kardianos/service
//!
//! | there | here |
//! |---|---|
//! | `Interface.Start`, `Stop`, `Shutdowner` | [`Handler::start`], [`Handler::stop`]; a shutdown is a stop with [`Reason::Shutdown`] |
//! | `service.New`, `Service.Run` | [`Service::new`], [`Service::run`], [`Service::run_handler`] |
//! | `service.Control`, `ControlAction` | [`command_line::run`] |
//! | `ErrNotInstalled`, `ErrNameFieldRequired`, `ErrNoServiceSystemDetected` | [`manager::ErrorKind`] with a sentence |
//! | `Install`, `Uninstall`, `Start`, `Stop`, `Restart`, `Status`, `StatusUnknown` | the same of [`manager::Manager`] |
//! | `Interactive()` | [`Running::host`] |
//! | `Platform()`, `ChosenSystem()`, `AvailableSystems()` | [`manager::Manager::name`] |
//! | `ChooseSystem()` | none: a machine has one service manager; [`manager::Scope`] says whose |
//! | `Logger`, `SystemLogger` | [`Running::log`], [`log::write`] |
//! | `Config.Name`, `DisplayName`, `Description` | the same of [`Definition`] |
//! | `Config.UserName`, `Option["Password"]` | [`Definition::account`], [`Definition::password`] |
//! | `Config.Executable`, `Arguments`, `EnvVars`, `WorkingDirectory` | [`Definition::program`], [`Definition::arguments`], [`Definition::environment`], [`Definition::working_dir`] |
//! | `Config.Dependencies` | [`Definition::depends_on`]; a unit's other lines go into [`Definition::unit_lines`] |
//! | `Config.ChRoot` | `RootDirectory=` in [`Definition::unit_lines`] |
//! | `StartType`, `DelayedAutoStart` | [`Definition::start`] |
//! | `OnFailure`, `OnFailureDelayDuration`, `OnFailureResetPeriod` | [`Definition::recovery`], with more than one action |
//! | `Interactive` (Windows) | none: no service has a desktop since Windows Vista |
//! | `Restart`, `SuccessExitStatus`, `LimitNOFILE`, `LogOutput`, `LogDirectory`, `ReloadSignal`, `SystemdScript` | [`Definition::recovery`] and lines in [`Definition::unit_lines`]; a whole script of one's own is what a drop-in is for |
//! | `UserService` | [`manager::Scope::User`] |
//! | `PIDFile` | none: systemd and the SCM know the process, and a file can lie |
//! | `RunWait` | none: the function itself waits for whatever it likes |
//! | `SysvScript`, `RCSScript`, `UpstartScript`, `OpenRCScript` | an init script is made where there is no systemd; one of one's own needs no library |
//! | `LaunchdConfig`, `KeepAlive`, `RunAtLoad`, `SessionCreate` (macOS), `Prefix` (Solaris) | none: these systems are not promised |
//! | not there | pause, continue, reload, custom controls; readiness and signs of life; the watchdog; preshutdown; privileges, the service's SID, triggers and who may operate it; dry runs |
//!
//! # What the service manager sees
//!
//! | state | SCM | systemd |
//! |---|---|---|
//! | starting | `START_PENDING`, checkpoint and wait hint rise each second | `EXTEND_TIMEOUT_USEC` |
//! | [`ready`](Running::ready) | `RUNNING` | `READY=1` |
//! | pausing, paused, continuing | `PAUSE_PENDING`, `PAUSED`, `CONTINUE_PENDING` | `STATUS=paused` |
//! | reloading | `RUNNING` | `RELOADING=1`, then `READY=1` |
//! | stopping | `STOP_PENDING`, checkpoint and wait hint rise each second | `STOPPING=1`, `EXTEND_TIMEOUT_USEC` |
//! | ended with a [`Failure`] | `STOPPED` with its code as the service-specific one | its code as the exit code |
//!
//! Each control is answered at once, whatever the service is busy with. `PRESHUTDOWN` is taken in place of `SHUTDOWN`: it
//! comes earlier and leaves more time.

#![deny(missing_docs)]

#[cfg(windows)]
mod account;
mod asynchronous;
pub mod command_line;
mod definition;
mod event;
mod handler;
mod host;
#[cfg(windows)]
mod local;
pub mod log;
pub mod manager;
#[cfg(unix)]
pub mod notify;
#[cfg(windows)]
mod registry;
mod rights;
mod service;
mod status;
mod stop;
mod trigger;

pub use asynchronous::{NextEvent, Task};
pub use definition::{Action, Definition, Dependency, ErrorControl, KillMode, Recovery, Secret, Start};
pub use event::{Event, Power, Reason, Session};
pub use handler::Handler;
pub use log::Level;
pub use rights::{Role, ServiceSid};
pub use service::{Failure, Host, Running, Service};
pub use status::State;
pub use stop::StopToken;
pub use trigger::{Guid, Trigger, TriggerEvent};

#[cfg(test)]
mod tests {
    /// What kardianos/service has at its commit b7ded6f of 2025-07-14: fields of `Config`, and its options.
    const OF_KARDIANOS: &[&str] = &[
        "Name",
        "DisplayName",
        "Description",
        "UserName",
        "Arguments",
        "Executable",
        "Dependencies",
        "WorkingDirectory",
        "ChRoot",
        "EnvVars",
        "KeepAlive",
        "RunAtLoad",
        "UserService",
        "SessionCreate",
        "LogOutput",
        "Prefix",
        "RunWait",
        "ReloadSignal",
        "PIDFile",
        "LimitNOFILE",
        "Restart",
        "SuccessExitStatus",
        "SystemdScript",
        "SysvScript",
        "RCSScript",
        "UpstartScript",
        "LaunchdConfig",
        "OpenRCScript",
        "LogDirectory",
        "DelayedAutoStart",
        "Password",
        "Interactive",
        "StartType",
        "OnFailure",
        "OnFailureDelayDuration",
        "OnFailureResetPeriod",
    ];

    #[test]
    fn the_table_of_kardianos_has_every_option() {
        let table: Vec<&str> =
            include_str!("lib.rs").lines().filter(|line| line.starts_with("//! | ")).collect();
        let words = |line: &&str| -> Vec<String> {
            let left = line.trim_start_matches("//! | ").split(" | ").next().unwrap_or_default();
            left.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
        };
        let words: Vec<String> = table.iter().flat_map(words).collect();
        for option in OF_KARDIANOS {
            assert!(words.iter().any(|word| word == option), "{option}");
        }
    }
}
