//! Processes that stand still: a daemon that hangs is replaced, a machine that sleeps is not mistaken for one.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::Command;
use std::time::{Duration, Instant};

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually, skip};

const CONFIG: &str = r#"
[service.a]
command = ["FIXTURE", "sleep"]
live = { exec = ["FIXTURE", "exit", "0"], interval = "200ms", timeout = "5s", failures = 3 }

[service.crasher]
command = ["FIXTURE", "exit", "1", "--after", "50"]
restart = { policy = "always", delay = "300ms", max_delay = "300ms" }
"#;

fn signal(name: &str, pids: &[u32]) {
    let done = Command::new("kill").arg(name).args(pids.iter().map(u32::to_string)).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_daemon_that_hangs_is_replaced_and_services_notice_nothing() {
    if cfg!(windows) {
        skip!("there is no SIGSTOP; the keeper's own tests hang a daemon in another way");
    }
    let stack = Stack::new(CONFIG);
    stack.up();
    let before = stack.wait_for("a", &[StateName::Running]);
    let hung = stack.status().daemon.pid;
    signal("-STOP", &[hung]);
    // Commands wait for the next daemon, each in bounded time.
    let status = eventually("a new daemon", || stack.status_of("t").filter(|now| now.daemon.pid != hung));
    assert!(status.daemon_reason.contains("did not answer"), "{}", status.daemon_reason);
    let a = stack.service("a");
    assert_eq!((a.pid, a.run, a.restarts), (before.pid, before.run, 0));
    stack.down();
}

#[test]
fn a_machine_that_sleeps_loses_nothing_and_makes_no_storm() {
    if cfg!(windows) {
        skip!("there is no SIGSTOP");
    }
    let stack = Stack::new(CONFIG);
    stack.up();
    let before = stack.wait_for("a", &[StateName::Running]);
    let restarts = eventually("it crashes and comes back", || {
        Some(stack.service("crasher").restarts).filter(|restarts| *restarts > 2)
    });
    // All of it at once, as in a suspend: longer than a daemon may be silent.
    let status = stack.status();
    let mut all = mainstay_e2e::running(stack.fixture());
    all.extend([status.keeper.pid, status.daemon.pid]);
    // One of these may have ended meanwhile.
    let _ = Command::new("kill").arg("-STOP").args(all.iter().map(u32::to_string)).status();
    let asleep = Duration::from_secs(15);
    std::thread::sleep(asleep);
    let woken = Instant::now();
    let _ = Command::new("kill").arg("-CONT").args(all.iter().map(u32::to_string)).status();

    let after = eventually("it goes on", || {
        stack.status_of("t").filter(|_| stack.service("crasher").restarts > restarts + 2)
    });
    assert_eq!((after.daemon.pid, after.daemons_before), (status.daemon.pid, 0), "the daemon was replaced");
    let a = stack.service("a");
    assert_eq!((a.pid, a.run, a.restarts), (before.pid, before.run, 0), "a was restarted");
    // What was missed is not made up for: with 50 ms of life and 300 ms of back-off at most three a second come.
    let most = restarts + 6 + u32::try_from(woken.elapsed().as_millis() / 200).unwrap();
    let now = stack.service("crasher").restarts;
    assert!(now <= most, "{now} restarts, {restarts} before the sleep, at most {most} expected");
    stack.down();
}
