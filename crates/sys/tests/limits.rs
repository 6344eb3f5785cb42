//! Limits of trees, against processes that want more: in cgroup v2, or in v1 where only that has the controllers.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test says why it is skipped")]

mod common;

use std::path::{Path, PathBuf};

use common::{Run, Stack, kill_and_wait, stacks, until};
use mainstay_sys::container::{Container, Hits, Limits, NotEnforced};

/// Sets the limits; `false`, with the reason on standard error, where this machine cannot.
fn limited(container: &Container, limits: &Limits) -> bool {
    let missing = container.set_limits(limits);
    if !missing.is_empty() {
        let thread = std::thread::current();
        eprintln!("{} skipped: {missing:?}", thread.name().unwrap_or("a test"));
    }
    container.begin_run();
    missing.is_empty()
}

fn processes(most: u32) -> Limits {
    Limits { processes: Some(most), ..Limits::default() }
}

/// Each makes two more, to 255 at the most: where a limit fails, the machine must live all the same. Beside a main
/// process that stays, so that there is somebody to ask for.
const BOMB: &str = "(bomb() { if [ $1 -gt 0 ]; then bomb $(($1 - 1)) & bomb $(($1 - 1)) & fi; sleep 600; }; bomb 7) \
                    2>/dev/null & exec sleep 600";

#[test]
fn a_fork_bomb_comes_up_against_its_limit_and_the_machine_lives() {
    for stack in stacks() {
        let container = stack.container("bomb");
        if !limited(&container, &processes(25)) {
            continue;
        }
        let main = Run::new(&container, &["sh", "-c", BOMB]).start(None).expect("it starts");
        until("the limit is hit", || container.hits().processes.is_some());
        assert_eq!(container.hits().processes.map(|hit| hit.limit), Some(25));
        assert!(container.processes().expect("they can be told").len() <= 25);
        assert!(common::process_of(main.pid).is_some(), "the service lives");
        // Another one of the same stack does as it likes.
        let other = stack.container("other");
        Run::new(&other, &["sh", "-c", "for i in 1 2 3; do sleep 600 & done; wait"])
            .start(None)
            .expect("it starts");
        until("they are there", || other.processes().is_ok_and(|all| all.len() == 4));
        kill_and_wait(&other);
        kill_and_wait(&container);
        // The next run begins to count anew.
        container.begin_run();
        assert_eq!(container.hits(), Hits::default());
        container.remove().expect("it can be removed");
    }
}

#[test]
fn who_uses_too_much_memory_is_killed_and_it_is_known_why() {
    for stack in stacks() {
        let container = stack.container("hog");
        let limit = 30_000_000;
        if !limited(&container, &Limits { memory: Some(limit), ..Limits::default() }) {
            continue;
        }
        for round in 0..2 {
            Run::new(&container, &["tail", "/dev/zero"]).start(None).expect("it starts");
            until("it is killed", || container.is_empty().expect("it can be asked"));
            let hit = container.hits().memory.expect("it is known");
            assert!(hit.own && hit.killed == 1 && hit.limit == Some(limit), "{round}: {hit:?}");
            assert!(hit.peak.is_some_and(|peak| peak > limit / 10 * 9 && peak <= limit), "{hit:?}");
            container.begin_run();
            assert_eq!(container.hits(), Hits::default());
        }
        // One that ends by itself has hit nothing.
        Run::new(&container, &["true"]).start(None).expect("it starts");
        until("it ends", || container.is_empty().expect("it can be asked"));
        assert_eq!(container.hits(), Hits::default());
        container.remove().expect("it can be removed");
    }
}

/// The kernel's file of this name in the cgroup of a process.
fn file_of(pid: u32, controller: &str, name: &str) -> Option<PathBuf> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let roots = match names {
            "" => ["/sys/fs/cgroup".to_owned(), "/sys/fs/cgroup/unified".to_owned()],
            // In both kinds of hierarchies there are files of this name.
            _ if names.split(',').any(|name| name == controller) => {
                [format!("/sys/fs/cgroup/{names}"), format!("/sys/fs/cgroup/{controller}")]
            }
            _ => return None,
        };
        roots.map(|root| PathBuf::from(format!("{root}{path}/{name}"))).into_iter().find(|file| file.exists())
    })
}

