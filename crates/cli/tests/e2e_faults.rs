//! What survives what: the daemon killed, the keeper killed, the daemon replaced.

mod common;

use common::{Home, is_alive, kill, pid, until};
use serde_json::Value;

const PAIR: &str = r#"
name = "pair"

[service.numbers]
command = [@fixture@, "lines", "--rate", "200"]

[service.calm]
command = [@fixture@, "graceful", "0"]
"#;

fn pids(stack: &Value) -> Vec<u32> {
    stack["services"].as_array().expect("services").iter().map(|service| pid(&service["pid"])).collect()
}

/// Every number from 1 on, each once.
fn assert_whole(log: &str) {
    for (nth, line) in log.lines().enumerate() {
        assert_eq!(line, format!("line {:012}", nth + 1));
    }
}

#[test]
fn killing_the_daemon_changes_nothing() {
    let home = Home::new();
    home.config(PAIR);
    home.ok(&["up", "-d", "--wait"]);
    let before = home.stack("pair").expect("up");
    let mut daemon = pid(&before["daemon"]["pid"]);
    for round in 1..=3 {
        kill(daemon);
        let after = until("another daemon", || {
            let stack = home.stack("pair")?;
            (pid(&stack["daemon"]["pid"]) != daemon).then_some(stack)
        });
        daemon = pid(&after["daemon"]["pid"]);
        assert_eq!(after["daemons_before"], round);
        assert_eq!(pids(&after), pids(&before));
        assert_eq!(after["services"][0]["restarts"], 0);
    }
    let lines = home.log("pair", "numbers").lines().count();
    until("more lines", || (home.log("pair", "numbers").lines().count() > lines + 100).then_some(()));
    let table = home.ok(&["status"]);
    assert!(table.contains("daemon replaced 3 times"), "{table}");
    home.ok(&["down"]);
    assert_whole(&home.log("pair", "numbers"));
}

#[test]
fn an_exit_without_a_daemon_is_not_missed() {
    let home = Home::new();
    home.config(PAIR);
    home.ok(&["up", "-d", "--wait"]);
    let before = home.stack("pair").expect("up");
    let calm = pid(&home.service("pair", "calm")["pid"]);
    kill(pid(&before["daemon"]["pid"]));
    kill(calm);
    let after = until("the restart", || {
        let service = home.stack("pair")?["services"][0].clone();
        (service["pid"].is_u64() && pid(&service["pid"]) != calm).then_some(service)
    });
    assert_eq!(after["name"], "calm");
    assert_eq!(after["restarts"], 1);
}

#[test]
fn killing_the_keeper_leaves_nothing_behind() {
    let home = Home::new();
    home.config(&PAIR.replace("\"graceful\", \"0\"", "\"tree\", \"--depth\", \"2\", \"--width\", \"2\""));
    home.ok(&["up", "-d", "--wait"]);
    let stack = home.stack("pair").expect("up");
    let services = pids(&stack);
    kill(pid(&stack["keeper"]["pid"]));
    until("the end of all", || services.iter().all(|pid| !is_alive(*pid)).then_some(()));
    home.ok(&["up", "-d", "--wait"]);
    let again = home.stack("pair").expect("up again");
    assert!(pids(&again).iter().all(|pid| !services.contains(pid) && is_alive(*pid)));
}

#[test]
fn killing_keeper_and_daemon_at_once_leaves_nothing_behind() {
    let home = Home::new();
    home.config(PAIR);
    home.ok(&["up", "-d", "--wait"]);
    let stack = home.stack("pair").expect("up");
    let services = pids(&stack);
    kill(pid(&stack["daemon"]["pid"]));
    kill(pid(&stack["keeper"]["pid"]));
    home.ok(&["up", "-d", "--wait"]);
    until("the end of the old ones", || services.iter().all(|pid| !is_alive(*pid)).then_some(()));
    let again = home.stack("pair").expect("up again");
    assert_eq!(pids(&again).len(), 2);
    assert!(pids(&again).iter().all(|pid| is_alive(*pid)));
}

#[test]
fn an_upgrade_swaps_the_daemon_only() {
    let home = Home::new();
    home.config(PAIR);
    home.ok(&["up", "-d", "--wait"]);
    let before = home.stack("pair").expect("up");
    let said = home.ok(&["upgrade"]);
    let after = home.stack("pair").expect("up");
    assert_ne!(after["daemon"]["pid"], before["daemon"]["pid"], "{said}");
    assert_eq!(after["keeper"]["pid"], before["keeper"]["pid"]);
    assert_eq!(pids(&after), pids(&before));
    // A program that is no daemon is given up, and the old one comes back.
    let fixture = common::fixture().display().to_string();
    let complaint = home.fails(1, &["upgrade", &fixture]);
    assert!(complaint.contains("did not come up"), "{complaint}");
    let last = home.stack("pair").expect("up");
    assert_eq!(pids(&last), pids(&before));
    let complaint = home.fails(2, &["upgrade", "no-such-file"]);
    assert!(complaint.contains("there is no program"), "{complaint}");
}

#[test]
fn a_recording_can_be_replayed() {
    let home = Home::new();
    home.config(PAIR);
    home.ok(&["up", "-d", "--wait"]);
    assert!(home.ok(&["debug", "record", "on"]).starts_with("recording to "));
    home.ok(&["restart", "calm"]);
    home.ok(&["stop", "numbers"]);
    let recording: Value =
        serde_json::from_str(&home.ok(&["debug", "record", "off", "--json"])).expect("JSON");
    let file = recording["file"].as_str().expect("a file");
    let story = home.ok(&["debug", "replay", file]);
    assert!(story.contains("calm  restart asked by"), "{story}");
    assert!(story.contains("numbers  stopping -> stopped"), "{story}");
}

#[test]
fn up_in_the_foreground_outlives_daemons_and_tells_of_a_lost_keeper() {
    let home = Home::new();
    home.config(PAIR);
    let mut up = home.start(&["up"]);
    up.until_seen("numbers | line 000000000010\n");
    let stack = home.stack("pair").expect("up");
    kill(pid(&stack["daemon"]["pid"]));
    until("another daemon", || (home.stack("pair")?["daemons_before"] == 1).then_some(()));
    home.ok(&["restart", "calm"]);
    up.until_seen("calm    | stopping");
    // Seen although the daemon that told the first events is gone.
    up.until_seen("calm    * stopping\n");
    kill(pid(&stack["keeper"]["pid"]));
    assert_eq!(up.until_end(), Some(1), "{}", up.complained());
    assert!(up.complained().contains("the keeper of stack pair, process"), "{}", up.complained());
    assert!(up.complained().contains("was killed"), "{}", up.complained());
}
