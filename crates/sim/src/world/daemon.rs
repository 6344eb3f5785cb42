//! The daemon: a supervisor, and the transactions that carry what came of its inputs to the keeper.

use std::collections::BTreeMap;

use mainstay_core::{Effect, EventKind, Input, Plan, Supervisor, Time};

use crate::trace::{Cause, Step};

/// What the keeper keeps for the next daemon, as of the last transaction that arrived.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The snapshots.
    pub state: BTreeMap<String, String>,
    /// The plan that goes with them.
    pub plan: Plan,
    /// All events up to this number are handled.
    pub ack: u64,
}

/// A supervisor in its driver.
pub struct Daemon {
    supervisor: Supervisor,
    /// The highest event handled.
    seen: u64,
    /// What was done since the last transaction.
    open: Vec<Step>,
    looks: bool,
}

/// The most effects of one input that are taken before it counts as a storm without end.
const STORM: usize = 1_000_000;

impl Daemon {
    /// The first daemon.
    pub fn new(plan: Plan, seed: u64, now: Time, looks: bool) -> Daemon {
        let mut daemon = Daemon::of(Supervisor::new(plan, seed, now), 0, looks);
        daemon.finish(now, Cause::New);
        daemon
    }

    /// One that takes over.
    pub fn restored(kept: &Kept, seed: u64, last_run: u64, now: Time, looks: bool) -> Daemon {
        let mut supervisor = Supervisor::restore(kept.plan.clone(), seed, &kept.state, now);
        supervisor.reserve_runs(last_run);
        let mut daemon = Daemon::of(supervisor, kept.ack, looks);
        daemon.finish(now, Cause::Restored { last_run });
        daemon
    }

    fn of(supervisor: Supervisor, seen: u64, looks: bool) -> Daemon {
        Daemon { supervisor, seen, open: Vec::new(), looks }
    }

    /// The supervisor.
    pub const fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// The highest event handled.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Handles one input, which may be an event of the keeper's with its number.
    ///
    /// # Errors
    /// When the supervisor contradicts itself.
    pub fn handle(&mut self, now: Time, event: Option<u64>, input: Input) -> Result<(), String> {
        if let Some(number) = event {
            self.seen = number;
        }
        let advice = match &input {
            Input::Request { request, .. } => Some(self.supervisor.check(request)),
            Input::Apply { plan, .. } => Some(self.supervisor.check_apply(plan)),
            _ => None,
        };
        self.supervisor.handle(now, input.clone());
        self.finish(now, Cause::Input(input));
        match (advice, self.open.last()) {
            (Some(advice), Some(step)) if advice.is_err() != step.is_refusal() => {
                Err(format!("a request was checked as {advice:?}, but then: {step}"))
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, at: Time, cause: Cause) {
        let polled = std::iter::from_fn(|| self.supervisor.poll_effect());
        let effects: Vec<Effect> = polled.take(STORM).collect();
        let changed = !self.supervisor.take_plan_changes().is_empty();
        let plan = changed.then(|| Box::new(self.supervisor.plan().clone()));
        self.open.push(Step {
            at,
            cause,
            effects,
            status: if self.looks { self.supervisor.status() } else { Vec::new() },
            deadline: self.supervisor.next_deadline(),
            plan,
        });
    }

    /// The transaction: all that was done since the last one, with the state that came of it.
    pub fn commit(&mut self, kept: &mut Kept) -> Vec<Step> {
        for (key, value) in self.supervisor.take_dirty() {
            match value {
                Some(text) => kept.state.insert(key, text),
                None => kept.state.remove(&key),
            };
        }
        kept.ack = self.seen;
        if self.open.iter().any(|step| step.plan.is_some()) {
            kept.plan = self.supervisor.plan().clone();
        }
        std::mem::take(&mut self.open)
    }
}

/// Whether a step says that the crash loop of some service was told.
pub fn tells_crash_loop(step: &Step) -> bool {
    step.told().any(|event| matches!(event.kind, EventKind::CrashLoop { .. }))
}
