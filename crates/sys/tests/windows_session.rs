//! Processes in the session of who is signed in: made with their token, on their desktop, in a job apart.
//!
//! Wine gives our own token for any session, so that all of it runs there. Elsewhere it takes LocalSystem and somebody who
//! is signed in: what is seen then is that nothing is made.
#![cfg(windows)]
#![expect(unsafe_code, reason = "what the tests share asks whether this is Wine")]

mod windows;

use std::os::windows::process::CommandExt;
use std::process::Command;

use mainstay_sys::Exit;
use mainstay_sys::container::{Container, Root, Signal};
use mainstay_sys::session;
use windows::{Run, exit_of, helper, is_wine, lives, skipped_under_wine, stack, unique, until};

/// Nobody's.
const SESSION: u32 = 77;

fn in_session(root: &Root, name: &str) -> Container {
    root.container_in(name, Some(SESSION)).expect("a container")
}

/// Whether processes can be made there; if not, that is told.
fn can_be_made(container: &Container) -> bool {
    if !is_wine() {
        let error = Run::helper(container, &["chain", "1"]).start().expect_err("nobody is there");
        assert!(error.message.contains("cannot run in session 77"), "{error}");
    }
    is_wine()
}

#[test]
fn our_own_session_is_nothing_apart() {
    let root = stack();
    let own = session::own();
    assert_eq!(root.container_in("service", own).expect("a container").session(), None);
    assert_eq!(root.container_in("service", None).expect("a container").session(), None);
    assert_eq!(in_session(&root, "service").session(), Some(SESSION));
}

#[test]
fn a_service_moves_between_sessions() {
    let root = stack();
    let there = in_session(&root, "service");
    if !can_be_made(&there) {
        return;
    }
    let here = root.container("service").expect("a container");
    let (_main, mut output) = Run::helper(&there, &["chain", "2"]).captured();
    output.until_line("complete");
    assert_eq!(there.processes().expect("a list").len(), 2);
    assert!(here.is_empty().expect("a look"), "they have nothing in common");
    there.kill().expect("ended");
    until("it is gone", || there.is_empty().expect("a look"));
    let (_main, mut output) = Run::helper(&here, &["chain", "2"]).captured();
    output.until_line("complete");
    assert!(there.is_empty().expect("a look"));
    here.kill().expect("ended");
}

#[test]
fn what_runs_on_a_desktop_is_asked_to_end_there() {
    let root = stack();
    let container = in_session(&root, "service");
    if !can_be_made(&container) {
        return;
    }
    let error = container.signal(None, Signal::CloseWindow).expect_err("nothing runs");
    assert!(error.to_string().contains("nothing of it runs"), "{error}");
    let (process, mut output) = Run::helper(&container, &["listen"]).captured();
    output.until_line("listening");
    container.signal(Some(&process), Signal::Interrupt).expect("sent");
    assert_eq!(exit_of(&process), Exit::Code(100));
    output.until_end();
    assert_eq!(output.text(), "listening\nCtrl+C\n");

    let (process, mut output) = Run::helper(&container, &["window"]).captured();
    output.until("an answer", |text| text.lines().any(|line| line.ends_with("window")));
    if output.text().contains("no window") && skipped_under_wine("no display, and no null driver for windows")
    {
        return;
    }
    container.signal(Some(&process), Signal::CloseWindow).expect("sent");
    assert_eq!(exit_of(&process), Exit::Code(101));
}

#[test]
fn they_have_the_variables_of_who_is_signed_in_and_ours_over_them() {
    let root = stack();
    let container = in_session(&root, "service");
    if !can_be_made(&container) {
        return;
    }
    let mut run = Run::helper(&container, &["env"]);
    run.environment.insert("OWN_VARIABLE".to_owned(), "1".to_owned());
    // In UTF-16.
    let units: Vec<u16> =
        run.output().chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    let text = String::from_utf16_lossy(&units).to_ascii_uppercase();
    assert!(text.contains("USERPROFILE=") && text.contains("OWN_VARIABLE=1"), "{text}");
}

#[test]
fn nothing_in_a_session_outlives_the_keeper() {
    let root = stack();
    if !can_be_made(&in_session(&root, "service")) {
        return;
    }
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pids");
    let mut command = Command::new(helper());
    command.arg("keeper").arg(&file).env("TEST_STACK", unique("stack"));
    command.env("TEST_SESSION", SESSION.to_string()).creation_flags(CREATE_NO_WINDOW);
    let mut keeper = command.spawn().expect("a keeper");
    until("the keeper has started its service", || file.exists());
    let text = std::fs::read_to_string(&file).expect("numbers");
    let service: Vec<u32> = text.split(' ').skip(1).map(|pid| pid.parse().expect("a number")).collect();
    assert_eq!(service.len(), 3, "{text}");
    assert!(service.iter().all(|pid| lives(*pid)));
    keeper.kill().expect("killed");
    keeper.wait().expect("gone");
    until("all of the service is gone", || !service.iter().any(|pid| lives(*pid)));
}
