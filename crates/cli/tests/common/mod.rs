//! What the end-to-end tests share: a home of their own, the programs, and waiting with a deadline.
//!
//! Everything here works on Linux, on Windows and under Wine alike.
#![allow(dead_code, reason = "each test program uses some of it")]
#![allow(
    clippy::allow_attributes,
    reason = "an `expect` of dead code would fail in the programs that use all of it"
)]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than any of it takes on a machine that does ten other things.
pub const DEADLINE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// The program under test.
pub fn mainstay() -> PathBuf {
    // Absolute also for Wine, where the build's path lacks its drive.
    std::path::absolute(env!("CARGO_BIN_EXE_mainstay")).expect("a path")
}

/// The program that is kept up.
pub fn fixture() -> PathBuf {
    let path = mainstay().with_file_name(format!("mainstay-fixture{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is missing: `cargo xtask test` builds it, and so does `cargo build -p mainstay-fixture` with the same \
         --target and profile as the tests",
        path.display()
    );
    path
}

/// A directory for stacks of one test alone. When it goes, its stacks go down first.
pub struct Home {
    dir: tempfile::TempDir,
}

/// What a program came to.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Done {
        Done {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"),
            stderr: String::from_utf8_lossy(&output.stderr).replace("\r\n", "\n"),
        }
    }
}

impl Home {
    /// An empty one.
    pub fn new() -> Home {
        let dir = tempfile::Builder::new().prefix("mainstay-e2e-").tempdir().expect("a directory");
        fs::create_dir(dir.path().join("work")).expect("a directory");
        Home { dir }
    }

    /// The working directory of its commands.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A file in the working directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// `<home>/<stack>/<part>`
    pub fn stack_dir(&self, stack: &str, part: &str) -> PathBuf {
        self.dir.path().join("home").join(stack).join(part)
    }

    /// Writes `mainstay.toml`; `@fixture@` in it is the test program, `@mainstay@` Mainstay itself.
    pub fn config(&self, text: &str) -> PathBuf {
        let path = self.file("mainstay.toml");
        let quoted = |path: PathBuf| format!("'{}'", path.display());
        let text = text.replace("@fixture@", &quoted(fixture())).replace("@mainstay@", &quoted(mainstay()));
        fs::write(&path, text).expect("mainstay.toml");
        path
    }

    /// `mainstay` with these arguments, in this home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(mainstay());
        command
            .args(arguments)
            .current_dir(self.work())
            .env("MAINSTAY_HOME", self.dir.path().join("home"))
            .env_remove("NOTIFY_SOCKET")
            .env_remove("MAINSTAY_RUN")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().expect("mainstay runs").into()
    }

    /// Runs it to its end, which must be a success; what it wrote.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "mainstay {arguments:?}: {done:#?}\n{}", self.daemon_logs());
        done.stdout
    }

    /// Runs it to its end, which must be with this exit code; what it complained.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(code), "mainstay {arguments:?}: {done:#?}\n{}", self.daemon_logs());
        done.stderr
    }

    /// Starts it; its standard output is read to the end by a thread.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mainstay runs");
        Running::new(child)
    }

    /// The stack, as `mainstay status --json` tells it; none if it isn't up.
    pub fn stack(&self, name: &str) -> Option<Value> {
        let done = self.run(&["status", "-s", name, "--json"]);
        let value: Value = serde_json::from_str(&done.stdout).ok()?;
        value["stacks"].get(0).cloned()
    }

    /// A service of a stack that is up.
    pub fn service(&self, stack: &str, name: &str) -> Value {
        let stack = self.stack(stack).expect("the stack is up");
        let services = stack["services"].as_array().expect("services").clone();
        services.into_iter().find(|service| service["name"] == name).expect("the service")
    }

    /// Waits until a service is in this state.
    pub fn until_state(&self, stack: &str, name: &str, state: &str) -> Value {
        let mut last = Value::Null;
        for_up_to(DEADLINE, || {
            last = self.service(stack, name);
            (last["state"] == state).then(|| last.clone())
        })
        .unwrap_or_else(|| panic!("{name} is not {state} but {last:#}\n{}", self.daemon_logs()))
    }

    /// What a service has written, over all segments.
    pub fn log(&self, stack: &str, name: &str) -> String {
        self.ok(&["logs", "-s", stack, name])
    }

    /// Where a stack's logs are.
    pub fn log_dir(&self, stack: &str) -> PathBuf {
        self.dir.path().join("home").join(stack).join("log")
    }

    /// What keepers and daemons complained, for messages of failing tests.
    pub fn daemon_logs(&self) -> String {
        let mut all = String::new();
        for stack in fs::read_dir(self.dir.path().join("home")).into_iter().flatten().flatten() {
            let path = stack.path().join("state").join("daemon.log");
            let text = fs::read_to_string(&path).unwrap_or_default();
            all.push_str(&format!("--- {}\n{text}", path.display()));
        }
        all
    }
}

