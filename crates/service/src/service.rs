//! The builder, and what a running service holds in its hands.

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::event::{Event, Queue, Reason};
use crate::host::{self, Channel};
use crate::log::{self, Level};
use crate::status::{Accepts, Board, State};
use crate::stop::StopToken;

/// A service to be: what it is called and what it can be asked for. [`Service::run`] makes it one.
#[derive(Clone, Debug)]
pub struct Service {
    name: String,
    accepts: Accepts,
    signals: Taken,
    automatic: Automatic,
}

/// Which signals the library takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    All,
    /// Those that do not ask for the end.
    NoEnds,
    None,
}

/// For how long the library itself tells the service manager that all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Automatic {
    /// Never: the service calls [`Running::beat`] or [`Running::next`] at least once a second.
    Never,
    /// While it starts, pauses or stops, at most so long in each.
    Pending(Duration),
}

/// So long a start or a stop may take by default, before the service manager is no longer told that it goes on.
const PENDING: Duration = Duration::from_secs(120);

impl Service {
    /// A service of this name: the one that it is installed under. On Windows at most 256 characters.
    pub fn new(name: impl Into<String>) -> Service {
        Service {
            name: name.into(),
            accepts: Accepts::default(),
            signals: Taken::All,
            automatic: Automatic::Pending(PENDING),
        }
    }

    /// It can pause and go on.
    #[must_use]
    pub fn pausable(mut self) -> Service {
        self.accepts.pause = true;
        self
    }

    /// It can take its configuration anew: SIGHUP on Unix, `PARAMCHANGE` from the SCM.
    #[must_use]
    pub fn reloadable(mut self) -> Service {
        self.accepts.reload = true;
        self
    }

    /// It is not told when the machine goes down, and ends with it: for one that has nothing to bring to an end.
    #[must_use]
    pub fn without_shutdown(mut self) -> Service {
        self.accepts.shutdown = false;
        self
    }

    /// It knows controls of its own.
    #[must_use]
    pub fn custom_controls(mut self) -> Service {
        self.accepts.custom = true;
        self
    }

    /// It wants to know what becomes of the machine's power.
    #[must_use]
    pub fn power_events(mut self) -> Service {
        self.accepts.power = true;
        self
    }

    /// It wants to know who signs in and out, and what becomes of the sessions.
    #[must_use]
    pub fn session_events(mut self) -> Service {
        self.accepts.sessions = true;
        self
    }

    /// A start, a pause or a stop that takes longer is no longer covered up: the service manager may take the service
    /// for hung. Two minutes otherwise.
    #[must_use]
    pub fn pending_limit(mut self, limit: Duration) -> Service {
        self.automatic = Automatic::Pending(limit);
        self
    }

    /// The service itself tells that it lives, by [`Running::beat`] at least once a second; no thread of the library
    /// does. What hangs is then seen to hang.
    #[must_use]
    pub fn manual_beats(mut self) -> Service {
        self.automatic = Automatic::Never;
        self
    }

    /// Signals and Ctrl+C are left to the program.
    #[must_use]
    pub fn without_signals(mut self) -> Service {
        self.signals = Taken::None;
        self
    }

    /// SIGTERM, SIGINT and Ctrl+C are left to the program. The signals that are no end (SIGHUP, SIGUSR1 and SIGUSR2 on Unix)
    /// still ask for what they mean.
    #[must_use]
    pub fn without_end_signals(mut self) -> Service {
        self.signals = Taken::NoEnds;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Is the service until `main` returns. To be called from the program's `main`; once in a process.
    ///
    /// `main` gets a [`Running`], calls [`Running::ready`] when it is, and returns soon after the stop was asked for.
    /// Under the SCM it runs on another thread than this one, otherwise on this one. What it fails with goes to the
    /// Event Log, the journal or the terminal, and its code to the service manager (a service-specific exit code for
    /// the SCM).
    pub fn run<F>(self, main: F) -> ExitCode
    where
        F: FnOnce(Running) -> Result<(), Failure> + Send + 'static,
    {
        host::run(self, Box::new(main))
    }

    /// The same with a [`Handler`](crate::Handler) in place of a function.
    pub fn run_handler(self, handler: impl crate::Handler) -> ExitCode {
        self.run(move |running| crate::handler::drive(handler, &running))
    }

    /// Which signals are taken.
    pub(crate) fn signals(&self) -> Taken {
        self.signals
    }

    pub(crate) fn shared(&self, channel: Channel) -> Arc<Shared> {
        Arc::new(Shared {
            name: self.name.clone(),
            accepts: self.accepts,
            inner: Mutex::new(Inner {
                board: Board::new(),
                queue: Queue::default(),
                last_beat: None,
                tasks: Vec::new(),
            }),
            asked: Condvar::new(),
            stop: StopToken::new(),
            over: StopToken::new(),
            channel,
        })
    }

    /// Calls `main`, with signs of life around it, and reports how it ended; before that, `ended` gets the code.
    pub(crate) fn conduct(
        &self,
        shared: &Arc<Shared>,
        arguments: Vec<OsString>,
        main: Main,
        ended: impl FnOnce(u32),
    ) -> u32 {
        shared.tell();
        let beats = self.start_beats(shared);
        let running = Running { shared: Arc::clone(shared), arguments };
        let code = match main(running) {
            Ok(()) => 0,
            Err(failure) => {
                log::write(&shared.name, shared.channel.host(), Level::Error, &failure.text);
                failure.code.max(1)
            }
        };
        shared.over.stop();
        // Nothing may be reported after the end.
        if let Some(thread) = beats {
            let _ = thread.join();
        }
        ended(code);
        shared.end(code);
        code
    }

    fn start_beats(&self, shared: &Arc<Shared>) -> Option<std::thread::JoinHandle<()>> {
        let Automatic::Pending(limit) = self.automatic else { return None };
        if !shared.channel.listens() {
            return None;
        }
        let shared = Arc::clone(shared);
        // Without it a slow start is taken for a hung one: worse than nothing is not there.
        std::thread::Builder::new()
            .name("service-beats".into())
            .spawn(move || shared.keep_beating(limit))
            .ok()
    }
}

pub(crate) type Main = Box<dyn FnOnce(Running) -> Result<(), Failure> + Send>;

/// Who started the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// A person, a shell, or anything that is no service manager.
    Terminal,
    /// Windows's service control manager.
    Scm,
    /// systemd, or something else that gives a `NOTIFY_SOCKET`.
    Systemd,
    /// Mainstay.
    Mainstay,
}

