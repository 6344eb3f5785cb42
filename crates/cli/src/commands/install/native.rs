//! What the service manager is to know of a stack.

use std::time::Duration;

use mainstay_core::windows_account;
use mainstay_service::manager::Manager;
use mainstay_service::{
    Action, Definition, Dependency, ErrorControl, KillMode, Recovery, Role, ServiceSid, Start, Trigger,
};

use super::password;
use crate::args::duration;
use crate::entries::VIRTUAL;
use crate::failure::Failure;
use crate::wait::longest_stop;

/// The settings of the service itself.
#[derive(Debug, clap::Args)]
pub struct Native {
    /// When it starts
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    start: When,

    /// The name that people see [Windows; default: the stack's name]
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,

    /// What it is, in a sentence
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// A service of the system that has to run before it; with a + before it, a group (systemd: a target)
    #[arg(long = "depends-on", value_name = "SERVICE")]
    depends_on: Vec<String>,

    /// The account that Mainstay runs under [default: its own, 'NT SERVICE\NAME'; Linux: root]
    ///
    /// Windows: LocalSystem, LocalService, NetworkService, 'NT SERVICE\NAME', a managed account with its $, or 'DOMAIN\user', whose
    /// password is asked for; or it is in MAINSTAY_PASSWORD, or comes by --password-stdin.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,

    /// Read the account's password from standard input
    #[arg(long, requires = "account")]
    password_stdin: bool,

    /// What Windows does if it cannot be started at boot
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    error_control: Severity,

    /// So long it may take to stop while the machine shuts down [default: as its services' stops need]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    preshutdown_timeout: Option<Duration>,

    /// What is done when Mainstay itself dies, and after how long: restart:5s, run:0s, reboot:1m, nothing. Several: the
    /// first time, the second …
    #[arg(long = "on-crash", value_name = "ACTION[:TIME]", value_parser = reaction, default_value = "restart:1s")]
    on_crash: Vec<Reaction>,

    /// The command line of the action `run` [Windows]
    #[arg(long, value_name = "LINE")]
    crash_command: Option<String>,

    /// After so long without a crash the first action comes again, or `never` [Windows]
    #[arg(long, value_name = "TIME", value_parser = reset, default_value = "1d")]
    crash_reset: Duration,

    /// What those who are signed in are told before the action `reboot` [Windows]
    #[arg(long, value_name = "TEXT")]
    reboot_message: Option<String>,

    /// Let an account look at, start or operate (start, stop, pause, send controls to) the service; several times [Windows]
    #[arg(long = "allow", value_name = "ROLE:ACCOUNT", value_parser = allowed)]
    allow: Vec<Allowed>,

    /// The service's whole access list as SDDL, in the place of Windows' own [Windows]
    #[arg(long, value_name = "SDDL", conflicts_with = "allow")]
    sddl: Option<String>,

    /// A privilege that it keeps, by Windows' name; all that are not named are taken from it. Several times [Windows]
    #[arg(long = "privilege", value_name = "NAME")]
    privileges: Vec<String>,

    /// Whether it has a SID of its own beside its account [Windows]
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    service_sid: OwnSid,

    /// What it is started or stopped at beside boot: network-up, network-down, domain-join, pipe:NAME, device:GUID,
    /// firewall-port:8080/tcp, machine-policy, event:GUID … Several times [Windows]
    #[arg(long = "trigger", value_name = "EVENT")]
    triggers: Vec<Trigger>,

    /// Make each service an entry of its own in services.msc, called STACK@SERVICE [Windows]
    #[arg(long)]
    pub entries: bool,

    /// Do the same when the stack has failed and said so, not only when Mainstay dies
    #[arg(long)]
    also_on_failure: bool,
}

/// Whether a service has a SID of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum OwnSid {
    /// No, unless its account is that
    #[default]
    None,
    /// Yes: files can be given to it by the name 'NT SERVICE\NAME'
    Unrestricted,
    /// Yes, and it may write only what is given to that
    Restricted,
}

impl From<OwnSid> for ServiceSid {
    fn from(sid: OwnSid) -> ServiceSid {
        match sid {
            OwnSid::None => ServiceSid::None,
            OwnSid::Unrestricted => ServiceSid::Unrestricted,
            OwnSid::Restricted => ServiceSid::Restricted,
        }
    }
}

/// Somebody, and what they may do with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed(Role, String);

fn allowed(text: &str) -> Result<Allowed, String> {
    let wrong = || format!("`{text}` is not ROLE:ACCOUNT with the role look, start or operate");
    let (role, account) =
        text.split_once(':').filter(|(_, account)| !account.is_empty()).ok_or_else(wrong)?;
    let role = match role {
        "look" => Role::Look,
        "start" => Role::Start,
        "operate" => Role::Operate,
        _ => return Err(wrong()),
    };
    Ok(Allowed(role, account.to_owned()))
}

