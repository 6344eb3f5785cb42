//! What the SCM and the registry should hold for a service, what they do hold, and the difference in words.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use windows_service::service::{
    Service, ServiceAction, ServiceActionType, ServiceConfig, ServiceFailureActions,
    ServiceFailureResetPeriod, ServiceSidType, ServiceStartType,
};
use windows_sys::Win32::System::Registry::HKEY_LOCAL_MACHINE;
use windows_sys::Win32::System::Services::{
    SERVICE_AUTO_START, SERVICE_DEMAND_START, SERVICE_DISABLED, SERVICE_ERROR_CRITICAL, SERVICE_ERROR_IGNORE,
    SERVICE_ERROR_NORMAL, SERVICE_ERROR_SEVERE, SERVICE_WIN32_OWN_PROCESS,
};

use super::raw::Settings;
use super::{rights, triggers};
use crate::definition::{Action, Definition, Dependency, ErrorControl, Start};
use crate::{log, registry};

/// The key of a service.
pub(super) fn parameters(name: &str) -> String {
    format!(r"SYSTEM\CurrentControlSet\Services\{name}")
}

const LOCAL_SYSTEM: &str = "LocalSystem";

/// As the SCM takes it.
pub(super) fn settings(definition: &Definition) -> Settings {
    Settings {
        name: definition.name.clone(),
        display_name: definition.display_name.clone().unwrap_or_else(|| definition.name.clone()),
        kind: SERVICE_WIN32_OWN_PROCESS,
        start: match definition.start {
            Start::Automatic | Start::Delayed => SERVICE_AUTO_START,
            Start::Manual => SERVICE_DEMAND_START,
            Start::Disabled => SERVICE_DISABLED,
        },
        error_control: match definition.error_control {
            ErrorControl::Ignore => SERVICE_ERROR_IGNORE,
            ErrorControl::Normal => SERVICE_ERROR_NORMAL,
            ErrorControl::Severe => SERVICE_ERROR_SEVERE,
            ErrorControl::Critical => SERVICE_ERROR_CRITICAL,
        },
        image: image(definition),
        dependencies: definition
            .depends_on
            .iter()
            .map(|dependency| match dependency {
                Dependency::Service(name) => name.clone(),
                Dependency::Group(name) => format!("+{name}"),
            })
            .collect(),
        account: definition.account.clone().unwrap_or_else(|| LOCAL_SYSTEM.to_owned()),
    }
}

/// As it was before, to be put back.
pub(super) fn settings_before(name: &str, config: &ServiceConfig) -> Settings {
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    Settings {
        name: name.to_owned(),
        display_name: text(&config.display_name),
        kind: config.service_type.bits(),
        start: config.start_type.to_raw(),
        error_control: config.error_control.to_raw(),
        image: text(config.executable_path.as_os_str()),
        dependencies: config
            .dependencies
            .iter()
            .map(|dependency| text(&dependency.to_system_identifier()))
            .filter(|name| !name.is_empty())
            .collect(),
        account: config.account_name.as_deref().map_or_else(|| LOCAL_SYSTEM.to_owned(), text),
    }
}

/// The command line. The program is always quoted: Windows would try `C:\Program.exe` first, and whoever may write there
/// would be the service.
fn image(definition: &Definition) -> String {
    let mut image = format!("\"{}\"", definition.program.display());
    for argument in &definition.arguments {
        image.push(' ');
        image.push_str(&quoted(argument));
    }
    image
}

/// One argument, as `CommandLineToArgvW` and the C run time read it.
fn quoted(argument: &str) -> String {
    if !argument.is_empty() && !argument.contains([' ', '\t', '\n', '\u{b}', '"']) {
        return argument.to_owned();
    }
    let mut text = String::from("\"");
    let mut slashes = 0;
    for c in argument.chars() {
        match c {
            '\\' => slashes += 1,
            // What stands before a quote is doubled, and the quote itself is no end.
            '"' => {
                text.extend(std::iter::repeat_n('\\', slashes + 1));
                slashes = 0;
            }
            _ => slashes = 0,
        }
        text.push(c);
    }
    text.extend(std::iter::repeat_n('\\', slashes));
    text.push('"');
    text
}

