//! What services say over `NOTIFY_SOCKET`.

mod common;

use common::{Home, is_linux, until};

const TALKERS: &str = r#"
name = "talkers"

[service.silent]
command = [@fixture@, "talk", "0:STATUS=serving", "0:WATCHDOG=1"]
live = { notify = "1s" }

[service.trigger]
command = [@fixture@, "talk", "0:WATCHDOG=1", "100:WATCHDOG=trigger"]
live = { notify = "1h" }
restart = "never"

[service.slow]
command = [@fixture@, "talk", "0:EXTEND_TIMEOUT_USEC=600000000", "0:MAINPID=1", "6500:READY=1",
           "--at-end", "EXTEND_TIMEOUT_USEC=600000000", "--takes", "6500"]
startup = { notify = "6s", failures = 1 }
stop = { steps = [{ ctrl_c = "6s" }], timeout = "6s" }
restart = "never"
"#;

#[test]
fn watchdog_status_and_time_asked_for() {
    if !is_linux("watchdog_status_and_time_asked_for") {
        return;
    }
    let home = Home::new();
    home.config(TALKERS);
    home.ok(&["up", "-d"]);
    until("its status", || (home.service("talkers", "silent")["says"] == "serving").then_some(()));

    // A word, then silence: ended and started again.
    until("a restart", || home.service("talkers", "silent")["restarts"].as_u64().filter(|count| *count > 0));
    home.until_state("talkers", "trigger", "failed");
    let events = home.ok(&["events"]);
    for words in ["live probe failed: it said nothing for 1 s", "live probe failed: WATCHDOG=trigger"] {
        assert!(events.contains(words), "no {words:?} in {events}");
    }

    // Longer than its start may take, and longer than its stop may take: it asked for that.
    let slow = home.until_state("talkers", "slow", "running");
    assert_eq!(slow["restarts"], 0, "{slow:#}");
    assert!(slow["pid"].as_u64().is_some_and(|pid| pid != 1), "MAINPID counts for nothing: {slow:#}");
    home.ok(&["stop", "slow"]);
    until("its last word", || home.log("talkers", "slow").ends_with("stopped\n").then_some(()));
    let events = home.ok(&["events", "--service", "slow"]);
    assert!(!events.contains("kill of"), "{events}");
    home.ok(&["down"]);
}
