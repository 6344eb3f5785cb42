//! A keeper in a process of its own, and the test in the daemon's place.
#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]
#![expect(clippy::print_stderr, reason = "a test that failed shows the keeper's log")]
#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_core::{Exit, RunId};
use mainstay_link::{Command, Event, Log, LogPos, Spawn, Tally, ToDaemon, ToKeeper, VERSION, Welcome};
use mainstay_sys::link::{self, Link};
use mainstay_sys::process::{self, ProcessId};
use mainstay_sys::{dirs, own};

/// Generous: it is for machines that do ten other things.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub const HELPER: &str = env!("CARGO_BIN_EXE_mainstay-keeper-helper");

/// Polls until it holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A home for stacks, which goes away with the test.
pub struct Home {
    dir: tempfile::TempDir,
    listener: TcpListener,
}

impl Home {
    pub fn new() -> Home {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Home { dir: tempfile::tempdir().unwrap(), listener }
    }

    pub fn path(&self, inner: &str) -> PathBuf {
        self.dir.path().join("shop").join(inner)
    }

    /// Starts a keeper as `mainstay up` does.
    pub fn start(&self) -> Keeper {
        dirs::create_private(&self.path("state")).unwrap();
        let log =
            OpenOptions::new().append(true).create(true).open(self.path("state").join("stderr")).unwrap();
        let (leash, child) = link::pair().unwrap();
        let port = self.listener.local_addr().unwrap().port().to_string();
        let arguments = [OsString::from("keeper"), self.dir.path().into(), "shop".into(), port.into()];
        let id = own::spawn_keeper(Path::new(HELPER), &arguments, child, log).unwrap();
        Keeper { id, leash: Some(leash) }
    }

    /// The next daemon that the keeper has started. It has not said hello.
    pub fn silent_daemon(&self) -> Daemon {
        let until = Instant::now() + DEADLINE;
        let mut stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(Instant::now() < until, "no daemon comes:\n{}", self.own_log());
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("{error}"),
            }
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut pid = [0; 4];
        stream.read_exact(&mut pid).unwrap();
        let gone = ProcessId { pid: 0, start: 0, boot: String::new() };
        let id = process::identity(u32::from_le_bytes(pid)).unwrap_or(gone);
        Daemon {
            id,
            stream,
            inbox: VecDeque::new(),
            tallies: BTreeMap::new(),
            welcome: Welcome::default(),
            handled: 0,
            pings: true,
        }
    }

    /// The next daemon, which has said hello.
    pub fn daemon(&self) -> Daemon {
        let mut daemon = self.silent_daemon();
        daemon.hello();
        daemon
    }

    /// A keeper that is ready, with its first daemon.
    pub fn ready(&self) -> (Keeper, Daemon) {
        let mut keeper = self.start();
        // One of an earlier keeper may have come and gone.
        let daemon = loop {
            let mut daemon = self.silent_daemon();
            if daemon.try_hello().is_ok() {
                break daemon;
            }
        };
        assert_eq!(keeper.hears().as_deref(), Some("ready"));
        (keeper, daemon)
    }

    /// From now on daemons end no trees when their keeper is lost.
    pub fn disable_guard(&self) {
        std::fs::write(self.dir.path().join("no-guard"), "").unwrap();
    }

    pub fn own_log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.path("state").join(name)).unwrap_or_default();
        format!("{}\n{}", read("daemon.log"), read("stderr"))
    }

    /// All that is in a log, over its segments.
    pub fn log(&self, name: &str) -> String {
        let mut follower =
            mainstay_logs::Follower::new(&self.path("log"), name, mainstay_logs::LogPos::default());
        let mut all = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while let mainstay_logs::Step::Data(read) = follower.read(&mut buffer).unwrap() {
            all.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(all).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the keeper's log\n{}", self.own_log());
        }
    }
}

/// A keeper's process. Ended with the test, whatever became of it.
pub struct Keeper {
    pub id: ProcessId,
    pub leash: Option<Link>,
}

impl Keeper {
    /// The next line on the leash; `None` when it is closed.
    pub fn hears(&mut self) -> Option<String> {
        self.leash.as_mut().unwrap().read_line(DEADLINE).unwrap()
    }

    pub fn kill(&self) {
        process::kill(&self.id).unwrap();
        self.ended();
    }

    pub fn ended(&self) {
        wait_until("the keeper's end", || !process::is_alive(&self.id));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = process::kill(&self.id);
    }
}

/// The test's side of a daemon.
pub struct Daemon {
    pub id: ProcessId,
    stream: TcpStream,
    inbox: VecDeque<(u64, Event)>,
    /// How much came of each log.
    pub tallies: BTreeMap<String, Tally>,
    pub welcome: Welcome,
    /// The number of the last event taken from the inbox.
    pub handled: u64,
    /// Whether pings are answered.
    pub pings: bool,
}

