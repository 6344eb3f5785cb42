//! What the keeper knows: runs, the daemon's state, events not acknowledged. Pure: nothing here does anything.

mod notices;
mod queue;

use std::collections::BTreeMap;

use mainstay_core::{Control, Exit, Rotation, RunId, Time};
use mainstay_link::{Event, LogPos, Run, Welcome};

pub(crate) use notices::MAX_NOTICE;
use notices::{Losses, Notices, Rotations};
use queue::Queue;

/// So many runs are kept; a daemon that forgets none cannot fill the memory.
const MAX_RUNS: usize = 1 << 16;

/// So many bytes of state are kept. It goes to the next daemon in one frame, which has a bound too.
const MAX_STATE: usize = 32 << 20;

/// Beyond so many events (and some for each run) answers that the daemon can ask for without end are refused.
const MANY_EVENTS: usize = 4096;

/// One run.
#[derive(Debug)]
struct Record {
    run: Run,
    /// `Spawned` was told. Before that, everything else about it waits in `held`.
    announced: bool,
    held: Vec<Event>,
    /// Nobody wants to hear of it any more; the record goes when it is over.
    forgotten: bool,
    /// Where its output ended, once that is known.
    drained: Option<LogPos>,
    notices: Notices,
}

impl Record {
    fn is_over(&self) -> bool {
        self.run.exit.is_some() && self.run.tree_empty
    }
}

/// What to do about a spawn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Make it.
    New,
    /// It was made before, and told again just now.
    Known,
    /// It is not made; the failure is told.
    Refused(String),
}

/// What a daemon did that it must not do. It is replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

/// What becomes of services that are to be left running when the stack goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// They go on.
    GoesOn,
    /// They are stopped like all others.
    IsStopped,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    runs: BTreeMap<u64, Record>,
    last_run: u64,
    kept: BTreeMap<String, String>,
    kept_bytes: usize,
    queue: Queue,
    losses: Losses,
    /// What else there is to say of logs, in the same way; without numbers.
    log_notes: Losses,
    rotations: Rotations,
    down_wanted: bool,
}

impl State {
    // What the daemon does.

    /// A new daemon said hello: fills in what it has to know, and repeats to it all that is not acknowledged.
    pub(crate) fn welcome(&mut self, welcome: Welcome) -> Welcome {
        self.queue.rewind();
        Welcome {
            state: self.kept.clone(),
            runs: self
                .runs
                .values()
                .filter(|record| !record.forgotten)
                .map(|record| record.run.clone())
                .collect(),
            last_run: self.last_run,
            ..welcome
        }
    }

    /// The acknowledgement and the state of a transaction.
    pub(crate) fn apply(&mut self, ack: u64, puts: Vec<(String, Option<String>)>) -> Result<(), Broken> {
        let mut gone = Vec::new();
        self.queue.ack(ack, |event| gone.push(event)).map_err(|never| {
            Broken(format!(
                "it acknowledged event {}, but {} was the last it was sent",
                never.acked, never.sent
            ))
        })?;
        for event in gone {
            self.acked(&event);
        }
        for (key, value) in puts {
            let size = |key: &str, value: &str| key.len() + value.len();
            if let Some(old) = self.kept.remove(&key) {
                self.kept_bytes -= size(&key, &old);
            }
            if let Some(value) = value {
                self.kept_bytes += size(&key, &value);
                self.kept.insert(key, value);
            }
        }
        if self.kept_bytes > MAX_STATE {
            return Err(Broken(format!("its state has {} bytes, more than {MAX_STATE}", self.kept_bytes)));
        }
        Ok(())
    }

    /// Makes room for what waits behind an event that is now acknowledged.
    fn acked(&mut self, event: &Event) {
        match event {
            Event::Notify { run, .. } => {
                let next = self.runs.get_mut(&run.0).and_then(|record| record.notices.acked());
                if let Some(text) = next {
                    self.queue.push(Event::Notify { run: *run, text });
                }
            }
            Event::LogDropped { name, .. } => {
                if let Some((bytes, error)) = self.losses.acked(name) {
                    self.queue.push(Event::LogDropped { name: name.clone(), bytes, error });
                }
            }
            Event::LogNote { name, .. } => {
                if let Some((_, text)) = self.log_notes.acked(name) {
                    self.queue.push(Event::LogNote { name: name.clone(), text });
                }
            }
            Event::Rotated(rotation) => {
                if let Some(rotation) = self.rotations.acked(&rotation.log) {
                    self.queue.push(Event::Rotated(rotation));
                }
            }
            _ => {}
        }
    }

