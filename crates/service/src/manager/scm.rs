//! The service control manager of Windows.

mod facts;
mod faults;
mod holders;
mod logon;
mod make;
mod raw;
mod rights;
mod settings;
mod told;
mod triggers;

use std::path::Path;
use std::time::{Duration, Instant};

use windows_service::service::{Service, ServiceAccess, ServiceExitCode, ServiceStartType, ServiceState};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_sys::Win32::System::Registry::HKEY_LOCAL_MACHINE;
use windows_sys::Win32::System::Services::SERVICE_CONTROL_PARAMCHANGE;

use super::{Done, Error, ErrorKind, Fact, Fault, LogOnRights, NativeState, Scope, Status};
use crate::account;
use crate::definition::Definition;
use crate::{log, registry};
use make::{change, create};
use told::{
    ACCESS_DENIED, ALREADY_RUNNING, INSUFFICIENT_BUFFER, MARKED_FOR_DELETE, NO_SUCH_SERVICE, NOT_ACTIVE,
    code, told, told_io,
};

/// The machine's.
#[derive(Clone, Debug)]
pub(super) struct Native;

/// How often it is looked whether a state has come.
const LOOK: Duration = Duration::from_millis(50);

/// A stop that the service does not take is tried again for so long.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// A deleted service is gone in this time, unless somebody holds it.
const GONE_WITHIN: Duration = Duration::from_secs(3);

fn manager(what: &str, access: ServiceManagerAccess) -> Done<ServiceManager> {
    ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT | access).map_err(told(what))
}

fn open(what: &str, name: &str, access: ServiceAccess) -> Done<Option<Service>> {
    match manager(what, ServiceManagerAccess::empty())?.open_service(name, access) {
        Ok(service) => Ok(Some(service)),
        Err(error) if code(&error) == NO_SUCH_SERVICE => Ok(None),
        Err(error) => Err(told(what)(error)),
    }
}

fn there(what: &str, name: &str, access: ServiceAccess) -> Done<Service> {
    open(what, name, access)?
        .ok_or_else(|| Error::new(ErrorKind::NotInstalled, format!("there is no service {name}")))
}

