//! The control loop: one thread that waits for everything, and for nothing slow.

mod asked;
pub(crate) mod commands;
mod daemon;
mod ending;
mod freezer;
mod leash;
pub(crate) mod limited;
pub(crate) mod settings;
mod trees;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::{Control, Time};
use mainstay_link::{Command, Event, LogPos, Queues, Spawn, Tally, ToDaemon};
use mainstay_sys::container::{Container, Root};
use mainstay_sys::link::{self, Link};
use mainstay_sys::mux::{Mux, Wake};
use mainstay_sys::spawn::Process;
use mainstay_sys::{Exit, clock, own};

use crate::Ask;
use crate::capture::{Capture, Told};
use crate::journal::Journal;
use crate::life::Life;
use crate::own_log::OwnLog;
use crate::start::{self, Started};
use crate::state::{Left, State};
use crate::{Args, Error};
use freezer::Freezer;
use trees::Leaving;

/// What other threads tell the loop.
#[derive(Debug)]
enum Message {
    /// The capture thread.
    Capture(Told),
    /// The leash of this number is gone.
    LeashClosed(u32),
    /// Whoever holds the leash wants everything ended at once.
    KillWanted,
    /// The system, or a person with `kill`, asks us to end.
    Terminate(&'static str),
    /// The service manager wants something.
    Asked(Ask),
    /// A tree was frozen or thawed, or not.
    Answer { run: u64, event: Event },
}

/// A run of which something may be left.
#[derive(Debug)]
struct Live {
    container: String,
    /// The main process, until it has ended.
    process: Option<Process>,
    /// The log that the capture thread writes its output to, until it has told the end of it.
    log: Option<String>,
    /// Its working directory: the disk that limits are for.
    working_dir: Option<String>,
}

/// A container.
#[derive(Debug)]
struct Slot {
    container: Arc<Container>,
    /// The run in it that is not over.
    run: Option<u64>,
    /// Since when there is none.
    idle: Time,
}

/// A spawn that waits until its container is empty.
#[derive(Debug)]
struct Waiting {
    spawn: Spawn,
    until: Time,
}

/// Why the loop ends.
#[derive(Debug)]
enum End {
    /// The daemon says that everything is down.
    Down,
    /// Everything is ended by force; so it was wanted, and why in this way.
    Forced(String),
    /// It makes no sense to go on.
    Failed(String),
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Keeper {
    args: Args,
    mux: Mux<Message>,
    state: State,
    life: Life,
    root: Root,
    journal: Journal,
    log: OwnLog,
    capture: Capture,
    freezer: Freezer,
    /// Held for our whole life.
    lock: File,
    started: Time,
    /// Until it was told that we are ready.
    leash: Option<Link>,
    /// Which leash holds the stack now. The end of an earlier one means nothing.
    leash_number: u32,
    /// Whether everything is down but what was left running.
    rests: bool,
    ready: bool,
    /// When the service manager hears of us next, if there is one.
    next_beat: Option<Time>,
    /// Whether it knows that the stack is up.
    told_ready: bool,
    /// It waits for a pause, or for the end of one, until then.
    freezing: Option<(Control, Time)>,
    /// The stack has come to its end by itself; the services that failed.
    over: Option<Vec<String>>,
    daemon: Option<Process>,
    /// Whether the daemon has said hello.
    greeted: bool,
    live: BTreeMap<u64, Live>,
    by_pid: BTreeMap<u32, u64>,
    slots: BTreeMap<String, Slot>,
    leaving: Leaving,
    waiting: BTreeMap<String, Waiting>,
    /// Runs that the capture thread has not answered for, and until when it is waited for.
    unannounced: VecDeque<(Time, u64)>,
    /// Whether it was late the last time.
    logs_stuck: bool,
    /// How much came of each log.
    tallies: BTreeMap<String, Tally>,
    /// Where each log was known to end last.
    log_ends: BTreeMap<String, LogPos>,
    /// When unused containers are looked for next.
    next_sweep: Option<Time>,
    /// Since when the stack is to go down.
    down_since: Option<Time>,
    /// Commands that were accepted and are not done yet. They outlive the daemon that gave them.
    todo: VecDeque<Command>,
    end: Option<End>,
    /// At the end: whether the capture thread has done all it had to.
    capture_stopped: bool,
}

/// So many things that have come are seen to between two commands.
const BETWEEN_COMMANDS: u32 = 64;

/// How long it is waited for the capture thread to say where a run's output starts. It is only ever late when a
/// disk hangs, and then runs must still be seen to end.
const ANNOUNCE_WITHIN: Duration = Duration::from_secs(5);

/// A second wish to end counts as impatience if it comes so long after the first.
const IMPATIENT_AFTER: Duration = Duration::from_secs(5);

/// When the stack is to go down, a daemon has so long to come up and answer.
const DOWN_WITHOUT_DAEMON: Duration = Duration::from_secs(30);

/// A container that was not used for so long is taken away.
const SWEEP_AFTER: Duration = Duration::from_secs(60);

fn now() -> Time {
    Time::from_nanos(clock::monotonic_nanos())
}

fn system(what: &str) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.to_owned();
    move |error| Error::Failed(format!("cannot {what}: {error}"))
}

impl Keeper {
    /// Everything up to the first daemon's start.
    pub(crate) fn start(args: Args) -> Result<Keeper, Error> {
        own::become_keeper().map_err(system("become a keeper"))?;
        let mut leash =
            if args.leash { Some(link::from_stdio().map_err(system("take the leash"))?) } else { None };
        Keeper::prepare(args).map(|keeper| Keeper { leash: leash.take(), ..keeper }).inspect_err(|error| {
            if let Some(leash) = &mut leash {
                let _ = leash.write_all(line("error: ", &error.to_string()).as_bytes());
            }
        })
    }

