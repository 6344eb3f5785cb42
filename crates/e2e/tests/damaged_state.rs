//! The files of a stack's state, damaged in every way that a disk, an editor or another version can come up with: what
//! runs goes on, and what is asked for comes about or is refused in words.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually, kill, running};

const CONFIG: &str = r#"
[service.a]
command = ["FIXTURE", "--sole", "HOME/a.sole", "sleep"]
"#;

/// Every file in the state directory that is read again at some time.
fn state_files(stack: &Stack) -> Vec<PathBuf> {
    let names =
        ["plan.json", "plan.copy.json", "keeper.json", "runs.journal", "events.jsonl", "id", "id.copy"];
    names.iter().map(|name| stack.state_dir().join(name)).collect()
}

/// A way to damage a file, and its name.
type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 4] = [
    ("emptied", |path| fs::write(path, b"").unwrap()),
    ("binary", |path| fs::write(path, [0, 0xFF, 0xFE, b'\n', b'{', 0x80]).unwrap()),
    ("cut in half", |path| {
        let bytes = fs::read(path).unwrap_or_default();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("of another version", |path| {
        fs::write(path, b"{\"version\":999,\"entirely\":{\"different\":[1,2,3]}}\n").unwrap();
    }),
];

fn works(stack: &Stack, how: &str) {
    stack.run(&["events", "-s", "t", "--json"]).expect_success();
    assert_eq!(stack.text("a.sole.violations"), "", "{how}: a ran twice at once");
}

#[test]
fn a_stack_comes_up_over_damaged_files() {
    let stack = Stack::new(CONFIG);
    for (how, damage) in DAMAGES {
        stack.up();
        stack.wait_for("a", &[StateName::Running]);
        works(&stack, how);
        stack.down();
        state_files(&stack).iter().for_each(|file| damage(file));
    }
    stack.up();
    stack.wait_for("a", &[StateName::Running]);
    stack.down();
}

#[test]
fn what_a_killed_keeper_left_is_found_over_each_damaged_file() {
    let stack = Stack::new(CONFIG);
    stack.up();
    for (how, damage) in DAMAGES {
        for file in state_files(&stack) {
            stack.wait_for("a", &[StateName::Running]);
            stack.kill_own(true, true);
            eventually("the keeper is gone", || stack.status_of("t").is_none().then_some(()));
            damage(&file);
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            stack.up();
            stack.wait_for("a", &[StateName::Running]);
            works(&stack, &format!("{name} {how}"));
            assert_eq!(running(stack.fixture()).len(), 1, "{name} {how}");
        }
    }
    stack.down();
}

#[test]
fn what_runs_goes_on_over_each_damaged_file() {
    let stack = Stack::new(CONFIG);
    stack.up();
    let before = stack.wait_for("a", &[StateName::Running]);
    // Only a keeper whose daemons fail looks for this: it changes nothing here.
    fs::write(stack.state_dir().join("down.request"), b"").unwrap();
    let mut daemons = 0;
    for (how, damage) in DAMAGES {
        for file in state_files(&stack) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let whole = fs::read(&file).unwrap();
            damage(&file);
            kill(stack.status().daemon.pid);
            daemons += 1;
            let status = eventually("a new daemon", || {
                stack.status_of("t").filter(|status| status.daemons_before >= daemons)
            });
            let a = &status.services[0];
            assert_eq!((a.pid, a.run), (before.pid, before.run), "{name} {how}: the service was restarted");
            works(&stack, &format!("{name} {how}"));
            // A plan and its copy are never damaged both in this test.
            if name.starts_with("plan") {
                fs::write(&file, whole).unwrap();
            }
        }
    }
    stack.run(&["restart", "a", "-s", "t"]).expect_success();
    stack.down();
}

#[test]
fn without_any_plan_down_still_works() {
    let stack = Stack::new(CONFIG);
    stack.up();
    stack.wait_for("a", &[StateName::Running]);
    let before = running(stack.fixture());
    for name in ["plan.json", "plan.copy.json"] {
        fs::write(stack.state_dir().join(name), b"{").unwrap();
    }
    kill(stack.status().daemon.pid);
    // No daemon can come up; the service goes on, and the message says what is wrong.
    let refused = eventually("it says what is wrong", || {
        let outcome = stack.run(&["status", "-s", "t"]);
        outcome.stderr.contains("plan.json is damaged").then_some(outcome)
    });
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(running(stack.fixture()), before);
    stack.down();
    stack.up();
    stack.wait_for("a", &[StateName::Running]);
    stack.down();
}
