//! The list of checks of installed stacks, under the SCM of Windows.
#![cfg(windows)]

use std::fs;
use std::process::{Command, Stdio};

use mainstay_e2e::installed::{World, check};
use mainstay_e2e::{Outcome, eventually, kill, program, running};
use mainstay_service::manager::{Manager, Scope};

/// This machine. Not in a home of its own: Wine does not pass on the environment of a service.
struct Windows {
    dir: tempfile::TempDir,
    name: String,
}

impl Windows {
    fn manager() -> Manager {
        Manager::native(Scope::System).expect("the SCM")
    }

    /// A copy of the fixture that only this test's services run.
    fn fixture(&self) -> std::path::PathBuf {
        self.dir.path().join(format!("{}.exe", self.name))
    }
}

impl World for Windows {
    fn mainstay(&self, arguments: &[&str]) -> Outcome {
        let output = Command::new(program("mainstay"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("MAINSTAY_HOME")
            .stdin(Stdio::null())
            .output()
            .expect("mainstay runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    fn configure(&self, text: &str) {
        let fixture = self.fixture().to_string_lossy().replace('\\', "\\\\");
        fs::write(self.dir.path().join("mainstay.toml"), text.replace("FIXTURE", &fixture)).expect("a file");
    }

    fn native(&self) -> String {
        Windows::manager().status(&self.name).expect("a status").state.as_str().to_owned()
    }

    fn tool(&self, verb: &str) {
        let done =
            Command::new("sc").args([verb, &self.name]).stdin(Stdio::null()).output().expect("sc runs");
        assert!(done.status.success(), "sc {verb}: {done:?}");
    }

    fn revives(&self) -> bool {
        // Wine takes failure actions and does not carry them out.
        std::env::var_os("WINEPREFIX").is_none()
    }

    fn kill(&self, pid: u64) {
        kill(u32::try_from(pid).expect("a pid"));
    }

    fn processes(&self) -> usize {
        running(&self.fixture()).len()
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        let _ = self.mainstay(&["uninstall", "--purge", &self.name]);
    }
}

#[test]
fn an_installed_stack_passes_every_check() {
    let dir = tempfile::tempdir().expect("a directory");
    let name = format!("checks-{}", std::process::id());
    let windows = Windows { dir, name };
    fs::copy(program("mainstay-fixture"), windows.fixture()).expect("a copy");
    check(&windows, &windows.name);
    // A program that has just ended may still be held.
    eventually("the copy goes", || fs::remove_file(windows.fixture()).ok());
}
