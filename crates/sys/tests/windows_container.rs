//! Trees of processes are held together, ended, frozen, and asked to end one at a time.
#![cfg(windows)]
#![expect(unsafe_code, reason = "it asks Wine for its version")]

mod windows;

use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use mainstay_sys::Exit;
use mainstay_sys::container::{Container, Kind, Root, Signal};
use mainstay_sys::process;
use windows::{PATIENCE, Run, exit_of, helper, lives, skipped_under_wine, stack, unique, until};

/// What a process ends with that has no handler for Ctrl+C.
const CONTROL_C_EXIT: Exit = Exit::Code(0xC000_013A);

fn empty(container: &Container) -> bool {
    container.is_empty().expect("a look")
}

#[test]
fn a_whole_tree_is_ended_and_others_are_not() {
    let root = stack();
    assert_eq!(root.kind(), Kind::Job);
    let (one, other) = (root.container("one").expect("one"), root.container("other").expect("other"));
    assert!(empty(&one));
    let (first, mut output) = Run::helper(&one, &["chain", "4"]).captured();
    output.until_line("complete");
    let (second, mut second_output) = Run::helper(&other, &["chain", "2"]).captured();
    second_output.until_line("complete");
    assert_eq!(one.processes().expect("a list").len(), 4);
    assert_eq!(other.processes().expect("a list").len(), 2);
    let pids = one.processes().expect("a list");
    assert!(pids.contains(&first.pid));
    // The same container under the same name.
    assert_eq!(root.container("one").expect("one").processes().expect("a list"), pids);

    one.kill().expect("ended");
    until("the tree is gone", || empty(&one));
    assert_eq!(exit_of(&first), Exit::Code(1));
    assert!(pids.iter().all(|pid| !lives(*pid)));
    assert_eq!(other.processes().expect("a list").len(), 2);
    one.kill().expect("it may be ended again");

    // A container can be used again.
    let (third, mut output) = Run::helper(&one, &["chain", "1"]).captured();
    output.until_line("complete");
    assert_eq!(one.processes().expect("a list"), [third.pid]);
    drop(root);
    assert!(lives(second.pid), "a container holds the stack's job too");
    one.kill().expect("ended");
    other.kill().expect("ended");
}

#[test]
fn a_tree_outlives_its_middle_and_is_ended_all_the_same() {
    let root = stack();
    let container = root.container("middle").expect("a container");
    let (main, mut output) = Run::helper(&container, &["middle"]).captured();
    assert_eq!(exit_of(&main), Exit::Code(0));
    output.until("the leaf", |text| text.contains("leaf"));
    let leaf: u32 = output.text().trim().trim_start_matches("leaf ").parse().expect("a number");
    assert_eq!(container.processes().expect("a list"), [leaf]);
    // It holds the pipe: there is no end, and what was written is there.
    assert!(!output.ended);
    assert!(!output.set.drain(1, &mut |_, _| {}).expect("drained"));
    container.kill().expect("ended");
    until("the leaf is gone", || empty(&container) && !lives(leaf));
    output.until_end();
}

#[test]
fn a_tree_that_grows_all_the_time_is_ended() {
    let root = stack();
    let container = root.container("breed").expect("a container");
    let (_main, mut output) = Run::helper(&container, &["breed"]).captured();
    output.until_line("breeding");
    until("it grows", || container.processes().expect("a list").len() > 5);
    container.kill().expect("ended");
    until("all are gone", || empty(&container));
    std::thread::sleep(Duration::from_millis(100));
    assert!(empty(&container), "and none came after");
}

#[test]
fn a_frozen_tree_stands_still_until_it_is_thawed() {
    let root = stack();
    let container = root.container("freeze").expect("a container");
    let (_main, mut output) = Run::helper(&container, &["count"]).captured();
    output.until_line("5");
    container.freeze().expect("frozen");
    container.freeze().expect("frozen twice is frozen once");
    // What it wrote before is read; then nothing more comes.
    let _ = output.set.drain(1, &mut |_, _| {}).expect("drained");
    let mut more = 0;
    let end = Instant::now() + Duration::from_millis(300);
    while Instant::now() < end {
        output.set.wait(Some(Duration::from_millis(20)), &mut |_, _| more += 1).expect("read");
    }
    assert_eq!(more, 0, "it went on");
    output.bytes.clear();
    container.thaw().expect("thawed");
    output.until("it goes on", |text| text.lines().count() > 5);
    container.thaw().expect("nothing to thaw");
    // A frozen tree can be ended.
    container.freeze().expect("frozen");
    container.kill().expect("ended");
    until("it is gone", || empty(&container));
}

