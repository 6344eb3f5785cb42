//! A recorded process id belongs to another program by now: nothing of that program is touched.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::{Child, Command, Stdio};

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually};
use mainstay_sys::process;

const CONFIG: &str = "[service.a]\ncommand = [\"FIXTURE\", \"sleep\"]\n";

/// A program that has nothing to do with Mainstay.
struct Innocent(Child);

impl Innocent {
    fn new(stack: &Stack) -> Innocent {
        let child = Command::new(stack.fixture()).arg("sleep").stdin(Stdio::null()).spawn().unwrap();
        Innocent(child)
    }
}

impl Drop for Innocent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A journal in which a killed keeper left `pid` as a service's and as its daemon's, with these other parts of the
/// identity.
fn forge(stack: &Stack, pid: u32, change: impl Fn(&mut serde_json::Value)) {
    let mut id = serde_json::to_value(process::identity(pid).unwrap()).unwrap();
    change(&mut id);
    let daemon = serde_json::json!({ "daemon": { "id": id } });
    let spawn = serde_json::json!({ "spawn": { "run": 1, "container": "a", "id": id } });
    std::fs::write(stack.state_dir().join("runs.journal"), format!("{daemon}\n{spawn}\n")).unwrap();
}

#[test]
fn the_next_keeper_ends_nothing_of_it() {
    let stack = Stack::new(CONFIG);
    stack.up();
    stack.wait_for("a", &[StateName::Running]);
    let mut innocent = Innocent::new(&stack);
    let pid = innocent.0.id();
    // The number is the same, but the process was started at another time, or before the machine was.
    let other_time = |id: &mut serde_json::Value| {
        let start = id["start"].as_u64().unwrap();
        id["start"] = (start - 1).into();
    };
    let other_boot = |id: &mut serde_json::Value| id["boot"] = "00000000-0000-0000-0000-000000000000".into();
    let changes: [&dyn Fn(&mut serde_json::Value); 2] = [&other_time, &other_boot];
    for change in changes {
        stack.kill_own(true, true);
        eventually("the keeper is gone", || stack.status_of("t").is_none().then_some(()));
        forge(&stack, pid, change);
        // What keeper.json says is for people only, but must lead nobody astray either.
        let about = serde_json::json!({ "pid": pid, "started": "2020-01-01T00:00:00Z" });
        std::fs::write(stack.state_dir().join("keeper.json"), about.to_string()).unwrap();
        let down = stack.run(&["down", "-s", "t"]);
        assert_eq!(down.code, Some(3), "nothing is up: {down:?}");
        stack.up();
        stack.wait_for("a", &[StateName::Running]);
        assert!(innocent.0.try_wait().unwrap().is_none(), "another program was ended");
    }
    stack.run(&["down", "-s", "t"]).expect_success();
    assert!(innocent.0.try_wait().unwrap().is_none(), "another program was ended");
}

/// The other way round: with its true identity, it is what a killed keeper left.
#[test]
fn the_same_process_is_ended() {
    let stack = Stack::new(CONFIG);
    stack.up();
    stack.down();
    let mut left = Innocent::new(&stack);
    forge(&stack, left.0.id(), |_| {});
    stack.up();
    eventually("it is ended", || left.0.try_wait().unwrap());
    stack.down();
}
