//! Services on the desktop of who is signed in.
#![cfg(windows)]

mod common;

use common::{Home, is_alive, kill, pid, until};

const DESK: &str = r#"
name = "desk"

[service.asks]
command = [@fixture@, "env", "SESSIONNAME", "USERNAME"]
restart = "never"
session = "active"
hooks.after_exit = [@fixture@, "env", "MAINSTAY_HOOK", "SESSIONNAME"]

[service.stays]
command = [@fixture@, "sleep"]
session = "prefer_active"
"#;

#[test]
fn it_runs_in_the_session_of_who_is_signed_in_also_under_the_next_daemon() {
    // Wine has one session, somebody is signed in there, and it asks for no privilege.
    if std::env::var_os("WINEPREFIX").is_none() {
        println!("skipped on Windows: only LocalSystem may make processes in other sessions");
        return;
    }
    let home = Home::new();
    home.config(DESK);
    home.ok(&["up", "-d"]);
    home.until_state("desk", "asks", "completed");
    let log = until("the hook", || {
        let log = home.log("desk", "asks");
        (log.matches(r#"["SESSIONNAME","Console"]"#).count() == 2).then_some(log)
    });
    assert!(log.contains(r#"["USERNAME",""#) && !log.contains(r#"["USERNAME",null]"#), "{log}");
    home.until_state("desk", "stays", "running");
    let process = pid(&home.service("desk", "stays")["pid"]);
    let daemon = |home: &Home| pid(&home.stack("desk").expect("up")["daemon"]["pid"]);
    let first = daemon(&home);
    kill(first);
    until("another daemon", || home.stack("desk").filter(|stack| pid(&stack["daemon"]["pid"]) != first));
    let now = home.service("desk", "stays");
    assert_eq!((now["state"].as_str(), pid(&now["pid"])), (Some("running"), process), "nobody has moved it");
    home.ok(&["down"]);
    assert!(!is_alive(process));
}
