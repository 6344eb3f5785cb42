//! Stacks under the real service control manager of Windows.
#![cfg(windows)]

mod common;

use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{DEADLINE, Done, Home, fixture, for_up_to, mainstay};
use serde_json::Value;
use windows_service::service::{
    Service, ServiceAccess, ServiceExitCode, ServiceState, ServiceStatus, UserEventCode,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

/// Wine takes handles of the SCM that several threads of a process use at once for each other's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The keeper answers a control within this. A second is what is promised; the machine may be busy with others.
const ANSWER: Duration = Duration::from_secs(10);

/// An installed stack. Not in a home of its own: Wine does not pass on the environment of a service.
struct Stack {
    _alone: MutexGuard<'static, ()>,
    name: String,
    home: Home,
}

impl Stack {
    fn new(what: &str) -> Stack {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let home = Home::new();
        let work = home.work();
        let unique = work.parent().and_then(|dir| dir.file_name()).unwrap_or_default().to_string_lossy();
        let name = format!("test-{what}-{}", unique.rsplit('-').next().unwrap_or_default());
        Stack { _alone: alone, name, home }
    }

    /// Installed from this configuration, in which `@name@` is its name.
    fn install(what: &str, config: &str) -> Stack {
        let stack = Stack::new(what);
        stack.home.config(&format!("name = \"{}\"\n{config}", stack.name));
        stack.ok(&["install", "-f", "mainstay.toml", "--start", "manual"]);
        stack
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new(mainstay());
        command
            .args(arguments)
            .current_dir(self.home.work())
            .env_remove("MAINSTAY_HOME")
            .stdin(Stdio::null());
        command.output().expect("mainstay runs").into()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "mainstay {arguments:?}: {done:#?}");
        done.stdout
    }

    fn start(&self) {
        self.ok(&["start", &self.name]);
    }

    fn open(&self) -> Service {
        ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)
            .and_then(|manager| manager.open_service(&self.name, ServiceAccess::ALL_ACCESS))
            .expect("it is there")
    }

    fn query(&self) -> ServiceStatus {
        self.open().query_status().expect("a status")
    }

    fn until(&self, state: ServiceState) -> ServiceStatus {
        let mut last = None;
        for_up_to(DEADLINE, || {
            last = Some(self.query());
            last.clone().filter(|status| status.current_state == state)
        })
        .unwrap_or_else(|| panic!("not {state:?}, but {last:?}"))
    }

    /// A control, which is answered soon.
    fn control(&self, control: impl FnOnce(&Service) -> windows_service::Result<ServiceStatus>) {
        let service = self.open();
        let asked = Instant::now();
        let answer = control(&service);
        assert!(asked.elapsed() < ANSWER, "answered only after {:?}", asked.elapsed());
        answer.expect("taken");
    }

    fn stop(&self) {
        self.control(Service::stop);
    }

    fn status(&self) -> Option<Value> {
        let done = self.run(&["status", "-s", &self.name, "--json"]);
        let value: Value = serde_json::from_str(&done.stdout).ok()?;
        value["stacks"].get(0).cloned()
    }

    fn service(&self, name: &str) -> Option<Value> {
        let stack = self.status()?;
        stack["services"].as_array()?.iter().find(|service| service["name"] == name).cloned()
    }

    fn until_service(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        for_up_to(DEADLINE, || {
            last = self.service(name);
            last.clone().filter(|service| is(service))
        })
        .unwrap_or_else(|| panic!("{name} is not {what}, but {last:?}"))
    }

    fn pid_of(&self, what: &str) -> u32 {
        common::pid(&self.status().expect("it is up")[what]["pid"])
    }

    fn sc(&self, words: &[&str]) -> Done {
        let done = Command::new("sc").args(words).stdin(Stdio::null()).output();
        done.expect("sc runs").into()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.run(&["uninstall", "--purge", &self.name]);
    }
}

const SLEEPER: &str = "[service.a]\ncommand = [@fixture@, \"graceful\", \"0\"]\n";

/// Deaf to Ctrl+C, so that its stop takes its time.
const DEAF: &str = "[service.a]\ncommand = [@fixture@, \"ignore-signals\"]\n\
    stop = { steps = [{ ctrl_c = \"4s\" }, { kill = \"2s\" }], timeout = \"10s\" }\n";