#[test]
fn a_tree_that_grows_is_frozen_or_said_to_grow_too_fast() {
    let root = stack();
    let container = root.container("freeze").expect("a container");
    let (_main, mut output) = Run::helper(&container, &["breed"]).captured();
    output.until_line("breeding");
    container.freeze().expect("frozen");
    let count = container.processes().expect("a list").len();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(container.processes().expect("a list").len(), count, "it grew while frozen");
    container.thaw().expect("thawed");
    until("it grows again", || container.processes().expect("a list").len() > count);
    container.kill().expect("ended");
    until("it is gone", || empty(&container));
}

#[test]
fn ctrl_c_reaches_its_service_alone() {
    let root = stack();
    let services: Vec<_> = ["one", "two", "three"]
        .map(|name| {
            let container = root.container(name).expect("a container");
            let (process, mut output) = Run::helper(&container, &["listen", "2"]).captured();
            output.until_line("listening");
            (container, process, output)
        })
        .into();
    let mut services = services.into_iter();
    let (container, process, mut output) = services.next().expect("the first");
    container.signal(Some(&process), Signal::Interrupt).expect("sent");
    output.until_line("Ctrl+C");
    assert!(process::is_alive(&process.id), "it waits for a second one");
    container.signal(Some(&process), Signal::Interrupt).expect("sent");
    assert_eq!(exit_of(&process), Exit::Code(100));
    output.until_end();
    assert_eq!(output.text(), "listening\nCtrl+C\nCtrl+C\n");
    for (container, process, mut output) in services {
        output.set.drain(1, &mut |_, chunk| panic!("it heard {chunk:?}")).expect("drained");
        assert!(process::is_alive(&process.id));
        container.kill().expect("ended");
    }
}

#[test]
fn ctrl_c_ends_who_has_no_handler_and_children_with_it() {
    let root = stack();
    let container = root.container("deaf").expect("a container");
    let (process, mut output) = Run::helper(&container, &["deaf"]).captured();
    output.until_line("listening");
    container.signal(Some(&process), Signal::Interrupt).expect("sent");
    assert_eq!(exit_of(&process), CONTROL_C_EXIT);
    until("nothing is left", || empty(&container));

    let (process, mut output) = Run::helper(&container, &["chain", "3"]).captured();
    output.until_line("complete");
    container.signal(Some(&process), Signal::Interrupt).expect("sent");
    assert_eq!(exit_of(&process), CONTROL_C_EXIT);
    until("its children are on the same console", || empty(&container));
}

#[test]
fn ctrl_c_reaches_what_is_left_when_the_main_process_is_gone() {
    let root = stack();
    let container = root.container("left").expect("a container");
    let (main, mut output) = Run::helper(&container, &["middle"]).captured();
    assert_eq!(exit_of(&main), Exit::Code(0));
    output.until("the leaf", |text| text.contains("leaf"));
    container.signal(Some(&main), Signal::Interrupt).expect("sent");
    until("the leaf has heard it", || empty(&container));
}

#[test]
fn many_services_hear_ctrl_c_at_once() {
    const COUNT: usize = 30;
    let root = stack();
    let services: Vec<_> = (0..COUNT)
        .map(|number| {
            let container = root.container(&number.to_string()).expect("a container");
            let (process, output) = Run::helper(&container, &["listen"]).captured();
            (container, process, output)
        })
        .collect();
    let mut services = services;
    for (_, _, output) in &mut services {
        output.until_line("listening");
    }
    let start = Instant::now();
    for (container, process, _) in &services {
        container.signal(Some(process), Signal::Interrupt).expect("sent");
    }
    let asked = start.elapsed();
    for (_, process, output) in &mut services {
        assert_eq!(exit_of(process), Exit::Code(100));
        output.until_end();
        assert_eq!(output.text(), "listening\nCtrl+C\n");
    }
    eprintln!("{COUNT} asked in {asked:?}, ended within {:?}", start.elapsed());
}

#[test]
fn windows_are_closed() {
    let root = stack();
    let container = root.container("window").expect("a container");
    let (process, mut output) = Run::helper(&container, &["window"]).captured();
    output.until("an answer", |text| text.lines().any(|line| line.ends_with("window")));
    if output.text().contains("no window") && skipped_under_wine("no display, and no null driver for windows")
    {
        return;
    }
    container.signal(Some(&process), Signal::CloseWindow).expect("sent");
    assert_eq!(exit_of(&process), Exit::Code(101));

    // In one of its own: whoever makes the first window under Wine starts Wine's desktop, in its own job.
    let container = root.container("windowless").expect("a container");
    let (process, mut output) = Run::helper(&container, &["chain", "1"]).captured();
    output.until_line("complete");
    let error = container.signal(Some(&process), Signal::CloseWindow).expect_err("it has none");
    assert!(error.to_string().contains("no window"), "{error}");
    let error = container.signal(Some(&process), Signal::Number(15)).expect_err("not on Windows");
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    container.kill().expect("ended");
}

