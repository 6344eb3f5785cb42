//! What a keeper that was killed leaves behind is ended, whoever looks for it.
#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use common::{HELPER, PATIENCE, Run, Stack, tagged, unique, until};
use mainstay_sys::container::{Guard, Kind, Root};
use mainstay_sys::process::{self, ProcessId};

/// A keeper of two services, each a shell with a daemon that has left everything behind.
struct Keeper {
    child: Child,
    stack: String,
    tag: String,
    recorded: Vec<ProcessId>,
}

impl Keeper {
    /// `None` where this kind cannot be had.
    fn start(kind: Kind) -> Option<Keeper> {
        let probe = Stack::open(kind)?;
        drop(probe);
        let stack = unique("stack");
        let tag = unique("left");
        let script = format!("'{HELPER}' daemonize {tag} & setsid '{HELPER}' deaf {tag} & exec sleep 600");
        let mut child = Command::new(HELPER)
            .args(["keeper", kind.as_str(), &stack, "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let mut recorded = Vec::new();
        loop {
            let line = lines.next().expect("it says ready").expect("it is text");
            if line == "ready" {
                break;
            }
            let (pid, start) = line.split_once(' ').expect("two numbers");
            recorded.push(ProcessId {
                pid: pid.parse().expect("a number"),
                start: start.parse().expect("a number"),
                boot: mainstay_sys::clock::boot_id(),
            });
        }
        assert_eq!(recorded.len(), 2);
        // Of each service the daemon (and the process it came from), and the deaf one.
        until("all are there", || tagged(&tag).len() >= 6);
        Some(Keeper { child, stack, tag, recorded })
    }

    fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        // The processes in the middle of the forks may be gone by now.
        assert!(tagged(&self.tag).len() >= 4, "it leaves its services behind");
    }

    fn all_gone(&self) -> bool {
        tagged(&self.tag).is_empty() && !self.recorded.iter().any(process::is_alive)
    }
}

#[test]
fn the_next_keeper_ends_them() {
    // Also where the two keepers hold their trees in different ways.
    for (before, now) in [
        (Kind::Cgroup, Kind::Cgroup),
        (Kind::Session, Kind::Session),
        (Kind::Cgroup, Kind::Session),
        (Kind::Session, Kind::Cgroup),
    ] {
        let Some(mut keeper) = Keeper::start(before) else { continue };
        keeper.kill();
        let Ok(root) = Root::open(&keeper.stack, Some(now)) else { continue };
        // One of another boot has the number of somebody who has nothing to do with it.
        let mut recorded = keeper.recorded.clone();
        let own = process::identity(std::process::id()).expect("we run");
        recorded.push(ProcessId { boot: "another".to_owned(), ..own.clone() });
        recorded.push(ProcessId { start: own.start + 1, ..own });
        let bystander = Stack::open(Kind::Session).expect("sessions can be had everywhere");
        let other = bystander.container("other");
        let (living, _output) = Run::new(&other, &["sleep", "600"]).captured();
        let ended = root.end_leftovers(&recorded, PATIENCE).expect("they can be ended");
        assert!(keeper.all_gone(), "{before:?} then {now:?}");
        // Two shells that became sleeps, and three of the helpers' each.
        assert!(ended >= 8, "{ended}");
        assert!(process::is_alive(&living.id), "another stack's process lives");
        assert_eq!(root.end_leftovers(&recorded, PATIENCE).expect("nothing is left"), 0);
        let container = root.container("one").expect("it can be used");
        assert_eq!(Run::new(&container, &["echo", "new"]).output(), "new\n");
        until("it is empty", || container.is_empty().expect("it can be asked"));
        container.remove().expect("it can be removed");
        root.remove().expect("it can be removed");
    }
}

/// The journal is lost too: nothing is recorded.
#[test]
fn they_are_found_without_records() {
    for kind in [Kind::Cgroup, Kind::Session] {
        let Some(mut keeper) = Keeper::start(kind) else { continue };
        keeper.kill();
        let root = Root::open(&keeper.stack, Some(kind)).expect("it could be had before");
        assert!(root.end_leftovers(&[], PATIENCE).expect("they can be ended") >= 8);
        assert!(keeper.all_gone());
        root.remove().expect("it can be removed");
    }
}

/// What has thrown away its environment is found by the record of its session.
#[test]
fn a_recorded_session_is_ended() {
    let stack = unique("stack");
    let tag = unique("clean");
    let script = format!("env -i sh -c 'while :; do sleep 0.05; done' {tag} & exit 0");
    let mut child = Command::new(HELPER)
        .args(["keeper", "session", &stack, "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let mut recorded = Vec::new();
    while let Some(Ok(line)) = lines.next() {
        let Some((pid, start)) = line.split_once(' ') else { break };
        let (pid, start) = (pid.parse().expect("a number"), start.parse().expect("a number"));
        recorded.push(ProcessId { pid, start, boot: mainstay_sys::clock::boot_id() });
    }
    until("both are there", || tagged(&tag).len() == 2);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    until("the main processes are gone", || !recorded.iter().any(process::is_alive));
    let root = Root::open(&stack, Some(Kind::Session)).expect("sessions can be had everywhere");
    assert!(root.end_leftovers(&recorded, PATIENCE).expect("they can be ended") >= 2);
    assert_eq!(tagged(&tag), [0_u32; 0]);
}

/// The daemon ends everything when its keeper is gone.
#[test]
fn the_guard_ends_them() {
    for kind in [Kind::Cgroup, Kind::Session] {
        let Some(mut keeper) = Keeper::start(kind) else { continue };
        let root = Root::open(&keeper.stack, Some(kind)).expect("it could be had before");
        let guard = Guard::from_argument(&root.guard_argument()).expect("it is a guard's argument");
        keeper.kill();
        assert!(guard.end_all(PATIENCE).expect("they can be ended") >= 8);
        assert!(keeper.all_gone());
        assert_eq!(guard.end_all(PATIENCE).expect("nothing is left"), 0);
        root.remove().expect("it can be removed");
    }
    assert!(Guard::from_argument("").is_err());
    assert!(Guard::from_argument("cgroup:").is_err());
    assert!(Guard::from_argument("nonsense:x").is_err());
}

/// A keeper that was killed while a service was frozen.
#[test]
fn frozen_ones_are_ended() {
    for kind in [Kind::Cgroup, Kind::Session] {
        let Some(mut keeper) = Keeper::start(kind) else { continue };
        let root = Root::open(&keeper.stack, Some(kind)).expect("it could be had before");
        let container = root.container("one").expect("it is there");
        if kind == Kind::Cgroup {
            container.freeze().expect("it can be frozen");
        }
        keeper.kill();
        assert!(root.end_leftovers(&keeper.recorded, PATIENCE).expect("they can be ended") >= 8);
        assert!(keeper.all_gone());
        let container = root.container("one").expect("it can be used");
        assert_eq!(Run::new(&container, &["echo", "new"]).output(), "new\n");
        until("it is empty", || container.is_empty().expect("it can be asked"));
        container.remove().expect("it can be removed");
        root.remove().expect("it can be removed");
    }
}