#[test]
fn an_installed_program_is_started_stopped_and_removed() {
    let stack = Stack::new("api");
    let name = stack.name.as_str();
    let fixture = fixture();
    let program = fixture.to_str().expect("text");
    let install =
        ["install", "--error-control", "ignore", "--depends-on", "RpcSs", "--depends-on", "+net", "--start"];
    let install = |start, dry: &[&str]| {
        stack.ok(&[&install[..], &[start], dry, &[name, program, "web", "--port", "0"]].concat())
    };
    let would = install("delayed", &["--dry-run"]);
    assert!(
        would.contains("would create the service") && would.contains("set dependencies to RpcSs, +net"),
        "{would}"
    );
    assert!(stack.ok(&["uninstall", "--dry-run", name]).contains("is not installed"), "nothing was done");
    let said = install("delayed", &[]);
    assert_eq!(said, would.replace("would ", ""), "exactly what was said before");
    let config = stack.open().query_config().expect("a configuration");
    assert!(config.executable_path.to_string_lossy().starts_with('"'), "{config:?}");
    assert!(install("delayed", &[]).contains("is installed so already"));
    let said = install("manual", &[]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("set start to manual"), "{said}");

    assert_eq!(stack.query().current_state, ServiceState::Stopped);
    stack.start();
    stack.start();
    let pid = common::pid(&stack.until_service(name, "running", |api| api["state"] == "running")["pid"]);
    let said = stack.ok(&["uninstall", name]);
    assert!(said.contains("delete the service"), "{said}");
    assert!(!common::is_alive(pid), "no service outlives its stack");
    assert!(stack.ok(&["uninstall", name]).contains("is not installed"));
}

#[test]
fn pause_continue_and_codes_reach_the_services() {
    let stack = Stack::install(
        "codes",
        "[service.a]\ncommand = [@fixture@, \"lines\", \"--rate\", \"20\"]\n\
         log = { compress = \"none\" }\n\
         controls = { 128 = \"rotate\", 129 = { signal = \"kill\" }, 130 = { command = [@fixture@, \"env\", \"MAINSTAY_CONTROL\"] } }\n",
    );
    stack.start();
    let before = stack.until_service("a", "running", |a| a["state"] == "running");
    stack.control(Service::pause);
    stack.until(ServiceState::Paused);
    assert_eq!(stack.service("a").expect("it is there")["state"], "paused");
    stack.control(Service::resume);
    stack.until(ServiceState::Running);
    assert_eq!(stack.service("a").expect("it is there")["state"], "running");
    // Paused by its own command, and seen so.
    stack.ok(&["pause", "-s", &stack.name, "a"]);
    stack.until(ServiceState::Paused);
    stack.ok(&["continue", "-s", &stack.name, "a"]);
    stack.until(ServiceState::Running);

    let send = |code| stack.control(|service| service.notify(UserEventCode::from_raw(code).expect("a code")));
    send(130);
    let logs = || stack.ok(&["logs", "-s", &stack.name, "a"]);
    assert!(
        for_up_to(DEADLINE, || logs().contains("130").then_some(())).is_some(),
        "the command ran: {}",
        logs()
    );
    send(129);
    let after =
        stack.until_service("a", "restarted", |a| a["pid"] != before["pid"] && a["state"] == "running");
    assert_eq!(after["restarts"], 1);
    send(128);
    let logs = mainstay_sys::dirs::stack(&stack.name).expect("directories").log;
    let closed = || logs.join("a.log.000001").exists().then_some(());
    assert!(for_up_to(DEADLINE, closed).is_some(), "the log goes on in a new file");
    // What means nothing changes nothing.
    send(200);
    assert_eq!(stack.query().current_state, ServiceState::Running);
    stack.stop();
    assert_eq!(stack.until(ServiceState::Stopped).exit_code, ServiceExitCode::NO_ERROR);
}

#[test]
fn a_stubborn_stop_shows_signs_of_life_whatever_happens_to_the_daemon() {
    let stack = Stack::install("stubborn", DEAF);
    stack.start();
    let pid = common::pid(&stack.until_service("a", "running", |a| a["state"] == "running")["pid"]);
    let daemon = stack.pid_of("daemon");
    stack.stop();
    let first = stack.until(ServiceState::StopPending);
    // A second stop at the same time is answered, whatever it is told.
    let asked = Instant::now();
    let _ = stack.open().stop();
    assert!(asked.elapsed() < ANSWER);
    common::kill(daemon);
    let later = for_up_to(DEADLINE, || {
        let next = stack.query();
        (next.current_state != ServiceState::StopPending || next.checkpoint > first.checkpoint + 1)
            .then_some(next)
    })
    .expect("its checkpoint rises");
    if later.current_state == ServiceState::StopPending {
        assert!(later.wait_hint > first.wait_hint, "{later:?} after {first:?}");
    }
    assert_eq!(stack.until(ServiceState::Stopped).exit_code, ServiceExitCode::NO_ERROR);
    assert!(!common::is_alive(pid), "no service outlives its stack");
}

#[test]
fn controls_are_answered_while_the_daemon_is_dead_again_and_again() {
    let stack = Stack::install("dead", SLEEPER);
    stack.start();
    for _ in 0..3 {
        let daemon = stack.pid_of("daemon");
        common::kill(daemon);
        stack.control(Service::query_status);
        stack.control(|service| service.notify(UserEventCode::from_raw(150).expect("a code")));
        for_up_to(DEADLINE, || stack.status().filter(|now| common::pid(&now["daemon"]["pid"]) != daemon))
            .expect("another daemon");
    }
    assert_eq!(stack.query().current_state, ServiceState::Running);
    common::kill(stack.pid_of("daemon"));
    stack.stop();
    stack.until(ServiceState::Stopped);
}

