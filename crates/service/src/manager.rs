//! Installing, removing, starting, stopping and asking for services: through the SCM on Windows, systemd where it runs,
//! an init script elsewhere.

use std::fmt;
use std::time::Duration;

use crate::definition::{Definition, name_problem};

#[cfg(unix)]
mod commands;
mod facts;
#[cfg(unix)]
mod files;
#[cfg(windows)]
mod scm;
#[cfg(unix)]
mod unit;
#[cfg(unix)]
mod unit_facts;
#[cfg(unix)]
mod unix;
pub use facts::{Fact, FactValue};
#[cfg(windows)]
use scm as platform;
#[cfg(unix)]
use unix as platform;

/// Whose services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The machine's.
    #[default]
    System,
    /// This user's own: `systemctl --user`. Windows has none.
    User,
}

/// The service manager of this machine.
#[derive(Clone, Debug)]
pub struct Manager(platform::Native);

/// What a service manager says about a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it runs.
    pub state: NativeState,
    /// Its main process, while it runs.
    pub pid: Option<u32>,
    /// What it ended with last, if that is known.
    pub code: Option<u32>,
    /// Whether it is started at boot, if that is known.
    pub at_boot: Option<bool>,
}

/// The state that a service manager shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeState {
    /// There is no such service.
    NotInstalled,
    /// It does not run.
    Stopped,
    /// It starts.
    Starting,
    /// It runs.
    Running,
    /// It is paused, or about to be.
    Paused,
    /// It stops.
    Stopping,
    /// It ended with a failure (systemd).
    Failed,
}

impl NativeState {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            NativeState::NotInstalled => "not installed",
            NativeState::Stopped => "stopped",
            NativeState::Starting => "starting",
            NativeState::Running => "running",
            NativeState::Paused => "paused",
            NativeState::Stopping => "stopping",
            NativeState::Failed => "failed",
        }
    }
}

/// The accounts and groups that may log on as a service, by their SIDs (Windows). Accounts of Windows' own need no right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOnRights {
    /// They may: `SeServiceLogonRight`.
    pub granted: Vec<String>,
    /// They may not, though it be granted: `SeDenyServiceLogonRight`.
    pub denied: Vec<String>,
}