    /// The next events to send, a frame's worth.
    pub(crate) fn take_unsent(&mut self) -> Vec<(u64, Event)> {
        self.queue.take_unsent(1000, 1 << 20)
    }

    /// Whether there are more.
    pub(crate) fn has_unsent(&self) -> bool {
        self.queue.has_unsent()
    }

    /// Whether so many events wait that a daemon's wish for more of them is refused.
    pub(crate) fn is_flooded(&self) -> bool {
        self.queue.len() > MANY_EVENTS + 8 * self.runs.len()
    }

    // What happens to runs.

    /// The daemon wants a process made.
    pub(crate) fn begin(&mut self, run: u64, container: &str) -> Begin {
        if let Some(record) = self.runs.get(&run) {
            let told =
                |event: &Event| matches!(event, Event::Spawned { run: RunId(told), .. } if *told == run);
            if record.announced && !self.queue.iter().any(told) {
                let (pid, log_start) = (record.run.pid, record.run.log_start);
                self.queue.push(Event::Spawned { run: RunId(run), pid, log_start });
            }
            return Begin::Known;
        }
        let refused = if run <= self.last_run {
            Some(format!("run number {run} was used before"))
        } else if run > u64::MAX / 4 {
            Some(format!("run number {run} is too high"))
        } else if self.runs.len() >= MAX_RUNS {
            Some(format!("the keeper knows {MAX_RUNS} runs already, none of which was forgotten"))
        } else {
            None
        };
        if let Some(error) = refused {
            self.queue.push(Event::SpawnFailed { run: RunId(run), error: error.clone() });
            return Begin::Refused(error);
        }
        self.last_run = run;
        let record = Record {
            run: Run { run, container: container.to_owned(), ..Run::default() },
            announced: false,
            held: Vec::new(),
            forgotten: false,
            drained: None,
            notices: Notices::default(),
        };
        self.runs.insert(run, record);
        Begin::New
    }

    /// The process is there. It is told once it is known where its output starts.
    pub(crate) fn made(&mut self, run: u64, pid: u32, started: Time) {
        if let Some(record) = self.runs.get_mut(&run) {
            (record.run.pid, record.run.started) = (pid, started);
        }
    }

    /// It is known where its output starts.
    pub(crate) fn announce(&mut self, run: u64, log_start: LogPos) {
        let Some(record) = self.runs.get_mut(&run) else { return };
        if record.announced {
            return;
        }
        record.announced = true;
        record.run.log_start = log_start;
        let spawned = Event::Spawned { run: RunId(run), pid: record.run.pid, log_start };
        let held = std::mem::take(&mut record.held);
        if !record.forgotten {
            self.queue.push(spawned);
            for event in held {
                self.queue.push(event);
            }
        }
    }

    /// There is no process.
    pub(crate) fn failed(&mut self, run: u64, error: String) {
        let Some(record) = self.runs.remove(&run) else { return };
        if !record.forgotten {
            self.queue.push(Event::SpawnFailed { run: RunId(run), error });
        }
    }

    /// The main process ended.
    pub(crate) fn exited(&mut self, run: u64, exit: Exit, tree_empty: bool) {
        let Some(record) = self.runs.get_mut(&run) else { return };
        (record.run.exit, record.run.tree_empty) = (Some(exit), tree_empty);
        let drained = record.drained;
        self.tell(run, Event::Exited { run: RunId(run), exit, tree_empty });
        if let Some(log_end) = drained {
            self.tell(run, Event::Drained { run: RunId(run), log_end });
        }
    }

    /// Nothing of its tree is left, some time after its main process ended.
    pub(crate) fn tree_empty(&mut self, run: u64) {
        let Some(record) = self.runs.get_mut(&run) else { return };
        if record.run.exit.is_some() && !record.run.tree_empty {
            record.run.tree_empty = true;
            self.tell(run, Event::TreeEmpty { run: RunId(run) });
        }
    }

    /// All its output is in the log. If it has closed its output but lives, that is told when it ends.
    pub(crate) fn drained(&mut self, run: u64, log_end: LogPos) {
        let Some(record) = self.runs.get_mut(&run) else { return };
        if record.drained.is_none() {
            record.drained = Some(log_end);
            if record.run.exit.is_some() {
                self.tell(run, Event::Drained { run: RunId(run), log_end });
            }
        }
    }