impl Daemon {
    pub fn hello(&mut self) {
        self.try_hello().unwrap();
    }

    fn try_hello(&mut self) -> io::Result<()> {
        let hello = Command::Hello { version: VERSION, build: "test".into() };
        let hello = ToKeeper { commands: vec![hello], ..ToKeeper::default() };
        self.try_raw(&serde_json::to_vec(&hello).unwrap())?;
        let frame = self.receive()?;
        self.take(&frame);
        self.welcome = frame.welcome.unwrap();
        Ok(())
    }

    pub fn send(&mut self, ack: u64, commands: Vec<Command>) {
        self.transact(ToKeeper { ack, state: Vec::new(), commands, ..ToKeeper::default() });
    }

    pub fn transact(&mut self, transaction: ToKeeper) {
        self.raw(&serde_json::to_vec(&transaction).unwrap());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.try_raw(bytes).unwrap();
    }

    fn try_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        self.stream.write_all(&[&length, bytes].concat())
    }

    pub fn command(&mut self, command: Command) {
        self.send(0, vec![command]);
    }

    /// Acknowledges all that was taken.
    pub fn ack(&mut self) {
        self.send(self.handled, Vec::new());
    }

    fn receive(&mut self) -> io::Result<ToDaemon> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(serde_json::from_slice(&frame).unwrap())
    }

    fn take(&mut self, frame: &ToDaemon) {
        self.inbox.extend(frame.events.iter().cloned());
        self.tallies.extend(frame.tallies.clone());
        if let Some(n) = frame.ping
            && self.pings
        {
            self.command(Command::Pong { n });
        }
    }

    /// The next event. Pings are answered meanwhile.
    pub fn event(&mut self) -> Event {
        let until = Instant::now() + DEADLINE;
        while self.inbox.is_empty() {
            assert!(Instant::now() < until, "no event comes after number {}", self.handled);
            let frame = self.receive().unwrap();
            self.take(&frame);
        }
        let (number, event) = self.inbox.pop_front().unwrap();
        if self.handled > 0 {
            assert_eq!(number, self.handled + 1, "numbers rise by one");
        }
        self.handled = number;
        event
    }

    /// Takes frames until so much is known to have come of a log: bytes and lines written, and lost.
    pub fn counted(&mut self, log: &str, bytes: u64, lines: u64) -> Tally {
        let until = Instant::now() + DEADLINE;
        loop {
            let tally = self.tallies.get(log).copied().unwrap_or_default();
            if (tally.bytes + tally.dropped_bytes, tally.lines + tally.dropped_lines) == (bytes, lines) {
                return tally;
            }
            assert!(Instant::now() < until, "{tally:?} instead of {bytes} bytes and {lines} lines");
            let frame = self.receive().unwrap();
            self.take(&frame);
        }
    }

    /// Takes events until one is as wanted, and gives that.
    pub fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.event();
            if wanted(&event) {
                return event;
            }
        }
    }

    pub fn exited(&mut self, run: u64) -> (Exit, bool) {
        let wanted = |event: &Event| matches!(event, Event::Exited { run: RunId(of), .. } if *of == run);
        let Event::Exited { exit, tree_empty, .. } = self.until(wanted) else { unreachable!() };
        (exit, tree_empty)
    }

    pub fn drained(&mut self, run: u64) -> LogPos {
        let wanted = |event: &Event| matches!(event, Event::Drained { run: RunId(of), .. } if *of == run);
        let Event::Drained { log_end, .. } = self.until(wanted) else { unreachable!() };
        log_end
    }

    /// Spawns, and gives the process and where its output starts.
    pub fn spawn(&mut self, spawn: Spawn) -> (ProcessId, LogPos) {
        let run = spawn.run;
        self.command(Command::Spawn(Box::new(spawn)));
        match self.until(|event| matches!(event, Event::Spawned { .. } | Event::SpawnFailed { .. })) {
            Event::Spawned { run: RunId(of), pid, log_start } => {
                assert_eq!(of, run);
                let gone = ProcessId { pid, start: 0, boot: String::new() };
                (process::identity(pid).unwrap_or(gone), log_start)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Dies as by `kill -9`.
    pub fn kill(self) {
        process::kill(&self.id).unwrap();
        wait_until("the daemon's end", || !process::is_alive(&self.id));
    }

    /// The stack is down.
    pub fn exit(mut self, keeper: &Keeper) {
        self.command(Command::Exit);
        keeper.ended();
    }
}

/// A service made from the helper, with a log of the container's name.
pub fn service(run: u64, container: &str, words: &[&str]) -> Spawn {
    let command = std::iter::once(HELPER).chain(words.iter().copied()).map(str::to_owned).collect();
    let log = Log { name: container.to_owned(), rotate_size: 100_000_000, keep_files: 10, ..Log::default() };
    Spawn { run, container: container.to_owned(), command, log: Some(log), ..Spawn::default() }
}
