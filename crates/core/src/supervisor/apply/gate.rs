//! What a service has to reach before the next one's turn comes.

use serde::{Deserialize, Serialize};

use crate::service::Phase;
use crate::supervisor::Supervisor;
use crate::words::span;
use crate::{Condition, ServiceName, StateName, Time};

/// A service that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::supervisor) struct Gate {
    /// Whether it is to come up; else it is to go down.
    up: bool,
    /// Its run is a later one than this.
    after: u64,
    began: Time,
    until: Time,
}

/// Whether a service is through.
pub(super) enum Passed {
    Yes,
    /// It won't be; why, as a clause that follows its name.
    Never(String),
    /// Not yet; it is to be looked at again then at the latest.
    NotBefore(Time),
}

impl Supervisor {
    /// From now on a service is waited for.
    pub(super) fn wait_for(&mut self, name: &ServiceName, up: bool) {
        let stop = self.plan.services.get(name).map_or_else(Default::default, |plan| plan.stop.timeout);
        let until = self.now.after(stop).after(self.plan.reload.timeout);
        // A run that is being made already is made with the old plan, or will be ended: only later ones count, but
        // for one that is started from rest.
        let gate = Gate { up, after: self.last_run, began: self.now, until };
        self.progress.gates.insert(name.clone(), gate);
        self.dirty_apply = true;
    }

    /// Whether a service is through at this time.
    pub(super) fn passed(&self, name: &ServiceName, gate: &Gate, now: Time) -> Passed {
        let (Some(node), Some(plan)) = (self.nodes.get(name), self.plan.services.get(name)) else {
            return Passed::Yes;
        };
        let service = &node.service;
        let state = service.state();
        let late = |what: &str| {
            let time = span(now.since(gate.began));
            Passed::Never(format!("{what} within {time}: it is {state}, {}", service.reason))
        };
        if !gate.up {
            return match () {
                () if state.is_down() && !service.removing => Passed::Yes,
                () if now >= gate.until => late("did not stop"),
                () => Passed::NotBefore(gate.until),
            };
        }
        let later = service.phase.run_id().is_some_and(|run| run.0 > gate.after);
        let job = node.links.dependents.values().any(|condition| *condition == Condition::Completed);
        match &service.phase {
            Phase::Failed => return Passed::Never(format!("failed: {}", service.reason)),
            Phase::Completed => return Passed::Yes,
            // Somebody wants it down: that is nothing that a configuration could be blamed for.
            phase if phase.stays_down() => return Passed::Yes,
            _ if service.tally.crash_loop => {
                return Passed::Never(format!("keeps ending: {}", service.reason));
            }
            _ => {}
        }
        let settled = match state {
            StateName::Ready if later && !job => return Passed::Yes,
            StateName::Running if later && !job && plan.ready.is_none() => {
                Some(service.since.after(self.plan.reload.settle))
            }
            _ => None,
        };
        match settled {
            Some(at) if at <= now => Passed::Yes,
            _ if now >= gate.until => late("did not come up"),
            settled => Passed::NotBefore(settled.unwrap_or(gate.until).min(gate.until)),
        }
    }
}