impl Native {
    pub(super) fn new(scope: Scope) -> Done<Native> {
        match scope {
            Scope::System => Ok(Native),
            Scope::User => Err(Error::new(
                ErrorKind::Failed,
                "Windows has no services of a user; install one for the machine",
            )),
        }
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn name(&self) -> &'static str {
        "SCM"
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn check_rights(&self) -> Done {
        manager("install services", ServiceManagerAccess::CREATE_SERVICE).map(drop)
    }

    pub(super) fn install(&self, definition: &Definition, dry_run: bool) -> Done<Vec<String>> {
        let what = format!("installing the service {}", definition.name);
        let access = ServiceAccess::QUERY_CONFIG | ServiceAccess::QUERY_STATUS | ServiceAccess::READ_CONTROL;
        if let Some(name) = rights::unknown_privilege(definition) {
            return Err(Error::new(ErrorKind::Invalid, format!("Windows has no privilege {name}")));
        }
        let list = rights::wanted_access(definition)
            .map_err(|error| Error::new(ErrorKind::Invalid, format!("{what}: {error}")))?;
        let wanted = settings::wanted(definition, &list);
        let Some(service) = open(&what, &definition.name, access)? else {
            let mut lines = vec![format!("create the service {}", definition.name)];
            lines.extend(wanted.iter().map(settings::Setting::describe));
            if !dry_run {
                create(&what, definition, &list)?;
            }
            return Ok(lines);
        };
        let config = service.query_config().map_err(told(&what))?;
        if !same_program(&config.executable_path, &definition.program) {
            let text = format!(
                "the service {} is there and runs {}; choose another name",
                definition.name,
                config.executable_path.display()
            );
            return Err(Error::new(ErrorKind::Foreign, text));
        }
        let present = settings::present(&definition.name, &service, &config);
        let differs = settings::difference(wanted, &present);
        if !differs.is_empty() && !dry_run {
            change(&what, definition, &config, &list)?;
        }
        let lines = differs
            .iter()
            .map(|setting| format!("{} of the service {}", setting.describe(), definition.name));
        Ok(lines.collect())
    }

    pub(super) fn uninstall(&self, name: &str, wait: Duration, dry_run: bool) -> Done<Vec<String>> {
        let what = format!("removing the service {name}");
        let access = ServiceAccess::QUERY_STATUS;
        if open(&what, name, access)?.is_none() {
            return Ok(Vec::new());
        }
        let lines = vec![
            format!("stop {name}"),
            format!("delete the service {name}"),
            format!("remove the Event Log source {name}"),
        ];
        if dry_run {
            return Ok(lines);
        }
        // The right to delete first: a service that was stopped and cannot be removed helps nobody.
        let service = there(&what, name, access | ServiceAccess::DELETE | ServiceAccess::STOP)?;
        self.stop(name, wait)?;
        logon::take_back(name).map_err(told_io(&what))?;
        match service.delete() {
            Ok(()) => {}
            Err(error) if code(&error) == MARKED_FOR_DELETE => {}
            Err(error) => return Err(told(&what)(error)),
        }
        drop(service);
        log::unregister(name).map_err(|error| {
            Error::new(
                ErrorKind::Failed,
                format!("the service is deleted, its Event Log source is not: {error}"),
            )
        })?;
        let until = Instant::now() + GONE_WITHIN;
        while open(&what, name, access)?.is_some() {
            if Instant::now() > until {
                return Err(Error::new(
                    ErrorKind::Late,
                    format!("{}: {}", told::marked(name), holders::suspects(None)),
                ));
            }
            std::thread::sleep(LOOK);
        }
        Ok(lines)
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn sid_of(&self, account: &str) -> Done<Option<String>> {
        account::sid(account).map(Some).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("the account {account} is not known here: {error}"))
        })
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn let_log_on(&self, name: &str, accounts: &[String], dry_run: bool) -> Done<Vec<String>> {
        let what = format!("granting the right to log on for the service {name}");
        let new = logon::of_programs(name, accounts, dry_run).map_err(told_io(&what))?;
        Ok(new
            .into_iter()
            .map(|account| format!("grant {account} the right to log on as a service"))
            .collect())
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn log_on_rights(&self) -> Done<Option<LogOnRights>> {
        logon::rights().map(Some).map_err(told_io("asking who may log on as a service"))
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn search_path(&self) -> Option<String> {
        let key = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment";
        let path = registry::open(HKEY_LOCAL_MACHINE, key).ok()?.text("Path")?;
        Some(expanded(&path, |name| std::env::var(name).ok()))
    }

    #[expect(clippy::unused_self, reason = "other managers have to know whose")]
    pub(super) fn faults(&self, name: &str) -> Vec<Fault> {
        faults::of(name)
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn facts(&self, name: &str) -> Done<Vec<Fact>> {
        facts::of(name)
    }

    pub(super) fn start(&self, name: &str, arguments: &[&str], wait: Duration) -> Done {
        let what = format!("starting the service {name}");
        let service = there(&what, name, ServiceAccess::START | ServiceAccess::QUERY_STATUS)?;
        match service.start(arguments) {
            Ok(()) => {}
            Err(error) if code(&error) == ALREADY_RUNNING => {}
            Err(error) => return Err(told(&what)(error)),
        }
        wait_for(&service, name, wait, &[ServiceState::Running, ServiceState::Paused])
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn control(&self, name: &str, code: u32) -> Done {
        let what = format!("control {code} of the service {name}");
        let access = match code {
            SERVICE_CONTROL_PARAMCHANGE => ServiceAccess::PAUSE_CONTINUE,
            _ => ServiceAccess::USER_DEFINED_CONTROL,
        };
        raw::control(&there(&what, name, access)?, code).map_err(told_io(&what))
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn stop(&self, name: &str, wait: Duration) -> Done {
        let what = format!("stopping the service {name}");
        let service = there(&what, name, ServiceAccess::STOP | ServiceAccess::QUERY_STATUS)?;
        let until = Instant::now() + wait;
        let asked = Instant::now() + wait.min(TAKEN_WITHIN);
        loop {
            match service.stop() {
                Ok(_) => break,
                Err(error) if code(&error) == NOT_ACTIVE => return Ok(()),
                Err(error) if code(&error) == ACCESS_DENIED => return Err(told(&what)(error)),
                // It starts, or has just died: a moment later it takes it, or the SCM knows.
                Err(error) => {
                    let state = service.query_status().map_err(told(&what))?.current_state;
                    if matches!(state, ServiceState::StopPending | ServiceState::Stopped) {
                        break;
                    }
                    if Instant::now() > asked {
                        return Err(told(&what)(error));
                    }
                    std::thread::sleep(LOOK);
                }
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        wait_for(&service, name, left, &[ServiceState::Stopped])
    }

    #[expect(clippy::unused_self, reason = "there are two on Unix")]
    pub(super) fn status(&self, name: &str) -> Done<Status> {
        let what = format!("asking for the service {name}");
        let access = ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
        let Some(service) = open(&what, name, access)? else {
            return Ok(Status { state: NativeState::NotInstalled, pid: None, code: None, at_boot: None });
        };
        let status = service.query_status().map_err(told(&what))?;
        let start = match service.query_config() {
            Ok(config) => Some(config.start_type),
            Err(error) if code(&error) == INSUFFICIENT_BUFFER => None,
            Err(error) => return Err(told(&what)(error)),
        };
        Ok(Status {
            state: match status.current_state {
                ServiceState::Stopped => NativeState::Stopped,
                ServiceState::StartPending => NativeState::Starting,
                ServiceState::Running => NativeState::Running,
                ServiceState::StopPending => NativeState::Stopping,
                ServiceState::PausePending | ServiceState::Paused | ServiceState::ContinuePending => {
                    NativeState::Paused
                }
            },
            pid: status.process_id.filter(|pid| *pid != 0),
            code: exit_of(status.exit_code),
            at_boot: start.map(|start| start == ServiceStartType::AutoStart),
        })
    }
}

/// A text with `%NAME%` replaced by what that variable is; one that is not there stays.
fn expanded(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some(start) = rest.find('%') {
        expanded += &rest[..start];
        rest = &rest[start + 1..];
        let name = rest.find('%').map(|end| &rest[..end]);
        match name.and_then(|name| Some((name.len(), variable(name)?))) {
            Some((length, value)) => {
                expanded += &value;
                rest = &rest[length + 1..];
            }
            None => expanded.push('%'),
        }
    }
    expanded + rest
}

/// The service's own code where it has told one.
fn exit_of(code: ServiceExitCode) -> Option<u32> {
    match code {
        // "Never started since boot".
        ServiceExitCode::Win32(1077) => None,
        ServiceExitCode::Win32(code) | ServiceExitCode::ServiceSpecific(code) => Some(code),
    }
}

/// Whether a command line of the SCM is of this program: our own version elsewhere is ours, too.
fn same_program(command_line: &Path, program: &Path) -> bool {
    let text = command_line.to_string_lossy().to_lowercase();
    let Some(name) = program.file_name().map(|name| name.to_string_lossy().to_lowercase()) else {
        return false;
    };
    // The program ends with its closing quote, or with the first space after its name.
    text.split(['\\', '/', '"', ' ']).any(|part| part == name)
}

fn wait_for(service: &Service, name: &str, wait: Duration, wanted: &[ServiceState]) -> Done {
    let until = Instant::now() + wait;
    let what = format!("waiting for the service {name}");
    loop {
        let status = service.query_status().map_err(told(&what))?;
        if wanted.contains(&status.current_state) {
            return Ok(());
        }
        if status.current_state == ServiceState::Stopped {
            let code = exit_of(status.exit_code).unwrap_or(0);
            let text = format!("the service {name} ended with code {code}; the Event Log may say why");
            return Err(Error::new(ErrorKind::Failed, text));
        }
        if Instant::now() > until {
            let text = format!(
                "the service {name} is {:?} after {} s; it goes on",
                status.current_state,
                wait.as_secs()
            );
            return Err(Error::new(ErrorKind::Late, text));
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_a_path_are_replaced() {
        let root = |name: &str| (name == "SystemRoot").then(|| r"C:\Windows".to_owned());
        let path = r"%SystemRoot%\system32;C:\100%;%Nothing%\bin;%SystemRoot%";
        assert_eq!(expanded(path, root), r"C:\Windows\system32;C:\100%;%Nothing%\bin;C:\Windows");
        assert_eq!(expanded("", root), "");
        let own = Native::new(Scope::System).expect("the machine's").search_path();
        assert!(own.is_some_and(|path| path.to_lowercase().contains("system32")));
    }

    #[test]
    fn our_own_program_is_known_wherever_it_lies() {
        let program = Path::new(r"C:\Program Files\Mainstay\mainstay.exe");
        for line in [
            r#""C:\old place\mainstay.exe" keeper --service"#,
            r"C:\mainstay.exe keeper",
            r"c:\bin\MAINSTAY.EXE",
        ] {
            assert!(same_program(Path::new(line), program), "{line}");
        }
        assert!(!same_program(Path::new(r"C:\Windows\System32\spoolsv.exe"), program));
    }
}
