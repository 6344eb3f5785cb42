//! What the daemon wants done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::{Limits, RunId, StopAction, Time};
use mainstay_link::{Command, Event, LogPos, Spawn, Whom};
use mainstay_logs::{OnFull, is_valid_name};
use mainstay_sys::capture::{self, NotifySocket};
use mainstay_sys::container::{self, Container, Signal};
use mainstay_sys::spawn::{self, Process, Request};
use zeroize::Zeroize;

use super::freezer::Wish;
use super::limited::Limited;
use super::{ANNOUNCE_WITHIN, End, Keeper, Live, Slot, Waiting, now, settings};
use crate::capture::{Order, Source};
use crate::state::Begin;
use crate::{dynamic_user, start};

/// A spawn waits so long for the rest of an earlier run in its container to end.
const WAIT_FOR_CONTAINER: Duration = Duration::from_secs(5);

/// What a service does not inherit: how Mainstay itself was started is nothing it should act on.
pub(crate) const NOT_INHERITED: [&str; 9] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MAINPID",
];

fn log_settings(log: &mainstay_link::Log) -> mainstay_logs::Settings {
    mainstay_logs::Settings {
        rotate_size: log.rotate_size,
        rotate_age: log.rotate_age_ms.map(Duration::from_millis),
        keep_files: log.keep_files,
        min_free: log.min_free,
        on_full: if log.wait_when_full { OnFull::Wait } else { OnFull::Drop },
        report: log.tell_rotations,
    }
}

impl Keeper {
    /// Takes a command. From here on a run is known that is to be made, also to the next daemon.
    pub(super) fn accept(&mut self, command: Command) {
        match command {
            Command::Pong { n } => self.life.pong(n, now()),
            // At once too: a spawn or a new daemon after it must not find the run still known.
            Command::Forget { run } => self.state.forget(run.0),
            Command::Spawn(spawn) => match self.state.begin(spawn.run, &spawn.container) {
                Begin::New => self.todo.push_back(Command::Spawn(spawn)),
                Begin::Known => {}
                Begin::Refused(error) => self.log.say(format_args!("refused a spawn: {error}")),
            },
            command => self.todo.push_back(command),
        }
    }

    /// Does a command that was accepted.
    pub(super) fn command(&mut self, command: Command) {
        match command {
            // Said once, before anything else; a second time it means nothing. An answer was taken at once.
            Command::Hello { .. } | Command::Pong { .. } | Command::Forget { .. } => {}
            Command::Spawn(spawn) => self.spawn(*spawn),
            Command::Signal { run, action } => self.signal(run.0, action),
            Command::Send { id, run, whom, action } => self.send_by_hand(id, run.0, whom, &action),
            Command::Kill { run } => self.kill(run.0),
            Command::Freeze { run } => self.freeze(run.0, Wish::Freeze),
            Command::Thaw { run } => self.freeze(run.0, Wish::Thaw),
            Command::SetLimits { run, limits } => self.set_limits(run.0, limits),
            Command::Rotate { log } => self.capture.order(Order::Rotate { log }),
            Command::Replace { exe } => self.replace(PathBuf::from(exe)),
            Command::SetLog(log) => {
                let settings = log_settings(&log);
                self.capture.order(Order::Settings { log: log.name, settings });
            }
            Command::Rest => self.rest(),
            Command::WakeUp { leash } => self.wake_up(leash),
            Command::Exit => self.end = Some(End::Down),
        }
    }

    fn spawn(&mut self, spawn: Spawn) {
        let earlier = self.slots.get(&spawn.container).and_then(|slot| slot.run);
        match earlier {
            None => self.make(spawn),
            // The daemon should have seen to it; two at once must not be, whatever it thinks.
            Some(earlier) => {
                self.log.say(format_args!(
                    "run {} has to wait: run {earlier} in {} is not over, and is killed",
                    spawn.run, spawn.container
                ));
                self.kill(earlier);
                let until = now().after(WAIT_FOR_CONTAINER);
                let waiting = Waiting { spawn, until };
                if let Some(other) = self.waiting.insert(waiting.spawn.container.clone(), waiting) {
                    let error = format!("another run was started in {} meanwhile", other.spawn.container);
                    self.state.failed(other.spawn.run, error);
                }
            }
        }
    }