impl Drop for Home {
    #[expect(clippy::print_stderr, reason = "the output of a test that fails")]
    fn drop(&mut self) {
        for stack in fs::read_dir(self.dir.path().join("home")).into_iter().flatten().flatten() {
            let name = stack.file_name().to_string_lossy().into_owned();
            let down = self.run(&["down", "--all", "-s", &name, "--timeout", "30"]);
            if down.code != Some(0) && down.code != Some(3) {
                eprintln!("{name} does not go down: {down:#?}");
                if let Some(keeper) = keeper_pid(&stack.path()) {
                    kill(keeper);
                }
            }
        }
    }
}

fn keeper_pid(stack: &Path) -> Option<u32> {
    let text = fs::read(stack.join("state").join("keeper.json")).ok()?;
    let value: Value = serde_json::from_slice(&text).ok()?;
    u32::try_from(value["pid"].as_u64()?).ok()
}

/// A `mainstay` that runs.
pub struct Running {
    /// The process.
    pub child: Child,
    stdout: std::sync::mpsc::Receiver<Vec<u8>>,
    stderr: std::sync::mpsc::Receiver<Vec<u8>>,
    seen: String,
    complained: String,
}

impl Running {
    fn new(mut child: Child) -> Running {
        let stdout = pump(child.stdout.take().expect("a pipe"));
        let stderr = pump(child.stderr.take().expect("a pipe"));
        Running { child, stdout, stderr, seen: String::new(), complained: String::new() }
    }

    /// What it has written so far.
    pub fn seen(&mut self) -> &str {
        for bytes in self.stdout.try_iter() {
            self.seen.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
        &self.seen
    }

    /// What it has complained so far.
    pub fn complained(&mut self) -> &str {
        for bytes in self.stderr.try_iter() {
            self.complained.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
        &self.complained
    }

    /// Waits until it has written `text`.
    pub fn until_seen(&mut self, text: &str) {
        let found = for_up_to(DEADLINE, || self.seen().contains(text).then_some(()));
        self.complained();
        assert!(found.is_some(), "`{text}` was not written:\n{}\n{}", self.seen, self.complained);
    }

    /// Waits for its end.
    pub fn until_end(&mut self) -> Option<i32> {
        let status = for_up_to(DEADLINE, || self.child.try_wait().expect("a child"));
        let Some(status) = status else {
            self.seen();
            self.complained();
            panic!("it does not end:\n{}\n{}", self.seen, self.complained);
        };
        // What was in the pipes. A process that it left may hold them.
        drain(&self.stdout, &mut self.seen);
        drain(&self.stderr, &mut self.complained);
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes what comes until the pipe is closed, for a while.
fn drain(pipe: &std::sync::mpsc::Receiver<Vec<u8>>, text: &mut String) {
    let end = Instant::now() + Duration::from_secs(5);
    while let Ok(bytes) = pipe.recv_timeout(end.saturating_duration_since(Instant::now())) {
        text.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
    }
}

fn pump(mut pipe: impl Read + Send + 'static) -> std::sync::mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Asks again and again until there is an answer.
pub fn for_up_to<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if begin.elapsed() > time {
            return None;
        }
        thread::sleep(LOOK);
    }
}

/// The same; having no answer in time is a failure of the test.
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    for_up_to(DEADLINE, ask).unwrap_or_else(|| panic!("not within {} s: {what}", DEADLINE.as_secs()))
}

/// Ends a process at once: SIGKILL, TerminateProcess.
pub fn kill(pid: u32) {
    if let Some(id) = mainstay_sys::process::identity(pid) {
        mainstay_sys::process::kill(&id).expect("a process of ours");
    }
}

/// Whether a process runs.
pub fn is_alive(pid: u32) -> bool {
    mainstay_sys::process::identity(pid).is_some_and(|id| mainstay_sys::process::is_alive(&id))
}

/// A number out of JSON.
pub fn pid(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))).expect("a pid")
}

/// Sends a signal by its name; on Linux only.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().expect("kill");
    assert!(status.success());
}

/// Whether this is Wine, which lacks what the test needs. Says so by name.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn is_wine(test: &str, why: &str) -> bool {
    let wine = cfg!(windows) && std::env::var_os("WINEPREFIX").is_some();
    if wine {
        eprintln!("skipped under Wine: {test}: {why}");
    }
    wine
}

/// Whether signals, sessions and the like can be tested here. Says so by name if not.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn is_linux(test: &str) -> bool {
    let linux = cfg!(target_os = "linux");
    if !linux {
        eprintln!("skipped here: {test} needs signals, a thing of Linux");
    }
    linux
}
