//! A keeper that makes no processes, only says so; and remembers everything that it was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mainstay_api::Client;
use mainstay_api::types::{EventBody, EventRecord, EventsQuery, Service};
use mainstay_core::{Condition, EventKind, Exit, Plan, RunId, ServiceName, ServicePlan, StateName};
use mainstay_daemon::{StoredPlan, write_plan};
use mainstay_link::{Command, Event, LogPos, Run, Spawn, ToDaemon, ToKeeper, Welcome};
use mainstay_sys::container::Root;
use mainstay_sys::dirs::{Dirs, create_private};
use mainstay_sys::mux::{Mux, Wake};
use mainstay_sys::spawn::Process;
use mainstay_sys::{endpoint, link, own, process};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Generous, for slow machines.
pub const LONG: Duration = Duration::from_secs(60);

static STACKS: AtomicU32 = AtomicU32::new(0);

pub fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// Services that do nothing but be there; those after a colon are needed first.
pub fn plan(services: &[&str]) -> Plan {
    let services = services.iter().map(|text| {
        let (service, needs) = text.split_once(':').unwrap_or((text, ""));
        let mut plan = ServicePlan::default();
        plan.launch.command = vec![format!("/opt/{service}"), "-x".into()];
        plan.launch.environment.insert("SECRET".into(), format!("of {service}"));
        let needs = needs.split(' ').filter(|need| !need.is_empty());
        plan.depends_on = needs.map(|need| (name(need), Condition::Started)).collect();
        (name(service), plan)
    });
    Plan { stack: "shop".into(), services: services.collect(), ..Plan::default() }
}

pub struct Keeper {
    mux: Mux<()>,
    pub root: Root,
    pub stack: String,
    pub dirs: Dirs,
    pub runtime: Runtime,
    daemon: Option<Process>,
    /// What goes into the welcome.
    pub keeper_pid: u32,
    pub predecessors: u32,
    pub state: BTreeMap<String, String>,
    pub runs: BTreeMap<u64, Run>,
    last_run: u64,
    /// Came while the welcome was being written, and not handled.
    early: VecDeque<ToKeeper>,
    /// How the daemon ended, if it was heard before somebody waited for it.
    ended: Option<(u32, mainstay_sys::Exit)>,
    /// Not acknowledged.
    events: BTreeMap<u64, Event>,
    last_event: u64,
    /// The highest number sent to the daemon that is there.
    sent: u64,
    /// Every spawn ever made.
    pub spawned: Vec<Spawn>,
    /// Everything else that was wanted.
    pub commands: Vec<Command>,
    pings: u64,
    pub ponged: u64,
    /// Transactions handled that were more than the answer to a ping.
    pub frames: u32,
    /// Whether spawns are answered by themselves.
    pub obliging: bool,
    _base: TempDir,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dirs.state.join("daemon.log"));
            eprintln!("the daemon says:\n{}", log.unwrap_or_default());
        }
        if self.daemon.is_some() {
            self.lose_daemon();
        }
        // As the real keeper does at its end: else each scenario leaves an empty cgroup.
        let _ = Root::open(&self.stack, None).and_then(Root::remove);
    }
}

impl Keeper {
    pub fn new(plan: Plan) -> Keeper {
        let base = tempfile::tempdir().unwrap();
        let dirs = crate::dirs(base.path().to_owned());
        for dir in [&dirs.run, &dirs.state, &dirs.log] {
            create_private(dir).unwrap();
        }
        write_plan(&dirs.state, &StoredPlan { plan, config: Some("/etc/shop.toml".into()), source: None })
            .unwrap();
        let number = STACKS.fetch_add(1, Ordering::Relaxed);
        let stack = format!("daemontest-{}-{number}", std::process::id());
        let mut mux = Mux::new().unwrap();
        mux.watch_children().unwrap();
        Keeper {
            mux,
            root: Root::open(&stack, None).unwrap(),
            stack,
            dirs,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            daemon: None,
            keeper_pid: std::process::id(),
            predecessors: 0,
            state: BTreeMap::new(),
            runs: BTreeMap::new(),
            last_run: 0,
            early: VecDeque::new(),
            ended: None,
            events: BTreeMap::new(),
            last_event: 0,
            sent: 0,
            spawned: Vec::new(),
            commands: Vec::new(),
            pings: 0,
            ponged: 0,
            frames: 0,
            obliging: true,
            _base: base,
        }
    }

