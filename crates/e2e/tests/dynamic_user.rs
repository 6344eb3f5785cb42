//! Services under accounts that are nobody's: what they may, what they leave behind, and what the other one sees of it.
//! Linux, as root.

use std::path::{Path, PathBuf};

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually, skip};

/// What it may write to, and what it sees of itself and of others.
const SCRIPT: &str = r#"
echo "id $(id -u) $(id -g) $(id -G)"
cat "$STATE_DIRECTORY/kept" 2>/dev/null || echo "nothing is kept"
echo "what was kept" > "$STATE_DIRECTORY/kept"
echo "a line" > "$LOGS_DIRECTORY/own.log"
for place in /etc /usr /var/lib /var/tmp /tmp /dev/shm "$STATE_DIRECTORY"; do
  (echo x > "$place/UNIQUE") 2>/dev/null && echo "wrote $place"
done
cat "$STATE_DIRECTORY/../../other/state/kept" 2>/dev/null && echo "read the other's"
grep NoNewPrivs /proc/self/status
echo "ipc $(readlink /proc/self/ns/ipc)"
echo done
exec sleep 1000
"#;

const CONFIG: &str = r#"
[service.other]
command = ["/bin/sh", "-c", '''SCRIPT''']
working_dir = "/"
dynamic_user = true

[service.one]
command = ["/bin/sh", "-c", '''SCRIPT''']
working_dir = "/"
dynamic_user = true
depends_on = ["other"]
"#;

/// The directories are outside of the stack's home, and nobody else takes them away.
struct Leaves(PathBuf);

impl Drop for Leaves {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn nobody_elses_account_and_nothing_left_behind() {
    if cfg!(windows) {
        skip!("Windows has virtual accounts instead");
    }
    let unique = format!("mainstay-dynamic-{}", std::process::id());
    // Not in a file: it has a /tmp of its own.
    let stack = Stack::new(&CONFIG.replace("SCRIPT", &SCRIPT.replace("UNIQUE", &unique)));
    stack.up();
    if !mainstay_sys::process::own_user().starts_with("root") {
        let said = eventually("it cannot be", || {
            let why = stack.run(&["explain", "-s", "t", "one"]).stdout;
            why.contains("only root can give a service an account of its own").then_some(why)
        });
        println!("{said}");
        stack.down();
        skip!("only root can give accounts");
    }
    let said = |service: &str| {
        eventually("it has said all", || {
            let log = String::from_utf8(stack.log(service)).unwrap();
            log.lines().last().is_some_and(|line| line == "done").then_some(log)
        })
    };
    let one = said("one");
    let other = said("other");
    let number = |log: &str| -> u32 { log.split_whitespace().nth(1).unwrap().parse().unwrap() };
    let (mine, theirs) = (number(&one), number(&other));
    for number in [mine, theirs] {
        assert!(mainstay_core::dynamic_user::RANGE.contains(&number), "{one}\n{other}");
    }
    assert_ne!(mine, theirs);
    let ipc = std::fs::read_link("/proc/self/ns/ipc").unwrap().display().to_string();
    let found = std::fs::read_dir(mainstay_sys::dynamic::BASE).unwrap().flatten();
    let ours = found.map(|entry| entry.path()).find(|path| {
        let state = path.join("one/state");
        state.is_dir() && one.contains(&state.display().to_string())
    });
    let ours = Leaves(ours.expect("its directories are there"));
    let lines: Vec<&str> = one.lines().collect();
    let home = format!("wrote {}", ours.0.join("one/state").display());
    assert_eq!(
        lines[..7],
        [
            format!("id {mine} {mine} {mine}").as_str(),
            "nothing is kept",
            "wrote /var/tmp",
            "wrote /tmp",
            "wrote /dev/shm",
            home.as_str(),
            "NoNewPrivs:\t1",
        ],
        "{one}"
    );
    assert!(!one.contains(&ipc), "it has an ipc of its own: {one}");
    for place in ["/etc", "/usr", "/var/lib", "/var/tmp", "/tmp", "/dev/shm"] {
        assert!(!Path::new(place).join(&unique).exists(), "it left something in {place}");
    }

    // It stays its own over restarts, and with it what it kept.
    stack.run(&["restart", "-s", "t", "one"]).expect_success();
    let again = eventually("it has said all once more", || {
        let log = String::from_utf8(stack.log("one")).unwrap();
        (log.matches("done\n").count() == 2).then_some(log)
    });
    assert!(again.contains("what was kept") && again.matches(&format!("id {mine} ")).count() == 2, "{again}");
    assert!(!again.contains("read the other's"), "{again}");
    stack.wait_for("one", &[StateName::Running]);
    let doctor = stack.run(&["doctor", "-s", "t"]).stdout;
    assert!(!doctor.contains("problem  one"), "{doctor}");
    stack.down();

    // What it kept goes when somebody says so, and not before.
    let place = ours.0.display().to_string();
    let said = stack.run(&["uninstall", "t"]);
    assert!(said.stderr.contains(&place) && said.stderr.contains("--purge t"), "{said:?}");
    assert!(ours.0.join("one/state/kept").exists());
    stack.run(&["uninstall", "--purge", "t"]).expect_success();
    assert!(!ours.0.exists(), "{place}");
}
