//! A configuration that changes while its services run.

mod common;

use common::{Home, kill, pid, until};

/// Two services; `more` goes to the end of the first one.
fn shop(about: &str, value: &str, more: &str) -> String {
    format!(
        r#"
name = "shop"
reload = {{ timeout = "60s", settle = "100ms" }}

[service.a]
command = [@fixture@, "sleep"]
description = "{about}"
environment = {{ VALUE = "{value}" }}

[service.b]
command = [@fixture@, "sleep"]
{more}
"#
    )
}

fn pids(home: &Home) -> (u32, u32) {
    (pid(&home.service("shop", "a")["pid"]), pid(&home.service("shop", "b")["pid"]))
}

fn revision(home: &Home) -> u64 {
    home.stack("shop").expect("it is up")["configuration"]["revision"].as_u64().expect("a number")
}

#[test]
fn only_what_changed_is_touched_and_what_does_not_work_is_taken_back() {
    let home = Home::new();
    home.config(&shop("first", "one", ""));
    home.ok(&["up", "-d", "--wait"]);
    let (a, b) = pids(&home);
    assert_eq!(revision(&home), 1);
    assert_eq!(home.ok(&["plan"]), "nothing is different\n");

    // A description restarts nothing.
    home.config(&shop("second", "one", "log = { keep = { files = 3 } }"));
    let text = home.ok(&["apply"]);
    assert!(text.contains("description: first -> second") && text.contains("revision 2 runs"), "{text}");
    assert_eq!(pids(&home), (a, b));

    // A variable restarts its service; its value is shown nowhere.
    home.config(&shop("second", "s3cr3t", ""));
    let text = home.ok(&["plan"]);
    assert!(text.contains("~ a  restart\n    launch.environment.VALUE changed\n"), "{text}");
    assert!(text.contains("~ b  live\n"), "{text}");
    assert_eq!(revision(&home), 2, "it was only asked");
    home.ok(&["reload"]);
    let (a2, b2) = pids(&home);
    assert!(a2 != a && b2 == b, "{a} {a2} {b} {b2}");

    // A wrong one changes nothing, and everybody can see that.
    home.config(&shop("second", "s3cr3t", "comand = 3"));
    let error = home.fails(2, &["apply"]);
    assert!(error.contains("comand"), "{error}");
    let text = home.ok(&["status"]);
    assert!(text.contains("running revision 3; revision 4 refused: "), "{text}");
    assert!(text.contains("mainstay.toml:12:1"), "{text}");

    // One that does not come up: all is as before.
    let bad = "[service.c]\ncommand = [@fixture@, \"exit\", \"3\"]\nrestart = \"never\"\n";
    home.config(&shop("third", "two", bad));
    let error = home.fails(1, &["apply"]);
    assert!(error.contains("revision 5 was taken back: c failed: exit code 3"), "{error}");
    let stack = home.stack("shop").expect("it is up");
    assert_eq!(stack["configuration"]["revision"], 3);
    assert_eq!(stack["services"].as_array().map(Vec::len), Some(2), "{stack}");
    assert_eq!(home.service("shop", "a")["description"], "second");
    assert_eq!(pids(&home).1, b);

    // Another daemon knows all of it.
    kill(pid(&stack["daemon"]["pid"]));
    until("another daemon", || {
        home.stack("shop").filter(|now| now["daemon"]["pid"] != stack["daemon"]["pid"])
    });
    let text = home.ok(&["history"]);
    let rows =
        text.lines().filter(|line| line.trim_start().starts_with(|first: char| first.is_ascii_digit()));
    let outcomes: Vec<&str> = rows.filter_map(|line| line.split_whitespace().nth(3)).collect();
    assert_eq!(outcomes, ["applied", "applied", "runs", "taken"], "{text}");
    let text = home.ok(&["rollback", "1"]);
    assert!(text.contains("revision 6 runs"), "{text}");
    assert_eq!(home.service("shop", "a")["description"], "first");
    assert_eq!(pids(&home).1, b);
    home.fails(3, &["rollback", "4"]);

    let told = home.ok(&["events"]) + &home.ok(&["events", "--json"]) + &home.daemon_logs();
    assert!(told.contains("revision 5 does not work, everything goes back"), "{told}");
    assert!(!told.contains("s3cr3t"), "{told}");
    home.ok(&["down"]);
}
