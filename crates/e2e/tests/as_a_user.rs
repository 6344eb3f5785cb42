//! A stack of an ordinary account: what of a sandbox it can have, and what it is told of the rest. Linux; as root the
//! tests become somebody else first.
#![cfg(target_os = "linux")]

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mainstay_e2e::{Outcome, eventually, program};

/// What takes root, and what is said of it.
const REFUSED: [(&str, &str, &str); 5] = [
    ("files", "sandbox.protect_system = \"strict\"", "can be had only by root"),
    (
        "ipc",
        "sandbox.private_ipc = true",
        "private_ipc, protect_…, …_paths; a dynamic_user has one) can be had only by root",
    ),
    ("caps", "sandbox.capabilities = [\"CAP_NET_BIND_SERVICE\"]", "only root (CAP_SETPCAP) may choose them"),
    ("dynamic", "dynamic_user = true", "only root can give a service an account of its own"),
    ("root", "user = \"root\"", "only root may start programs as another user"),
];

/// What takes nothing, tried by a program.
const KEPT: &str = r#"
[service.kept]
command = ["/bin/sh", "-c", '''
  grep -E '^(NoNewPrivs|Seccomp|CapEff):' /proc/self/status | tr -d '\t'
  unshare -Ur true 2>/dev/null || echo "no view of its own"
  echo done
  exec sleep 1000''']
sandbox = { no_new_privileges = true, system_call_filter = "service" }
"#;

/// The account's stack, which is gone with this.
struct Stack {
    dir: tempfile::TempDir,
    user: Option<u32>,
}

impl Stack {
    fn new(config: &str) -> Stack {
        let dir = tempfile::Builder::new().prefix("mst").tempdir().expect("a directory");
        // Where the program is built may be closed to others.
        std::fs::copy(program("mainstay"), dir.path().join("mainstay")).expect("a program");
        std::fs::write(dir.path().join("mainstay.toml"), format!("name = \"t\"\n{config}")).expect("a file");
        // Nobody's account, as everywhere.
        let user = mainstay_sys::process::own_user().starts_with("root").then_some(65534);
        if let Some(user) = user {
            for path in [dir.path().to_owned(), dir.path().join("mainstay.toml")] {
                chown(path, Some(user), Some(user)).expect("it is root's to give");
            }
        }
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        Stack { dir, user }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Outcome {
        let mut command = Command::new(self.path("mainstay"));
        command.args(words).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("MAINSTAY_HOME", self.path("home")).env("HOME", self.dir.path());
        if let Some(user) = self.user {
            // No other groups are left then either.
            command.uid(user).gid(user);
        }
        let output = command.output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.run(&["down", "-s", "t"]));
    }
}

/// Without the ends of lines that are there for the terminal.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_takes_no_root_holds_and_all_else_is_refused_in_words() {
    let shell = "command = [\"/bin/sh\", \"-c\", \"echo it runs all the same; exec sleep 1000\"]";
    let refused: String =
        REFUSED.iter().map(|(name, key, _)| format!("[service.{name}]\n{shell}\n{key}\n")).collect();
    let stack = Stack::new(&format!("{KEPT}\n{refused}"));
    let up = stack.run(&["up", "-d"]);
    let said = eventually("it has said all", || {
        let log = stack.run(&["logs", "-s", "t", "kept"]).stdout;
        log.contains("done").then_some(log)
    });
    for line in ["NoNewPrivs:1", "Seccomp:2", "CapEff:0000000000000000", "no view of its own"] {
        assert!(said.contains(line), "{line} in {said}\n{up:?}");
    }
    for (name, key, words) in REFUSED {
        eventually(key, || {
            let why = unwrapped(&stack.run(&["explain", "-s", "t", name]).stdout);
            why.contains(words).then_some(())
        });
        let log = stack.run(&["logs", "-s", "t", name]).stdout;
        assert!(!log.contains("all the same"), "{name} runs with less than was written down");
    }
    // The doctor sees it coming.
    let doctor = unwrapped(&stack.run(&["doctor", "-s", "t"]).stdout);
    for name in ["files", "ipc", "caps", "dynamic"] {
        assert!(doctor.contains(&format!("problem {name}: ")), "{name} in {doctor}");
    }
    assert!(!Path::new("/var/lib/mainstay-services/t").exists());
}
