//! Files of programs: rendered, checked, put into their places, and programs told of them.

mod common;

use std::io::{Read, Write};

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
    assert!(text.contains("app.conf.content:\n      - limit 1\n      + limit 2\n"), "{text}");
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
    let slow = r#"[@fixture@, "sleep", "--for", "3000"]"#;
    home.config(&quiet("2", slow, TELL));
    let daemon = pid(&home.stack("app").expect("it is up")["daemon"]["pid"]);
    let mut apply = home.start(&["apply"]);
    // What is shown the keeper knows, and with it the next daemon.
    let is_taken = || home.stack("app").is_some_and(|app| app["configuration"]["applying"].is_object());
    until("it is being checked", || (home.file(".new.app.conf").is_file() && is_taken()).then_some(()));
    kill(daemon);
    assert_eq!(conf(&home, "app.conf"), rendered(1), "not before it is checked");
    until("the next one puts it in its place", || (conf(&home, "app.conf") == rendered(2)).then_some(()));
    until("it is told", || home.log("app", "a").contains("\"told\"").then_some(()));
    until("it is applied", || (home.stack("app")?["configuration"]["revision"] == 2).then_some(()));
    apply.until_end();
    assert_eq!(process(&home), first);
    assert!(!home.file(".new.app.conf").exists());
    home.ok(&["down"]);
}

/// A service whose file has a secret, and one that has nothing to do with it.
const SECRET: &str = r#"
name = "app"
reload = { timeout = "60s", settle = "100ms" }

[service.a]
command = [@fixture@, "sleep"]
config = { on_change = @tell@, files = [
    { path = "app.json", text = '{"password": {{ secret.db | tojson }}}', check = @check@ },
] }

[service.b]
command = [@fixture@, "sleep"]
"#;

#[test]
fn a_secret_that_changes_is_told_to_the_program_that_reads_it() {
    let home = Home::new();
    // The program's own words go into its own log; nobody else repeats them.
    let says = if cfg!(windows) {
        r#"["cmd", "/c", "type {file} & exit 4"]"#
    } else {
        r#"["sh", "-c", "cat {file}; exit 4"]"#
    };
    let config = |check: &str| home.config(&SECRET.replace("@tell@", TELL).replace("@check@", check));
    let set = |value: &str| {
        let set = ["secret", "set", "db", "--from-env", "VALUE"];
        let done = home.command(&set).env("VALUE", value).output().expect("it runs");
        assert!(done.status.success(), "{done:?}");
    };
    let json = |name: &str| serde_json::from_str::<serde_json::Value>(&conf(&home, name)).unwrap_or_default();
    config(GOOD);
    set("fi\"rst\\");
    home.ok(&["up", "-d", "--wait"]);
    assert_eq!(json("app.json")["password"], "fi\"rst\\");
    let (a, b) = (process(&home), pid(&home.service("app", "b")["pid"]));
    assert!(home.ok(&["secret", "rotate"]).contains("nothing is different"));

    set("second-7f3a9c");
    let shown = home.ok(&["plan"]);
    assert!(shown.contains("~ a  signal\n") && shown.contains("config.secrets.db changed"), "{shown}");
    home.ok(&["secret", "rotate", "db"]);
    assert_eq!(json("app.json")["password"], "second-7f3a9c");
    assert_eq!(json("app.json.previous")["password"], "fi\"rst\\");
    assert!(home.log("app", "a").contains("\"told\""), "{}", home.log("app", "a"));
    assert_eq!((process(&home), pid(&home.service("app", "b")["pid"])), (a, b), "both go on");
    assert!(home.ok(&["secret", "rotate"]).contains("nothing is different"));
    for name in ["app.json", "app.json.previous"] {
        mainstay_sys::private::read(&home.file(name), 100)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }

    config(says);
    home.ok(&["apply"]);
    set("third-7f3a9c");
    let error = home.fails(1, &["secret", "rotate"]);
    assert!(error.contains("refused by its check") && error.contains("***"), "{error}");
    assert!(!error.contains("third-7f3a9c") && !home.ok(&["events"]).contains("7f3a9c"), "{error}");
    assert_eq!(json("app.json")["password"], "second-7f3a9c");
    home.ok(&["down"]);
}

