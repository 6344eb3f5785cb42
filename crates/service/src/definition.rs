//! What is installed: the description of a service for the service manager.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::rights::{Role, ServiceSid};
use crate::trigger::Trigger;

/// When a service is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At boot.
    #[default]
    Automatic,
    /// Some time after boot, when the busy part of it is over. systemd has no such thing and starts it at boot.
    Delayed,
    /// When somebody asks for it.
    Manual,
    /// Not at all, whoever asks.
    Disabled,
}

/// What has to run before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// A service, or a unit of systemd (`.service` is added where there is no dot).
    Service(String),
    /// A load ordering group of Windows; for systemd a target.
    Group(String),
}

/// What the service manager does when the process dies or ends with a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// What it does the first time, the second and so on; the last one again and again. Empty: nothing.
    pub actions: Vec<(Action, Duration)>,
    /// After so long without a failure it begins with the first again; `Duration::MAX` is never. systemd has no such
    /// counter.
    pub reset: Duration,
    /// What those who are signed in are told before the machine is started again (Windows).
    pub reboot_message: Option<String>,
    /// Also when it ends in order with a failure's code, not only when it dies.
    pub also_failures: bool,
}

/// One reaction to a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Starts the service again.
    Restart,
    /// Starts the machine again.
    Reboot,
    /// Runs a command line. One for all actions is what Windows takes; systemd has nothing like it.
    Run(String),
}

impl Default for Recovery {
    /// Start again after a second, for ever.
    fn default() -> Recovery {
        Recovery {
            actions: vec![(Action::Restart, Duration::from_secs(1))],
            reset: Duration::from_secs(24 * 3600),
            reboot_message: None,
            also_failures: true,
        }
    }
}

/// What Windows does when the service cannot be started at boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorControl {
    /// Goes on without a word.
    Ignore,
    /// Writes it into the Event Log, and goes on.
    #[default]
    Normal,
    /// Starts with the last known good configuration.
    Severe,
    /// The same, and fails the boot if that does not help.
    Critical,
}

/// What ends the processes of a stopped service that are left (systemd).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KillMode {
    /// All get SIGTERM, and SIGKILL when the time is over.
    #[default]
    ControlGroup,
    /// The main process gets SIGTERM, the rest SIGKILL afterwards.
    Mixed,
    /// Only the main process is ended.
    Process,
}

/// A service as it is installed.
#[derive(Clone, PartialEq, Eq)]
pub struct Definition {
    /// The name that it is known by: letters, digits, `-`, `_`, `.` and `@`.
    pub name: String,
    /// The name that people see (services.msc). systemd shows the description.
    pub display_name: Option<String>,
    /// What it is, in a sentence.
    pub description: String,
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments. Never secrets: everybody on the machine can read them.
    pub arguments: Vec<String>,
    /// Its working directory (systemd, init). The SCM starts every service in System32.
    pub working_dir: Option<PathBuf>,
    /// Added to its environment. Readable by everybody on the machine.
    pub environment: BTreeMap<String, String>,
    /// The account it runs under; the service manager's own default if absent (LocalSystem, root).
    pub account: Option<String>,
    /// That account's password, if it has one (Windows).
    pub password: Option<Secret>,
    /// When it is started.
    pub start: Start,
    /// What has to run before it.
    pub depends_on: Vec<Dependency>,
    /// What is done when it fails.
    pub recovery: Recovery,
    /// Exit codes after which it is not started again, because that would not help (systemd, init).
    pub final_codes: Vec<u8>,
    /// How bad it is if it cannot start (Windows).
    pub error_control: ErrorControl,
    /// So long a stop may take: the time before the service manager ends it by force, and on Windows the time that it
    /// has while the machine goes down (the preshutdown timeout).
    pub stop_timeout: Duration,
    /// So long a start may take before systemd gives it up; none for ever. The SCM goes by signs of life alone.
    pub start_timeout: Option<Duration>,
    /// systemd ends it when it does not say for so long that it lives.
    pub watchdog: Option<Duration>,
    /// Whether it tells systemd that it is ready, as every program of this library does.
    pub notify: bool,
    /// Whether it is given a cgroup of its own to divide (systemd).
    pub delegate: bool,
    /// Who is ended at a stop (systemd).
    pub kill_mode: KillMode,
    /// The program or library that has the texts of this service's numbered messages as a resource (Windows); none if it
    /// only writes messages in words.
    pub event_messages: Option<PathBuf>,
    /// The privileges that it keeps, by Windows' names (`SeChangeNotifyPrivilege` …): the SCM takes all others out of its
    /// token. Empty: all that its account has.
    pub privileges: Vec<String>,
    /// Whether it has a SID of its own (Windows).
    pub service_sid: ServiceSid,
    /// What it is started or stopped at beside boot and people (Windows; systemd has units for that).
    pub triggers: Vec<Trigger>,
    /// Accounts, and what they may do with it beside administrators (Windows).
    pub access: Vec<(String, Role)>,
    /// Its whole access list as SDDL in the place of Windows' own and of [`access`](Definition::access) (Windows).
    pub access_list: Option<String>,
    /// Further lines of a unit's `[Service]`, as they are.
    pub unit_lines: Vec<String>,
}