    /// Spawns whose container did not become empty.
    pub(super) fn give_up_waiting(&mut self, now: Time) {
        let late = |waiting: &Waiting| waiting.until <= now;
        let names: Vec<String> =
            self.waiting.iter().filter(|(_, waiting)| late(waiting)).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(waiting) = self.waiting.remove(&name) else { continue };
            let seconds = WAIT_FOR_CONTAINER.as_secs();
            let error = match self.slots.get(&name).map(|slot| slot.container.processes()) {
                Some(Ok(left)) => {
                    format!(
                        "processes of an earlier run did not end within {seconds} s of being killed: {left:?}"
                    )
                }
                _ => format!("an earlier run did not end within {seconds} s of being killed"),
            };
            self.state.failed(waiting.spawn.run, error);
        }
    }

    /// Makes the process of a run whose container is free.
    pub(super) fn make(&mut self, spawn: Spawn) {
        let run = spawn.run;
        if let Err(error) = self.try_make(spawn) {
            self.state.failed(run, error);
        }
    }

    fn try_make(&mut self, mut spawn: Spawn) -> Result<(), String> {
        let run = spawn.run;
        let logs = spawn.log.iter().flat_map(|log| std::iter::once(&log.name).chain(&log.stderr));
        for name in std::iter::once(&spawn.container).chain(logs) {
            if !is_valid_name(name) {
                return Err(format!("{name:?} cannot be the name of a container or log"));
            }
        }
        dynamic_user::give(&mut spawn, &self.args)?;
        let container = self.container(&spawn.container, spawn.session)?;
        let pipe = || capture::pipe().map_err(|error| format!("cannot make a pipe for its output: {error}"));
        let (reader, writer) = spawn.log.as_ref().map(|_| pipe()).transpose()?.unzip();
        let apart = spawn.log.as_ref().and_then(|log| log.stderr.clone());
        let (errors, errors_writer) = apart.as_ref().map(|_| pipe()).transpose()?.unzip();
        let socket = if spawn.notify { self.notify_socket(run, spawn.user.as_deref())? } else { None };
        if let Some(socket) = &socket {
            spawn.environment.insert("NOTIFY_SOCKET".into(), socket.address());
        }
        let limited = Limited::new(spawn.limits.clone(), spawn.working_dir.as_deref());
        let (settings, not_enforced) =
            settings::with_limits(&spawn.settings, &limited, &container, spawn.user.as_deref());
        let mut environment = Wiped(spawn.environment);
        let secrets = spawn.secrets.iter().map(|(name, secret)| (name.clone(), secret.value().to_owned()));
        environment.0.extend(secrets);
        drop(std::mem::take(&mut spawn.secrets));
        let request = Request {
            command: &spawn.command,
            working_dir: spawn.working_dir.as_deref().map(Path::new),
            environment: &environment.0,
            remove: &NOT_INHERITED,
            user: spawn.user.as_deref(),
            password: spawn.password.as_ref().map(mainstay_link::Secret::value),
            settings: settings.as_ref(),
            container: &container,
            run,
            output: writer.as_ref(),
            errors: errors_writer.as_ref(),
        };
        let process = spawn::spawn(&request).map_err(|error| error.message)?;
        drop(environment);
        if let Err(error) = self.mux.watch(&process) {
            let _ = container.kill();
            return Err(format!("its end could not have been noticed: {error}"));
        }
        let log = spawn.log.map(|log| {
            let settings = log_settings(&log);
            (log, settings)
        });
        let log_name = log.as_ref().map(|(log, _)| log.name.clone());
        self.made(run, &spawn.container, process, log_name, spawn.working_dir);
        if !spawn.limits.is_default() {
            self.state.answered(run, Event::LimitsSet { run: RunId(run), not_enforced });
        }
        if let Some(socket) = socket {
            self.capture.order(Order::AddNotify { run, socket });
        }
        match (reader, log) {
            (Some(reader), Some((log, settings))) => {
                let mainstay_link::Log { name: log, format, encoding, most, .. } = log;
                let errors = errors.zip(apart);
                let source = Source { run, reader, log, settings, errors, format, encoding, most };
                self.capture.order(Order::Add(Box::new(source)));
                self.unannounced.push_back((now().after(ANNOUNCE_WITHIN), run));
            }
            _ => self.state.announce(run, LogPos::default()),
        }
        Ok(())
    }

    fn made(
        &mut self,
        run: u64,
        container: &str,
        process: Process,
        log: Option<String>,
        working_dir: Option<String>,
    ) {
        self.state.made(run, process.pid, now());
        if let Err(error) = self.journal.spawned(run, container, &process.id) {
            self.log.say(format_args!("cannot write the journal: {error}"));
        }
        self.by_pid.insert(process.pid, run);
        if let Some(slot) = self.slots.get_mut(container) {
            slot.run = Some(run);
        }
        let container = container.to_owned();
        self.live.insert(run, Live { container, process: Some(process), log, working_dir });
    }

    /// The container of this name, which is free. One of another session is of no use, and makes room.
    fn container(&mut self, name: &str, session: Option<u32>) -> Result<Arc<Container>, String> {
        let session = session.filter(|session| mainstay_sys::session::own() != Some(*session));
        if let Some(slot) = self.slots.get(name).filter(|slot| slot.container.session() == session) {
            return Ok(Arc::clone(&slot.container));
        }
        let container = self
            .root
            .container_in(name, session)
            .map_err(|error| format!("cannot make the container {name} for its processes: {error}"))?;
        let container = Arc::new(container);
        let slot = Slot { container: Arc::clone(&container), run: None, idle: now() };
        self.slots.insert(name.to_owned(), slot);
        Ok(container)
    }

    /// None where there are no such sockets.
    fn notify_socket(&self, run: u64, user: Option<&str>) -> Result<Option<NotifySocket>, String> {
        let path = start::notify_dir(&self.args.dirs).join(run.to_string());
        match NotifySocket::bind(&path, user) {
            Ok(socket) => Ok(Some(socket)),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(format!("cannot make its notification socket {}: {error}", path.display())),
        }
    }

    fn signal(&mut self, run: u64, action: StopAction) {
        let signal = match signal_of(&action) {
            Some(Signal::Kill) => return self.kill(run),
            Some(signal) => signal,
            None => return,
        };
        let Some(live) = self.live.get(&run) else { return };
        let Some(slot) = self.slots.get(&live.container) else { return };
        if let Err(error) = slot.container.signal(live.process.as_ref(), signal) {
            self.log.say(format_args!("cannot tell run {run} to end ({action:?}): {error}"));
        }
    }

    /// Sends a signal that somebody wants sent.
    fn send_by_hand(&mut self, id: u64, run: u64, whom: Whom, action: &StopAction) {
        let live = self.live.get(&run);
        let slot = live.and_then(|live| self.slots.get(&live.container));
        let sent = match (live, slot, signal_of(action)) {
            (Some(live), Some(slot), Some(signal)) => {
                let whom = match whom {
                    Whom::Main => container::Whom::Main,
                    Whom::One(pid) => container::Whom::One(pid),
                    Whom::All => container::Whom::All,
                };
                slot.container.send(live.process.as_ref(), whom, signal).map_err(|error| error.to_string())
            }
            (.., None) => Err(format!("{action} is nothing to be sent")),
            _ => Err("it does not run".to_owned()),
        };
        let (count, error) = sent.map_or_else(|error| (0, Some(error)), |count| (count, None));
        self.state.sent(id, count, error);
        self.leaving.stir(now());
    }

    /// Ends a run's whole tree, or a spawn that has not come about.
    pub(super) fn kill(&mut self, run: u64) {
        let waiting = self.waiting.iter().find(|(_, waiting)| waiting.spawn.run == run);
        if let Some(container) = waiting.map(|(container, _)| container.clone()) {
            self.waiting.remove(&container);
            self.state.failed(run, "it was to be killed before it could be made".to_owned());
            return;
        }
        let Some(live) = self.live.get(&run) else { return };
        let Some(slot) = self.slots.get(&live.container) else { return };
        if let Err(error) = slot.container.kill() {
            self.log.say(format_args!("cannot kill run {run}: {error}"));
        }
        self.leaving.stir(now());
    }

    fn freeze(&mut self, run: u64, wish: Wish) {
        if self.state.is_flooded() {
            self.log.say(format_args!("{wish:?} of run {run} is passed over: too much is not acknowledged"));
            return;
        }
        let container = self.live.get(&run).and_then(|live| self.slots.get(&live.container));
        match container.map(|slot| Arc::clone(&slot.container)) {
            Some(container) => self.freezer.ask(run, container, wish),
            None => {
                let error = "it does not run".to_owned();
                self.state.answered(run, Event::FreezeFailed { run: RunId(run), error });
            }
        }
    }

    fn set_limits(&mut self, run: u64, limits: Limits) {
        let Some(live) = self.live.get_mut(&run) else { return };
        let Some(slot) = self.slots.get(&live.container) else { return };
        let limited = Limited::new(limits, live.working_dir.as_deref());
        self.freezer.ask(run, Arc::clone(&slot.container), Wish::Limit(Box::new(limited)));
    }

    fn replace(&mut self, exe: PathBuf) {
        match std::fs::metadata(&exe) {
            Ok(metadata) if metadata.is_file() => {
                self.log.say(format_args!("the daemon is to be replaced by {}", exe.display()));
                let wish = self.life.replace(exe, now());
                self.fulfil(wish);
            }
            Ok(_) => self.state.replace_failed(format!("{} is not a file", exe.display())),
            Err(error) => self.state.replace_failed(format!("cannot use {}: {error}", exe.display())),
        }
    }
}

/// An environment in which secrets may be. Zeroed when it is let go.
struct Wiped(BTreeMap<String, String>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

/// As `sys` takes it; none for what the daemon does itself.
fn signal_of(action: &StopAction) -> Option<Signal> {
    Some(match action {
        StopAction::CtrlC => Signal::Interrupt,
        StopAction::CloseWindow => Signal::CloseWindow,
        StopAction::Signal(number) => Signal::Number(*number),
        StopAction::CtrlBreak => Signal::CtrlBreak,
        StopAction::Kill => Signal::Kill,
        StopAction::Command(_) | StopAction::Http(_) | StopAction::Drain => return None,
    })
}
