//! Services of a stack as entries of their own.

use windows_service::service::{
    Service, ServiceAccess, ServiceErrorControl, ServiceExitCode, ServiceInfo, ServiceStartType,
    ServiceState, ServiceType,
};
use windows_service::service_manager::ServiceManagerAccess;

use crate::SLEEPER;
use crate::common::{self, DEADLINE, for_up_to};
use crate::stack::{INSTALL, Stack, control_of, manager, open, until};

/// Two that run, and one that nobody has started.
fn three() -> String {
    let other = SLEEPER.replace("service.a", "service.b");
    let third = SLEEPER.replace("service.a", "service.c");
    format!("{SLEEPER}\n{other}\n{third}start = \"manual\"\n")
}

#[test]
fn each_service_is_seen_and_driven_by_itself() {
    let stack = Stack::new("entries");
    stack.configured(&three());
    let install = [&INSTALL[..], &["--entries"]].concat();
    stack.ok(&install);
    assert!(stack.ok(&install).contains("is installed so already"));
    let (a, b, c) = (stack.entry("a"), stack.entry("b"), stack.entry("c"));
    stack.start();
    until(&a, ServiceState::Running);
    until(&b, ServiceState::Running);
    until(&c, ServiceState::Stopped);
    let is = |name: &str, state: &str| {
        stack.until_service(name, state, |service| service["state"] == state);
    };

    // From services.msc: one of them, and the others go on.
    let other = stack.service("b").expect("it is there")["pid"].clone();
    control_of(&a, Service::stop);
    assert_eq!(until(&a, ServiceState::Stopped).exit_code, ServiceExitCode::NO_ERROR);
    is("a", "stopped");
    assert_eq!(stack.sc(&["start", &a]).code, Some(0));
    until(&a, ServiceState::Running);
    is("a", "running");
    assert_eq!(stack.sc(&["start", &c]).code, Some(0));
    until(&c, ServiceState::Running);
    control_of(&a, Service::pause);
    until(&a, ServiceState::Paused);
    is("a", "paused");
    control_of(&a, Service::resume);
    until(&a, ServiceState::Running);
    is("a", "running");

    // From Mainstay: the entries follow.
    stack.ok(&["stop", "-s", &stack.name, "a"]);
    until(&a, ServiceState::Stopped);
    stack.ok(&["start", "-s", &stack.name, "a"]);
    until(&a, ServiceState::Running);
    common::kill(stack.pid_of("daemon"));
    for_up_to(DEADLINE, || stack.status()).expect("another daemon");
    control_of(&c, Service::stop);
    until(&c, ServiceState::Stopped);
    assert_eq!(stack.service("b").expect("it is there")["pid"], other, "nobody touched it");
    stack.stop();
    stack.until(ServiceState::Stopped);
    until(&a, ServiceState::Stopped);
    until(&b, ServiceState::Stopped);

    // One that is asked for alone brings its stack along.
    assert_eq!(stack.sc(&["start", &c]).code, Some(0));
    until(&c, ServiceState::Running);
    assert_eq!(stack.query().current_state, ServiceState::Running);
    stack.ok(&["uninstall", &stack.name]);
    assert!([&a, &b, &c].iter().all(|entry| open(entry).is_none()), "no entry is left behind");
}

#[test]
fn an_installation_that_cannot_be_ended_leaves_nothing() {
    let stack = Stack::new("undo");
    stack.configured(&three());
    // Windows has no two services that people see under one name; nothing tells that before.
    let taken = ServiceInfo {
        name: format!("{}-taken", stack.name).into(),
        display_name: format!("{}: b", stack.name).into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::OnDemand,
        error_control: ServiceErrorControl::Ignore,
        executable_path: r"C:\windows\system32\notepad.exe".into(),
        launch_arguments: Vec::new(),
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let taken = manager(access).create_service(&taken, ServiceAccess::DELETE).expect("made");
    let done = stack.run(&[&INSTALL[..], &["--entries"]].concat());
    taken.delete().expect("removed");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("is removed again"), "{done:?}");
    for name in [stack.name.clone(), stack.entry("a"), stack.entry("b"), stack.entry("c")] {
        assert!(open(&name).is_none(), "{name} is left behind");
    }
    assert!(stack.ok(&["uninstall", &stack.name]).contains("is not installed"));
}