    fn prepare(mut args: Args) -> Result<Keeper, Error> {
        let mut mux = Mux::new().map_err(system("wait for anything"))?;
        mux.watch_children().map_err(system("watch children"))?;
        let Started { lock, log, root, journal } = start::start(&args)?;
        let sender = mux.sender();
        own::on_terminate(move |name| {
            sender.send(Message::Terminate(name));
        })
        .map_err(system("take signals"))?;
        let sender = mux.sender();
        let capture = Capture::start(&args.dirs.log, move |told| sender.send(Message::Capture(told)))
            .map_err(system("capture output"))?;
        if let Some(host) = &args.host {
            let sender = mux.sender();
            host.on_ask(Box::new(move |ask| sender.send(Message::Asked(ask))));
        }
        let mut state = State::default();
        if let Some(reason) = args.refused.take() {
            state.config_refused(reason);
        }
        let started = now();
        Ok(Keeper {
            next_beat: args.host.as_ref().map(|_| started),
            told_ready: false,
            freezing: None,
            over: None,
            life: Life::new(args.daemon_exe.clone(), started),
            freezer: Freezer::new(mux.sender()),
            args,
            mux,
            state,
            root,
            journal,
            log,
            capture,
            lock,
            started,
            leash: None,
            leash_number: 0,
            rests: false,
            ready: false,
            daemon: None,
            greeted: false,
            live: BTreeMap::new(),
            by_pid: BTreeMap::new(),
            slots: BTreeMap::new(),
            leaving: Leaving::default(),
            waiting: BTreeMap::new(),
            unannounced: VecDeque::new(),
            logs_stuck: false,
            tallies: BTreeMap::new(),
            log_ends: BTreeMap::new(),
            next_sweep: None,
            down_since: None,
            todo: VecDeque::new(),
            end: None,
            capture_stopped: false,
        })
    }