pub(super) fn failure_actions(definition: &Definition) -> ServiceFailureActions {
    let recovery = &definition.recovery;
    let mut command = OsString::new();
    let mut actions = Vec::new();
    for (action, delay) in &recovery.actions {
        let action_type = match action {
            Action::Nothing => ServiceActionType::None,
            Action::Restart => ServiceActionType::Restart,
            Action::Reboot => ServiceActionType::Reboot,
            Action::Run(line) => {
                if command.is_empty() {
                    command = OsString::from(line);
                }
                ServiceActionType::RunCommand
            }
        };
        actions.push(ServiceAction { action_type, delay: *delay });
    }
    ServiceFailureActions {
        reset_period: match recovery.reset {
            Duration::MAX => ServiceFailureResetPeriod::Never,
            time => ServiceFailureResetPeriod::After(time),
        },
        // An empty text takes away what an earlier installation left.
        reboot_msg: Some(recovery.reboot_message.clone().unwrap_or_default().into()),
        command: Some(command),
        actions: Some(actions),
    }
}

fn words_of(actions: &ServiceFailureActions) -> String {
    let mut words: Vec<String> = Vec::new();
    for action in actions.actions.iter().flatten() {
        let what = match action.action_type {
            ServiceActionType::None => "nothing",
            ServiceActionType::Reboot => "reboot",
            ServiceActionType::Restart => "restart",
            ServiceActionType::RunCommand => "run",
        };
        words.push(format!("{what} after {} ms", action.delay.as_millis()));
    }
    if words.is_empty() {
        return "none".to_owned();
    }
    let reset = match actions.reset_period {
        ServiceFailureResetPeriod::Never => "never forgotten".to_owned(),
        ServiceFailureResetPeriod::After(time) => format!("forgotten after {} s", time.as_secs()),
    };
    let told = |what: &str, text: &Option<OsString>| {
        let text = text.as_deref().unwrap_or_default().to_string_lossy();
        if text.is_empty() { String::new() } else { format!(", {what} {text}") }
    };
    let (command, message) = (told("command", &actions.command), told("message", &actions.reboot_msg));
    format!("{}; {reset}{command}{message}", words.join(", "))
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// What it is called.
    pub(super) name: &'static str,
    /// What is compared.
    pub(super) value: String,
    /// What people see; the value itself if absent.
    pub(super) shown: Option<String>,
}

fn setting(name: &'static str, value: impl Into<String>) -> Setting {
    Setting { name, value: value.into(), shown: None }
}

const DEPENDENCIES: &str = "dependencies";
const ENVIRONMENT: &str = "environment";
const SOURCE: &str = "Event Log source";

const PRIVILEGES: &str = "privileges";
const SID: &str = "service SID";
const TRIGGERS: &str = "triggers";
const ACCESS: &str = "control";
const ALL_PRIVILEGES: &str = "all of its account";

/// How lists say that there is nothing in them.
pub(super) const NONE: [&str; 2] = ["none", ALL_PRIVILEGES];

fn words_or(words: &[String], none: &str) -> String {
    if words.is_empty() { none.to_owned() } else { words.join(", ") }
}

fn sid_word(kind: ServiceSidType) -> &'static str {
    match kind {
        ServiceSidType::None => "none",
        ServiceSidType::Unrestricted => "unrestricted",
        ServiceSidType::Restricted => "restricted",
    }
}

/// All that a service should have.
pub(super) fn wanted(definition: &Definition, list: &str) -> Vec<Setting> {
    let settings = settings(definition);
    let mut wanted = basic(&settings, definition.start == Start::Delayed);
    wanted.push(setting("description", definition.description.clone()));
    wanted.push(setting("preshutdown timeout", format!("{} ms", definition.stop_timeout.as_millis())));
    wanted.push(setting("failure actions", words_of(&failure_actions(definition))));
    wanted.push(setting(
        "failure actions after a failure's exit code",
        definition.recovery.also_failures.to_string(),
    ));
    let environment: Vec<String> =
        definition.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let names: Vec<&str> = definition.environment.keys().map(String::as_str).collect();
    wanted.push(Setting {
        name: ENVIRONMENT,
        value: environment.join("\n"),
        shown: Some(if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }),
    });
    wanted.push(setting(PRIVILEGES, words_or(&definition.privileges, ALL_PRIVILEGES)));
    wanted.push(setting(SID, sid_word(rights::sid_type(definition.service_sid))));
    wanted.push(setting(TRIGGERS, words_or(&triggers::wanted(&definition.triggers), "none")));
    let roles: Vec<String> =
        definition.access.iter().map(|(account, role)| format!("{} for {account}", role.word())).collect();
    wanted.push(Setting {
        name: ACCESS,
        value: list.to_owned(),
        shown: definition.access_list.clone().or_else(|| Some(words_or(&roles, "administrators alone"))),
    });
    wanted.push(setting(SOURCE, log::source(definition.event_messages.as_deref())));
    if definition.password.is_some() {
        wanted.push(setting("password", "the one that was given"));
    }
    wanted
}

