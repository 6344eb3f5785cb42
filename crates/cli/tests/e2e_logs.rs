//! `mainstay logs`: what it shows of real services' output, by time, run and pattern.

mod common;

use common::{Home, until};
use serde_json::Value;

const TWO: &str = r#"
name = "shop"

[service.one]
command = [@fixture@, "lines", "--count", "20", "--rate", "100"]

[service.two]
command = [@fixture@, "lines", "--count", "20", "--rate", "100", "--from", "1001"]
"#;

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("an object per line")).collect()
}

fn texts(objects: &[Value]) -> Vec<String> {
    objects.iter().map(|object| format!("{}\n", object["text"].as_str().expect("a text"))).collect()
}

/// A stack of two services, both of which have written all; and their lines.
fn two(home: &Home) -> Vec<Value> {
    home.config(TWO);
    home.ok(&["up", "-d", "--wait"]);
    let lines = || Some(objects(&home.ok(&["logs", "--json"]))).filter(|all| all.len() == 40);
    until("all lines", lines)
}

#[test]
fn several_services_come_in_order_of_time() {
    let home = Home::new();
    let all = two(&home);
    let times: Vec<&str> = all.iter().map(|object| object["time"].as_str().expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.iter().all(|time| time.len() == "2026-11-22T19:00:00.123Z".len()), "{times:?}");
    for (name, first) in [("one", 1), ("two", 1001)] {
        let own: Vec<Value> = all.iter().filter(|object| object["service"] == name).cloned().collect();
        let written: Vec<String> = (first..first + 20).map(|n| format!("line {n:012}\n")).collect();
        assert_eq!(texts(&own), written);
        assert_eq!(home.ok(&["logs", name]), written.concat(), "one alone is exactly what it wrote");
        assert!(own.iter().all(|object| object["run"] == own[0]["run"] && object["ended"] == true));
    }
    let stamped = home.ok(&["logs", "-t", "one"]);
    assert!(stamped.lines().all(|line| line.split_at(24).1.starts_with("line 0000")), "{stamped}");
    let named = home.ok(&["logs"]);
    assert_eq!(named.lines().count(), 40);
    assert!(named.lines().all(|line| line.starts_with("one | line ") || line.starts_with("two | line ")));
}

#[test]
fn since_and_until_cut_at_the_time() {
    let home = Home::new();
    let all = two(&home);
    for at in [0, 7, 20, 39] {
        let time = all[at]["time"].as_str().expect("a time");
        let since: Vec<Value> = all.iter().filter(|o| o["time"].as_str() >= Some(time)).cloned().collect();
        let until: Vec<Value> = all.iter().filter(|o| o["time"].as_str() <= Some(time)).cloned().collect();
        assert_eq!(objects(&home.ok(&["logs", "--json", "--since", time])), since);
        assert_eq!(objects(&home.ok(&["logs", "--json", "--until", time])), until);
        let both = home.ok(&["logs", "--json", "--since", time, "--until", time]);
        assert!(objects(&both).iter().all(|object| object["time"] == time), "{both}");
        let own: Vec<Value> = until.iter().filter(|object| object["service"] == "one").cloned().collect();
        let last = texts(&own[own.len().saturating_sub(3)..]).concat();
        assert_eq!(home.ok(&["logs", "--until", time, "-n", "3", "one"]), last);
    }
    assert_eq!(home.ok(&["logs", "--since", "2100-01-01"]), "");
    assert_eq!(home.ok(&["logs", "--until", "2000-01-01 12:00"]), "");
    assert_eq!(home.ok(&["logs", "--since", "365d", "one"]), home.ok(&["logs", "one"]));
    let complaint = home.fails(2, &["logs", "--since", "whenever"]);
    assert!(complaint.contains("write 10m"), "{complaint}");
}