    /// Is the keeper until the end.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        let end = loop {
            let now = now();
            self.do_what_is_due(now);
            if let Some(end) = self.end.take() {
                break end;
            }
            // Between two commands it sees to what else has come: a thousand spawns hold up no exit of another
            // service, and no answer to a ping.
            let mut timeout = self.next_deadline().map(|due| due.since(now));
            let mut most = 1;
            if let Some(command) = self.todo.pop_front() {
                self.command(command);
                (timeout, most) = (Some(Duration::ZERO), BETWEEN_COMMANDS);
            }
            if let Err(error) = self.hear(timeout, most) {
                break End::Failed(format!("the system tells nothing any more: {error}"));
            }
        };
        self.finish(end)
    }

    /// Handles what comes within the timeout, at most so many things.
    fn hear(&mut self, timeout: Option<Duration>, most: u32) -> std::io::Result<()> {
        for _ in 0..most {
            match self.mux.next(timeout)? {
                Wake::Timeout => break,
                wake => self.handle(wake),
            }
        }
        Ok(())
    }

    fn handle(&mut self, wake: Wake<Message>) {
        match wake {
            Wake::ChildExited { pid, exit } => self.child_exited(pid, exit),
            Wake::Frame(frame) => self.frame(&frame),
            Wake::Message(Message::Capture(told)) => self.captured(told),
            Wake::Message(Message::Answer { run, event }) => self.state.answered(run, event),
            Wake::LinkClosed => self.link_closed(),
            Wake::Message(Message::LeashClosed(number)) if number == self.leash_number => {
                self.want_down("mainstay up, which is gone", Left::GoesOn);
            }
            Wake::Message(Message::LeashClosed(_)) => {}
            Wake::Message(Message::KillWanted) => {
                self.end = Some(End::Forced("mainstay up was told so twice".to_owned()));
            }
            Wake::Message(Message::Terminate(name)) => self.terminated(name),
            Wake::Message(Message::Asked(ask)) => self.asked(ask),
            Wake::Timeout => {}
        }
        self.flush();
    }

    fn child_exited(&mut self, pid: u32, exit: Exit) {
        if self.daemon.as_ref().is_some_and(|daemon| daemon.pid == pid) {
            self.daemon_gone(exit);
        } else if let Some(run) = self.by_pid.remove(&pid) {
            self.main_ended(run, exit);
        } else {
            // An orphan of some tree.
            self.leaving.look_soon(now());
        }
    }

    fn captured(&mut self, told: Told) {
        match told {
            Told::Attached { run, start } => {
                let start = LogPos { segment: start.segment, offset: start.offset };
                self.state.announce(run, start);
                self.logs_stuck = false;
                // Answers come in the order of the questions.
                while self.unannounced.front().is_some_and(|(_, run)| !self.state.is_unannounced(*run)) {
                    self.unannounced.pop_front();
                }
            }
            Told::Ended { run, log, end } => {
                let end = LogPos { segment: end.segment, offset: end.offset };
                self.log_ends.insert(log, end);
                self.output_ended(run, end);
            }
            Told::Said { run, text } => self.state.notified(run, text),
            Told::Lost { name, bytes, error } => self.state.lost_output(name, bytes, error),
            Told::Rotated(rotation) => self.state.rotated(rotation),
            Told::Tallied(changed) => self.tallied(changed),
            Told::Note { name, text } => {
                self.log.say(format_args!("{name}: {text}"));
                self.state.log_note(name, text);
            }
            Told::Grumble(text) => self.log.say(format_args!("{text}")),
            Told::Stopped => {}
        }
    }

    /// How much came of some logs. Never told again: the next daemon is told of all.
    fn tallied(&mut self, changed: Vec<(String, mainstay_logs::Tally)>) {
        let linked = |tally: mainstay_logs::Tally| Tally {
            bytes: tally.bytes,
            lines: tally.lines,
            dropped_bytes: tally.dropped_bytes,
            dropped_lines: tally.dropped_lines,
        };
        let changed: BTreeMap<_, _> =
            changed.into_iter().map(|(name, tally)| (name, linked(tally))).collect();
        self.tallies.extend(changed.iter().map(|(name, tally)| (name.clone(), *tally)));
        if self.greeted {
            self.send(&ToDaemon { tallies: changed, ..ToDaemon::default() });
        }
    }

    fn queues(&self) -> Queues {
        Queues {
            events: self.state.waiting() as u64,
            commands: self.todo.len() as u64,
            capture: self.capture.waiting() as u64,
        }
    }

    fn terminated(&mut self, name: &'static str) {
        match self.down_since {
            Some(since) if now().since(since) >= IMPATIENT_AFTER => {
                self.end = Some(End::Forced(format!("{name} came again")));
            }
            _ => {
                // Whoever ends the system ends what is left, too; so it had better be ended in order.
                let all = self.rests || self.args.host.is_some() || ["shutdown", "logoff"].contains(&name);
                self.want_down(name, if all { Left::IsStopped } else { Left::GoesOn });
            }
        }
    }

    fn want_down(&mut self, by: &str, left: Left) {
        if self.down_since.is_none() {
            self.log.say(format_args!("the stack is to go down: {by}"));
            self.down_since = Some(now());
            self.state.want_down(by, left);
            if let Some(host) = &self.args.host {
                host.stopping();
            }
        }
    }

    /// When something is due, at the latest.
    fn next_deadline(&self) -> Option<Time> {
        [
            self.life.next_deadline(),
            self.leaving.next_look(),
            self.waiting.values().map(|waiting| waiting.until).min(),
            self.unannounced.front().map(|(due, _)| *due),
            self.next_sweep,
            self.down_deadline(),
            self.next_beat,
            self.freezing.map(|(_, until)| until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the keeper itself ends everything, because nobody else does.
    fn down_deadline(&self) -> Option<Time> {
        let since = self.down_since?;
        let answer = self.life.last_answer().map_or(since, |answer| answer.max(since));
        Some(answer.after(DOWN_WITHOUT_DAEMON))
    }

    fn do_what_is_due(&mut self, now: Time) {
        if let Some(wish) = self.life.tick(now) {
            self.fulfil(wish);
            self.log.trim();
        }
        if self.leaving.next_look().is_some_and(|due| due <= now) {
            self.look_at_leaving(now);
        }
        while self.unannounced.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, run)) = self.unannounced.pop_front() {
                self.announce_late(run);
            }
        }
        if self.waiting.values().any(|waiting| waiting.until <= now) {
            self.give_up_waiting(now);
        }
        if self.next_sweep.is_some_and(|due| due <= now) {
            self.sweep(now);
        }
        self.beat(now);
        self.give_up_freezing(now);
        if self.down_deadline().is_some_and(|due| due <= now) {
            let why = format!("no daemon answered for {} s", DOWN_WITHOUT_DAEMON.as_secs());
            self.end = Some(End::Forced(why));
        }
        self.flush();
    }
}

/// One line for the leash, whatever is in `text`.
fn line(start: &str, text: &str) -> String {
    format!("{start}{}\n", text.replace(['\n', '\r'], " "))
}
