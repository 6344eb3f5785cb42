//! The thread that reads what the services write and puts it into their logs.
//!
//! It alone touches pipes and log files, so that a slow disk holds up nobody else. The control loop gives it
//! [`Order`]s and never waits for it; what it has to tell comes back as [`Told`].

mod nap;
mod shape;
mod sinks;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use mainstay_core::{LogEncoding, LogFormat, Rotation};
use mainstay_logs::{Catalog, LogPos, Settings, Tally};
use mainstay_sys::capture::{NotifySocket, OutputReader, Set, Waker};

use nap::Nap;
use shape::Shape;
use sinks::Sinks;

/// So many orders are carried out before the pipes have their turn.
const ORDERS: usize = 256;

/// After so many pipes in one look there may be more that have something …
const MANY: u32 = 32;

/// … and it is looked again, at most so often in a round.
const LOOKS: u32 = 64;

/// How long it waits after the system refused to wait for pipes.
const RETRY: Duration = Duration::from_millis(100);

/// Something to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Read a run's output from here on. Answered by [`Told::Attached`] once everything that earlier runs wrote to
    /// the same log before is in it.
    Add(Box<Source>),
    /// Read a run's notifications.
    AddNotify { run: u64, socket: NotifySocket },
    /// A log is kept in another way from now on.
    Settings { log: String, settings: Settings },
    /// This log goes on in a new segment, if a run writes to it.
    Rotate { log: String },
    /// Nothing of the run is left: take what is in its pipe and close it.
    Finish { run: u64 },
    /// The same for all runs; then [`Told::Stopped`], and the thread ends.
    Stop,
}

/// A run's output.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) run: u64,
    pub(crate) reader: OutputReader,
    pub(crate) log: String,
    pub(crate) settings: Settings,
    /// Standard error, if it has a log of its own.
    pub(crate) errors: Option<(OutputReader, String)>,
    pub(crate) format: LogFormat,
    pub(crate) encoding: LogEncoding,
    /// So many bytes of it at the most.
    pub(crate) most: Option<u64>,
}

/// What it has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The run's output starts here.
    Attached { run: u64, start: LogPos },
    /// All that the run wrote is in its log. Told once for each run that was added.
    Ended { run: u64, log: String, end: LogPos },
    /// The run sent a notification.
    Said { run: u64, text: String },
    /// Output was lost; so much of this log until now.
    Lost { name: String, bytes: u64, error: String },
    /// Segments of a log were closed that asks for being told so.
    Rotated(Rotation),
    /// How much came of these logs since the start.
    Tallied(Vec<(String, Tally)>),
    /// Something about a log that its owner wants to know.
    Note { name: String, text: String },
    /// For the keeper's own log.
    Grumble(String),
    /// The thread has ended.
    Stopped,
}

/// The control loop's side.
#[derive(Debug)]
pub(crate) struct Capture {
    orders: mpsc::Sender<Order>,
    /// Orders that were not taken.
    waiting: Arc<AtomicUsize>,
    waker: Waker,
    thread: thread::Thread,
}

impl Capture {
    /// Starts the thread. `tell` gives a message to the control loop, and tells whether it could be taken.
    pub(crate) fn start(log_dir: &Path, tell: impl Fn(Told) -> bool + Send + 'static) -> io::Result<Capture> {
        let (catalog, problem) = match Catalog::scan(log_dir) {
            Ok(catalog) => (catalog, None),
            Err(error) => {
                let text = format!("cannot list {}: {error}; numbering starts anew", log_dir.display());
                (Catalog::unknown(log_dir), Some(text))
            }
        };
        let (orders, inbox) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        // A set belongs to the thread that reads from it.
        let (begun, beginning) = mpsc::channel();
        let work = move || {
            let set = match Set::new() {
                Ok(set) => set,
                Err(error) => {
                    let _ = begun.send(Err(error));
                    return;
                }
            };
            let _ = begun.send(Ok(set.waker()));
            drop(begun);
            let mut sinks = Sinks::new(catalog, Box::new(tell));
            if let Some(problem) = problem {
                sinks.tell(Told::Grumble(problem));
            }
            Worker { set, inbox, left, sinks, round: Instant::now(), refused: 0 }.run();
        };
        let handle = thread::Builder::new().name("capture".into()).spawn(work)?;
        let waker = beginning.recv().map_err(io::Error::other)??;
        Ok(Capture { orders, waiting, waker, thread: handle.thread().clone() })
    }

    /// Never waits. Orders are carried out in order.
    pub(crate) fn order(&self, order: Order) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // It fails only if the thread is gone, which ends the keeper elsewhere.
        let _ = self.orders.send(order);
        self.waker.wake();
        self.thread.unpark();
    }

    /// How many orders it has not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

struct Worker {
    set: Set,
    inbox: mpsc::Receiver<Order>,
    /// How many orders are in it.
    left: Arc<AtomicUsize>,
    sinks: Sinks,
    /// When the last round of reading began.
    round: Instant,
    /// How often in a row the system refused to wait.
    refused: u32,
}