/// A password: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself.
    #[cfg_attr(unix, expect(dead_code, reason = "only Windows wants passwords"))]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.name)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

impl Definition {
    /// A service that is started at boot and again when it fails.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Definition {
        let name = name.into();
        Definition {
            description: name.clone(),
            name,
            display_name: None,
            program: program.into(),
            arguments: Vec::new(),
            working_dir: None,
            environment: BTreeMap::new(),
            account: None,
            password: None,
            start: Start::default(),
            depends_on: Vec::new(),
            recovery: Recovery::default(),
            final_codes: Vec::new(),
            error_control: ErrorControl::default(),
            stop_timeout: Duration::from_secs(30),
            start_timeout: Some(Duration::from_secs(120)),
            watchdog: None,
            notify: true,
            delegate: false,
            kill_mode: KillMode::default(),
            event_messages: None,
            privileges: Vec::new(),
            service_sid: ServiceSid::default(),
            triggers: Vec::new(),
            access: Vec::new(),
            access_list: None,
            unit_lines: Vec::new(),
        }
    }

    /// The same for the program that runs now.
    ///
    /// # Errors
    /// Where it is cannot be found out.
    pub fn of_this_program(name: impl Into<String>) -> std::io::Result<Definition> {
        Ok(Definition::new(name, std::env::current_exe()?))
    }

    /// What is wrong with it, in words.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(problem) = name_problem(&self.name) {
            return Some(problem);
        }
        if !self.program.is_absolute() {
            return Some(format!("the program {} must be an absolute path", self.program.display()));
        }
        let bad = |text: &str| text.contains(['\n', '\r', '\0']);
        if self.arguments.iter().any(|word| word.contains('\0')) {
            return Some("an argument contains a NUL character".to_owned());
        }
        if bad(&self.description) || self.display_name.as_deref().is_some_and(bad) {
            return Some("a description is one line".to_owned());
        }
        let name = |name: &str| name.is_empty() || name.contains('=') || bad(name);
        if let Some((wrong, _)) = self.environment.iter().find(|(key, value)| name(key) || bad(value)) {
            return Some(format!("the variable {wrong:?} cannot be set"));
        }
        None
    }
}

/// What is wrong with a service's name.
pub(crate) fn name_problem(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if !name.is_empty() && name.len() <= 200 && name.chars().all(plain) && !name.starts_with(['-', '.']) {
        return None;
    }
    Some(format!(
        "{name:?} cannot be a service's name: use letters, digits, '-', '_', '.' and '@', at most 200"
    ))
}
