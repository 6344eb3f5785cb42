//! Stacks from up to down, with real processes: what everybody does every day.

mod common;

use common::{Home, for_up_to, is_linux, pid, signal, until};
use std::time::Duration;

const SHOP: &str = r#"
name = "shop"

[service.web]
command = [@fixture@, "web", "--port", "0"]

[service.lines]
command = [@fixture@, "lines", "--count", "3"]
depends_on = { web = "started" }

[service.later]
command = [@fixture@, "graceful", "0"]
start = "manual"
"#;

#[test]
fn up_detached_status_logs_down() {
    let home = Home::new();
    home.config(SHOP);
    let said = home.ok(&["up", "-d", "--wait"]);
    assert!(said.starts_with("shop: up with 3 services, keeper "), "{said}");

    let table = home.ok(&["status"]);
    let mut lines = table.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("shop: up ")), "{table}");
    assert_eq!(
        lines.next().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).as_deref(),
        Some("NAME STATE PID UPTIME RESTARTS")
    );
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(rows, [["later", "stopped"], ["lines", "running"], ["web", "running"]], "{table}");

    until("the lines", || (home.log("shop", "lines").lines().count() == 3).then_some(()));
    assert_eq!(home.log("shop", "lines"), "line 000000000001\nline 000000000002\nline 000000000003\n");
    assert_eq!(home.ok(&["logs", "-n", "1", "lines"]), "line 000000000003\n");
    let both = home.ok(&["logs", "lines", "web"]);
    assert!(both.contains("lines | line 000000000001\nlines | line 000000000002\n"), "{both}");
    assert!(both.contains("web   | listening on 127.0.0.1:"), "{both}");

    assert_eq!(home.ok(&["down"]), "shop: down\n");
    assert!(home.stack("shop").is_none());
    let complaint = home.fails(3, &["status", "-s", "shop"]);
    assert!(complaint.contains("stack shop is not up"), "{complaint}");
    // What was written stays.
    assert!(home.log("shop", "lines").ends_with("line 000000000003\n"));
}

#[test]
fn start_stop_restart_pause_continue() {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d", "--wait"]);

    let said = home.ok(&["start", "later"]);
    assert!(said.starts_with("later: running, pid "), "{said}");
    let first = pid(&home.service("shop", "later")["pid"]);
    until("its start", || home.log("shop", "later").contains("started").then_some(()));

    let said = home.ok(&["restart", "later"]);
    let second = pid(&home.service("shop", "later")["pid"]);
    assert!(said.contains(&second.to_string()) && first != second, "{said}");
    assert!(!common::is_alive(first));

    assert!(home.ok(&["pause", "later"]).starts_with("later: paused"));
    assert!(home.ok(&["continue", "later"]).starts_with("later: running"));
    assert_eq!(pid(&home.service("shop", "later")["pid"]), second);

    until("its start", || (home.log("shop", "later").matches("started").count() == 2).then_some(()));
    assert_eq!(home.ok(&["stop", "later"]), "later: stopped\n");
    assert!(!common::is_alive(second));
    // It was asked, and had its time.
    until("its last words", || home.log("shop", "later").ends_with("stopped\n").then_some(()));
    // Stopping what is stopped is done.
    home.ok(&["stop", "later"]);
    assert_eq!(home.service("shop", "later")["restarts"], 0);
}

#[test]
fn a_second_up_is_refused_with_pid_and_place() {
    let home = Home::new();
    let config = home.config(SHOP);
    home.ok(&["up", "-d"]);
    let keeper = pid(&home.stack("shop").expect("up")["keeper"]["pid"]);
    for arguments in [&["up"][..], &["up", "-d"]] {
        let complaint = home.fails(4, arguments);
        assert!(complaint.contains("stack shop is up already"), "{complaint}");
        assert!(complaint.contains(&format!("pid {keeper}")), "{complaint}");
        assert!(complaint.contains(&config.display().to_string()), "{complaint}");
    }
    assert_eq!(pid(&home.stack("shop").expect("up")["keeper"]["pid"]), keeper);
}

#[test]
fn up_in_the_foreground_shows_all_and_ends_with_the_stack() {
    let home = Home::new();
    home.config(SHOP);
    let mut up = home.start(&["up"]);
    up.until_seen("lines | line 000000000003\n");
    up.until_seen("web   * running\n");
    up.until_seen("web   | listening on 127.0.0.1:");
    home.ok(&["down"]);
    assert_eq!(up.until_end(), Some(0), "{}", up.complained());
    assert!(up.seen().contains("lines * stopped\n"), "{}", up.seen());
    // In reverse order of dependency.
    let at = |text: &str, all: &str| all.find(text).unwrap_or_else(|| panic!("no `{text}` in {all}"));
    let all = up.seen().to_owned();
    assert!(at("lines * stopped", &all) < at("web   * stopped", &all), "{all}");
    assert!(up.complained().contains("shop: down"), "{}", up.complained());
}

#[test]
fn ctrl_c_stops_in_order() {
    if !is_linux("ctrl_c_stops_in_order") {
        return;
    }
    let home = Home::new();
    home.config(&SHOP.replace("start = \"manual\"", ""));
    let mut up = home.start(&["up"]);
    up.until_seen("later | started\n");
    signal(up.child.id(), "INT");
    assert_eq!(up.until_end(), Some(0), "{}", up.complained());
    assert!(up.seen().contains("later | stopping SIGTERM\n"), "{}", up.seen());
    assert!(up.seen().contains("later | stopped\n"), "{}", up.seen());
    assert!(home.stack("shop").is_none());
}