/// When a service is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum When {
    /// At boot
    #[default]
    Auto,
    /// At boot, after the others (Windows)
    Delayed,
    /// When somebody asks for it
    Manual,
    /// Not at all
    Disabled,
}

impl From<When> for Start {
    fn from(when: When) -> Start {
        match when {
            When::Auto => Start::Automatic,
            When::Delayed => Start::Delayed,
            When::Manual => Start::Manual,
            When::Disabled => Start::Disabled,
        }
    }
}

/// How bad it is if it cannot start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Severity {
    /// Nothing
    Ignore,
    /// An entry in the Event Log
    #[default]
    Normal,
    /// A start with the last known good configuration
    Severe,
    /// The same, and no start at all if that does not help
    Critical,
}

impl From<Severity> for ErrorControl {
    fn from(severity: Severity) -> ErrorControl {
        match severity {
            Severity::Ignore => ErrorControl::Ignore,
            Severity::Normal => ErrorControl::Normal,
            Severity::Severe => ErrorControl::Severe,
            Severity::Critical => ErrorControl::Critical,
        }
    }
}

/// What is done when Mainstay itself dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Nothing,
    Restart,
    Run,
    Reboot,
}

/// One reaction, and how long after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reaction(What, Duration);

fn reaction(text: &str) -> Result<Reaction, String> {
    let (word, time) = text.split_once(':').unwrap_or((text, "1s"));
    let what = match word {
        "nothing" | "none" => What::Nothing,
        "restart" => What::Restart,
        "run" => What::Run,
        "reboot" => What::Reboot,
        _ => return Err(format!("`{word}` is none of restart, run, reboot and nothing")),
    };
    Ok(Reaction(what, duration(time)?))
}

fn reset(text: &str) -> Result<Duration, String> {
    if text == "never" { Ok(Duration::MAX) } else { duration(text) }
}

/// The service manager kills the keeper if it takes so much longer than all services may take.
const STOP_MARGIN: Duration = Duration::from_secs(30);

/// The keeper tells at the latest after two minutes that it is ready.
const START_TIME: Duration = Duration::from_secs(300);

/// The keeper's loop turns once a second.
const WATCHDOG: Duration = Duration::from_secs(60);

/// The account with all rights, by its full name.
const SYSTEM: &str = "LocalSystem";

/// A home elsewhere is somebody's who looks after it.
fn has_home() -> bool {
    std::env::var_os(mainstay_sys::dirs::HOME_VARIABLE).is_some_and(|home| !home.is_empty())
}

impl Native {
    /// The service of a stack.
    ///
    /// # Errors
    /// The options do not go together, or there is no password.
    pub fn definition(
        &self,
        plan: &mainstay_core::Plan,
        manager: &Manager,
        dry_run: bool,
    ) -> Result<Definition, Failure> {
        let name = plan.stack.clone();
        let program = std::env::current_exe()
            .map_err(|error| Failure::failed(format!("cannot find the own program: {error}")))?;
        let mut definition = Definition::new(&name, &program);
        // Its resources have the sentences of events.
        definition.event_messages = Some(program);
        definition.arguments = ["keeper", "--service", "--stack", &name].map(str::to_owned).into();
        definition.display_name = self.display_name.clone();
        definition.description =
            self.description.clone().unwrap_or_else(|| format!("{name}, kept up by Mainstay"));
        definition.start = self.start.into();
        definition.error_control = self.error_control.into();
        definition.depends_on = self.dependencies();
        definition.recovery = self.recovery(manager)?;
        if let Some(account) = &self.account {
            let canonical = if manager.wants_passwords() {
                password::for_scm(account)?
            } else {
                windows_account::full_name(account)
            };
            if manager.wants_passwords() && has_home() && canonical != SYSTEM {
                let home = mainstay_sys::dirs::HOME_VARIABLE;
                return Err(Failure::usage(format!("with {home} set a stack runs under {SYSTEM}"))
                    .hint(format!("only %ProgramData%\\Mainstay is known to belong to administrators; unset {home} for --account")));
            }
            if manager.wants_passwords() && windows_account::has_password(&canonical) && !dry_run {
                definition.password = Some(password::ask(&canonical, self.password_stdin)?);
            }
            definition.account = Some(canonical);
        } else if manager.wants_passwords() && !has_home() {
            // Nobody else's, and with no rights but its own.
            definition.account = Some(format!("{VIRTUAL}{name}"));
        }
        self.rights(&mut definition, manager)?;
        // A portable installation is one for its service, too.
        for variable in [mainstay_sys::dirs::HOME_VARIABLE, mainstay_keeper::CONTAINMENT_VARIABLE] {
            if let Some(value) = std::env::var(variable).ok().filter(|value| !value.is_empty()) {
                definition.environment.insert(variable.to_owned(), value);
            }
        }
        let needed = longest_stop(plan, plan.services.keys()) + STOP_MARGIN;
        definition.stop_timeout = self.preshutdown_timeout.unwrap_or(needed);
        definition.start_timeout = Some(START_TIME);
        definition.watchdog = Some(WATCHDOG);
        definition.delegate = true;
        definition.kill_mode = KillMode::Mixed;
        // A wrong configuration, a stack that is up already and one that has failed for good are not mended by trying
        // again. The keeper's files are open many; when memory runs out one service ends, not all.
        definition.final_codes = if self.also_on_failure { vec![2, 4] } else { vec![2, 4, 6] };
        definition.unit_lines = ["OOMPolicy=continue", "TasksMax=infinity"].map(str::to_owned).into();
        Ok(definition)
    }