impl Worker {
    fn run(mut self) {
        let mut nap = Nap::default();
        while let Some(more) = self.obey() {
            let timeout = if more { Some(Duration::ZERO) } else { self.sinks.chores(Instant::now()) };
            self.hold();
            match self.look(timeout, &mut nap) {
                Ok(()) => self.refused = 0,
                Err(error) => {
                    self.refused = self.refused.saturating_add(1);
                    if self.refused.is_power_of_two() {
                        self.sinks.tell(Told::Grumble(format!("cannot wait for output: {error}")));
                    }
                    thread::park_timeout(RETRY);
                }
            }
            let now = Instant::now();
            let asked = nap.after_round(now - self.round);
            self.round = now;
            if !asked.is_zero() {
                thread::park_timeout(asked);
                let took = now.elapsed();
                // Shorter: an order woke it.
                if took >= asked {
                    nap.slept(asked, took);
                }
            }
        }
        self.stop();
    }

    /// Reads once from each pipe that has something.
    fn look(&mut self, timeout: Option<Duration>, nap: &mut Nap) -> io::Result<()> {
        let mut timeout = timeout;
        for _ in 0..LOOKS {
            let before = nap.reads();
            let sinks = &mut self.sinks;
            self.set.wait(timeout, &mut |token, chunk| sinks.take(token, chunk, nap))?;
            self.hold();
            // One look serves a limited number of them; after many there may be more.
            if nap.reads() - before < MANY {
                break;
            }
            timeout = Some(Duration::ZERO);
        }
        Ok(())
    }

    /// Carries out orders; tells whether there may be more, or none if it is to stop.
    fn obey(&mut self) -> Option<bool> {
        for _ in 0..ORDERS {
            let order = self.inbox.try_recv();
            if order.is_ok() {
                self.left.fetch_sub(1, Ordering::Relaxed);
            }
            match order {
                Ok(Order::Add(source)) => self.add(*source),
                Ok(Order::AddNotify { run, socket }) => {
                    if let Err(error) = self.set.add_notify(notify_token(run), socket) {
                        self.sinks.tell(Told::Grumble(format!("run {run} cannot notify: {error}")));
                    }
                }
                Ok(Order::Settings { log, settings }) => self.sinks.set(&log, settings),
                Ok(Order::Rotate { log }) => self.sinks.rotate(&log),
                Ok(Order::Finish { run }) => self.finish(run),
                Ok(Order::Stop) | Err(mpsc::TryRecvError::Disconnected) => return None,
                Err(mpsc::TryRecvError::Empty) => return Some(false),
            }
        }
        Some(true)
    }

    /// Reads from no pipe whose log has no space, if its writer is to wait for that, and from all others.
    fn hold(&mut self) {
        while let Some((token, paused)) = self.sinks.holds.pop() {
            let run = run_of(token);
            if paused {
                self.set.pause(token);
            } else if let Err(error) = self.set.resume(token) {
                self.sinks.tell(Told::Grumble(format!("the output of run {run} cannot be read on: {error}")));
                self.finish(run);
            }
        }
    }

    fn add(&mut self, source: Source) {
        let Source { run, reader, log, settings, errors, format, encoding, most } = source;
        self.sinks.bound(run, most);
        let apart = errors.is_some();
        // Before the other: while one of them is read the run has not ended.
        let start = self.begin(output_token(run), &log, settings);
        self.sinks.shape(output_token(run), Shape::of(run, apart.then_some("stdout"), format, encoding));
        if let Some((_, log)) = &errors {
            self.begin(errors_token(run), log, settings);
            self.sinks.shape(errors_token(run), Shape::of(run, Some("stderr"), format, encoding));
        }
        self.sinks.tell(Told::Attached { run, start });
        let readers =
            [Some((output_token(run), reader)), errors.map(|(reader, _)| (errors_token(run), reader))];
        for (token, reader) in readers.into_iter().flatten() {
            if let Err(error) = self.set.add(token, reader) {
                self.sinks.tell(Told::Grumble(format!("the output of run {run} cannot be read: {error}")));
                self.sinks.end(token);
            }
        }
        self.hold();
    }

    /// What an earlier run left in its pipe comes before anything of this one. (This one's pipe was not looked at
    /// yet, so that the order in the log is the order of the runs.)
    fn begin(&mut self, token: u64, log: &str, settings: Settings) -> LogPos {
        for earlier in self.sinks.sources_of(log) {
            self.drain(earlier);
        }
        self.sinks.begin(token, log, settings)
    }

    fn finish(&mut self, run: u64) {
        for token in [output_token(run), errors_token(run), notify_token(run)] {
            self.drain(token);
            self.set.remove(token);
        }
        self.sinks.end(errors_token(run));
        self.sinks.end(output_token(run));
    }

    fn drain(&mut self, token: u64) {
        let sinks = &mut self.sinks;
        // Not part of a round: how much this reads says nothing about how fast anybody writes.
        let mut aside = Nap::default();
        if let Err(error) = self.set.drain(token, &mut |token, chunk| sinks.take(token, chunk, &mut aside)) {
            self.sinks.tell(Told::Grumble(format!("cannot read the rest of run {}: {error}", run_of(token))));
        }
    }

    fn stop(mut self) {
        for run in self.sinks.runs() {
            self.finish(run);
        }
        self.sinks.stop();
    }
}

/// A run has up to three sources: its output, standard error apart from it, and its notifications.
fn output_token(run: u64) -> u64 {
    run << 2
}

fn notify_token(run: u64) -> u64 {
    run << 2 | 1
}

fn errors_token(run: u64) -> u64 {
    run << 2 | 2
}

fn run_of(token: u64) -> u64 {
    token >> 2
}
