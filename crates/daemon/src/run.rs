//! The daemon's life: hello, welcome, the loop, the end.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_api::types::{About, Process};
use mainstay_core::Time;
use mainstay_link::{Command, ToDaemon, ToKeeper, VERSION, Welcome};
use mainstay_sys::container::Guard;
use mainstay_sys::dirs::Dirs;
use mainstay_sys::mux::{Mux, Sender, Wake};
use mainstay_sys::process::{self, ProcessId};
use mainstay_sys::{endpoint, link, own};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tracing::{info, warn};
use tracing_subscriber::filter::LevelFilter;
use zeroize::Zeroizing;

use crate::api::{Context, Facts};
use crate::driver::{Driver, Parts, Watched, now};
use crate::files::Files;
use crate::message::ToDriver;
use crate::metrics::{self, Metrics, ProbeTally};
use crate::observers::{Observed, Observer};
use crate::plan_store::{PlanError, read_plan};
use crate::probes::Probes;
use crate::secrets::Vault;
use crate::shelf::{self, Shelf};
use crate::watching::{self, ConfigSource};
use crate::{api, otlp, plan_writer, welcome};

/// So many wakes become one transaction at the most.
const MAX_BATCH: usize = 1024;
/// The keeper welcomes a daemon in this time.
const WELCOME_TIME: Duration = Duration::from_secs(30);
/// What is left when the keeper is lost is ended in this time.
const END_TIME: Duration = Duration::from_secs(10);
/// A keeper that lives kills a daemon whose link it has closed, long before this.
const GIVEN_UP_TIME: Duration = Duration::from_secs(10);
/// How soon it is looked again whether the keeper lives.
const KEEPER_PAUSE: Duration = Duration::from_millis(2);
/// From the last frame to the end.
const LINGER: Duration = Duration::from_millis(20);
/// Observers have heard the last event in this time, or do not hear it.
const OBSERVERS_TIME: Duration = Duration::from_secs(1);
/// How soon it is looked again whether a frame is on its way.
const QUEUED_PAUSE: Duration = Duration::from_millis(1);
/// Threads for files, name look-ups and the like. They come when needed and go after 10 s.
const BLOCKING_THREADS: usize = 8;

/// What `mainstay daemon` is started with.
#[derive(Debug)]
pub struct Args {
    /// The stack's name.
    pub stack: String,
    /// Its directories.
    pub dirs: Dirs,
    /// [`mainstay_sys::container::Root::guard_argument`] of its keeper.
    pub guard: String,
    /// Where its configuration comes from, if it can be read again.
    pub source: Option<Box<dyn ConfigSource>>,
    /// Who is told of each event.
    pub observers: Vec<Box<dyn Observer>>,
}

/// Why a daemon ends before its time. The keeper makes another one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The operating system refuses something that can't be done without.
    #[error("{what}: {error}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why it is refused.
        error: io::Error,
    },
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The keeper says nothing, or not what it should.
    #[error("the keeper {0}")]
    Keeper(String),
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> DaemonError {
    move |error| DaemonError::System { what, error }
}

/// Is the daemon of a stack, until the stack is down or the keeper is lost. The link is standard input (and output).
/// Called before there is any other thread.
///
/// # Errors
/// See [`DaemonError`]; they go into the daemon's log.
pub fn run(mut args: Args) -> Result<(), DaemonError> {
    let link = link::from_stdio().map_err(system("the link to the keeper"))?;
    // The keeper sends standard error to the stack's own log. Environments are never written there.
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(LevelFilter::INFO)
        // It would tell on stderr that stderr cannot be written, and panic because that cannot be written: a full disk.
        .log_internal_errors(false)
        .init();
    let guard = Guard::from_argument(&args.guard).map_err(system("the guard"))?;
    let mut mux = Mux::new().map_err(system("the driver's queue"))?;
    mux.set_link(Some(link));
    let mut daemon = Daemon::begin(&mut args, mux)?;
    match daemon.drive()? {
        End::Down => info!("the stack is down"),
        End::Forced => info!("everything is ended by force"),
        End::LinkClosed => daemon.lost_link(&guard)?,
    }
    daemon.driver.events.finish(OBSERVERS_TIME);
    Ok(())
}