/// A program as a probe and a request see it: healthy unless its file says 13. How often it was told.
fn program(home: &Home) -> (u16, std::sync::Arc<std::sync::atomic::AtomicU32>) {
    sick_of(home, "limit 13\n")
}

/// The same, with what it does not like in its file.
fn sick_of(home: &Home, what: &'static str) -> (u16, std::sync::Arc<std::sync::atomic::AtomicU32>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (file, told) = (home.file("app.conf"), std::sync::Arc::default());
    let count: std::sync::Arc<std::sync::atomic::AtomicU32> = std::sync::Arc::clone(&told);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 1024];
            let length = stream.read(&mut bytes).unwrap_or(0);
            let told = bytes[..length].starts_with(b"PUT /reload ");
            count.fetch_add(u32::from(told), std::sync::atomic::Ordering::Relaxed);
            let sick = std::fs::read_to_string(&file).is_ok_and(|text| text.contains(what));
            let status = if sick && !told { "503 Unavailable" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, told)
}

#[test]
fn what_is_not_healthy_with_its_new_file_gets_the_old_one_back_and_is_told_again() {
    let home = Home::new();
    std::fs::write(home.file("app.j2"), TEMPLATE).expect("written");
    let (port, told) = program(&home);
    let told = || told.load(std::sync::atomic::Ordering::Relaxed);
    let http = format!(r#"{{ http = "http://127.0.0.1:{port}/reload", method = "PUT" }}"#);
    let ready =
        format!("[service.a]\nready = {{ http = \"http://127.0.0.1:{port}/\", interval = \"100ms\" }}");
    let config = |limit: &str| {
        let text = quiet(limit, GOOD, &http).replace("\"60s\"", "\"6s\"");
        home.config(&text.replace("[service.a]", &ready));
    };
    config("1");
    home.ok(&["up", "-d", "--wait"]);
    let first = process(&home);
    config("12");
    home.ok(&["apply"]);
    assert_eq!((conf(&home, "app.conf"), told()), (rendered(12), 1));
    config("13");
    let error = home.fails(1, &["apply"]);
    assert!(error.contains("was told of its new files, but was not healthy within"), "{error}");
    assert_eq!((conf(&home, "app.conf"), told()), (rendered(12), 3), "the old one, of which it was told");
    assert_eq!(process(&home), first, "the process goes on");
    home.until_state("app", "a", "ready");
    assert_eq!(home.stack("app").expect("it is up")["configuration"]["revision"], 2);
    home.ok(&["down"]);
}

/// A service whose file has two secrets; with a value that ends in `-bad` it is not healthy.
const ROTATED: &str = r#"
name = "app"
reload = { timeout = "4s", settle = "100ms", watch = @watch@ }
secrets = { said = { command = @say@ }, filed = { file = "filed.secret" } }

[service.a]
description = "@about@"
command = [@fixture@, "sleep"]
ready = { http = "http://127.0.0.1:@port@/", interval = "100ms" }
config = { on_change = { http = "http://127.0.0.1:@port@/reload", method = "PUT" }, files = [
    { path = "app.conf", text = "{{ secret.said }} {{ secret.filed }}" },
    { path = "plain.conf", text = "no secret" },
] }
"#;

fn rotated(home: &Home, port: u16, watch: bool, about: &str) {
    // It notes each time that it is asked.
    let (asked, said) = (home.file("asked"), home.file("said.txt"));
    let (asked, said) = (asked.display(), said.display());
    let say = match cfg!(windows) {
        true => format!("['cmd', '/c', 'echo x>>{asked}& type {said}']"),
        false => format!("['sh', '-c', 'echo x >>{asked}; cat {said}']"),
    };
    let config = ROTATED.replace("@say@", &say).replace("@port@", &port.to_string());
    home.config(&config.replace("@watch@", &watch.to_string()).replace("@about@", about));
}

fn said(home: &Home, value: &str) {
    std::fs::write(home.file("said.txt"), value).expect("written");
}

fn filed(home: &Home, value: &str) {
    mainstay_sys::file::write_atomic(&home.file("filed.secret"), value.as_bytes(), true).expect("written");
}

/// How often the command was asked since the last call.
fn asked(home: &Home) -> usize {
    let times = conf(home, "asked").lines().count();
    let _ = std::fs::remove_file(home.file("asked"));
    times
}

fn idle(home: &Home) {
    until("nothing is being applied", || {
        home.stack("app").filter(|stack| stack["configuration"]["applying"].is_null())
    });
}

#[test]
fn a_secret_that_does_not_work_is_taken_out_of_the_file_again() {
    let home = Home::new();
    let (port, told) = sick_of(&home, "-bad");
    let told = || told.load(std::sync::atomic::Ordering::Relaxed);
    said(&home, "one");
    filed(&home, "1");
    rotated(&home, port, false, "");
    home.ok(&["up", "-d", "--wait"]);
    let first = process(&home);
    asked(&home);
    said(&home, "two");
    home.ok(&["apply"]);
    assert_eq!((conf(&home, "app.conf").as_str(), told()), ("two 1", 1));
    assert_eq!(asked(&home), 1, "once for all that follows");

    said(&home, "three-bad");
    let error = home.fails(1, &["secret", "rotate"]);
    assert!(error.contains("was told of its new files, but was not healthy within"), "{error}");
    assert_eq!((conf(&home, "app.conf").as_str(), told()), ("two 1", 3), "the old one, of which it was told");
    assert_eq!(asked(&home), 1);
    assert_eq!(process(&home), first, "the process goes on");
    let events = home.ok(&["events"]);
    assert!(events.contains("configuration: app.conf is as before; told by PUT"), "{events}");
    home.until_state("app", "a", "ready");

    // No start brings it back either, until there is another one.
    home.ok(&["restart", "a"]);
    assert_eq!(conf(&home, "app.conf"), "two 1");
    // It is tried again when somebody wants that, by a daemon that is killed on its way there and on its way back.
    let kill_daemon = || kill(pid(&home.stack("app").expect("it is up")["daemon"]["pid"]));
    let mut rotate = home.start(&["secret", "rotate"]);
    until("it is tried", || (conf(&home, "app.conf") == "three-bad 1").then_some(()));
    kill_daemon();
    until("it is back", || (conf(&home, "app.conf") == "two 1").then_some(()));
    kill_daemon();
    rotate.until_end();
    idle(&home);
    assert_eq!(conf(&home, "app.conf"), "two 1");
    home.until_state("app", "a", "ready");
    said(&home, "four");
    home.ok(&["restart", "a"]);
    assert_eq!(conf(&home, "app.conf"), "four 1");
    home.ok(&["down"]);
}

#[test]
fn a_secret_that_did_not_work_is_not_tried_again_by_itself() {
    let home = Home::new();
    let (port, told) = sick_of(&home, "-bad");
    let told = || told.load(std::sync::atomic::Ordering::Relaxed);
    said(&home, "one");
    filed(&home, "1");
    rotated(&home, port, true, "first");
    home.ok(&["up", "-d", "--wait"]);
    filed(&home, "2-bad");
    until("it is tried", || (conf(&home, "app.conf") == "one 2-bad").then_some(()));
    until("it is back", || (conf(&home, "app.conf") == "one 1").then_some(()));
    idle(&home);
    let status = home.ok(&["status"]);
    assert!(status.contains("taken back: a was told of its new files, but was not healthy"), "{status}");
    let explained = home.ok(&["explain", "a"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(explained.contains("The newest configuration: revision 2 taken back: a was told"), "{explained}");

    // Something else changes: that is taken over, without it.
    let before = told();
    rotated(&home, port, true, "second");
    until("it has its description", || (home.service("app", "a")["description"] == "second").then_some(()));
    idle(&home);
    assert_eq!((conf(&home, "app.conf").as_str(), told()), ("one 1", before));
    filed(&home, "3");
    until("another one is taken", || (conf(&home, "app.conf") == "one 3").then_some(()));
    idle(&home);
    home.ok(&["down"]);
}