/// What `main` ended with, if not well.
pub struct Failure {
    code: u32,
    text: String,
}

impl Failure {
    /// With a code of the service's own: the SCM shows it as the service-specific exit code, and the process ends with
    /// it (its lowest eight bits on Unix). 0 becomes 1.
    pub fn new(code: u32, text: impl Into<String>) -> Failure {
        Failure { code: code.max(1), text: text.into() }
    }

    /// The code.
    pub fn code(&self) -> u32 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.text, self.code)
    }
}

/// With everything that it was caused by.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Failure::new(1, text)
    }
}

/// The running service. Cheap to clone; all clones are the same service.
#[derive(Clone, Debug)]
pub struct Running {
    shared: Arc<Shared>,
    arguments: Vec<OsString>,
}

impl Running {
    /// It is ready to serve. Until then it counts as starting.
    pub fn ready(&self) {
        self.shared.go(State::Running);
    }

    /// It has paused, as [`Event::Pause`] asked.
    pub fn paused(&self) {
        self.shared.go(State::Paused);
    }

    /// It goes on, as [`Event::Continue`] asked.
    pub fn continued(&self) {
        self.shared.go(State::Running);
    }

    /// It has its new configuration, as [`Event::Reload`] asked. A service that is paused stays so.
    pub fn reloaded(&self) {
        if self.state() == State::Reloading {
            self.shared.go(State::Running);
        }
    }

    /// It ends by itself: counts as stopping from here on, and [`Running::stop_token`] says so.
    pub fn stopping(&self) {
        self.shared.ask(Event::Stop(Reason::Asked));
    }

    /// A line for people: systemd shows it in `systemctl status`. The SCM has no place for it.
    pub fn status(&self, text: &str) {
        self.shared.channel.status(text);
    }

    /// It lives: feeds systemd's watchdog, and raises the checkpoint of a pending state. May be called as often as one
    /// likes; what is more than two a second is not passed on.
    pub fn beat(&self) {
        self.shared.beat();
    }

    /// The next thing that it is asked for, waited for at most so long. Also a [`beat`](Running::beat). A stop comes
    /// first, and again at each call.
    pub fn next(&self, most: Duration) -> Option<Event> {
        self.shared.beat();
        self.shared.next(most)
    }

    /// Calls `wake` whenever something is asked for that [`Running::next`] would give: for a loop that waits for other
    /// things. At most one function at a time; it must not block.
    pub fn on_event(&self, wake: impl Fn(Event) + Send + Sync + 'static) {
        self.shared.channel.set_waker(Box::new(wake));
    }

    /// Tells when it is to stop.
    pub fn stop_token(&self) -> StopToken {
        self.shared.stop.clone()
    }

    /// Whether it is to stop.
    pub fn is_stopping(&self) -> bool {
        self.shared.stop.is_stopped()
    }

    /// Who started the program.
    pub fn host(&self) -> Host {
        self.shared.channel.host()
    }

    /// What it was started with: `sc start NAME arguments…` under the SCM, otherwise the program's own arguments.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// The state, as the service manager was told it.
    pub fn state(&self) -> State {
        self.shared.inner().board.state()
    }

    /// Writes to the Event Log, the journal, or standard error in a terminal.
    pub fn log(&self, level: Level, text: &str) {
        log::write(&self.shared.name, self.host(), level, text);
    }
}