    /// With a daemon that was welcomed.
    pub fn started(plan: Plan) -> Keeper {
        let mut keeper = Keeper::new(plan);
        keeper.start_daemon();
        keeper
    }

    /// A daemon that has not said anything.
    pub fn spawn_daemon(&mut self) {
        let (link, child) = link::pair().unwrap();
        let log = self.dirs.state.join("daemon.log");
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let exe = std::env::current_exe().unwrap();
        let base = self.dirs.run.parent().unwrap().as_os_str().to_owned();
        let arguments: [OsString; 5] = [
            "daemon".into(),
            self.stack.clone().into(),
            base,
            "--guard".into(),
            self.root.guard_argument().into(),
        ];
        let daemon = own::spawn_daemon(&exe, &arguments, child, stderr, &self.root).unwrap();
        self.mux.watch(&daemon).unwrap();
        self.mux.set_link(Some(link));
        self.daemon = Some(daemon);
    }

    pub fn start_daemon(&mut self) {
        self.spawn_daemon();
        let hello = self.frame();
        assert_eq!((hello.ack, hello.state.len()), (0, 0));
        assert!(matches!(hello.commands[..], [Command::Hello { version: 1, .. }]), "{hello:?}");
        let welcome = Welcome {
            knows: mainstay_link::KNOWS.map(str::to_owned).to_vec(),
            version: 1,
            build: "0.0.1".into(),
            keeper_pid: self.keeper_pid,
            keeper_started: mainstay_core::Time::ZERO,
            predecessors: self.predecessors,
            reason: if self.predecessors > 0 { "killed".into() } else { String::new() },
            containment: "session".into(),
            state: self.state.clone(),
            runs: self.runs.values().cloned().collect(),
            last_run: self.last_run,
        };
        self.predecessors += 1;
        self.sent = 0;
        let events = self.unsent();
        self.send(&ToDaemon { welcome: Some(welcome), events, ..ToDaemon::default() });
        // On Windows a write is over only when the mux was asked. The answer may have come by then: it is for whoever
        // waits for it, and must not be handled here.
        let end = Instant::now() + LONG;
        while self.mux.queued() > 0 {
            assert!(Instant::now() < end, "the daemon does not read its welcome");
            match self.mux.next(Some(Duration::from_millis(5))).unwrap() {
                Wake::Frame(bytes) => self.early.push_back(serde_json::from_slice(&bytes).unwrap()),
                Wake::ChildExited { pid, exit } => self.ended = Some((pid, exit)),
                Wake::LinkClosed | Wake::Message(()) | Wake::Timeout => {}
            }
        }
    }

    /// With `kill -9`. What it has said counts, as with the real keeper.
    pub fn kill_daemon(&mut self) {
        let Some(daemon) = self.daemon.take() else { return };
        process::kill(&daemon.id).unwrap();
        self.handle_early();
        let (mut ended, mut closed) = (false, false);
        let end = Instant::now() + LONG;
        while !(ended && closed) {
            match self.mux.next(Some(end.saturating_duration_since(Instant::now()))).unwrap() {
                Wake::Frame(bytes) => self.handle(serde_json::from_slice(&bytes).unwrap()),
                Wake::LinkClosed => closed = true,
                Wake::ChildExited { pid, .. } => ended |= pid == daemon.pid,
                Wake::Timeout => panic!("the daemon does not end"),
                Wake::Message(()) => {}
            }
        }
        self.mux.set_link(None);
    }

    /// What it has said and nobody has read is lost with it.
    pub fn lose_daemon(&mut self) {
        self.early.clear();
        self.mux.set_link(None);
        let daemon = self.daemon.take().unwrap();
        process::kill(&daemon.id).unwrap();
        self.wait_child(daemon.pid);
    }

    pub fn replace_daemon(&mut self) {
        self.kill_daemon();
        self.start_daemon();
    }

    /// Closes the link only.
    pub fn let_go(&mut self) {
        self.mux.set_link(None);
    }

    pub fn daemon_id(&self) -> &process::ProcessId {
        &self.daemon.as_ref().unwrap().id
    }

    /// Waits until the daemon has ended by itself.
    pub fn daemon_ended(&mut self) -> mainstay_sys::Exit {
        let daemon = self.daemon.take().unwrap();
        self.wait_child(daemon.pid)
    }

