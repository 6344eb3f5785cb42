//! One service: what it is doing, and what it does next.
//!
//! [`Phase`] says what it is doing, with the data that belongs to it. [`On`] is what can happen to it. The table
//! of both is in `step.rs`; the files beside it have what the table's cells do:
//!
//! ```text
//!              start                spawned               startup ok              ready ok
//!   stopped ─────────▶ waiting, ───────────▶ startup ───────────────▶ running ◀───────────▶ ready
//!   failed             spawning             (if probed)                  ▲                    ▲
//!   completed                                                            └──▶ pausing, paused,┘
//!      ▲                  ▲                                                   continuing
//!      │                  │ delay is over
//!      │                backoff ◀──┐
//!      │                           │ ended by itself
//!      └───────────────────────────┴── stopping ◀── stop, restart, unhealthy, or ended with others left
//! ```

mod end;
mod leave;
mod pause;
mod phase;
mod probing;
mod run;
mod start;
mod step;
mod stop;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

pub(crate) use phase::{After, On, Phase};

use crate::backoff::Tally;
use crate::{Effect, Event, EventKind, Exit, RunId, ServiceName, ServicePlan, StateName, Time};

/// A service, as its snapshot has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Service {
    /// What it is doing.
    pub phase: Phase,
    /// When it got into its state.
    pub since: Time,
    /// Why it is in its state.
    pub reason: String,
    /// Its restarts.
    #[serde(default)]
    pub tally: Tally,
    /// How its last run ended.
    #[serde(default)]
    pub last_exit: Option<Exit>,
    /// Whether it leaves the stack as soon as it is down.
    #[serde(default)]
    pub removing: bool,
    /// Whether it was left running when the stack went down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

impl Service {
    /// A service that was never started.
    pub(crate) fn new(now: Time, reason: impl Into<String>) -> Self {
        Service {
            phase: Phase::Stopped,
            since: now,
            reason: reason.into(),
            tally: Tally::default(),
            last_exit: None,
            removing: false,
            left: false,
        }
    }

    /// Its state.
    pub(crate) fn state(&self) -> StateName {
        self.phase.state()
    }

    /// When it wants to be looked at next, and what for.
    pub(crate) fn deadline(&self, plan: &ServicePlan) -> Option<(Time, &'static str)> {
        match &self.phase {
            _ if self.left => None,
            Phase::Startup(run) | Phase::Running(run) | Phase::Ready(run) => {
                let healthy = run
                    .healthy_since
                    .filter(|_| self.tally.in_a_row > 0)
                    .map(|since| (since.after(plan.restart.reset_after), "healthy for long enough"));
                run.probes.deadline().into_iter().chain(healthy).min()
            }
            Phase::Pausing(freeze) => Some((freeze.until, "the freeze is not answered")),
            Phase::Continuing(freeze) => Some((freeze.until, "the thaw is not answered")),
            Phase::BeforeStop(before) => Some((before.until, "the before_stop hook is not over")),
            Phase::Stopping(stop) => Some((stop.due, stop.due_for())),
            Phase::Backoff(backoff) => Some((backoff.until, "the back-off is over")),
            Phase::Stopped
            | Phase::Waiting(_)
            | Phase::Preparing(_)
            | Phase::Spawning(_)
            | Phase::Aborting(_)
            | Phase::Paused(_)
            | Phase::Holding(_)
            | Phase::Failed
            | Phase::Completed => None,
        }
    }
}

/// A service with everything that a step of it may use.
pub(crate) struct Machine<'a> {
    pub now: Time,
    pub name: &'a ServiceName,
    pub plan: &'a ServicePlan,
    pub seed: u64,
    pub service: &'a mut Service,
    /// Whether all that it depends on is there.
    pub unblocked: bool,
    /// Whether one that depends on it is still on its way down, and a stop has to wait for it.
    pub has_dependents: bool,
    /// Whether nothing starts any more.
    pub closed: bool,
    /// The highest run number in use.
    pub last_run: &'a mut u64,
    /// Where effects go.
    pub effects: &'a mut VecDeque<Effect>,
    /// The state that was told last.
    pub shown: StateName,
    /// The run that this is about.
    pub run: Option<RunId>,
}

impl Machine<'_> {
    /// Gets into a state, or stays in it for another reason.
    fn enter(&mut self, to: StateName, reason: impl Into<String>) {
        let reason = reason.into();
        if self.shown != to {
            let from = std::mem::replace(&mut self.shown, to);
            self.service.since = self.now;
            self.tell(self.run, EventKind::State { from, to, reason: reason.clone() });
        }
        self.service.reason = reason;
    }

    fn stopped(&mut self, why: String) -> Phase {
        self.enter(StateName::Stopped, why);
        Phase::Stopped
    }

    fn tell(&mut self, run: Option<RunId>, kind: EventKind) {
        self.effects.push_back(Effect::Tell(Event { service: Some(self.name.clone()), run, kind }));
    }

    fn wants(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }
}
