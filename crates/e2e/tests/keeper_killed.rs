//! `kill -9` of the keeper, and of keeper and daemon at once: no orphan, and no double after the next `up`.

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually, running};

const CONFIG: &str = r#"
[service.tree]
command = ["FIXTURE", "--sole", "HOME/tree.sole", "tree", "--depth", "2", "--width", "2"]

[service.escaped]
command = ["FIXTURE", "--sole", "HOME/escaped.sole", "double-fork", "--own-session", "--ignore-signals"]

[service.deaf]
command = ["FIXTURE", "--sole", "HOME/deaf.sole", "ignore-signals"]
"#;

fn nothing_is_left(keeper: bool, daemon: bool) {
    let stack = Stack::new(CONFIG);
    stack.up();
    stack.wait_for("tree", &[StateName::Running]);
    // 1 + 2 + 4, the double-forker and its grandchild, the deaf one.
    eventually("all processes are there", || (running(stack.fixture()).len() >= 10).then_some(()));
    let old = running(stack.fixture());
    stack.kill_own(keeper, daemon);

    eventually("the lock of the dead keeper is free", || {
        let outcome = stack.run(&["up", "-d"]);
        // The daemon of a killed keeper ends the trees and leaves; until then the stack may look up.
        (outcome.code == Some(0)).then_some(())
    });
    for name in ["tree", "escaped", "deaf"] {
        stack.wait_for(name, &[StateName::Running]);
        assert_eq!(stack.text(&format!("{name}.sole.violations")), "", "{name} ran twice at once");
    }
    eventually("all processes are there again", || (running(stack.fixture()).len() >= 10).then_some(()));
    let new = running(stack.fixture());
    assert!(old.iter().all(|pid| !new.contains(pid)), "orphans: old {old:?}, new {new:?}");
    stack.down();
}

#[test]
fn the_keeper_alone() {
    nothing_is_left(true, false);
}

#[test]
fn keeper_and_daemon() {
    nothing_is_left(true, true);
}

#[test]
fn a_second_up_is_refused_with_pid_and_place() {
    let stack = Stack::new("[service.a]\ncommand = [\"FIXTURE\", \"sleep\"]\n");
    stack.up();
    let keeper = stack.status().keeper.pid;
    let second = stack.run(&["up", "-d"]);
    assert_eq!(second.code, Some(4), "{second:?}");
    assert!(second.stderr.contains(&keeper.to_string()), "{second:?}");
    assert!(second.stderr.contains("mainstay.toml"), "{second:?}");
    assert_eq!(stack.status().keeper.pid, keeper);
    stack.down();
}
