//! A stack in a home of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_api::Client;
use mainstay_api::types::{Service, Stack as Status, StackUsage, UsageQuery};
use mainstay_core::StateName;
use mainstay_logs::{Follower, LogPos, Step};
use mainstay_sys::dirs::Dirs;
use mainstay_sys::endpoint;
use serde::Deserialize;

use crate::{end_all, eventually, program, running};

/// A stack, and everything that belongs to it. Nothing of it is left when it is dropped.
pub struct Stack {
    home: tempfile::TempDir,
    name: String,
    file: PathBuf,
    variables: Vec<(String, String)>,
    fixture: PathBuf,
}

/// What a command came to.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Panics with all that was printed unless the command succeeded.
    #[track_caller]
    pub fn expect_success(self) -> Outcome {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

#[derive(Deserialize)]
struct StatusOutput {
    stacks: Vec<Status>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Stack {
    /// A home with a configuration. `FIXTURE` in the text becomes the path of this stack's fixture, `HOME` that of
    /// its home, both ready to stand between TOML's quotes.
    pub fn new(config: &str) -> Stack {
        let home = tempfile::Builder::new().prefix("mst").tempdir().unwrap();
        // Short: a task list cuts long names.
        let unique = format!("fx{}n{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let fixture = home.path().join(format!("{unique}{}", std::env::consts::EXE_SUFFIX));
        fs::copy(program("mainstay-fixture"), &fixture).unwrap();
        let file = home.path().join("mainstay.toml");
        let stack = Stack { home, name: "t".to_owned(), file, variables: Vec::new(), fixture };
        // No file at all, where none is wanted.
        if !config.is_empty() {
            stack.configure(config);
        }
        stack
    }

    /// A home for the stack `name` of a configuration that is there already, with variables for it.
    pub fn of(name: &str, file: PathBuf, variables: Vec<(String, String)>) -> Stack {
        let mut stack = Stack::new("");
        stack.name = name.to_owned();
        stack.file = file;
        stack.variables = variables;
        stack
    }

    /// Sets an environment variable for all commands from here on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes the configuration anew.
    pub fn configure(&self, config: &str) {
        let quoted = |path: &Path| path.to_string_lossy().replace('\\', "\\\\");
        let text =
            config.replace("FIXTURE", &quoted(&self.fixture)).replace("HOME", &quoted(self.home.path()));
        fs::write(self.file(), format!("name = \"{}\"\n{text}", self.name)).unwrap();
    }

    /// The configuration file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The directory that holds everything.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// This stack's copy of the fixture.
    pub fn fixture(&self) -> &Path {
        &self.fixture
    }

    /// The stack's state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.home.path().join(&self.name).join("state")
    }

    /// A `mainstay` command in this home, with the configuration's directory as its own.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("mainstay"));
        command
            .args(args)
            .current_dir(self.home.path())
            .env("MAINSTAY_HOME", self.home.path())
            .env("NO_COLOR", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a `mainstay` command to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Outcome {
        // Into files: a pipe would be waited for as long as somebody in the background holds it.
        let capture = tempfile::tempdir().unwrap();
        let (out, err) = (capture.path().join("out"), capture.path().join("err"));
        let status = self
            .command(args)
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap())
            .status()
            .unwrap();
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Outcome { code: status.code(), stdout: read(out), stderr: read(err) }
    }

    /// `mainstay up -d`; panics if that fails.
    #[track_caller]
    pub fn up(&self) {
        self.run(&["up", "-d", "-f", &self.file.to_string_lossy()]).expect_success();
    }

    /// `mainstay up` in the foreground, with its output in the file `up.out`.
    pub fn up_foreground(&self) -> Child {
        let file = fs::File::create(self.home.path().join("up.out")).unwrap();
        self.command(&["up"]).stderr(file.try_clone().unwrap()).stdout(file).spawn().unwrap()
    }

    /// `mainstay down`; panics if that fails or if a process of the fixture is left.
    #[track_caller]
    pub fn down(&self) {
        self.run(&["down", "-s", &self.name]).expect_success();
        assert_eq!(running(&self.fixture), Vec::<u32>::new(), "processes are left after down");
    }

    /// The status of a stack in this home; `None` if it is not up.
    pub fn status_of(&self, name: &str) -> Option<Status> {
        let outcome = self.run(&["status", "--json", "-s", name]);
        let output: StatusOutput = serde_json::from_str(&outcome.stdout).ok()?;
        output.stacks.into_iter().find(|stack| stack.name == name)
    }

    /// The stack's status; panics if it is not up.
    #[track_caller]
    pub fn status(&self) -> Status {
        self.status_of(&self.name).expect("the stack is up")
    }

    /// A service's status.
    #[track_caller]
    pub fn service(&self, name: &str) -> Service {
        self.status()
            .services
            .into_iter()
            .find(|service| service.name.as_str() == name)
            .expect("a known service")
    }

    /// What its services use, looked at a second ago at most.
    #[track_caller]
    pub fn usage(&self) -> StackUsage {
        let base = self.home.path().join(&self.name);
        let dirs = Dirs { run: base.join("run"), state: base.join("state"), log: base.join("log") };
        let client = Client::new(endpoint::address(&dirs, &self.name));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.usage(UsageQuery { max_age_ms: 0 })).unwrap()
    }

    /// Waits until a service is in one of the states.
    #[track_caller]
    pub fn wait_for(&self, name: &str, states: &[StateName]) -> Service {
        eventually(&format!("{name} gets {states:?}"), || {
            let status = self.status_of(&self.name)?;
            let service = status.services.into_iter().find(|service| service.name.as_str() == name)?;
            states.contains(&service.state).then_some(service)
        })
    }

    /// All that a service has written, over all segments, compressed or not.
    pub fn log(&self, service: &str) -> Vec<u8> {
        let dir = self.home.path().join(&self.name).join("log");
        let mut reader = Follower::new(&dir, service, LogPos::default());
        let (mut all, mut block) = (Vec::new(), vec![0; 256 << 10]);
        while let Step::Data(read) = reader.read(&mut block).unwrap() {
            all.extend_from_slice(&block[..read]);
        }
        assert_eq!(reader.take_missed(), 0, "segments are missing");
        all
    }

    /// A file in the home, as text; empty if it is not there.
    pub fn text(&self, file: &str) -> String {
        fs::read(self.home.path().join(file))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// `kill -9` of the keeper, the daemon, or both as close together as can be.
    pub fn kill_own(&self, keeper: bool, daemon: bool) {
        let status = self.status();
        // The keeper first: it would replace the daemon.
        if keeper {
            crate::kill(status.keeper.pid);
        }
        if daemon {
            crate::kill(status.daemon.pid);
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for name in [self.name.as_str(), "jobs"] {
            if self.home.path().join(name).exists() {
                let _ = self.run(&["down", "-s", name]);
            }
        }
        end_all(&self.fixture);
        if std::thread::panicking() {
            let log = self.state_dir().join("daemon.log");
            println!("--- {}\n{}", log.display(), self.text(&format!("{}/state/daemon.log", self.name)));
        }
    }
}