#[test]
fn a_start_that_is_never_ready_can_be_stopped() {
    let stack = Stack::install(
        "slow",
        "[service.a]\ncommand = [@fixture@, \"graceful\", \"0\"]\nready = { tcp = \"127.0.0.1:1\", interval = \"200ms\" }\n",
    );
    let done = stack.run(&["start", "--timeout", "3s", &stack.name]);
    assert_eq!(done.code, Some(5), "{done:?}");
    let first = stack.query();
    assert_eq!(first.current_state, ServiceState::StartPending, "{first:?}");
    let rises = for_up_to(DEADLINE, || {
        let next = stack.query();
        (next.checkpoint > first.checkpoint && next.wait_hint > first.wait_hint).then_some(())
    });
    assert!(rises.is_some(), "its checkpoint stands still");
    stack.stop();
    assert_eq!(stack.until(ServiceState::Stopped).exit_code, ServiceExitCode::NO_ERROR);
}

#[test]
fn a_stack_that_fails_says_so_at_its_start_and_later() {
    let stack = Stack::install(
        "fails",
        // With a probe, or it might count as up for the moment that it runs.
        "[service.a]\ncommand = [@fixture@, \"exit\", \"78\"]\nrestart = { on_exit = { 78 = \"fail\" } }\n\
         ready = { tcp = \"127.0.0.1:1\" }\n",
    );
    let done = stack.run(&["start", &stack.name]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("code 6"), "{done:?}");
    assert_eq!(stack.query().exit_code, ServiceExitCode::ServiceSpecific(6));

    stack.home.config(&format!(
        "name = \"{}\"\n[service.a]\ncommand = [@fixture@, \"exit\", \"0\", \"--after\", \"3000\"]\nrestart = \"never\"\n",
        stack.name
    ));
    stack.start();
    assert_eq!(
        stack.until(ServiceState::Stopped).exit_code,
        ServiceExitCode::NO_ERROR,
        "it has run to its end"
    );

    // A service that crashes again and again is no failed stack.
    stack
        .home
        .config(&format!("name = \"{}\"\n[service.a]\ncommand = [@fixture@, \"exit\", \"3\"]\n", stack.name));
    stack.start();
    stack.until_service("a", "restarted", |a| a["restarts"].as_u64() >= Some(2));
    assert_eq!(stack.query().current_state, ServiceState::Running, "neither stopped nor paused");
    stack.stop();
    stack.until(ServiceState::Stopped);
}

#[test]
fn a_keeper_that_is_killed_leaves_nothing_twice() {
    let stack = Stack::install("killed", SLEEPER);
    stack.start();
    let pid = common::pid(&stack.until_service("a", "running", |a| a["state"] == "running")["pid"]);
    common::kill(stack.pid_of("keeper"));
    let status = stack.until(ServiceState::Stopped);
    assert_eq!(status.exit_code, ServiceExitCode::Win32(1067), "ERROR_PROCESS_ABORTED");
    assert!(
        for_up_to(DEADLINE, || (!common::is_alive(pid)).then_some(())).is_some(),
        "its services end with it"
    );
    stack.start();
    let next = common::pid(&stack.until_service("a", "running", |a| a["state"] == "running")["pid"]);
    assert_ne!(next, pid);
    stack.stop();
    stack.until(ServiceState::Stopped);
}

#[test]
fn sc_and_net_drive_a_stack() {
    let stack = Stack::install("tools", SLEEPER);
    let net = |verb: &str| -> Done {
        Command::new("net").args([verb, &stack.name]).stdin(Stdio::null()).output().expect("net runs").into()
    };
    let done = net("start");
    assert_eq!(done.code, Some(0), "{done:?}");
    stack.until(ServiceState::Running);
    let done = net("stop");
    assert_eq!(done.code, Some(0), "{done:?}");
    stack.until(ServiceState::Stopped);
    assert_eq!(stack.sc(&["start", &stack.name]).code, Some(0));
    stack.until(ServiceState::Running);
    assert_eq!(stack.sc(&["stop", &stack.name]).code, Some(0));
    stack.until(ServiceState::Stopped);
}

#[test]
fn a_configuration_that_is_wrong_or_gone_says_so() {
    let stack = Stack::install("wrong", SLEEPER);
    std::fs::remove_file(stack.home.file("mainstay.toml")).expect("it was there");
    let done = stack.run(&["start", &stack.name]);
    assert_eq!(done.code, Some(1), "its configuration is gone, and it never ran: {done:?}");
    assert!(done.stderr.contains("code 2"), "{done:?}");
    assert_eq!(stack.query().exit_code, ServiceExitCode::ServiceSpecific(2));
}
