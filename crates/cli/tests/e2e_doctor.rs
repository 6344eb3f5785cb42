//! `mainstay doctor` finds what will go wrong with real programs, ports and directories, and mends what it may.

mod common;

use std::net::TcpListener;

use common::{Home, fixture};
use serde_json::Value;

/// The ids of what was found for one service, or for the stack (`""`).
fn ids(found: &Value, service: &str) -> Vec<String> {
    let findings = found["findings"].as_array().expect("a list");
    let of = |finding: &&Value| finding["service"].as_str().unwrap_or_default() == service;
    findings.iter().filter(of).map(|finding| finding["id"].as_str().expect("a word").to_owned()).collect()
}

fn doctor(home: &Home, arguments: &[&str]) -> (Option<i32>, Value) {
    let done = home.run(&[&["doctor", "--json"], arguments].concat());
    let found = serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (done.code, found)
}

#[test]
fn what_will_go_wrong_is_found_before_the_start() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    home.config(&format!(
        r#"
name = "shop"

[service.well]
command = [@fixture@, "sleep"]

[service.gone]
command = ["./no-such-program"]

[service.lost]
command = [@fixture@, "sleep"]
working_dir = "data/deep"

[service.late]
command = [@fixture@, "sleep"]
ready = {{ http = "http://127.0.0.1:{port}/" }}

[service.far]
command = [@fixture@, "sleep"]
live = {{ tcp = "no-such-host.invalid:80" }}

[service.keyed]
command = [@fixture@, "sleep"]
environment = {{ KEY = "${{secret:key}}" }}
"#
    ));
    let (code, found) = doctor(&home, &[]);
    assert_eq!(code, Some(1), "{found}");
    let expected: [(&str, &[&str]); 6] = [
        ("well", &[]),
        ("gone", &["program"]),
        ("lost", &["directory"]),
        ("late", &["port"]),
        ("far", &["name"]),
        ("keyed", &["secret"]),
    ];
    for (service, wanted) in expected {
        assert_eq!(ids(&found, service), wanted, "{service}: {found}");
    }
    let holder = format!("(pid {})", std::process::id());
    assert!(found.to_string().contains(&holder), "who has the port: {found}");

    // One service, and what is mended.
    let (code, found) = doctor(&home, &["lost", "--fix"]);
    assert_eq!((code, ids(&found, "lost").len()), (Some(0), 0), "{found}");
    assert_eq!(found["mended"].as_array().map(Vec::len), Some(1), "{found}");
    assert!(home.work().join("data/deep").is_dir());
    assert_eq!(doctor(&home, &["well"]).0, Some(0));
    home.fails(3, &["doctor", "wel"]);
    drop(taken);
    assert_eq!(ids(&doctor(&home, &["late"]).1, "late"), [""; 0]);
}

#[test]
fn secrets_of_the_collector_are_looked_for() {
    let home = Home::new();
    home.config(
        r#"
name = "shop"
[opentelemetry]
endpoint = "http://127.0.0.1:4318"
headers = { authorization = "Bearer ${secret:collector}" }
[secrets]
collector = { file = "key" }
[service.web]
command = [@fixture@, "sleep"]
"#,
    );
    let (code, found) = doctor(&home, &[]);
    assert_eq!((code, ids(&found, "").contains(&"secret".to_owned())), (Some(1), true), "{found}");
    assert!(found.to_string().contains("the secret collector cannot be read"), "{found}");
    mainstay_sys::file::write_atomic(&home.work().join("key"), b"a key", true).expect("a private file");
    let (code, found) = doctor(&home, &[]);
    assert_eq!((code, ids(&found, "").contains(&"secret".to_owned())), (Some(0), false), "{found}");
}

#[test]
fn stacks_that_want_the_same_are_told() {
    let home = Home::new();
    let other = home.work().join("other.toml");
    let service = format!("command = [{:?}, \"sleep\"]\n", fixture().to_string_lossy());
    std::fs::write(&other, format!("name = \"other\"\n[service.twin]\n{service}")).expect("a file");
    home.config(&format!("name = \"shop\"\n[service.web]\n{service}"));
    assert_eq!(ids(&doctor(&home, &[]).1, "web"), [""; 0]);
    home.ok(&["up", "-d", "-f", &other.to_string_lossy()]);
    let (code, found) = doctor(&home, &["-f", &home.work().join("mainstay.toml").to_string_lossy()]);
    assert_eq!((code, ids(&found, "web")), (Some(0), vec!["fight".to_owned()]), "{found}");
    home.ok(&["down", "-s", "other"]);
}

#[test]
fn a_stack_that_runs_is_examined_as_well() {
    let home = Home::new();
    home.config("name = \"shop\"\n[service.web]\ncommand = [@fixture@, \"sleep\"]\n");
    home.ok(&["up", "-d"]);
    let (code, found) = doctor(&home, &[]);
    assert_eq!((code, ids(&found, "web")), (Some(0), vec![]), "{found}");
    // A file that is named counts, whatever the stack was started with.
    let next = home.work().join("next.toml");
    std::fs::write(&next, "name = \"shop\"\n[service.web]\ncommand = [\"./no-such-program\"]\n")
        .expect("a file");
    let (code, found) = doctor(&home, &["-f", &next.to_string_lossy()]);
    assert_eq!((code, ids(&found, "web")), (Some(1), vec!["program".to_owned()]), "{found}");
    let text = home.ok(&["doctor"]);
    assert!(text.starts_with("shop: ") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    home.ok(&["down"]);
}