/// Services before groups, as the registry has them.
fn listed(dependencies: &[String]) -> String {
    let (groups, services): (Vec<&String>, Vec<&String>) =
        dependencies.iter().partition(|name| name.starts_with('+'));
    let names: Vec<&str> = services.into_iter().chain(groups).map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn basic(settings: &Settings, delayed: bool) -> Vec<Setting> {
    let start = match settings.start {
        SERVICE_AUTO_START if delayed => "delayed",
        SERVICE_AUTO_START => "auto",
        SERVICE_DEMAND_START => "manual",
        SERVICE_DISABLED => "disabled",
        _ => "another",
    };
    let error = match settings.error_control {
        SERVICE_ERROR_IGNORE => "ignore",
        SERVICE_ERROR_NORMAL => "normal",
        SERVICE_ERROR_SEVERE => "severe",
        _ => "critical",
    };
    let kind = if settings.kind == SERVICE_WIN32_OWN_PROCESS { "its own" } else { "another kind" };
    vec![
        setting("program", settings.image.clone()),
        setting("display name", settings.display_name.clone()),
        setting("process", kind),
        setting("start", start),
        setting("error control", error),
        setting(DEPENDENCIES, listed(&settings.dependencies)),
        setting("account", settings.account.clone()),
    ]
}

/// What a service has; without what this Windows lacks. Nothing that is absent here is known.
pub(super) fn present(
    name: &str,
    service: &Service,
    config: &ServiceConfig,
) -> BTreeMap<&'static str, String> {
    let key = registry::open(HKEY_LOCAL_MACHINE, &parameters(name)).ok();
    let number = |value: &str| key.as_ref().and_then(|key| key.number(value));
    let before = settings_before(name, config);
    let delayed = config.start_type == ServiceStartType::AutoStart
        && number("DelayedAutoStart").is_some_and(|flag| flag != 0);
    let mut present: BTreeMap<&'static str, String> =
        basic(&before, delayed).into_iter().map(|setting| (setting.name, setting.value)).collect();
    let text = |value: &str| key.as_ref().map(|key| key.texts(value).unwrap_or_default());
    // From the registry: Wine does not tell them otherwise.
    let services = text("DependOnService").unwrap_or_default();
    let groups = text("DependOnGroup").unwrap_or_default().into_iter().map(|name| format!("+{name}"));
    present.insert(DEPENDENCIES, listed(&services.into_iter().chain(groups).collect::<Vec<_>>()));
    present.extend(text("Description").map(|lines| ("description", lines.concat())));
    present.extend(text("Environment").map(|lines| (ENVIRONMENT, lines.join("\n"))));
    present.extend(number("PreshutdownTimeout").map(|time| ("preshutdown timeout", format!("{time} ms"))));
    if let Ok(actions) = service.get_failure_actions() {
        present.insert("failure actions", words_of(&actions));
    }
    if let Ok(flag) = service.get_failure_actions_on_non_crash_failures() {
        present.insert("failure actions after a failure's exit code", flag.to_string());
    }
    if let Ok(names) = rights::privileges(service) {
        present.insert(PRIVILEGES, words_or(&names, ALL_PRIVILEGES));
    }
    if let Ok(kind) = service.get_config_service_sid_info() {
        present.insert(SID, sid_word(kind).to_owned());
    }
    if let Ok(words) = triggers::present(service) {
        present.insert(TRIGGERS, words_or(&words, "none"));
    }
    present.extend(rights::access(service).ok().flatten().map(|list| (ACCESS, list)));
    present.extend(log::registered(name).map(|file| (SOURCE, file)));
    present
}

