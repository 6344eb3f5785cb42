//! A full disk: nobody blocks who is not to, what is missing is counted exactly, and it is well again by itself.
//!
//! Each test runs itself once more in a mount namespace of its own, where it can make a small disk. Where that is not
//! allowed, and on Windows, it is skipped and says so.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod harness;

use std::path::Path;
use std::process::Command as Program;

use harness::{Home, service, wait_until};
use mainstay_link::{Event, Log, Spawn};

const INSIDE: &str = "MAINSTAY_TEST_SMALL_DISKS";

/// `lines 300000` writes so many bytes, several times what the disk holds.
const LINES: &str = "300000";
const BYTES: u64 = 3_488_890 + 7;

/// Whether small disks can be made here; if not, the test was run elsewhere, or cannot be run.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |arguments: &[&str]| {
        let mut program = Program::new("unshare");
        program.args(["--user", "--map-root-user", "--mount"]).args(arguments);
        program
    };
    let dir = tempfile::tempdir().unwrap();
    let mounts = unshare(&["mount", "-t", "tmpfs", "none"]).arg(dir.path()).output();
    if !mounts.is_ok_and(|done| done.status.success()) {
        eprintln!("{test} is skipped: there are no mount namespaces for this account");
        return false;
    }
    let exe = std::env::current_exe().unwrap();
    let done =
        unshare(&[exe.to_str().unwrap(), "--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
    false
}

fn disk(at: &Path, options: &str) {
    let done = Program::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(at).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

fn spawn(run: u64, lines: &str, wait_when_full: bool) -> Spawn {
    let log = Log {
        name: "web".into(),
        rotate_size: 100_000_000,
        keep_files: 10,
        wait_when_full,
        ..Log::default()
    };
    Spawn { log: Some(log), ..service(run, "web", &["lines", lines]) }
}

fn whole() -> String {
    (0..300_000).map(|n| format!("line {n}\n")).collect::<String>() + "the end"
}

#[test]
fn output_is_left_out_and_the_log_says_how_much() {
    if !inside("output_is_left_out_and_the_log_says_how_much") {
        return;
    }
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    disk(&home.path("log"), "size=1m");
    daemon.spawn(spawn(1, LINES, false));
    daemon.drained(1);
    let there = home.log("web");
    let missing = BYTES - there.len() as u64;
    assert!(there.len() > 900_000 && missing > 2_000_000, "{missing}");
    assert!(whole().starts_with(&there), "what is there is what came first");
    // The first loss was told before; what it came to in the end is told once that is acknowledged.
    loop {
        daemon.ack();
        let told = daemon.until(|event| matches!(event, Event::LogDropped { .. }));
        let Event::LogDropped { bytes, .. } = told else { unreachable!() };
        assert!(bytes <= missing);
        if bytes == missing {
            break;
        }
    }
    let tally = daemon.counted("web", BYTES, 300_000);
    assert_eq!((tally.bytes, tally.dropped_bytes), (there.len() as u64, missing));
    assert_eq!(tally.lines, there.matches('\n').count() as u64);
    disk(&home.path("log"), "remount,size=8m");
    daemon.spawn(spawn(2, "1", false));
    daemon.drained(2);
    let counted = daemon.counted("web", BYTES + 14, 300_001);
    assert_eq!((counted.lines, counted.dropped_lines), (tally.lines + 1, tally.dropped_lines));
    let end = if there.ends_with('\n') { "" } else { "\n" };
    let after = format!("{end}[mainstay: {missing} bytes of output are missing here]\nline 0\nthe end");
    assert!(home.log("web").strip_prefix(&there).is_some_and(|rest| rest == after));
    daemon.exit(&keeper);
}

#[test]
fn a_service_waits_for_space_if_it_is_to() {
    if !inside("a_service_waits_for_space_if_it_is_to") {
        return;
    }
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    disk(&home.path("log"), "size=1m");
    daemon.spawn(spawn(1, LINES, true));
    let note = daemon.until(|event| matches!(event, Event::LogNote { .. }));
    let Event::LogNote { name, text } = note else { unreachable!() };
    assert!(name == "web" && text.contains("waits"), "{text}");
    // The index has some of it.
    wait_until("a full disk", || home.log("web").len() >= (1 << 20) - (32 << 10));
    daemon.ack();
    disk(&home.path("log"), "remount,size=8m");
    daemon.drained(1);
    assert!(home.log("web") == whole(), "nothing is missing");
    daemon.exit(&keeper);
}

#[test]
fn old_segments_go_before_anything_is_left_out() {
    if !inside("old_segments_go_before_anything_is_left_out") {
        return;
    }
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    disk(&home.path("log"), "size=2m");
    for run in 1..=8 {
        let log = Log {
            name: "web".into(),
            rotate_size: 100_000,
            keep_files: 100,
            min_free: Some(1 << 20),
            ..Log::default()
        };
        daemon.spawn(Spawn { log: Some(log), ..service(run, "web", &["lines", "30000"]) });
        daemon.drained(run);
        daemon.ack();
    }
    let log = Log {
        name: "web".into(),
        rotate_size: 100_000,
        keep_files: 100,
        min_free: Some(1 << 20),
        ..Log::default()
    };
    daemon.spawn(Spawn { log: Some(log), ..service(9, "web", &["pace", "50"]) });
    daemon.until(|event| matches!(event, Event::LogNote { text, .. } if text.contains("were deleted")));
    wait_until("the segments are gone", || {
        let files = std::fs::read_dir(home.path("log")).unwrap().flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).sum::<u64>() < 1_100_000
    });
    daemon.exit(&keeper);
}