enum End {
    Down,
    Forced,
    LinkClosed,
}

struct Daemon {
    mux: Mux<ToDriver>,
    driver: Driver,
    /// None: it was gone when this daemon began.
    keeper: Option<ProcessId>,
}

impl Daemon {
    /// From the hello to everything in its place.
    fn begin(args: &mut Args, mut mux: Mux<ToDriver>) -> Result<Daemon, DaemonError> {
        let (welcome, first) = say_hello(&mut mux)?;
        let mut stored = read_plan(&args.dirs.state)?;
        for service in stored.plan.services.values_mut() {
            service.stop.fit(mainstay_sys::IS_WINDOWS);
        }
        let started = now();
        let observers = std::mem::take(&mut args.observers).into_iter().map(Observed::start);
        let observers = observers.collect::<io::Result<_>>().map_err(system("the thread of an observer"))?;
        let restored = welcome::restore(&welcome, stored, &args.dirs.state, observers, started);

        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .map_err(system("the I/O runtime"))?;
        let sender = mux.sender();
        let (answers, steps, told) = (sender.clone(), sender.clone(), sender.clone());
        let told = Arc::new(move |message| told.send(message));
        let vault = Vault::new(args.dirs.state.clone(), runtime.handle().clone(), told);
        let probes = Probes::new(
            runtime.handle().clone(),
            vault.clone(),
            Arc::new(move |answer| answers.send(ToDriver::Probed(answer))),
            args.dirs.log.clone(),
        )
        .with_steps(Arc::new(move |done| steps.send(ToDriver::StepEnded(done))));
        // Revisions of different daemons are never the same.
        let (revision, seen_revision) = watch::channel((u64::from(welcome.predecessors) + 1) << 32);
        let (plan, plan_changes) = watch::channel(0);
        let (reload, reload_wanted) = watch::channel(None);
        let shelf = Shelf::new(restored.core.plan());
        shelf::start(args.dirs.log.clone(), shelf.clone()).map_err(system("the thread for old logs"))?;
        let facts = facts(args, &welcome, restored.config.clone(), started);
        let tally = ProbeTally::default();
        let moves = sender.clone();
        let files = Files::new(
            runtime.handle().clone(),
            Arc::new(move |moved| moves.send(ToDriver::Files(moved))),
            args.dirs.log.clone(),
            vault.clone(),
            started,
        );
        let mut driver = Driver::new(Parts {
            core: restored.core,
            probes,
            vault: vault.clone(),
            files,
            events: restored.events,
            state_dir: args.dirs.state.clone(),
            log_dir: args.dirs.log.clone(),
            config: restored.config,
            source: restored.source,
            revisions: restored.revisions,
            watched: Watched { revision, plan, reload },
            shelf,
            last_run: welcome.last_run,
            tally: tally.clone(),
        });
        welcome::begin(&mut driver, &welcome, restored.beginning);
        driver.heard(first);

        let live = driver.events.live();
        let of = metrics::Stack {
            state_dir: args.dirs.state.clone(),
            keeper: welcome.keeper_pid,
            keeper_started: welcome.keeper_started,
            containment: welcome.containment.clone(),
            log_dir: args.dirs.log.clone(),
            live: live.clone(),
            probes: tally,
        };
        let metrics = metrics::start(of, sender.clone()).map_err(system("the thread for metrics"))?;
        let source = args.source.take();
        let io =
            Io { sender, seen_revision, plan_changes, reload_wanted, live, facts, metrics, vault, source };
        io.start(args, runtime).map_err(system("the I/O thread"))?;
        info!("pid {} is the daemon of {}", std::process::id(), args.stack);
        let needed = driver.core.plan().open_files_needed();
        if let Some(most) = own::most_open_files().filter(|most| *most < needed) {
            warn!(
                "about {needed} open files are needed for these services, and {most} are allowed; see docs/limits.md"
            );
        }
        Ok(Daemon { mux, driver, keeper: process::identity(welcome.keeper_pid) })
    }

