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
    // And to one that was applied.
    let text = home.ok(&["rollback", "2"]);
    assert!(text.contains("revision 7 runs"), "{text}");

    let told = home.ok(&["events"]) + &home.ok(&["events", "--json"]) + &home.daemon_logs();
    assert!(told.contains("revision 5 does not work, everything goes back"), "{told}");
    assert!(!told.contains("s3cr3t"), "{told}");
    home.ok(&["down"]);
}

#[test]
fn ten_configurations_are_kept_and_gone_back_to() {
    let home = Home::new();
    home.config(&shop("number 1", "one", ""));
    home.ok(&["up", "-d", "--wait"]);
    let before = pids(&home);
    for number in 2..=12 {
        home.config(&shop(&format!("number {number}"), "one", ""));
        home.ok(&["apply"]);
    }
    let kept = || -> Vec<u64> {
        let text = home.ok(&["history"]);
        text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
    };
    let mut numbers = kept();
    numbers.sort_unstable();
    assert_eq!(numbers, (3..=12).collect::<Vec<u64>>());
    let error = home.fails(3, &["rollback", "2"]);
    assert!(error.contains("revision 2 is not kept") && error.contains("mainstay history"), "{error}");
    assert_eq!((revision(&home), kept().len()), (12, 10), "nothing has changed");
    let text = home.ok(&["rollback", "3"]);
    assert!(text.contains("revision 13 runs"), "{text}");
    assert_eq!(home.service("shop", "a")["description"], "number 3");
    // It took a number itself: the oldest one is another one by now.
    home.fails(3, &["rollback", "3"]);
    home.ok(&["rollback", "4"]);
    assert_eq!(home.service("shop", "a")["description"], "number 4");
    assert_eq!(pids(&home), before, "descriptions restart nothing");
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
    until("a restart", || {
        home.service("watched", "api")["pid"].as_u64().filter(|now| *now != u64::from(api))
    });
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

/// Restarts its two services one after the other, each with a second in which it has to hold; `more` is behind them.
fn slow(value: &str, more: &str) -> String {
    let service = |name: &str| {
        format!(
            "[service.{name}]\ncommand = [@fixture@, \"sleep\"]\nenvironment = {{ VALUE = \"{value}\" }}\n"
        )
    };
    format!(
        "name = \"slow\"\nreload = {{ settle = \"1s\", timeout = \"60s\" }}\n{}{}{more}",
        service("a"),
        service("b")
    )
}

/// Kills the daemon as soon as it applies something, and waits until its successor has come to an end with that.
fn killed_meanwhile(home: &Home) {
    home.ok(&["apply", "-s", "slow", "--no-wait"]);
    let stack = home.stack("slow").expect("it is up");
    // On a very slow machine it may be over by now; what follows has to hold all the same.
    kill(pid(&stack["daemon"]["pid"]));
    until("an end of it by another daemon", || {
        let now = home.stack("slow").filter(|now| now["daemon"]["pid"] != stack["daemon"]["pid"])?;
        now["configuration"]["applying"].is_null().then_some(())
    });
}

#[test]
fn a_daemon_that_is_killed_in_the_middle_finishes_or_takes_back() {
    let home = Home::new();
    home.config(&slow("one", ""));
    home.ok(&["up", "-d", "--wait"]);
    let run = |name: &str| home.service("slow", name)["run"].as_u64().expect("a run");
    let before = (run("a"), run("b"));

    home.config(&slow("two", ""));
    killed_meanwhile(&home);
    let after = (run("a"), run("b"));
    assert!(after.0 > before.0 && after.1 > before.1, "{before:?} {after:?}");
    let text = home.ok(&["history", "-s", "slow"]);
    assert!(text.lines().any(|line| line.trim_start().starts_with("2 ") && line.contains("runs")), "{text}");

    let bad = "[service.c]\ncommand = [@fixture@, \"exit\", \"3\"]\nrestart = \"never\"\n\
               ready = { tcp = \"127.0.0.1:1\" }\ndepends_on = { b = \"started\" }\n";
    home.config(&slow("three", bad));
    killed_meanwhile(&home);
    let text = home.ok(&["status", "-s", "slow"]);
    assert!(text.contains("running revision 2; revision 3 taken back: c failed: exit code 3"), "{text}");
    assert_eq!(home.stack("slow").expect("it is up")["services"].as_array().map(Vec::len), Some(2));
    assert!(run("a") > after.0 && run("b") > after.1);
    home.ok(&["down", "-s", "slow"]);
}

/// Kubernetes mounts a config map as links into a directory that is itself behind a link, which is swapped.
#[cfg(unix)]
#[test]
fn a_config_map_that_is_swapped_is_a_change() {
    use std::os::unix::fs::symlink;
    let home = Home::new();
    let work = home.work();
    let version = |name: &str, about: &str| {
        std::fs::create_dir(work.join(name)).expect("made");
        home.config(&watched(about, ""));
        std::fs::rename(work.join("mainstay.toml"), work.join(name).join("mainstay.toml")).expect("moved");
        std::fs::write(work.join(name).join("api.env"), "A=1\n").expect("written");
    };
    version("..1", "first");
    symlink("..1", work.join("..data")).expect("linked");
    symlink("..data/mainstay.toml", work.join("linked.toml")).expect("linked");
    symlink("..data/api.env", work.join("api.env")).expect("linked");
    home.ok(&["up", "-d", "--wait", "-f", "linked.toml"]);
    let api = pid(&home.service("watched", "api")["pid"]);
    version("..2", "second");
    symlink("..2", work.join("..data_tmp")).expect("linked");
    std::fs::rename(work.join("..data_tmp"), work.join("..data")).expect("swapped");
    described(&home, "second");
    assert_eq!(pid(&home.service("watched", "api")["pid"]), api);
    home.ok(&["down", "-s", "watched"]);
}

#[test]
fn metrics_move_to_another_port() {
    let home = Home::new();
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let config = |port: u16| {
        format!(
            "name = \"moved\"\nmetrics = {{ listen = {port} }}\n[service.a]\ncommand = [@fixture@, \"sleep\"]\n"
        )
    };
    let answers = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let (first, second) = (free(), free());
    home.config(&config(first));
    home.ok(&["up", "-d", "--wait"]);
    until("metrics", || answers(first).then_some(()));
    home.config(&config(second));
    home.ok(&["apply"]);
    until("metrics elsewhere", || (answers(second) && !answers(first)).then_some(()));
    home.ok(&["down", "-s", "moved"]);
}
