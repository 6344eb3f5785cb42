//! An installed stack of a test's own.

use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use windows_service::service::{Service, ServiceAccess, ServiceState, ServiceStatus};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use crate::common::{self, DEADLINE, Done, Home, for_up_to, mainstay};

/// Wine takes handles of the SCM that several threads of a process use at once for each other's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The keeper answers a control within this. A second is what is promised; the machine may be busy with others.
pub const ANSWER: Duration = Duration::from_secs(10);

/// An installed stack. Not in a home of its own: Wine does not pass on the environment of a service.
pub struct Stack {
    _alone: MutexGuard<'static, ()>,
    pub name: String,
    pub home: Home,
}

impl Stack {
    pub fn new(what: &str) -> Stack {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let home = Home::new();
        let work = home.work();
        let unique = work.parent().and_then(|dir| dir.file_name()).unwrap_or_default().to_string_lossy();
        let name = format!("test-{what}-{}", unique.rsplit('-').next().unwrap_or_default());
        Stack { _alone: alone, name, home }
    }

    /// Installed from this configuration, in which `@name@` is its name.
    pub fn install(what: &str, config: &str) -> Stack {
        let stack = Stack::new(what);
        stack.configured(config);
        stack.ok(&INSTALL);
        stack
    }

    pub fn configured(&self, config: &str) {
        self.home.config(&format!("name = \"{}\"\n{config}", self.name));
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().expect("mainstay runs").into()
    }

    /// One that runs while the test goes on.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mainstay runs")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(mainstay());
        command
            .args(arguments)
            .current_dir(self.home.work())
            .env_remove("MAINSTAY_HOME")
            .stdin(Stdio::null());
        command
    }

    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "mainstay {arguments:?}: {done:#?}");
        done.stdout
    }

    pub fn start(&self) {
        self.ok(&["start", &self.name]);
    }

    pub fn open(&self) -> Service {
        open(&self.name).expect("it is there")
    }

    pub fn query(&self) -> ServiceStatus {
        self.open().query_status().expect("a status")
    }

    pub fn until(&self, state: ServiceState) -> ServiceStatus {
        until(&self.name, state)
    }

    pub fn control(&self, control: impl FnOnce(&Service) -> windows_service::Result<ServiceStatus>) {
        control_of(&self.name, control);
    }

    /// The name of the entry of one of its services.
    pub fn entry(&self, service: &str) -> String {
        format!("{}@{service}", self.name)
    }

    pub fn stop(&self) {
        self.control(Service::stop);
    }

    pub fn status(&self) -> Option<Value> {
        let done = self.run(&["status", "-s", &self.name, "--json"]);
        let value: Value = serde_json::from_str(&done.stdout).ok()?;
        value["stacks"].get(0).cloned()
    }

    pub fn service(&self, name: &str) -> Option<Value> {
        let stack = self.status()?;
        stack["services"].as_array()?.iter().find(|service| service["name"] == name).cloned()
    }

    pub fn until_service(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        for_up_to(DEADLINE, || {
            last = self.service(name);
            last.clone().filter(|service| is(service))
        })
        .unwrap_or_else(|| panic!("{name} is not {what}, but {last:?}"))
    }

    pub fn pid_of(&self, what: &str) -> u32 {
        common::pid(&self.status().expect("it is up")[what]["pid"])
    }

    pub fn sc(&self, words: &[&str]) -> Done {
        let done = Command::new("sc").args(words).stdin(Stdio::null()).output();
        done.expect("sc runs").into()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.run(&["uninstall", "--purge", &self.name]);
    }
}

pub const INSTALL: [&str; 5] = ["install", "-f", "mainstay.toml", "--start", "manual"];

pub fn manager(access: ServiceManagerAccess) -> ServiceManager {
    ServiceManager::local_computer(None::<&str>, access).expect("the SCM")
}

/// A service, if there is one of that name.
pub fn open(name: &str) -> Option<Service> {
    manager(ServiceManagerAccess::CONNECT).open_service(name, ServiceAccess::ALL_ACCESS).ok()
}

pub fn until(name: &str, state: ServiceState) -> ServiceStatus {
    let service = open(name).expect("it is there");
    let mut last = None;
    for_up_to(DEADLINE, || {
        last = service.query_status().ok();
        last.clone().filter(|status| status.current_state == state)
    })
    .unwrap_or_else(|| panic!("{name} is not {state:?}, but {last:?}"))
}

/// A control, which is answered soon.
pub fn control_of(name: &str, control: impl FnOnce(&Service) -> windows_service::Result<ServiceStatus>) {
    let service = open(name).expect("it is there");
    let asked = Instant::now();
    let answer = control(&service);
    assert!(asked.elapsed() < ANSWER, "answered only after {:?}", asked.elapsed());
    answer.expect("taken");
}
