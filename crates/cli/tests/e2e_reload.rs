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
    let bad = "[service.c]\ncommand = [@fixture@, \"exit\", \"3\"]\nrestart = \"never\"\nready = { tcp = \"127.0.0.1:1\" }\n";
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

/// One service whose file of variables is `api.env`.
fn watched(about: &str, more: &str) -> String {
    format!(
        r#"
name = "watched"
reload = {{ watch = true, quiet = "300ms", settle = "100ms", timeout = "60s" }}

[service.api]
command = [@fixture@, "sleep"]
description = "{about}"
env_file = ["api.env"]
{more}

[service.other]
command = [@fixture@, "sleep"]
"#
    )
}

fn described(home: &Home, about: &str) {
    until(&format!("the description {about}"), || {
        Some(()).filter(|()| home.service("watched", "api")["description"] == about)
    });
}

#[test]
fn a_file_that_changes_is_applied_however_it_is_written() {
    let home = Home::new();
    let file = home.work().join("mainstay.toml");
    std::fs::write(home.work().join("api.env"), "A=1\n").expect("written");
    home.config(&watched("first", ""));
    home.ok(&["up", "-d", "--wait"]);
    let pid_of = |name: &str| pid(&home.service("watched", name)["pid"]);
    let (api, other) = (pid_of("api"), pid_of("other"));

    // Written over in its place.
    home.config(&watched("second", ""));
    described(&home, "second");

    // Renamed into its place, as editors do.
    let text = std::fs::read_to_string(&file).expect("read");
    std::fs::write(home.work().join("new"), text.replace("second", "third")).expect("written");
    std::fs::rename(home.work().join("new"), &file).expect("renamed");
    described(&home, "third");
    assert_eq!((pid_of("api"), pid_of("other")), (api, other), "a description restarts nothing");

    // Wrong: nothing changes, and status says where. Right again: nothing is left of it.
    std::fs::write(&file, text.replace("description", "descripton")).expect("written");
    let status = until("a refusal", || {
        Some(home.ok(&["status", "-s", "watched"])).filter(|text| text.contains("refused: "))
    });
    assert!(status.contains("running revision "), "{status}");
    assert!(status.contains("mainstay.toml:7:1"), "{status}");
    std::fs::write(&file, text.replace("second", "fourth")).expect("written");
    described(&home, "fourth");
    assert!(!home.ok(&["status", "-s", "watched"]).contains("refused"));

    // A file of variables is a change of the services that use it.
    std::fs::write(home.work().join("api.env"), "A=2\n").expect("written");
    until("a restart", || Some(()).filter(|()| pid_of("api") != api));
    assert_eq!(pid_of("other"), other);
    home.ok(&["down", "-s", "watched"]);
}

#[test]
fn a_directory_is_a_configuration_of_all_its_files() {
    let home = Home::new();
    let conf = home.work().join("conf.d");
    std::fs::create_dir(&conf).expect("made");
    let fixture = format!("'{}'", common::fixture().display());
    let service = |name: &str| format!("[service.{name}]\ncommand = [{fixture}, \"sleep\"]\n");
    let top = "name = \"parts\"\nreload = { watch = true, quiet = \"300ms\", settle = \"100ms\" }\n";
    std::fs::write(conf.join("10-a.toml"), format!("{top}{}", service("a"))).expect("written");
    std::fs::write(conf.join("20-b.toml"), service("b")).expect("written");
    home.ok(&["up", "-d", "--wait", "-f", "conf.d"]);
    let names = || -> Vec<String> {
        let stack = home.stack("parts").expect("it is up");
        let services = stack["services"].as_array().expect("a list").iter();
        services.map(|service| service["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(), ["a", "b"]);
    let a = pid(&home.service("parts", "a")["pid"]);
    std::fs::write(conf.join("30-c.toml"), service("c")).expect("written");
    std::fs::remove_file(conf.join("20-b.toml")).expect("removed");
    until("another service", || Some(()).filter(|()| names() == ["a", "c"]));
    assert_eq!(pid(&home.service("parts", "a")["pid"]), a);
    home.ok(&["down", "-s", "parts"]);
}