/// Settings that a Windows may lack (Wine does): one that cannot be read there is not one that differs.
const MAY_BE_LACKING: [&str; 6] =
    ["failure actions", "failure actions after a failure's exit code", PRIVILEGES, SID, TRIGGERS, ACCESS];

/// What differs.
pub(super) fn difference(wanted: Vec<Setting>, present: &BTreeMap<&'static str, String>) -> Vec<Setting> {
    let same = |setting: &Setting| match present.get(setting.name) {
        Some(value) if setting.name == "account" => value.eq_ignore_ascii_case(&setting.value),
        Some(value) => *value == setting.value,
        None => MAY_BE_LACKING.contains(&setting.name),
    };
    wanted.into_iter().filter(|setting| !same(setting)).collect()
}

impl Setting {
    /// In words.
    pub(super) fn describe(&self) -> String {
        format!("set {} to {}", self.name, self.shown.as_ref().unwrap_or(&self.value))
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    const LIST: &str = "D:(A;;CC;;;SY)";

    fn definition() -> Definition {
        let mut definition = Definition::new("x", r"C:\plain\x.exe");
        definition.arguments =
            ["--port", "80 80", "", r"C:\end\", r#"a"b"#, r"a\\ b\"].map(str::to_owned).into();
        definition
    }

    #[test]
    fn the_program_is_always_quoted_and_arguments_are_when_they_must_be() {
        assert_eq!(
            settings(&definition()).image,
            r#""C:\plain\x.exe" --port "80 80" "" C:\end\ "a\"b" "a\\ b\\""#
        );
    }

    #[test]
    fn what_the_scm_is_given() {
        let mut definition = definition();
        definition.depends_on = vec![Dependency::Service("Tcpip".into()), Dependency::Group("net".into())];
        definition.error_control = ErrorControl::Severe;
        let given = settings(&definition);
        assert_eq!(given.dependencies, ["Tcpip", "+net"]);
        assert_eq!((given.start, given.error_control, given.kind), (2, 2, 0x10));
        assert_eq!(given.account, "LocalSystem");
        definition.start = Start::Disabled;
        assert_eq!(settings(&definition).start, 4);
    }

    #[test]
    fn failure_actions_as_windows_takes_them() {
        let mut definition = definition();
        definition.recovery.actions = vec![
            (Action::Restart, Duration::from_secs(1)),
            (Action::Run("notify.exe".into()), Duration::ZERO),
            (Action::Reboot, Duration::from_secs(60)),
        ];
        let actions = failure_actions(&definition);
        assert_eq!(
            words_of(&actions),
            "restart after 1000 ms, run after 0 ms, reboot after 60000 ms; forgotten after 86400 s, command notify.exe"
        );
        definition.recovery.reboot_message = Some("the shop starts the machine again".into());
        definition.recovery.reset = Duration::MAX;
        let actions = failure_actions(&definition);
        assert_eq!(actions.reset_period, ServiceFailureResetPeriod::Never);
        assert!(
            words_of(&actions).ends_with(
                "; never forgotten, command notify.exe, message the shop starts the machine again"
            )
        );
        definition.recovery.reboot_message = None;
        assert_eq!(failure_actions(&definition).reboot_msg, Some(OsString::new()));
        definition.recovery.actions.clear();
        assert_eq!(
            failure_actions(&definition).command,
            Some(OsString::new()),
            "an earlier one is taken away"
        );
        assert_eq!(words_of(&failure_actions(&definition)), "none");
    }

    #[test]
    fn only_what_differs_is_told_and_no_value_of_a_variable() {
        let mut definition = definition();
        let present: BTreeMap<&'static str, String> =
            wanted(&definition, LIST).into_iter().map(|setting| (setting.name, setting.value)).collect();
        assert_eq!(difference(wanted(&definition, LIST), &present), []);
        definition.environment.insert("TOKEN".into(), "secret".into());
        definition.start = Start::Delayed;
        let lines: Vec<String> =
            difference(wanted(&definition, LIST), &present).iter().map(Setting::describe).collect();
        assert_eq!(lines, ["set start to delayed", "set environment to TOKEN"]);
        // What Wine cannot tell is not told as a change each time.
        let mut lacking = present;
        lacking.remove("failure actions");
        definition.environment.clear();
        definition.start = Start::Automatic;
        assert_eq!(difference(wanted(&definition, LIST), &lacking), []);
    }
}
