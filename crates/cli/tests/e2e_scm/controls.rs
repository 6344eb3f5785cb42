//! Controls while the daemon cannot hear, and those that are more than a stop.

use mainstay_sys::process::{identity, resume, suspend};
use windows_service::service::{Service, ServiceExitCode, ServiceState, UserEventCode};

use crate::SLEEPER;
use crate::common::{self, DEADLINE, for_up_to};
use crate::stack::Stack;

#[test]
fn controls_are_answered_while_the_daemon_hangs_and_is_upgraded() {
    let stack = Stack::install("hangs", SLEEPER);
    stack.start();
    let service = common::pid(&stack.until_service("a", "running", |a| a["state"] == "running")["pid"]);
    let custom = |code| {
        stack.control(|service| service.notify(UserEventCode::from_raw(code).expect("a code")));
    };
    let hung = stack.pid_of("daemon");
    let id = identity(hung).expect("it lives");
    suspend(&id).expect("suspended");
    stack.control(Service::query_status);
    custom(150);
    stack.control(Service::pause);
    // Another daemon does what this one did not hear of.
    stack.until(ServiceState::Paused);
    let _ = resume(&id);
    stack.control(Service::resume);
    stack.until(ServiceState::Running);
    let daemon = for_up_to(DEADLINE, || stack.status().map(|now| common::pid(&now["daemon"]["pid"])));
    assert_ne!(daemon, Some(hung), "one that hung is replaced");

    let upgrading = stack.spawn(&["upgrade", "-s", &stack.name]);
    custom(151);
    stack.control(Service::query_status);
    let upgraded = upgrading.wait_with_output().expect("it ends");
    assert!(upgraded.status.success(), "{upgraded:?}");
    assert_eq!(stack.service("a").map(|a| common::pid(&a["pid"])), Some(service), "nothing was restarted");

    suspend(&identity(stack.pid_of("daemon")).expect("it lives")).expect("suspended");
    stack.stop();
    assert_eq!(stack.until(ServiceState::Stopped).exit_code, ServiceExitCode::NO_ERROR);
    assert!(!common::is_alive(service), "no service outlives its stack");
}

#[test]
fn a_parameter_change_takes_the_configuration_anew() {
    let stack = Stack::install("params", SLEEPER);
    stack.start();
    let before = stack.until_service("a", "running", |a| a["state"] == "running");
    stack.configured(&format!("{SLEEPER}\n[service.b]\ncommand = [@fixture@, \"graceful\", \"0\"]\n"));
    let change = || stack.ok(&["control", &stack.name, "paramchange"]);
    change();
    stack.until_service("b", "running", |b| b["state"] == "running");
    assert_eq!(stack.service("a").expect("it is there")["pid"], before["pid"], "what is the same goes on");
    // A wrong one changes nothing, and is told.
    stack.configured("[service.a]\ncommand = 7\n");
    change();
    let told = || stack.ok(&["events", "-s", &stack.name]).contains("refused").then_some(());
    assert!(for_up_to(DEADLINE, told).is_some(), "{}", stack.ok(&["events", "-s", &stack.name]));
    assert_eq!(stack.service("b").expect("it is there")["state"], "running");
}
