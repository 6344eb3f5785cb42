//! The ends of runs: main process, tree, output.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::{Exit, RunId, Time};
use mainstay_link::{Event, LogPos};
use mainstay_sys as sys;
use mainstay_sys::container::Container;

use super::{Keeper, SWEEP_AFTER, limited, now};
use crate::capture::Order;

/// A tree whose main process is gone is looked at after this at the earliest …
const LOOK_FIRST: Duration = Duration::from_millis(1);

/// … and at least so often, however long it stays.
const LOOK_LAST: Duration = Duration::from_millis(500);

/// What one look at one tree may cost; many of them are looked at less often.
const LOOK_COST: Duration = Duration::from_micros(20);

/// Trees whose main process is gone and that are not empty. They are looked at again and again: soon at first, then
/// at intervals that grow with the time since something happened to one of them.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    runs: BTreeSet<u64>,
    stirred: Time,
    next: Option<Time>,
}

impl Leaving {
    pub(super) fn next_look(&self) -> Option<Time> {
        self.next
    }

    pub(super) fn add(&mut self, run: u64, now: Time) {
        self.runs.insert(run);
        self.stir(now);
    }

    /// Something happened that may have ended one of them.
    pub(super) fn stir(&mut self, now: Time) {
        self.stirred = now;
        self.look_soon(now);
    }

    /// Looks at the next possible moment.
    pub(super) fn look_soon(&mut self, now: Time) {
        if !self.runs.is_empty() {
            let soon = now.after(self.shortest());
            self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
        }
    }

    pub(super) fn remove(&mut self, run: u64) {
        self.runs.remove(&run);
        if self.runs.is_empty() {
            self.next = None;
        }
    }

    fn runs(&self) -> Vec<u64> {
        self.runs.iter().copied().collect()
    }

    fn looked(&mut self, now: Time) {
        let interval = (now.since(self.stirred) / 4).clamp(self.shortest(), LOOK_LAST.max(self.shortest()));
        self.next = (!self.runs.is_empty()).then(|| now.after(interval));
    }

    fn shortest(&self) -> Duration {
        LOOK_FIRST.max(LOOK_COST.saturating_mul(u32::try_from(self.runs.len()).unwrap_or(u32::MAX)))
    }
}

/// The core's words for an exit.
pub(super) fn exit_of(exit: sys::Exit) -> Exit {
    match exit {
        sys::Exit::Code(code) => Exit::Code(code),
        sys::Exit::Signal(number) => Exit::Signal(number),
        sys::Exit::Unknown => Exit::Unknown,
    }
}

/// Whether a container has no processes. One that somebody has taken away has none.
pub(super) fn is_empty(container: &Container) -> io::Result<bool> {
    match container.is_empty() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        result => result,
    }
}

impl Keeper {
    /// A run's main process ended. The daemon is told before anything else: this is what a restart waits for.
    pub(super) fn main_ended(&mut self, run: u64, exit: sys::Exit) {
        let Some(live) = self.live.get_mut(&run) else { return };
        live.process = None;
        let empty = self.is_tree_empty(run);
        let live = self.live.get(&run);
        if let Some(slot) = live.and_then(|live| self.slots.get(&live.container))
            && let hits = limited::hits(&slot.container)
            && !hits.is_empty()
        {
            self.state.answered(run, Event::LimitHit { run: RunId(run), hits });
        }
        self.state.exited(run, exit_of(exit), empty);
        self.flush();
        if empty {
            self.over(run);
        } else {
            self.leaving.add(run, now());
        }
    }

    fn is_tree_empty(&self, run: u64) -> bool {
        let Some(slot) = self.live.get(&run).and_then(|live| self.slots.get(&live.container)) else {
            return true;
        };
        match is_empty(&slot.container) {
            Ok(empty) => empty,
            Err(error) => {
                self.log.say(format_args!("cannot look at the tree of run {run}: {error}"));
                false
            }
        }
    }

    /// Looks which trees have become empty.
    pub(super) fn look_at_leaving(&mut self, now: Time) {
        for run in self.leaving.runs() {
            if self.is_tree_empty(run) {
                self.leaving.remove(run);
                self.state.tree_empty(run);
                self.flush();
                self.over(run);
            }
        }
        self.leaving.looked(now);
    }

    /// Nothing of a run is left but what is in its pipe.
    fn over(&mut self, run: u64) {
        let Some(live) = self.live.remove(&run) else { return };
        if let Err(error) = self.journal.ended(run) {
            self.log.say(format_args!("cannot write the journal: {error}"));
        }
        self.capture.order(Order::Finish { run });
        if live.log.is_none() {
            self.state.drained(run, LogPos::default());
        }
        let now = now();
        if let Some(slot) = self.slots.get_mut(&live.container) {
            slot.run = None;
            slot.idle = now;
        }
        self.next_sweep.get_or_insert(now.after(SWEEP_AFTER));
        if let Some(waiting) = self.waiting.remove(&live.container) {
            self.make(waiting.spawn);
        }
    }

    /// All of a run's output is in its log.
    pub(super) fn output_ended(&mut self, run: u64, end: LogPos) {
        if let Some(live) = self.live.get_mut(&run) {
            live.log = None;
        }
        self.state.drained(run, end);
    }

    /// The capture thread is stuck: what is known of the log has to do.
    pub(super) fn announce_late(&mut self, run: u64) {
        if !self.state.is_unannounced(run) {
            return;
        }
        let log = self.live.get(&run).and_then(|live| live.log.as_ref());
        let place =
            log.and_then(|log| self.log_ends.get(log)).copied().unwrap_or(LogPos { segment: 1, offset: 0 });
        if !self.logs_stuck {
            self.logs_stuck = true;
            self.log.say(format_args!("the logs are stuck; runs are told without them"));
        }
        self.state.announce(run, place);
    }

    /// Takes away containers that nobody has used for a while.
    pub(super) fn sweep(&mut self, now: Time) {
        let unused = |slot: &super::Slot| slot.run.is_none() && now.since(slot.idle) >= SWEEP_AFTER;
        let names: Vec<String> =
            self.slots.iter().filter(|(_, slot)| unused(slot)).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(slot) = self.slots.remove(&name) else { continue };
            match Arc::try_unwrap(slot.container) {
                Ok(container) => {
                    if let Err(error) = container.remove() {
                        self.log.say(format_args!("cannot remove the container {name}: {error}"));
                    }
                }
                // The freezer has it; another time.
                Err(container) => {
                    self.slots.insert(name, super::Slot { container, run: None, idle: now });
                }
            }
        }
        let idle = self.slots.values().filter(|slot| slot.run.is_none()).map(|slot| slot.idle).min();
        self.next_sweep = idle.map(|idle| idle.after(SWEEP_AFTER).max(now.after(Duration::from_secs(1))));
    }
}