/// A process that is like a keeper, with a service of three processes; and, if asked, a guard.
struct Keeper {
    child: Child,
    guard: Option<u32>,
    /// Main process first.
    service: Vec<u32>,
    /// How many processes of an earlier keeper it ended.
    ended: u32,
}

impl Keeper {
    fn start(dir: &Path, stack: &str, guard: bool, guard_waits: bool) -> Self {
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        let file = dir.join(unique("pids"));
        let mut command = Command::new(helper());
        command.arg("keeper").arg(&file).env("TEST_STACK", stack).creation_flags(CREATE_NO_WINDOW);
        if guard {
            command.arg("guard");
        }
        if guard_waits {
            command.env("TEST_GUARD_WAITS", "1");
        }
        let child = command.spawn().expect("a keeper");
        until("the keeper has started its service", || file.exists());
        let text = std::fs::read_to_string(&file).expect("numbers");
        let mut numbers = text.split(' ').map(|number| number.parse::<u32>().expect("a number"));
        let ended = numbers.next().expect("a count");
        let mut service = vec![numbers.next().expect("a main process")];
        let guard = if guard { numbers.next() } else { None };
        service.extend(numbers);
        assert_eq!(service.len(), 3, "{text}");
        Keeper { child, guard, service, ended }
    }

    fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    fn service_lives(&self) -> usize {
        self.service.iter().filter(|pid| lives(**pid)).count()
    }
}

fn kill(pid: u32) {
    let id = process::identity(pid).expect("it lives");
    assert!(process::kill(&id).expect("killed"));
}

#[test]
fn a_keeper_that_is_killed_takes_its_services_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut keeper = Keeper::start(dir.path(), &unique("stack"), false, false);
    assert_eq!(keeper.service_lives(), 3);
    keeper.kill();
    until("the services are gone", || keeper.service_lives() == 0);
}

#[test]
fn a_guard_ends_all_trees_when_the_keeper_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut keeper = Keeper::start(dir.path(), &unique("stack"), true, false);
    let guard = keeper.guard.expect("a guard");
    assert!(lives(guard));
    keeper.kill();
    until("the services and the guard are gone", || keeper.service_lives() == 0 && !lives(guard));
}

#[test]
fn services_live_while_one_of_keeper_and_guard_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut keeper = Keeper::start(dir.path(), &unique("stack"), true, true);
    let guard = keeper.guard.expect("a guard");
    keeper.kill();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(keeper.service_lives(), 3, "the guard holds the stack's job");
    kill(guard);
    until("the services are gone with the last holder", || keeper.service_lives() == 0);

    let mut keeper = Keeper::start(dir.path(), &unique("stack"), true, true);
    kill(keeper.guard.expect("a guard"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(keeper.service_lives(), 3, "the keeper holds the stack's job");
    keeper.kill();
    until("the services are gone with the last holder", || keeper.service_lives() == 0);
}

#[test]
fn the_next_keeper_ends_what_an_earlier_one_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let name = unique("stack");
    let mut first = Keeper::start(dir.path(), &name, true, true);
    assert_eq!(first.ended, 0);
    let guard = first.guard.expect("a guard");
    first.kill();
    assert_eq!(first.service_lives(), 3, "the guard does nothing");
    let mut second = Keeper::start(dir.path(), &name, false, false);
    assert_eq!(first.service_lives(), 0, "the next keeper found them");
    assert_eq!(second.ended, 3);
    // The old guard is still there, and what it does now must not hurt the new keeper's services.
    kill(guard);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(second.service_lives(), 3);
    second.kill();
    until("these are gone too", || second.service_lives() == 0);
}

#[test]
fn recorded_processes_of_an_earlier_keeper_are_ended_by_identity() {
    let root = stack();
    let container = root.container("recorded").expect("a container");
    let (process, mut output) = Run::helper(&container, &["chain", "1"]).captured();
    output.until_line("complete");
    let next = Root::open(&unique("stack"), None).expect("a root");
    let mut other = process.id.clone();
    other.start -= 1;
    assert_eq!(next.end_leftovers(&[other], PATIENCE).expect("a look"), 0);
    assert!(process::is_alive(&process.id), "another process by the same number");
    assert_eq!(next.end_leftovers(std::slice::from_ref(&process.id), PATIENCE).expect("a look"), 1);
    assert!(!process::is_alive(&process.id));
}

#[test]
fn only_jobs_are_to_be_had() {
    for kind in [Kind::Cgroup, Kind::Session] {
        let error = Root::open(&unique("stack"), Some(kind)).expect_err("not on Windows");
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    }
    assert!(Root::open(&unique("stack"), Some(Kind::Job)).is_ok());
    for argument in ["", "job:", "job:0", "job:zz", "cgroup:/x", "job:fffff0"] {
        assert!(mainstay_sys::container::Guard::from_argument(argument).is_err(), "{argument}");
    }
}