    fn rights(&self, definition: &mut Definition, manager: &Manager) -> Result<(), Failure> {
        let said = [
            ("--allow", self.allow.is_empty(), "polkit rules say who may run `systemctl` for a unit"),
            ("--sddl", self.sddl.is_none(), "polkit rules say who may run `systemctl` for a unit"),
            (
                "--privilege",
                self.privileges.is_empty(),
                "`capabilities` of a service say what its program keeps",
            ),
            (
                "--trigger",
                self.triggers.is_empty(),
                "a unit of systemd waits by --depends-on network-online.target; a .path, .socket or .timer unit, or a \
                 device's SYSTEMD_WANTS, starts it at other events",
            ),
            ("--service-sid", self.service_sid == OwnSid::None, "a user of its own is what --account takes"),
        ];
        let said = said.into_iter().find(|(_, absent, _)| !absent);
        if let Some((option, _, hint)) = said.filter(|_| manager.name() != "SCM") {
            return Err(Failure::usage(format!("{option} is for Windows")).hint(hint));
        }
        definition.privileges.clone_from(&self.privileges);
        definition.access_list.clone_from(&self.sddl);
        definition.triggers.clone_from(&self.triggers);
        definition.service_sid = self.service_sid.into();
        definition.access = self
            .allow
            .iter()
            .map(|Allowed(role, account)| (windows_account::full_name(account), *role))
            .collect();
        Ok(())
    }

    fn dependencies(&self) -> Vec<Dependency> {
        let dependency = |text: &String| match text.strip_prefix('+') {
            Some(group) => Dependency::Group(group.to_owned()),
            None => Dependency::Service(text.clone()),
        };
        self.depends_on.iter().map(dependency).collect()
    }

    fn recovery(&self, manager: &Manager) -> Result<Recovery, Failure> {
        let mut actions = Vec::new();
        for Reaction(what, delay) in &self.on_crash {
            let action = match what {
                What::Nothing => Action::Nothing,
                What::Restart => Action::Restart,
                What::Reboot => Action::Reboot,
                What::Run => match &self.crash_command {
                    Some(line) => Action::Run(line.clone()),
                    None => {
                        return Err(Failure::usage("`--on-crash run` needs to know what")
                            .hint("say it with --crash-command \"C:\\tools\\alarm.exe\""));
                    }
                },
            };
            actions.push((action, *delay));
        }
        // Where exit codes cannot be excepted, a stack that has failed for good would be started again and again.
        let also_failures = self.also_on_failure || manager.excepts_exit_codes();
        let reboot_message = self.reboot_message.clone();
        Ok(Recovery { actions, reset: self.crash_reset, reboot_message, also_failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_words_with_an_account() {
        let operators = Allowed(Role::Operate, r"CORP\web operators".to_owned());
        assert_eq!(allowed(r"operate:CORP\web operators"), Ok(operators));
        for text in ["operate", "operate:", "own:bob", "bob"] {
            assert!(allowed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reactions_are_words_with_a_time() {
        assert_eq!(reaction("restart"), Ok(Reaction(What::Restart, Duration::from_secs(1))));
        assert_eq!((reset("never"), reset("90s")), (Ok(Duration::MAX), Ok(Duration::from_secs(90))));
        assert_eq!(reaction("reboot:2m"), Ok(Reaction(What::Reboot, Duration::from_secs(120))));
        assert_eq!(reaction("nothing:0s"), Ok(Reaction(What::Nothing, Duration::ZERO)));
        assert!(reaction("explode").is_err());
        assert!(reaction("restart:soon").is_err());
    }
}
