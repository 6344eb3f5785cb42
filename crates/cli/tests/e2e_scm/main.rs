//! Stacks under the real service control manager of Windows.
#![cfg(windows)]

#[path = "../common/mod.rs"]
mod common;
mod controls;
mod entries;
#[path = "../../src/system_log/numbers.rs"]
mod numbers;
mod stack;

use std::process::{Command, Stdio};
use std::time::Instant;

use common::{DEADLINE, Done, fixture, for_up_to, mainstay};
use serde_json::{Value, json};
use stack::{ANSWER, INSTALL, Stack};
use windows_service::service::{Service, ServiceExitCode, ServiceState, UserEventCode};

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
fn the_event_viewer_finds_every_sentence_in_the_program() {
    for kind in numbers::KINDS {
        let text = mainstay_service::log::message_text(&mainstay(), u32::from(kind.number));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", kind.number)).replace("\r\n", "\n");
        assert_eq!(text.trim_end(), kind.text, "{} {:?}", kind.name, kind.weight);
    }
    let stack = Stack::install("source", SLEEPER);
    let key = format!(r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\{}", stack.name);
    let source = || -> Done {
        let reg =
            Command::new("reg").args(["query", &key, "/v", "EventMessageFile"]).stdin(Stdio::null()).output();
        reg.expect("reg runs").into()
    };
    assert!(source().stdout.contains("mainstay.exe"), "{:?}", source());
    let doctor = |words: &[&str]| stack.run(&[&["doctor", "--json", &stack.name], words].concat());
    assert!(!doctor(&[]).stdout.contains("event_source"), "{:?}", doctor(&[]));
    let done = Command::new("reg").args(["delete", &key, "/f"]).stdin(Stdio::null()).status();
    assert!(done.expect("reg runs").success());
    let found = doctor(&[]);
    assert!(found.code == Some(1) && found.stdout.contains("event_source"), "{found:?}");
    assert!(doctor(&["--fix"]).stdout.contains("registered the Event Log source"));
    assert!(source().stdout.contains("mainstay.exe"), "{:?}", source());
    stack.ok(&["uninstall", &stack.name]);
    assert_ne!(source().code, Some(0), "no source is left behind");
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

    let send = |code: u32| stack.ok(&["control", &stack.name, &code.to_string()]);
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
fn a_program_is_told_of_its_new_file_by_a_code() {
    let stack = Stack::new("told");
    // The service that is sent the code is the stack itself, which shows that it has it.
    let config = |text: &str| {
        stack.configured(&format!(
            "[service.a]\ncommand = [@fixture@, \"sleep\"]\n\
             controls = {{ 200 = {{ command = [@fixture@, \"env\", \"MAINSTAY_CONTROL\"] }} }}\n\
             config = {{ on_change = {{ control = 200, service = \"{}\" }}, files = [\n\
             {{ path = \"a.conf\", text = \"{text}\" }}] }}\n",
            stack.name
        ));
    };
    config("one");
    stack.ok(&INSTALL);
    stack.start();
    let before = stack.until_service("a", "running", |a| a["state"] == "running");
    let file = || std::fs::read_to_string(stack.home.file("a.conf")).expect("it is there");
    assert_eq!(file(), "one");
    config("two");
    stack.ok(&["apply", "-s", &stack.name]);
    assert_eq!(file(), "two");
    let logs = || stack.ok(&["logs", "-s", &stack.name, "a"]);
    assert!(for_up_to(DEADLINE, || logs().contains("200").then_some(())).is_some(), "{}", logs());
    assert_eq!(stack.service("a").expect("it is there")["pid"], before["pid"], "its process goes on");
    let events = stack.ok(&["events", "-s", &stack.name]);
    assert!(events.contains(&format!("told by control 200 to {}", stack.name)), "{events}");
    stack.stop();
    stack.until(ServiceState::Stopped);
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

#[test]
fn what_the_scm_knows_is_shown() {
    let stack = Stack::new("facts");
    stack.configured(SLEEPER);
    let options = [
        "--display-name",
        "The facts",
        "--depends-on",
        "RpcSs",
        "--preshutdown-timeout",
        "77s",
        "--on-crash",
        "restart:5s",
        "--crash-reset",
        "1h",
        // Wine's SCM keeps neither; what it does not tell is not shown, and is no change each time.
        "--trigger",
        "network-up",
        "--privilege",
        "SeChangeNotifyPrivilege",
    ];
    let install = [&INSTALL[..], &options].concat();
    let said = stack.ok(&install);
    assert!(said.contains("set triggers to network-up"), "{said}");
    assert!(stack.ok(&install).contains("is installed so already"));
    let facts = || -> Value {
        let said = stack.ok(&["status", "--system", "--json", &stack.name]);
        serde_json::from_str::<Value>(&said).expect("JSON")["services"][0].clone()
    };
    let stopped = facts();
    assert_eq!(stopped["manager"], "SCM");
    assert_eq!(stopped["name"], stack.name.as_str());
    assert_eq!((&stopped["state"], &stopped["process"]), (&"stopped".into(), &Value::Null), "{stopped}");
    for (name, value) in [
        ("display_name", json!("The facts")),
        ("type", json!("own process")),
        ("start", json!("manual")),
        ("error_control", json!("normal")),
        ("dependencies", json!(["RpcSs"])),
        ("preshutdown_timeout_ms", json!(77_000)),
        ("account", json!(format!(r"NT SERVICE\{}", stack.name))),
        ("marked_for_deletion", json!(false)),
        ("accepts", json!([])),
    ] {
        assert_eq!(stopped[name], value, "{name} in {stopped}");
    }
    let text = |name: &str| stopped[name].as_str().unwrap_or_default().to_owned();
    assert!(text("program").contains("keeper --service"), "{stopped}");
    assert!(
        text("sid").starts_with("S-1-5-80-") && text("event_source").ends_with("mainstay.exe"),
        "{stopped}"
    );
    if !common::is_wine(
        "what_the_scm_knows_is_shown, its rights",
        "Wine's SCM keeps none, nor failure actions",
    ) {
        assert!(
            text("failure_actions").starts_with("restart after 5000 ms; forgotten after 3600 s"),
            "{stopped}"
        );
        assert_eq!(stopped["triggers"], json!(["network-up"]), "{stopped}");
        assert_eq!(stopped["privileges"], json!(["SeChangeNotifyPrivilege"]), "{stopped}");
    }
    stack.start();
    let running = facts();
    assert_eq!(running["state"], "running");
    assert_eq!(common::pid(&running["process"]), stack.pid_of("keeper"));
    let accepts = json!([
        "stop",
        "pause and continue",
        "preshutdown",
        "parameter change",
        "power events",
        "session change",
    ]);
    assert_eq!(running["accepts"], accepts);
    let shown = stack.ok(&["status", "--system", &stack.name]);
    assert!(shown.contains("\nstate ") && shown.contains("running") && shown.contains("RpcSs"), "{shown}");
    let done = stack.run(&["control", &stack.name, "127"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    stack.stop();
    stack.until(ServiceState::Stopped);
    let done = stack.run(&["control", &stack.name, "200"]);
    assert_eq!(done.code, Some(1), "it does not run: {done:?}");
    stack.ok(&["uninstall", &stack.name]);
    let done = stack.run(&["status", "--system", "-s", &stack.name]);
    assert_eq!(done.code, Some(3), "{done:?}");
    let done = stack.run(&[&INSTALL[..], &["--trigger", "network"]].concat());
    assert!(done.code == Some(2) && done.stderr.contains("is none of network-up"), "{done:?}");
}
