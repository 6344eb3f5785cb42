//! What the tests share.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::print_stderr,
    reason = "each test program uses a part of it"
)]

pub mod trees;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_sys::capture::{Chunk, OutputReader, OutputWriter, Set};
use mainstay_sys::container::{Container, Kind, Root};
use mainstay_sys::process;
use mainstay_sys::spawn::{Process, Request, Settings, SpawnError, rehearse, spawn};

/// Long enough for the slowest machine; nothing waits so long if all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const HELPER: &str = env!("CARGO_BIN_EXE_mainstay-sys-helper");

/// Waits for something to become true.
#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A word that no other test and no other run of it uses.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("t{}-{name}-{}-{count}", std::process::id(), mainstay_sys::clock::monotonic_nanos())
}

/// A stack of its own, cleared away at the end whatever happens.
pub struct Stack {
    pub id: String,
    root: Option<Root>,
}

impl Stack {
    /// `None`, with the reason on standard error, where this kind cannot be had.
    pub fn open(kind: Kind) -> Option<Stack> {
        let id = unique("stack");
        match Root::open(&id, Some(kind)) {
            Ok(root) => Some(Stack { id, root: Some(root) }),
            Err(error) if kind == Kind::Cgroup => {
                let thread = std::thread::current();
                eprintln!("{} skipped: no cgroups here: {error}", thread.name().unwrap_or("a test"));
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Another keeper's, of a stack that is there.
    pub fn again(id: &str, kind: Kind) -> Stack {
        let root = Root::open(id, Some(kind)).expect("it could be had before");
        Stack { id: id.to_owned(), root: Some(root) }
    }

    pub fn root(&self) -> &Root {
        self.root.as_ref().expect("it is there until the end")
    }

    pub fn container(&self, name: &str) -> Container {
        self.root().container(name).expect("a container can be had")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(root) = self.root.take() {
            let _ = root.end_leftovers(&[], PATIENCE);
            let _ = root.remove();
        }
    }
}

/// Every kind that can be had here.
pub fn stacks() -> Vec<Stack> {
    [Kind::Cgroup, Kind::Session].into_iter().filter_map(Stack::open).collect()
}

pub fn strings(command: &[&str]) -> Vec<String> {
    command.iter().map(|&part| part.to_owned()).collect()
}

/// A run with ordinary settings; change what matters.
pub struct Run<'a> {
    pub command: Vec<String>,
    pub container: &'a Container,
    pub environment: BTreeMap<String, String>,
    pub remove: Vec<&'static str>,
    pub working_dir: Option<PathBuf>,
    pub user: Option<String>,
    pub settings: Settings,
}

impl<'a> Run<'a> {
    pub fn new(container: &'a Container, command: &[&str]) -> Run<'a> {
        Run {
            command: strings(command),
            container,
            environment: BTreeMap::new(),
            remove: Vec::new(),
            working_dir: None,
            user: None,
            settings: Settings::default(),
        }
    }

    pub fn helper(container: &'a Container, arguments: &[&str]) -> Run<'a> {
        let mut command = vec![HELPER];
        command.extend(arguments);
        Run::new(container, &command)
    }

    pub fn start(&self, output: Option<&OutputWriter>) -> Result<Process, SpawnError> {
        spawn(&self.request(output))
    }

    pub fn rehearse(&self) -> Result<(), SpawnError> {
        rehearse(&self.request(None))
    }

    fn request<'r>(&'r self, output: Option<&'r OutputWriter>) -> Request<'r> {
        Request {
            command: &self.command,
            working_dir: self.working_dir.as_deref(),
            environment: &self.environment,
            remove: &self.remove,
            user: self.user.as_deref(),
            password: None,
            settings: Some(&self.settings),
            container: self.container,
            run: 7,
            output,
            errors: None,
        }
    }

    /// Starts it with its output captured.
    #[track_caller]
    pub fn captured(&self) -> (Process, Output) {
        let (reader, writer) = mainstay_sys::capture::pipe().expect("a pipe can be had");
        let process = self.start(Some(&writer)).expect("it starts");
        (process, Output::new(reader))
    }

    /// Starts it and reads until the end.
    #[track_caller]
    pub fn output(&self) -> String {
        let (_, mut output) = self.captured();
        output.until_end()
    }
}

/// What one process writes.
pub struct Output {
    set: Set,
    pub bytes: Vec<u8>,
    pub ended: bool,
}

impl Output {
    pub fn new(reader: OutputReader) -> Output {
        let mut set = Set::new().expect("a set can be had");
        set.add(1, reader).expect("it can be added");
        Output { set, bytes: Vec::new(), ended: false }
    }

    pub fn pump(&mut self, timeout: Duration) {
        let Output { set, bytes, ended } = self;
        set.wait(Some(timeout), &mut |_, chunk| match chunk {
            Chunk::Data(data, _) => bytes.extend_from_slice(data),
            Chunk::Eof => *ended = true,
            Chunk::Datagram(_) => panic!("no notify socket here"),
        })
        .expect("it can be waited for");
    }

    #[track_caller]
    pub fn until_end(&mut self) -> String {
        let end = Instant::now() + PATIENCE;
        while !self.ended {
            assert!(Instant::now() < end, "no end within {PATIENCE:?}; so far {:?}", self.text());
            self.pump(Duration::from_millis(100));
        }
        self.text()
    }

    #[track_caller]
    pub fn until_line(&mut self, line: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.text().lines().any(|found| found == line) {
            assert!(Instant::now() < end && !self.ended, "no {line:?}; so far {:?}", self.text());
            self.pump(Duration::from_millis(100));
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// All live processes that have this word among their arguments.
pub fn tagged(tag: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("there is a /proc").filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let has = arguments.split(|&byte| byte == 0).any(|argument| argument == tag.as_bytes());
        if has && process::identity(pid).is_some_and(|id| process::is_alive(&id)) {
            found.push(pid);
        }
    }
    found
}

/// Kills, and waits until the container is empty.
#[track_caller]
pub fn kill_and_wait(container: &Container) {
    container.kill().expect("it can be killed");
    until("the container is empty", || {
        let empty = container.is_empty().expect("it can be asked");
        if !empty {
            container.kill().expect("it can be killed again");
        }
        empty
    });
}

/// The state letter of a process.
pub fn state(pid: u32) -> Option<char> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line[line.rfind(')')? + 1..].trim_start().chars().next()
}

pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|found| {
        use std::os::unix::fs::MetadataExt;
        found.uid() == 0
    })
}

/// The identity of a live process.
pub fn process_of(pid: u32) -> Option<process::ProcessId> {
    process::identity(pid).filter(process::is_alive)
}

/// The helper where every account can execute it.
pub fn reachable_helper(dir: &Path) -> String {
    let copy = dir.join("helper");
    executable(&copy, &std::fs::read(HELPER).expect("it is there"));
    open_up(dir);
    copy.to_str().expect("it is text").to_owned()
}

/// Lets everybody pass.
pub fn open_up(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    for above in dir.ancestors().skip(1) {
        let mode = std::fs::metadata(above).expect("it is there").permissions().mode();
        assert!(mode & 0o001 != 0, "{} lets nobody in", above.display());
    }
}

/// A directory for one test.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory can be made")
}

/// An executable file. Another process writes it: a child that another test makes at the same time would inherit our
/// descriptor for a moment, and a file that is open for writing cannot be executed.
pub fn executable(path: &Path, content: &[u8]) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut shell = Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    shell.stdin.take().expect("it was asked for").write_all(content).expect("the shell reads");
    assert!(shell.wait().expect("it ends").success());
}