#[test]
fn a_second_ctrl_c_kills() {
    if !is_linux("a_second_ctrl_c_kills") {
        return;
    }
    let home = Home::new();
    home.config(
        r#"
        name = "stubborn"
        [service.mule]
        command = [@fixture@, "--pid", "ignore-signals"]
        stop = { steps = [{ ctrl_c = "100s" }], timeout = "110s" }
        "#,
    );
    let mut up = home.start(&["up"]);
    up.until_seen("mule | ignoring\n");
    let mule = pid(&home.service("stubborn", "mule")["pid"]);
    signal(up.child.id(), "INT");
    up.until_seen("mule * stopping\n");
    signal(up.child.id(), "INT");
    assert_eq!(up.until_end(), Some(1), "{}", up.complained());
    assert!(!common::is_alive(mule));
    assert!(home.stack("stubborn").is_none());
}

#[test]
fn the_stack_goes_down_when_its_terminal_does() {
    let home = Home::new();
    home.config(SHOP);
    let mut up = home.start(&["up"]);
    up.until_seen("web   | listening on");
    let web = pid(&home.service("shop", "web")["pid"]);
    up.child.kill().expect("a child");
    until("the stack's end", || home.stack("shop").is_none().then_some(()));
    until("the service's end", || (!common::is_alive(web)).then_some(()));
}

#[test]
fn a_service_that_fails_comes_back_and_says_why() {
    let home = Home::new();
    home.config(
        r#"
        name = "flaky"
        [service.flaky]
        command = [@fixture@, "exit", "3", "--after", "50"]
        restart = { delay = "10ms", max_delay = "20ms" }
        "#,
    );
    home.ok(&["up", "-d"]);
    until("restarts", || (home.service("flaky", "flaky")["restarts"].as_u64() >= Some(3)).then_some(()));
    assert_eq!(home.service("flaky", "flaky")["last_exit"]["code"], 3);
    let events = home.ok(&["events", "-n", "50"]);
    assert!(events.contains("ended with exit code 3 after"), "{events}");
    until("the crash loop", || (home.service("flaky", "flaky")["crash_loop"] == true).then_some(()));
    let table = home.ok(&["status"]);
    assert!(table.contains("crash loop"), "{table}");
    home.ok(&["down"]);
    // The story can be read afterwards.
    assert!(home.ok(&["events", "-s", "flaky"]).contains("exit code 3"));
}

#[test]
fn a_start_that_does_not_come_about_shows_the_last_output() {
    let home = Home::new();
    home.config(
        r#"
        name = "sad"
        [service.sad]
        command = [@fixture@, "write-last-line"]
        start = "manual"
        restart = "never"
        ready = { tcp = "127.0.0.1:9" }
        [service.lost]
        command = ["no-such-program-anywhere"]
        start = "manual"
        restart = "never"
        "#,
    );
    home.ok(&["up", "-d"]);
    let complaint = home.fails(1, &["start", "sad"]);
    assert!(complaint.contains("sad did not come up"), "{complaint}");
    assert!(complaint.contains("| last words"), "{complaint}");
    let complaint = home.fails(1, &["start", "lost"]);
    assert!(complaint.contains("program not found"), "{complaint}");
    assert!(complaint.contains("no-such-program-anywhere"), "{complaint}");
}

#[test]
fn unknown_names_are_told_with_the_nearest() {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d"]);
    for arguments in [&["stop", "wbe"][..], &["status", "wbe"], &["logs", "wbe"], &["rm", "wbe"]] {
        let complaint = home.fails(3, arguments);
        assert!(complaint.contains("stack shop has no service called `wbe`"), "{complaint}");
        assert!(complaint.contains("did you mean `web`?"), "{complaint}");
    }
    let complaint = home.fails(2, &["stpo", "web"]);
    assert!(complaint.contains("stop"), "{complaint}");
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d", "--wait"]);
    let web = home.service("shop", "web")["pid"].clone();
    home.config("name = \"shop\"\n[service.web]\ncomand = [\"x\"]\n");
    let complaint = home.fails(2, &["config", "check"]);
    assert!(complaint.contains("mainstay.toml:3:1"), "{complaint}");
    assert!(complaint.contains("command"), "{complaint}");
    home.fails(2, &["up"]);
    // The stack is found by its file all the same.
    assert!(home.ok(&["status"]).contains("running"));
    assert_eq!(home.service("shop", "web")["pid"], web);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let home = Home::new();
    home.config(&SHOP.replace("\"--count\", \"3\"", "\"--count\", \"200000\""));
    home.ok(&["up", "-d", "--wait"]);
    until("much output", || (home.ok(&["logs", "lines"]).len() > 1_000_000).then_some(()));
    let mut logs =
        home.command(&["logs", "lines"]).stdout(std::process::Stdio::piped()).spawn().expect("logs");
    drop(logs.stdout.take());
    let status = for_up_to(Duration::from_secs(60), || logs.try_wait().expect("a child")).expect("its end");
    assert_eq!(status.code(), Some(0));
}