/// Why something did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Of what kind it is.
    pub kind: ErrorKind,
    /// In words: what, where, and what to do next.
    pub text: String,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such service.
    NotInstalled,
    /// It takes more rights.
    Denied,
    /// A service of that name is there, and is not ours.
    Foreign,
    /// The definition cannot be.
    Invalid,
    /// It did not come about in time, and still may.
    Late,
    /// Anything else.
    Failed,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Error {
        Error { kind, text: text.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

type Done<T = ()> = Result<T, Error>;

impl Manager {
    /// The one of this machine, for services of this scope.
    ///
    /// # Errors
    /// There is none for this scope.
    pub fn native(scope: Scope) -> Result<Manager, Error> {
        platform::Native::new(scope).map(Manager)
    }

    /// What it is called: `SCM`, `systemd`, `init`.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Whether this account may install and remove services.
    ///
    /// # Errors
    /// It may not; in words who may.
    pub fn check_rights(&self) -> Result<(), Error> {
        self.0.check_rights()
    }

    /// Whether accounts have passwords for it: on Windows.
    pub fn wants_passwords(&self) -> bool {
        cfg!(windows)
    }

    /// Whether it can be told with which exit codes a service is not started again: systemd can, the SCM cannot.
    pub fn excepts_exit_codes(&self) -> bool {
        !cfg!(windows)
    }

    /// Installs a service, or changes the one that is there. Says each thing that was done, or with `dry_run` would be;
    /// nothing if all is so already. What was begun is taken back when it cannot be ended.
    ///
    /// # Errors
    /// The definition is wrong, rights are missing, or another service has this name.
    pub fn install(&self, definition: &Definition, dry_run: bool) -> Result<Vec<String>, Error> {
        if let Some(problem) = definition.problem() {
            return Err(Error::new(ErrorKind::Invalid, problem));
        }
        self.0.install(definition, dry_run)
    }

    /// Stops a service, waits at most so long for that, and removes all of it. Says what was done, or with `dry_run` would
    /// be; nothing if there is no such service.
    ///
    /// # Errors
    /// It does not stop in time, or rights are missing.
    pub fn uninstall(&self, name: &str, wait: Duration, dry_run: bool) -> Result<Vec<String>, Error> {
        check(name)?;
        self.0.uninstall(name, wait, dry_run)
    }

    /// Starts it and waits at most so long until it is ready. One that runs is left alone.
    ///
    /// # Errors
    /// It does not exist, ends at once, or is not ready in time.
    pub fn start(&self, name: &str, wait: Duration) -> Result<(), Error> {
        self.start_with(name, &[], wait)
    }

    /// The same with arguments, which its program finds in [`Running::arguments`](crate::Running::arguments) (Windows;
    /// systemd and init have none, and start it without).
    ///
    /// # Errors
    /// As for [`start`](Manager::start).
    pub fn start_with(&self, name: &str, arguments: &[&str], wait: Duration) -> Result<(), Error> {
        check(name)?;
        self.0.start(name, arguments, wait)
    }

    /// Stops it and waits at most so long for its end. One that is stopped is left alone.
    ///
    /// # Errors
    /// It does not exist, or does not end in time.
    pub fn stop(&self, name: &str, wait: Duration) -> Result<(), Error> {
        check(name)?;
        self.0.stop(name, wait)
    }

    /// Passes a control on to it: 6 is a change of its parameters, 128 to 255 are its own. systemd sends a signal that a
    /// program of this library takes for that: SIGHUP for 6, SIGUSR1 for 128, SIGUSR2 for 129.
    ///
    /// # Errors
    /// It does not exist, does not run, or does not take this one; and systemd knows no others, an init script none.
    pub fn control(&self, name: &str, code: u32) -> Result<(), Error> {
        check(name)?;
        self.0.control(name, code)
    }

    /// Tells which accounts the service with this name logs on itself, to run programs under them, in the place of those that
    /// were told before. They are granted the right to log on as a service where it is missing; what was granted is taken back
    /// when they are not named any more, or with the service, unless another service of this library needs it. Says whom it
    /// grants the right, or with `dry_run` would. Elsewhere than on Windows there is no such right, and nothing is done.
    ///
    /// # Errors
    /// There is no such account, or only administrators may.
    pub fn let_log_on(&self, name: &str, accounts: &[String], dry_run: bool) -> Result<Vec<String>, Error> {
        check(name)?;
        self.0.let_log_on(name, accounts, dry_run)
    }

    /// Who may log on as a service; none where there are no such rights.
    ///
    /// # Errors
    /// Only administrators may ask.
    pub fn log_on_rights(&self) -> Result<Option<LogOnRights>, Error> {
        self.0.log_on_rights()
    }

    /// The `PATH` that services are started with; none if that is not known.
    pub fn search_path(&self) -> Option<String> {
        self.0.search_path()
    }

    /// The SID of an account by its name, for access lists; none where accounts have none. That of a virtual account,
    /// `NT SERVICE\\name`, is known before there is such a service.
    ///
    /// # Errors
    /// There is no such account.
    pub fn sid_of(&self, account: &str) -> Result<Option<String>, Error> {
        self.0.sid_of(account)
    }

    /// Both, one after the other.
    ///
    /// # Errors
    /// As for both.
    pub fn restart(&self, name: &str, wait: Duration) -> Result<(), Error> {
        self.stop(name, wait)?;
        self.start(name, wait)
    }

    /// What is wrong with a service that is installed. Only Windows has such faults.
    pub fn faults(&self, name: &str) -> Vec<Fault> {
        if check(name).is_err() { Vec::new() } else { self.0.faults(name) }
    }

    /// All that the service manager knows of it, its own words for the same things apart: state, configuration, rights, what
    /// starts it and what depends on it.
    ///
    /// # Errors
    /// There is no such service, or the service manager does not say.
    pub fn facts(&self, name: &str) -> Result<Vec<Fact>, Error> {
        check(name)?;
        self.0.facts(name)
    }

    /// How it is.
    ///
    /// # Errors
    /// The service manager does not say.
    pub fn status(&self, name: &str) -> Result<Status, Error> {
        check(name)?;
        self.0.status(name)
    }
}

/// What is wrong with an installed service, though it may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was deleted and is kept open by somebody; in words.
    MarkedForDeletion(String),
    /// It is started by this line, whose program has blanks and no quotation marks: Windows then tries each part up to a
    /// blank as a program. See `CreateProcessW` in Microsoft's documentation.
    UnquotedPath(String),
    /// The Event Log does not know where its messages' texts are.
    NoEventSource,
}

fn check(name: &str) -> Done {
    name_problem(name).map_or(Ok(()), |problem| Err(Error::new(ErrorKind::Invalid, problem)))
}