#[test]
fn who_uses_too_much_processor_time_is_held_back() {
    for stack in stacks() {
        let container = stack.container("busy");
        if !limited(&container, &Limits { cpu_millis: Some(100), ..Limits::default() }) {
            continue;
        }
        let main = Run::new(&container, &["sh", "-c", "while :; do :; done"]).start(None).expect("it starts");
        let file = file_of(main.pid, "cpu", "cpu.cfs_quota_us").or(file_of(main.pid, "cpu", "cpu.max"));
        let text = std::fs::read_to_string(file.expect("it has one")).expect("it can be read");
        assert!(text == "10000\n" || text == "10000 100000\n", "{text}");
        let file = file_of(main.pid, "cpu", "cpu.stat").expect("it has one");
        let throttled = || {
            let text = std::fs::read_to_string(&file).expect("it can be read");
            text.lines().any(|line| line.strip_prefix("nr_throttled ").is_some_and(|count| count != "0"))
        };
        until("it is held back", throttled);
        kill_and_wait(&container);
        container.remove().expect("it can be removed");
    }
}

#[test]
fn limits_change_while_it_runs() {
    let dir = common::directory();
    for (nth, stack) in stacks().into_iter().enumerate() {
        let container = stack.container("later");
        let go = dir.path().join(format!("go{nth}"));
        let script = format!("while ! [ -e {} ]; do sleep 0.02; done; {BOMB}", go.display());
        // A tree of several, so that each has to be moved.
        let whole = format!("sleep 600 & sleep 601 & {script}");
        let main = Run::new(&container, &["sh", "-c", &whole]).start(None).expect("it starts");
        until("they are there", || container.processes().is_ok_and(|all| all.len() >= 3));
        let missing = container.set_limits(&processes(15));
        if !missing.is_empty() {
            eprintln!("limits_change_while_it_runs skipped: {missing:?}");
            kill_and_wait(&container);
            continue;
        }
        std::fs::write(&go, "").expect("it can be written");
        until("the limit is hit", || container.hits().processes.is_some());
        assert!(container.processes().expect("they can be told").len() <= 15);
        // And away again.
        assert_eq!(container.set_limits(&Limits::default()), []);
        let file = file_of(main.pid, "pids", "pids.max").expect("it has one");
        assert_eq!(std::fs::read_to_string(file).expect("it can be read"), "max\n");
        assert_eq!(container.set_limits(&processes(1)), []);
        kill_and_wait(&container);
        container.remove().expect("it can be removed");
    }
}

/// All directories below the cgroup mounts that are named after a stack.
fn directories_of(stack: &str) -> Vec<PathBuf> {
    fn look(dir: &Path, name: &str, depth: u32, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name() == name {
                    found.push(entry.path());
                } else if depth > 0 {
                    look(&entry.path(), name, depth - 1, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    look(Path::new("/sys/fs/cgroup"), &format!("mainstay-{stack}"), 8, &mut found);
    found
}

#[test]
fn nothing_is_left_of_limits_nor_of_those_that_a_killed_keeper_had() {
    for stack in stacks() {
        let id = stack.id.clone();
        let kind = stack.root().kind();
        let container = stack.container("x");
        let limits = Limits { memory: Some(50_000_000), cpu_millis: Some(500), ..processes(20) };
        let missing: Vec<NotEnforced> = container.set_limits(&limits);
        Run::new(&container, &["sleep", "600"]).start(None).expect("it starts");
        let before = directories_of(&id).len();
        assert!(before >= usize::from(missing.is_empty()), "limits are somewhere");
        // As a killed keeper: it lets go of everything without taking it away.
        drop(container);
        let next = Stack::again(&id, kind);
        assert_eq!(next.root().end_leftovers(&[], common::PATIENCE).expect("they end"), 1);
        drop(next);
        drop(stack);
        assert_eq!(directories_of(&id), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_disk_is_limited_where_the_working_directory_is_on_one() {
    for stack in stacks() {
        let container = stack.container("disk");
        let limits = Limits { io_read: Some(1_000_000), io_path: Some("/proc".into()), ..Limits::default() };
        let missing = container.set_limits(&limits);
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert_eq!(missing[0].limit, "io_read");
        let here = Limits { io_path: Some(env!("CARGO_MANIFEST_DIR").into()), ..limits };
        if limited(&container, &here) {
            let main = Run::new(&container, &["sleep", "600"]).start(None).expect("it starts");
            let file = file_of(main.pid, "blkio", "blkio.throttle.read_bps_device")
                .or(file_of(main.pid, "io", "io.max"));
            let text = std::fs::read_to_string(file.expect("it has one")).expect("it can be read");
            assert!(text.contains("1000000"), "{text}");
        }
        kill_and_wait(&container);
        container.remove().expect("it can be removed");
    }
}