impl Running {
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    #[cfg(test)]
    pub(crate) fn new(shared: &Arc<Shared>) -> Running {
        Running { shared: Arc::clone(shared), arguments: Vec::new() }
    }
}

/// What the service and the threads of its host share.
#[derive(Debug)]
pub(crate) struct Shared {
    name: String,
    accepts: Accepts,
    inner: Mutex<Inner>,
    asked: Condvar,
    stop: StopToken,
    /// `main` has returned.
    over: StopToken,
    channel: Channel,
}

#[derive(Debug)]
struct Inner {
    board: Board,
    queue: Queue,
    last_beat: Option<Instant>,
    /// Tasks that wait for an event, each once.
    tasks: Vec<Waker>,
}

/// More beats than this are not passed on.
const BEAT: Duration = Duration::from_millis(500);

/// How often the library beats by itself.
const AUTOMATIC_BEAT: Duration = Duration::from_secs(1);

/// What came of asking the service for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It knows.
    Taken,
    /// It cannot do such a thing.
    Unknown,
    /// Not in this state.
    NotNow,
    /// Too many are waiting.
    Full,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the service for something. Never waits for it.
    pub(crate) fn ask(&self, event: Event) -> Answer {
        let mut inner = self.inner();
        let (possible, to) = match event {
            Event::Stop(_) => (true, Some(State::Stopping)),
            Event::Pause => (self.accepts.pause, Some(State::Pausing)),
            Event::Continue => (self.accepts.pause, Some(State::Continuing)),
            Event::Reload => (self.accepts.reload, Some(State::Reloading)),
            Event::Custom(_) => (self.accepts.custom, None),
            Event::Power(_) => (self.accepts.power, None),
            Event::Session { .. } => (self.accepts.sessions, None),
        };
        if !possible {
            return Answer::Unknown;
        }
        let state = inner.board.state();
        // What is so already is no reason to complain.
        let already = matches!(
            (event, state),
            (Event::Pause, State::Paused | State::Pausing)
                | (Event::Continue, State::Running | State::Continuing)
        );
        if already {
            return Answer::Taken;
        }
        let can = match event {
            Event::Stop(_) => state != State::Stopped,
            Event::Pause => state == State::Running,
            Event::Continue => state == State::Paused,
            // What changed since a reload began is not in it.
            Event::Reload | Event::Custom(_) | Event::Power(_) | Event::Session { .. } => {
                matches!(state, State::Running | State::Paused | State::Reloading)
            }
        };
        if !can {
            return Answer::NotNow;
        }
        if !inner.queue.push(event) {
            return Answer::Full;
        }
        if to.is_some_and(|to| inner.board.go(to)) {
            self.channel.report(&inner.board.report(), self.accepts);
        }
        let tasks = std::mem::take(&mut inner.tasks);
        drop(inner);
        tasks.into_iter().for_each(Waker::wake);
        if matches!(event, Event::Stop(_)) {
            self.stop.stop();
        }
        self.asked.notify_all();
        self.channel.wake(event);
        Answer::Taken
    }

    fn next(&self, most: Duration) -> Option<Event> {
        let until = Instant::now() + most.min(Duration::from_secs(1 << 30));
        let mut inner = self.inner();
        loop {
            if let Some(event) = inner.queue.pop() {
                return Some(event);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            inner = self.asked.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn poll_event(&self, waker: &Waker) -> Poll<Event> {
        let mut inner = self.inner();
        if let Some(event) = inner.queue.pop() {
            return Poll::Ready(event);
        }
        if !inner.tasks.iter().any(|task| task.will_wake(waker)) {
            inner.tasks.push(waker.clone());
        }
        Poll::Pending
    }

    fn go(&self, to: State) {
        let mut inner = self.inner();
        if inner.board.go(to) {
            self.channel.report(&inner.board.report(), self.accepts);
        }
    }

    /// Tells the present state again.
    pub(crate) fn tell(&self) {
        let inner = self.inner();
        self.channel.report(&inner.board.report(), self.accepts);
    }

    fn beat(&self) {
        let mut inner = self.inner();
        let now = Instant::now();
        if inner.last_beat.is_some_and(|last| now.duration_since(last) < BEAT) {
            return;
        }
        inner.last_beat = Some(now);
        if inner.board.beat() {
            self.channel.report(&inner.board.report(), self.accepts);
        }
        self.channel.alive();
    }

    fn keep_beating(&self, limit: Duration) {
        let mut pending_since = Instant::now();
        let mut before = State::Starting;
        while !self.over.wait_timeout(AUTOMATIC_BEAT) {
            let mut inner = self.inner();
            let state = inner.board.state();
            if state != before {
                (before, pending_since) = (state, Instant::now());
            }
            if pending_since.elapsed() < limit && inner.board.beat() {
                self.channel.report(&inner.board.report(), self.accepts);
            }
        }
    }

    fn end(&self, code: u32) {
        let mut inner = self.inner();
        inner.board.end(code);
        self.channel.report(&inner.board.report(), self.accepts);
    }
}
