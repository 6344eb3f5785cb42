//! Files of programs: rendered, checked, put into their places, and programs told of them.

mod common;

use common::{Home, kill, pid, until};

/// A service that reads `app.conf`. `check` and `on_change` are TOML.
fn app(limit: &str, check: &str, on_change: &str) -> String {
    format!(
        r#"
name = "app"
reload = {{ timeout = "60s", settle = "100ms" }}

[service.a]
command = [@fixture@, "sleep"]
environment = {{ MODE = "fast" }}
config = {{ values = {{ limit = {limit} }}, environment = {{ LIMIT = "{{{{ values.limit }}}}" }}, on_change = {on_change}, files = [
    {{ path = "app.conf", template = "app.j2", check = {check} }},
] }}

[service.b]
command = [@fixture@, "sleep"]
"#
    )
}

const TEMPLATE: &str = "service {{ service }}\nlimit {{ values.limit }}\nmode {{ env.MODE }}\n";
const TELL: &str = r#"{ command = [@fixture@, "args", "told"] }"#;
const GOOD: &str = r#"[@fixture@, "args", "checks", "{file}"]"#;

/// With a limit that is in no variable: that would need a new process.
fn quiet(limit: &str, check: &str, on_change: &str) -> String {
    app(limit, check, on_change).replace("LIMIT = \"{{ values.limit }}\"", "SERVICE = \"{{ service }}\"")
}

fn conf(home: &Home, name: &str) -> String {
    std::fs::read_to_string(home.file(name)).unwrap_or_default()
}

fn rendered(limit: u32) -> String {
    format!("service a\nlimit {limit}\nmode fast\n")
}

fn process(home: &Home) -> u32 {
    pid(&home.service("app", "a")["pid"])
}

#[test]
fn a_program_gets_its_file_and_is_told_of_another_one() {
    let home = Home::new();
    std::fs::write(home.file("app.j2"), TEMPLATE).expect("written");
    home.config(&quiet("1", GOOD, TELL));
    home.ok(&["up", "-d", "--wait"]);
    assert_eq!(conf(&home, "app.conf"), rendered(1));
    let first = process(&home);

    home.config(&quiet("2", GOOD, TELL));
    let text = home.ok(&["plan"]);
    assert!(text.contains("~ a  signal\n"), "{text}");
    assert_eq!(conf(&home, "app.conf"), rendered(1), "it was only asked");
    home.ok(&["apply"]);
    assert_eq!((conf(&home, "app.conf"), conf(&home, "app.conf.previous")), (rendered(2), rendered(1)));
    assert_eq!(process(&home), first, "the process goes on");
    assert!(home.log("app", "a").contains("\"told\""), "{}", home.log("app", "a"));
    let events = home.ok(&["events"]);
    assert!(events.contains("configuration: app.conf is new; told by command"), "{events}");
    assert!(events.contains("configuration: healthy with it after"), "{events}");

    // The template counts as a part of the configuration.
    std::fs::write(home.file("app.j2"), format!("{TEMPLATE}more\n")).expect("written");
    home.ok(&["apply"]);
    assert_eq!(conf(&home, "app.conf"), format!("{}more\n", rendered(2)));
    assert_eq!(process(&home), first);

    // A wrong one changes nothing, and is told with its place.
    std::fs::write(home.file("app.j2"), "limit {{ values.limt }}\n").expect("written");
    let error = home.fails(2, &["apply"]);
    assert!(error.contains("app.j2:1:10") && error.contains("values.limt"), "{error}");
    std::fs::write(home.file("app.j2"), TEMPLATE).expect("written");

    // One whose variables change needs a new process, which finds the file there.
    home.config(&app("3", GOOD, TELL));
    home.ok(&["apply"]);
    assert_eq!(conf(&home, "app.conf"), rendered(3));
    assert_ne!(process(&home), first);
    home.ok(&["down"]);
}

#[test]
fn what_is_refused_or_not_taken_leaves_the_old_file() {
    let home = Home::new();
    std::fs::write(home.file("app.j2"), TEMPLATE).expect("written");
    home.config(&quiet("1", GOOD, r#""restart""#));
    home.ok(&["up", "-d", "--wait"]);
    let first = process(&home);

    let refuses = r#"[@fixture@, "lines", "--count", "3", "--then-exit", "4"]"#;
    home.config(&quiet("2", refuses, r#""restart""#));
    let error = home.fails(1, &["apply"]);
    assert!(error.contains("app.conf was refused by its check, exit code 4: "), "{error}");
    assert!(error.contains("line 000000000002"), "{error}");
    assert_eq!(conf(&home, "app.conf"), rendered(1));
    assert_eq!(process(&home), first, "nothing was restarted for it");

    // One that cannot be told gets the old file, and is told of that.
    let mute = r#"{ command = [@fixture@, "exit", "5"] }"#;
    home.config(&quiet("1", GOOD, mute));
    home.ok(&["apply"]);
    home.config(&quiet("3", GOOD, mute));
    let error = home.fails(1, &["apply"]);
    assert!(error.contains("could not be told of its new files") && error.contains("exit code 5"), "{error}");
    assert_eq!((conf(&home, "app.conf"), conf(&home, "app.conf.previous")), (rendered(1), rendered(3)));
    assert_eq!(process(&home), first);

    // At a start a refused file is a failed start, and the old one stays.
    home.ok(&["stop", "a"]);
    home.config(&quiet("4", refuses, r#""nothing""#));
    home.ok(&["apply"]);
    home.run(&["start", "a", "--no-wait"]);
    until("it is told", || home.ok(&["events"]).contains("was refused by its check").then_some(()));
    assert_eq!(conf(&home, "app.conf"), rendered(1));
    home.ok(&["down"]);
}

#[test]
fn a_daemon_that_is_killed_in_the_middle_finishes_it() {
    let home = Home::new();
    std::fs::write(home.file("app.j2"), TEMPLATE).expect("written");
    home.config(&quiet("1", GOOD, TELL));
    home.ok(&["up", "-d", "--wait"]);
    let first = process(&home);
    let slow = r#"[@fixture@, "sleep", "--for", "1500"]"#;
    home.config(&quiet("2", slow, TELL));
    let mut apply = home.start(&["apply"]);
    let daemon = until("it is being checked", || {
        let there = home.file(".new.app.conf").is_file();
        there.then(|| pid(&home.stack("app").expect("it is up")["daemon"]["pid"]))
    });
    assert_eq!(conf(&home, "app.conf"), rendered(1), "not before it is checked");
    kill(daemon);
    until("the next one puts it in its place", || (conf(&home, "app.conf") == rendered(2)).then_some(()));
    until("it is told", || home.log("app", "a").contains("\"told\"").then_some(()));
    until("it is applied", || (home.stack("app")?["configuration"]["revision"] == 2).then_some(()));
    apply.until_end();
    assert_eq!(process(&home), first);
    assert!(!home.file(".new.app.conf").exists());
    home.ok(&["down"]);
}
