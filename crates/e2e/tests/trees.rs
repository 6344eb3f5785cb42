//! Process trees that do not want to end: a stop ends them all, within its time.

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually, running};

/// Starts one service, waits for `count` processes, stops it, and finds nothing left.
fn stop_leaves_nothing(arguments: &str, count: usize) {
    let stack = Stack::new(&format!(
        r#"
        [service.bad]
        command = ["FIXTURE", {arguments}]
        stop = {{ steps = [{{ ctrl_c = "300ms" }}], timeout = "1s" }}

        [service.good]
        command = ["FIXTURE", "--sole", "HOME/good.sole", "sleep"]
        "#
    ));
    stack.up();
    stack.wait_for("good", &[StateName::Running]);
    // One more: the good one.
    eventually("all processes are there", || (running(stack.fixture()).len() > count).then_some(()));
    stack.run(&["stop", "bad"]).expect_success();
    assert_eq!(stack.service("bad").state, StateName::Stopped);
    let left = running(stack.fixture());
    assert_eq!(left, [stack.service("good").pid.expect("the good one runs")], "only the good one is left");
    stack.down();
}

#[test]
fn deaf_to_everything() {
    stop_leaves_nothing(r#""ignore-signals""#, 1);
}

#[test]
fn wide_and_deep() {
    stop_leaves_nothing(r#""tree", "--depth", "3", "--width", "3""#, 40);
}

#[test]
fn grandchild_without_its_parent() {
    stop_leaves_nothing(r#""double-fork""#, 2);
}

#[test]
fn grandchild_in_its_own_session_and_deaf() {
    stop_leaves_nothing(r#""double-fork", "--own-session", "--ignore-signals""#, 2);
}

#[test]
fn grandchild_that_holds_the_output() {
    stop_leaves_nothing(r#""double-fork", "--own-session", "--ignore-signals", "--hold-output""#, 2);
}

#[test]
fn processes_that_run_away_from_the_kill() {
    stop_leaves_nothing(r#""fork-storm", "--links", "100000", "--chains", "2""#, 1);
}

#[test]
fn main_ends_while_a_child_holds_the_output() {
    let stack = Stack::new(
        r#"
        [service.holder]
        command = ["FIXTURE", "hold-pipe"]
        restart = "never"
        stop = { steps = [{ ctrl_c = "300ms" }], timeout = "1s" }
        "#,
    );
    stack.up();
    stack.wait_for("holder", &[StateName::Completed]);
    assert_eq!(running(stack.fixture()), Vec::<u32>::new());
    let log = eventually("the last words are in the log", || {
        let log = String::from_utf8_lossy(&stack.log("holder")).into_owned();
        log.contains("last words").then_some(log)
    });
    assert!(log.ends_with('\n'));
    stack.down();
}

#[test]
fn a_probe_that_runs_away_is_ended_at_its_timeout() {
    let stack = Stack::new(
        r#"
        [service.good]
        command = ["FIXTURE", "sleep"]
        ready = { exec = ["FIXTURE", "double-fork", "--own-session", "--ignore-signals"], timeout = "5s", interval = "1h" }
        "#,
    );
    stack.up();
    stack.wait_for("good", &[StateName::Running]);
    eventually("its probe and what that made", || (running(stack.fixture()).len() > 2).then_some(()));
    let main = stack.service("good").pid.expect("it runs");
    eventually("only the service is left", || (running(stack.fixture()) == [main]).then_some(()));
    let probe = stack.service("good").probes.remove(0);
    assert_eq!((probe.last, probe.detail.as_str()), (Some(false), "did not end in 5s"));
    stack.down();
}