    fn wait_child(&mut self, child: u32) -> mainstay_sys::Exit {
        if let Some((_, exit)) = self.ended.take_if(|(pid, _)| *pid == child) {
            return exit;
        }
        let end = Instant::now() + LONG;
        loop {
            match self.mux.next(Some(end.saturating_duration_since(Instant::now()))).unwrap() {
                Wake::ChildExited { pid, exit } if pid == child => return exit,
                Wake::Timeout => panic!("the daemon does not end"),
                _ => {}
            }
        }
    }

    fn send(&mut self, frame: &ToDaemon) {
        self.mux.send(&serde_json::to_vec(frame).unwrap()).unwrap();
    }

    fn unsent(&mut self) -> Vec<(u64, Event)> {
        let events = self.events.range(self.sent + 1..).map(|(n, event)| (*n, event.clone())).collect();
        self.sent = self.last_event;
        events
    }

    /// Something happened.
    pub fn happens(&mut self, event: Event) {
        self.remember(event);
        let events = self.unsent();
        self.send(&ToDaemon { events, ..ToDaemon::default() });
    }

    /// Something happened that the daemon is not told before the next one is there.
    pub fn remember(&mut self, event: Event) {
        match &event {
            Event::Exited { run, exit, tree_empty } => {
                let run = self.runs.get_mut(&run.0).unwrap();
                (run.exit, run.tree_empty) = (Some(*exit), *tree_empty);
            }
            Event::TreeEmpty { run } => self.runs.get_mut(&run.0).unwrap().tree_empty = true,
            _ => {}
        }
        self.last_event += 1;
        self.events.insert(self.last_event, event);
    }

    pub fn ping(&mut self, n: u64) {
        self.send(&ToDaemon { ping: Some(n), ..ToDaemon::default() });
    }

    /// The next transaction, not handled.
    pub fn frame(&mut self) -> ToKeeper {
        if let Some(frame) = self.early.pop_front() {
            return frame;
        }
        let end = Instant::now() + LONG;
        loop {
            match self.mux.next(Some(end.saturating_duration_since(Instant::now()))).unwrap() {
                Wake::Frame(bytes) => return serde_json::from_slice(&bytes).unwrap(),
                Wake::Timeout => panic!("the daemon says nothing"),
                Wake::LinkClosed => panic!("the daemon has closed the link"),
                Wake::ChildExited { pid, exit } if self.daemon.as_ref().is_some_and(|it| it.pid == pid) => {
                    panic!("the daemon {pid} ended: {exit:?}")
                }
                // A service that an earlier scenario has killed, and not waited for.
                Wake::ChildExited { .. } | Wake::Message(()) => {}
            }
        }
    }

    fn handle_early(&mut self) {
        while let Some(frame) = self.early.pop_front() {
            self.handle(frame);
        }
    }

    /// Handles a transaction as the real keeper does.
    pub fn handle(&mut self, frame: ToKeeper) {
        let answer = frame.state.is_empty() && matches!(frame.commands[..], [Command::Pong { .. }]);
        self.frames += u32::from(!answer);
        assert!(frame.ack <= self.sent, "acknowledged {} of {}", frame.ack, self.sent);
        self.events = self.events.split_off(&(frame.ack + 1));
        for (key, text) in frame.state {
            match text {
                Some(text) => self.state.insert(key, text),
                None => self.state.remove(&key),
            };
        }
        for command in frame.commands {
            match command {
                Command::Spawn(spawn) => self.spawn(*spawn),
                Command::Forget { run } => {
                    self.runs.remove(&run.0);
                    self.commands.push(Command::Forget { run });
                }
                Command::Pong { n } => self.ponged = n,
                other => self.commands.push(other),
            }
        }
    }

    fn spawn(&mut self, spawn: Spawn) {
        assert!(spawn.run > self.last_run, "run {} after {}", spawn.run, self.last_run);
        self.last_run = spawn.run;
        let busy: Vec<_> = self.runs.values().filter(|run| run.container == spawn.container).collect();
        let over = |run: &&Run| run.exit.is_some() && run.tree_empty;
        assert!(busy.iter().all(over), "two at once: {spawn:?} beside {busy:?}");
        let run = RunId(spawn.run);
        let pid = 10_000 + u32::try_from(spawn.run).unwrap();
        let log_start = LogPos { segment: 1, offset: 0 };
        let record = Run { run: run.0, container: spawn.container.clone(), pid, log_start, ..Run::default() };
        self.runs.insert(run.0, record);
        self.spawned.push(spawn);
        if self.obliging {
            self.happens(Event::Spawned { run, pid, log_start });
        }
    }