#[test]
fn by_pattern_and_by_run() {
    let home = Home::new();
    let all = two(&home);
    assert_eq!(home.ok(&["logs", "--grep", "00[35]$", "one"]), "line 000000000003\nline 000000000005\n");
    let mut last: Vec<String> =
        home.ok(&["logs", "-g", "00[35]$", "-n", "1"]).lines().map(str::to_owned).collect();
    last.sort();
    assert_eq!(last, ["one | line 000000000005", "two | line 000000001005"]);
    assert_eq!(home.ok(&["logs", "--grep", "nothing like this"]), "");
    assert!(home.fails(2, &["logs", "--grep", "("]).contains("unclosed group"));

    let first = all.iter().find(|object| object["service"] == "one").expect("a line")["run"].clone();
    home.ok(&["restart", "one"]);
    until("the second run's lines", || (home.log("shop", "one").lines().count() == 40).then_some(()));
    let second = home.service("shop", "one")["run"].clone();
    for run in [&first, &second] {
        let own = objects(&home.ok(&["logs", "--json", "--run", &run.to_string()]));
        assert_eq!(own.len(), 20, "run {run}");
        assert!(own.iter().all(|object| object["service"] == "one" && object["run"] == *run));
    }
    let none = home.run(&["logs", "--run", "999"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    assert!(none.stderr.contains("nothing is known of output of run 999"), "{}", none.stderr);
}

#[test]
fn following_chooses_too() {
    let home = Home::new();
    home.config(TWO);
    home.ok(&["up", "-d", "--wait"]);
    let mut follower = home.start(&["logs", "-f", "--grep", "[05]$", "-n", "1"]);
    follower.until_seen("one | line 000000000020");
    follower.until_seen("two | line 000000001020");
    home.ok(&["restart", "one"]);
    follower.until_seen("one | line 000000000005");
    assert!(follower.seen().lines().all(|line| line.ends_with(['0', '5'])), "{}", follower.seen());
}

#[test]
fn a_log_without_times_is_shown_all_the_same() {
    let home = Home::new();
    two(&home);
    home.ok(&["down"]);
    for file in std::fs::read_dir(home.stack_dir("shop", "log")).expect("the logs").flatten() {
        if file.file_name().to_string_lossy().ends_with(".idx") {
            std::fs::remove_file(file.path()).expect("an index");
        }
    }
    let done = home.run(&["logs", "-s", "shop", "--since", "1s", "one"]);
    assert_eq!((done.code, done.stdout.lines().count()), (Some(0), 20));
    assert!(
        done.stderr.contains("one: of some lines it is not known when they were written"),
        "{}",
        done.stderr
    );
    assert_eq!(home.ok(&["logs", "-s", "shop"]).lines().count(), 40);
    assert_eq!(objects(&home.ok(&["logs", "-s", "shop", "--json", "one"]))[0]["time"], Value::Null);
}

const APART: &str = r#"
name = "shop"

[service.one]
command = [@fixture@, "lines", "--count", "20", "--stderr-every", "5"]
log = { stderr = "separate" }

[service.two]
command = [@fixture@, "lines", "--count", "2"]
"#;

#[test]
fn stderr_is_shown_apart_where_it_is_kept_apart() {
    let home = Home::new();
    home.config(APART);
    home.ok(&["up", "-d", "--wait"]);
    until("all lines", || (home.ok(&["logs", "one"]).lines().count() == 20).then_some(()));
    let fifth = |n: &u64| n.is_multiple_of(5);
    let lines = |which: &dyn Fn(&u64) -> bool| {
        (1..=20_u64).filter(|n| which(n)).map(|n| format!("line {n:012}\n")).collect::<String>()
    };
    assert_eq!(home.ok(&["logs", "--stderr", "one"]), lines(&fifth));
    assert_eq!(home.ok(&["logs", "--stdout", "one"]), lines(&|n| !fifth(n)));
    for object in objects(&home.ok(&["logs", "--json", "one"])) {
        let number =
            object["text"].as_str().and_then(|text| text[5..].parse::<u64>().ok()).expect("a number");
        assert_eq!(object["stream"], if fifth(&number) { "stderr" } else { "stdout" });
        assert_eq!(object["service"], "one");
    }
    assert!(home.ok(&["logs", "--stderr"]).lines().all(|line| line.starts_with("one.err | line ")));
    let complaint = home.fails(1, &["logs", "--stderr", "two"]);
    assert!(complaint.contains("standard error is in the same log"), "{complaint}");
    assert_eq!(home.ok(&["logs", "two"]).lines().count(), 2);
}
