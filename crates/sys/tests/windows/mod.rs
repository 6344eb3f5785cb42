//! What the Windows tests share.
#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses a part of it")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_sys::Exit;
use mainstay_sys::capture::{Chunk, OutputReader, Set, pipe};
use mainstay_sys::container::{Container, Root};
use mainstay_sys::mux::{Mux, Wake};
use mainstay_sys::spawn::{Process, Request, Settings, SpawnError, rehearse, spawn};

/// Long enough for the slowest machine; nothing waits so long if all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The helper's path as Windows writes it. (Wine's tests are built on another system.)
pub fn helper() -> String {
    let path = std::path::absolute(env!("CARGO_BIN_EXE_mainstay-sys-helper")).expect("a path");
    path.to_string_lossy().replace('/', r"\")
}

/// Whether Wine runs this. A test of what it does not have says so and is skipped.
pub fn is_wine() -> bool {
    use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
    let ntdll: Vec<u16> = "ntdll.dll\0".encode_utf16().collect();
    // SAFETY: both names end with a NUL; ntdll is loaded in every process.
    unsafe { GetProcAddress(GetModuleHandleW(ntdll.as_ptr()), c"wine_get_version".as_ptr().cast()).is_some() }
}

/// Says that a test is skipped under Wine, and why.
pub fn skipped_under_wine(why: &str) -> bool {
    let wine = is_wine();
    if wine {
        let thread = std::thread::current();
        eprintln!("{} skipped under Wine: {why}", thread.name().unwrap_or("a test"));
    }
    wine
}

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

/// A stack of its own. Its trees end with it.
pub fn stack() -> Root {
    // Ctrl+C is sent by the helper, which knows how.
    mainstay_sys::console::set_ctrl_c_helper(Path::new(&helper()), &[OsString::from("ctrl-c")]);
    Root::open(&unique("stack"), None).expect("a root")
}

/// A run with ordinary settings; change what matters.
pub struct Run<'a> {
    pub command: Vec<String>,
    pub container: &'a Container,
    pub environment: BTreeMap<String, String>,
    pub remove: Vec<&'a str>,
    pub working_dir: Option<PathBuf>,
    pub settings: Settings,
    pub user: Option<String>,
}

impl<'a> Run<'a> {
    pub fn new(container: &'a Container, command: &[&str]) -> Self {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        Run {
            command,
            container,
            environment: BTreeMap::new(),
            remove: Vec::new(),
            working_dir: None,
            settings: Settings::default(),
            user: None,
        }
    }

    pub fn helper(container: &'a Container, arguments: &[&str]) -> Self {
        let helper = helper();
        let mut command = vec![helper.as_str()];
        command.extend(arguments);
        Run::new(container, &command)
    }

    fn request<'b>(&'b self, output: Option<&'b mainstay_sys::capture::OutputWriter>) -> Request<'b> {
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

    /// Starts it, its output thrown away.
    pub fn start(&self) -> Result<Process, SpawnError> {
        spawn(&self.request(None))
    }

    pub fn rehearse(&self) -> Result<(), SpawnError> {
        rehearse(&self.request(None))
    }

    /// Starts it with its output captured.
    #[track_caller]
    pub fn captured(&self) -> (Process, Output) {
        let (reader, writer) = pipe().expect("a pipe");
        let process = spawn(&self.request(Some(&writer))).expect("it starts");
        (process, Output::new(reader))
    }

    /// Starts it and reads until the end.
    #[track_caller]
    pub fn output(&self) -> Vec<u8> {
        let (_process, mut output) = self.captured();
        output.until_end();
        output.bytes
    }
}

/// What one process writes.
pub struct Output {
    pub set: Set,
    pub bytes: Vec<u8>,
    pub ended: bool,
}

impl Output {
    pub fn new(reader: OutputReader) -> Self {
        let mut set = Set::new().expect("a set");
        set.add(1, reader).expect("added");
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
    pub fn until_end(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.ended {
            assert!(Instant::now() < end, "no end within {PATIENCE:?}; so far {:?}", self.text());
            self.pump(Duration::from_millis(100));
        }
    }

    #[track_caller]
    pub fn until_line(&mut self, line: &str) {
        self.until(line, |text| text.lines().any(|found| found == line));
    }

    #[track_caller]
    pub fn until(&mut self, what: &str, mut is: impl FnMut(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is(&self.text()) {
            assert!(Instant::now() < end && !self.ended, "no {what:?}; so far {:?}", self.text());
            self.pump(Duration::from_millis(100));
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Waits for the end of a process.
#[track_caller]
pub fn exit_of(process: &Process) -> Exit {
    let mut mux = Mux::<()>::new().expect("a mux");
    mux.watch(process).expect("it can be watched");
    match mux.next(Some(PATIENCE)).expect("it waits") {
        Wake::ChildExited { pid, exit } if pid == process.pid => exit,
        other => panic!("not its end: {other:?}"),
    }
}

/// What the helper's `args` and `env` print.
pub fn texts(output: &[u8]) -> Vec<String> {
    let (units, rest) = output.as_chunks::<2>();
    assert!(rest.is_empty(), "half a character");
    let units: Vec<u16> = units.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    let mut texts: Vec<String> =
        units.split(|unit| *unit == 0).map(|text| String::from_utf16(text).expect("UTF-16")).collect();
    assert_eq!(texts.pop().as_deref(), Some(""), "the last one has a NUL behind it too");
    texts
}

/// Whether any process has this number now, other than one that has ended.
pub fn lives(pid: u32) -> bool {
    mainstay_sys::process::identity(pid).is_some()
}