    /// The answer to a wish to freeze or thaw.
    pub(crate) fn answered(&mut self, run: u64, event: Event) {
        self.tell(run, event);
    }

    /// It said something.
    pub(crate) fn notified(&mut self, run: u64, text: String) {
        let Some(record) = self.runs.get_mut(&run) else { return };
        if !record.forgotten
            && let Some(text) = record.notices.offer(text)
        {
            self.tell(run, Event::Notify { run: RunId(run), text });
        }
    }

    /// Nobody wants to hear of it any more.
    pub(crate) fn forget(&mut self, run: u64) {
        if let Some(record) = self.runs.get_mut(&run) {
            record.forgotten = true;
            record.held = Vec::new();
        }
        self.drop_if_done(run);
    }

    fn tell(&mut self, run: u64, event: Event) {
        let Some(record) = self.runs.get_mut(&run) else { return };
        if record.forgotten {
            self.drop_if_done(run);
        } else if record.announced {
            self.queue.push(event);
        } else {
            record.held.push(event);
        }
    }

    fn drop_if_done(&mut self, run: u64) {
        if self
            .runs
            .get(&run)
            .is_some_and(|record| record.forgotten && record.is_over() && record.drained.is_some())
        {
            self.runs.remove(&run);
        }
    }

    // What happens to the stack.

    /// Output was lost.
    pub(crate) fn lost_output(&mut self, name: String, bytes: u64, error: String) {
        if self.losses.offer(&name, bytes, &error) {
            self.queue.push(Event::LogDropped { name, bytes, error });
        }
    }

    /// Something about a log.
    pub(crate) fn log_note(&mut self, name: String, text: String) {
        if self.log_notes.offer(&name, 0, &text) {
            self.queue.push(Event::LogNote { name, text });
        }
    }

    /// Segments of a log were closed.
    pub(crate) fn rotated(&mut self, rotation: Rotation) {
        if let Some(rotation) = self.rotations.offer(rotation) {
            self.queue.push(Event::Rotated(rotation));
        }
    }

    /// The stack is to go down; told once.
    pub(crate) fn want_down(&mut self, by: &str, left: Left) {
        if !self.down_wanted {
            self.down_wanted = true;
            self.queue.push(Event::DownWanted { by: by.to_owned(), all: left == Left::IsStopped });
        }
    }

    /// It is down but for what is left running; the next wish is told again.
    pub(crate) fn rests(&mut self) {
        self.down_wanted = false;
    }

    /// The service manager asks something of the stack. When many events wait already one more of these is left out.
    pub(crate) fn control(&mut self, by: &str, control: Control) {
        if self.queue.len() <= MANY_EVENTS {
            self.queue.push(Event::Control { by: by.to_owned(), control });
        }
    }

    /// The service manager wants the configuration to be read again; left out like [`control`](State::control).
    pub(crate) fn reload(&mut self, by: &str) {
        if self.queue.len() <= MANY_EVENTS {
            self.queue.push(Event::ReloadWanted { by: by.to_owned() });
        }
    }

    /// The configuration of now cannot be used.
    pub(crate) fn config_refused(&mut self, reason: String) {
        self.queue.push(Event::ConfigRefused { reason });
    }

    /// A signal was sent by hand, or not.
    pub(crate) fn sent(&mut self, id: u64, count: u32, error: Option<String>) {
        self.queue.push(Event::Sent { id, count, error });
    }

    /// The old program is in charge again.
    pub(crate) fn replace_failed(&mut self, error: String) {
        self.queue.push(Event::ReplaceFailed { error });
    }

    // Questions.

    /// How many events are not acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether it is not known yet where a run's output starts.
    pub(crate) fn is_unannounced(&self, run: u64) -> bool {
        self.runs.get(&run).is_some_and(|record| !record.announced)
    }

    /// Whether there is a record of a run.
    #[cfg(test)]
    fn knows(&self, run: u64) -> bool {
        self.runs.contains_key(&run)
    }

    /// How many notification lines of a run were thrown away.
    #[cfg(test)]
    fn notices_dropped(&self, run: u64) -> u64 {
        self.runs.get(&run).map_or(0, |record| record.notices.dropped)
    }
}

#[cfg(test)]
mod tests;