    /// The loop.
    fn drive(&mut self) -> Result<End, DaemonError> {
        loop {
            // One frame at a time: what happens while the keeper takes it goes into the next one.
            if self.mux.queued() == 0 {
                self.driver.sent();
                if let Some(frame) = self.driver.take_frame() {
                    send(&mut self.mux, &frame)?;
                }
            }
            let mut wait = self.until_deadline();
            if self.mux.queued() > 0 {
                wait = Some(wait.map_or(QUEUED_PAUSE, |wait| wait.min(QUEUED_PAUSE)));
            } else {
                self.driver.sent();
            }
            if self.driver.ended && self.mux.queued() == 0 {
                // The keeper waits for our end, and hears of it in another way than of its orders.
                std::thread::sleep(LINGER);
                return Ok(End::Down);
            }
            for _ in 0..MAX_BATCH {
                match self.mux.next(wait).map_err(system("waiting"))? {
                    Wake::Timeout => break,
                    Wake::Message(message) => self.driver.message(message),
                    Wake::Frame(bytes) => self.driver.heard(read_frame(&bytes)?),
                    Wake::LinkClosed if self.driver.ended => return Ok(End::Down),
                    Wake::LinkClosed => return Ok(End::LinkClosed),
                    // It has no children.
                    Wake::ChildExited { .. } => {}
                }
                wait = Some(Duration::ZERO);
            }
            if self.driver.forced {
                return Ok(End::Forced);
            }
            self.driver.tick(now());
        }
    }

    /// If the keeper is dead, this is the one who can still end what it has left. A keeper that lives has only given
    /// up this daemon: it is about to kill it, and looks after everything itself.
    fn lost_link(&mut self, guard: &Guard) -> Result<(), DaemonError> {
        let end = Instant::now() + GIVEN_UP_TIME;
        while self.keeper.as_ref().is_some_and(process::is_alive) {
            if Instant::now() > end {
                return Err(DaemonError::Keeper("lives, but has closed the link".to_owned()));
            }
            std::thread::sleep(KEEPER_PAUSE);
        }
        warn!("the keeper is gone; everything is ended");
        let ended = guard.end_all(END_TIME);
        let how = match &ended {
            Ok(1) => "1 process was ended".to_owned(),
            Ok(count) => format!("{count} processes were ended"),
            Err(error) => format!("not all could be ended: {error}"),
        };
        let text = format!("the keeper is gone without a word; {how}");
        self.driver.events.stage_about(About::KeeperLost, text);
        self.driver.events.take_leave();
        self.driver.events.flush();
        ended.map(drop).map_err(system("ending what the keeper left"))
    }

    fn until_deadline(&self) -> Option<Duration> {
        // Those that are due were just dealt with; what comes due meanwhile can wait a millisecond.
        let left = self.driver.deadline()?.since(now());
        Some(left.max(Duration::from_millis(1)))
    }
}

/// What the I/O thread is made of.
struct Io {
    sender: Sender<ToDriver>,
    seen_revision: watch::Receiver<u64>,
    plan_changes: watch::Receiver<u64>,
    reload_wanted: watch::Receiver<Option<String>>,
    live: tokio::sync::broadcast::Sender<crate::events_log::Line>,
    facts: Facts,
    metrics: Metrics,
    vault: Vault,
    source: Option<Box<dyn ConfigSource>>,
}

