//! Stops by commands and requests: what fails is told and passed over, what hangs is ended.

mod common;

use common::{Home, is_alive, kill, pid, until};

/// Long waits, and a service that hears nothing: it is down soon only if no failure is waited for.
const STUBBORN: &str = r#"
name = "stubborn"

[service.deaf]
command = [@fixture@, "ignore-signals"]

[service.deaf.stop]
timeout = "10m"
steps = [
  { command = [@fixture@, "exit", "3"], wait = "5m" },
  { http = "http://127.0.0.1:1/quit?token=secret", method = "DELETE", wait = "5m" },
  { command = ["./no-such-program", "--password=secret"], wait = "5m" },
  { command = [@fixture@, "sleep"], wait = "300ms" },
]
"#;

#[test]
fn what_fails_is_told_and_not_waited_for() {
    let home = Home::new();
    home.config(STUBBORN);
    home.ok(&["up", "-d", "--wait"]);
    let process = pid(&home.service("stubborn", "deaf")["pid"]);
    assert_eq!(home.ok(&["stop", "deaf"]), "deaf: stopped\n");
    assert!(!is_alive(process));
    let events = home.ok(&["events"]);
    for words in [
        "failed: exit code 3",
        "DELETE http://127.0.0.1:1/quit failed: connection refused",
        "command ./no-such-program failed: program not found",
        "failed: did not end in 300 ms",
        "kill of the whole tree",
    ] {
        assert!(events.contains(words), "no {words:?} in {events}");
    }
    assert!(!events.contains("secret"), "{events}");
    // It starts and stops again like any other, whatever was left of the commands.
    home.ok(&["start", "deaf"]);
    home.ok(&["down"]);
}

const OBEDIENT: &str = r#"
name = "obedient"

[service.web]
command = [@fixture@, "graceful", "0"]
stop = { timeout = "10m", steps = [{ command = [@fixture@, "cwd"], wait = "5s" }, { ctrl_c = "5m" }] }
"#;

#[test]
fn what_succeeds_is_given_its_time_and_then_the_next_step_follows() {
    let home = Home::new();
    home.config(OBEDIENT);
    home.ok(&["up", "-d", "--wait"]);
    assert_eq!(home.ok(&["stop", "web"]), "web: stopped\n");
    let events = home.ok(&["events"]);
    assert!(events.contains(", within 5 s") && events.contains("ctrl_c, then waits 5 min"), "{events}");
    assert!(events.contains(" succeeded"), "{events}");
    // What the command writes is in the service's log: here a path in quotes.
    until("the command's output", || {
        home.log("obedient", "web").lines().any(|line| line.starts_with('"')).then_some(())
    });
    assert!(!events.contains("failed:") && !events.contains("kill of"), "{events}");
    home.ok(&["down"]);
}

/// It says what it heard.
const BREAKABLE: &str = r#"
name = "breakable"

[service.web]
command = [@fixture@, "graceful", "0"]
stop = { timeout = "10m", steps = [{ ctrl_break = "5m" }] }
"#;

#[test]
fn ctrl_break_ends_a_service_on_windows() {
    if !cfg!(windows) {
        // There it is no step at all.
        return;
    }
    if common::is_wine("ctrl_break_ends_a_service_on_windows", "Wine's consoles do not deliver CTRL_BREAK") {
        return;
    }
    let home = Home::new();
    home.config(BREAKABLE);
    home.ok(&["up", "-d", "--wait"]);
    until("its start", || home.log("breakable", "web").contains("started").then_some(()));
    assert_eq!(home.ok(&["stop", "web"]), "web: stopped\n");
    until("what it heard", || home.log("breakable", "web").contains("stopping CTRL_BREAK").then_some(()));
    let events = home.ok(&["events"]);
    assert!(events.contains("ctrl_break, then waits 5 min") && !events.contains("kill of"), "{events}");
    home.ok(&["down"]);
}

const DRAINED: &str = r#"
name = "calm"

[service.web]
command = [@fixture@, "graceful", "0"]
ready = { exec = [@fixture@, "exit", "0"], interval = "100ms" }
stop = { timeout = "10m", steps = [{ drain = "5m" }, { ctrl_c = "4m" }] }
"#;

/// Whoever sends it requests has time to see that it is ready no more, before anything reaches the program.
#[test]
fn what_is_drained_is_ready_no_more_and_hears_nothing_yet() {
    let home = Home::new();
    home.config(DRAINED);
    home.ok(&["up", "-d", "--wait"]);
    let process = pid(&home.until_state("calm", "web", "ready")["pid"]);
    let mut stop = home.start(&["stop", "web"]);
    until("it is drained", || home.ok(&["events"]).contains("drain").then_some(()));
    assert_eq!(home.service("calm", "web")["state"], "stopping");
    assert!(is_alive(process), "it works on what it has");
    // It is done before its time is up.
    kill(process);
    assert_eq!(stop.until_end(), Some(0));
    assert!(!home.ok(&["events"]).contains("Ctrl+C"), "nothing was sent");
    home.ok(&["down"]);
}