    /// Handles all that the daemon has said up to now.
    pub fn settle(&mut self) {
        self.pings += 1;
        let n = self.pings;
        self.ping(n);
        self.until("a pong", |keeper| keeper.ponged == n);
    }

    /// Handles transactions until `done`.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Keeper) -> bool) {
        let end = Instant::now() + LONG;
        self.handle_early();
        while !done(self) {
            assert!(Instant::now() < end, "never: {what}");
            match self.mux.next(Some(Duration::from_millis(5))).unwrap() {
                Wake::Frame(bytes) => self.handle(serde_json::from_slice(&bytes).unwrap()),
                Wake::LinkClosed => panic!("the daemon has closed the link; never: {what}"),
                _ => {}
            }
        }
    }

    /// The present run of a container.
    pub fn run_of(&self, container: &str) -> Option<RunId> {
        let over = |run: &Run| run.exit.is_some() && run.tree_empty;
        let mut runs = self.runs.values().filter(|run| run.container == container && !over(run));
        let run = runs.next_back()?.run;
        Some(RunId(run))
    }

    /// Waits until a container has a run.
    pub fn wait_run(&mut self, container: &str) -> RunId {
        self.until("a run", |keeper| keeper.run_of(container).is_some());
        self.run_of(container).unwrap()
    }

    pub fn exits(&mut self, run: RunId, exit: Exit) {
        self.happens(Event::Exited { run, exit, tree_empty: true });
    }

    /// What is to be ended, ends.
    pub fn obey(&mut self) {
        for command in std::mem::take(&mut self.commands) {
            if let Command::Signal { run, .. } | Command::Kill { run } = command
                && self.runs.get(&run.0).is_some_and(|run| run.exit.is_none())
            {
                self.exits(run, Exit::Signal(15));
            }
        }
    }

    /// As [`Keeper::obey`], but leaves the last command of all to be seen.
    pub fn obey_except_exit(&mut self) {
        let exit = self.commands.contains(&Command::Exit);
        self.obey();
        self.commands.extend(exit.then_some(Command::Exit));
    }

    pub fn client(&self) -> Client {
        Client::new(endpoint::address(&self.dirs, &self.stack)).keeper_check(|| true)
    }

    /// Asks the API. The daemon answers without the keeper's help.
    pub fn ask<T, E: std::fmt::Debug>(&self, asking: impl AsyncFnOnce(Client) -> Result<T, E>) -> T {
        self.runtime.block_on(asking(self.client())).unwrap()
    }

    pub fn service(&self, service: &str) -> Service {
        self.ask(async |client| client.service(&name(service)).await)
    }

    /// Waits until a service is in a state.
    pub fn wait_state(&mut self, service: &str, state: StateName) {
        let mut last = None;
        let end = Instant::now() + LONG;
        self.until("the state", |keeper| {
            let now = keeper.service(service);
            assert!(Instant::now() + Duration::from_secs(2) < end, "{service}: {last:?}");
            let done = now.state == state;
            last = Some(now);
            done
        });
        self.settle();
    }

    pub fn all_events(&self) -> Vec<EventRecord> {
        self.runtime.block_on(async {
            let mut events = self.client().events(EventsQuery::default()).await.unwrap();
            let mut all = Vec::new();
            while let Some(event) = events.next().await {
                all.push(event.unwrap());
            }
            all
        })
    }

    /// The events on disk: numbered without a gap, and each run's beginning told once.
    pub fn check_events(&mut self) {
        let runs = self.spawned.iter().filter(|spawn| spawn.log.is_some()).count();
        // They are written a moment after their frame.
        let mut told = 0;
        self.until("all events", |keeper| {
            told = keeper.told();
            told >= runs
        });
        assert_eq!(told, runs);
    }

    fn told(&self) -> usize {
        let all = self.all_events();
        let mut told = BTreeSet::new();
        for (number, event) in (1..).zip(&all) {
            assert_eq!(event.seq, number, "{all:#?}");
            if let EventBody::Core(event) = &event.event
                && let EventKind::Spawned { pid } = event.kind
            {
                assert!(told.insert(pid), "told twice: {event:?}");
            }
        }
        told.len()
    }
}