impl Io {
    fn start(self, args: &Args, runtime: Runtime) -> io::Result<()> {
        let (written, plan_written) = watch::channel(0);
        let context = Arc::new(Context {
            driver: self.sender,
            revision: self.seen_revision,
            plan_written,
            live: self.live,
            state_dir: args.dirs.state.clone(),
            log_dir: args.dirs.log.clone(),
            facts: self.facts,
            metrics: self.metrics,
            sending: otlp::Sending::default(),
            vault: self.vault,
        });
        let address = endpoint::address(&args.dirs, &args.stack);
        std::thread::Builder::new().name("io".to_owned()).spawn(move || {
            runtime.block_on(async {
                let changes = self.plan_changes;
                tokio::spawn(metrics::serve::follow(Arc::clone(&context), changes.clone()));
                tokio::spawn(otlp::follow(Arc::clone(&context), changes.clone()));
                if let Some(source) = self.source {
                    let reload = self.reload_wanted;
                    tokio::spawn(watching::run(Arc::clone(&context), changes.clone(), reload, source));
                }
                tokio::spawn(plan_writer::run(Arc::clone(&context), changes, written));
                api::serve(address, context).await;
            });
        })?;
        Ok(())
    }
}

fn facts(args: &Args, welcome: &Welcome, config: Option<String>, started: Time) -> Facts {
    let process = |pid, version: &str| Process { pid, version: version.to_owned(), uptime_ms: 0 };
    Facts {
        stack: args.stack.clone(),
        config,
        keeper: process(welcome.keeper_pid, &welcome.build),
        keeper_started: welcome.keeper_started,
        daemon: process(std::process::id(), env!("CARGO_PKG_VERSION")),
        daemon_started: started,
        daemons_before: welcome.predecessors,
        daemon_reason: welcome.reason.clone(),
        containment: welcome.containment.clone(),
    }
}

/// Says hello and waits for the welcome; gives also what else was in its frame.
fn say_hello(mux: &mut Mux<ToDriver>) -> Result<(Welcome, ToDaemon), DaemonError> {
    let hello = Command::Hello { version: VERSION, build: env!("CARGO_PKG_VERSION").to_owned() };
    send(mux, &ToKeeper { commands: vec![hello], ..ToKeeper::default() })?;
    let end = Instant::now() + WELCOME_TIME;
    loop {
        match mux.next(Some(end.saturating_duration_since(Instant::now()))).map_err(system("waiting"))? {
            Wake::Frame(bytes) => {
                let mut frame = read_frame(&bytes)?;
                if let Some(welcome) = frame.welcome.take() {
                    if welcome.version != VERSION {
                        let (theirs, build) = (welcome.version, &welcome.build);
                        return Err(DaemonError::Keeper(format!(
                            "speaks version {theirs} of the protocol (it is Mainstay {build}), not {VERSION}"
                        )));
                    }
                    return Ok((welcome, frame));
                }
            }
            Wake::LinkClosed => return Err(DaemonError::Keeper("went away before its welcome".to_owned())),
            Wake::Timeout => {
                return Err(DaemonError::Keeper(format!("said nothing for {} s", WELCOME_TIME.as_secs())));
            }
            Wake::Message(_) | Wake::ChildExited { .. } => {}
        }
    }
}

fn send(mux: &mut Mux<ToDriver>, frame: &ToKeeper) -> Result<(), DaemonError> {
    // As long as it will be from the start: one that grew would leave copies, and it may have secrets in it.
    let mut length = Length(0);
    let mut bytes = Zeroizing::new(Vec::new());
    let written = serde_json::to_writer(&mut length, frame).and_then(|()| {
        bytes.reserve_exact(length.0);
        serde_json::to_writer(&mut *bytes, frame)
    });
    written.map_err(|error| DaemonError::System { what: "a frame in JSON", error: error.into() })?;
    match mux.send(&bytes) {
        Ok(()) => Ok(()),
        // The loop hears of it next.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        Err(error) => Err(DaemonError::Keeper(format!("does not take what it is told: {error}"))),
    }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_frame(bytes: &[u8]) -> Result<ToDaemon, DaemonError> {
    serde_json::from_slice(bytes)
        .map_err(|error| DaemonError::Keeper(format!("says what is not understood: {error}")))
}
