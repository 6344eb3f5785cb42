//! What a service has to reach before the next one's turn comes.

use serde::{Deserialize, Serialize};

use super::configure::Files;
use crate::service::{Phase, Service};
use crate::supervisor::Supervisor;
use crate::words::span;
use crate::{Check, Condition, ProbeKind, RunId, ServiceName, ServicePlan, StateName, Time};

/// A service that is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::supervisor) struct Gate {
    /// Whether it is to come up; else it is to go down.
    up: bool,
    /// Its run is a later one than this.
    after: u64,
    pub(super) began: Time,
    pub(super) until: Time,
    /// How far it is with its files, if these change while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) files: Option<Files>,
}

/// Whether a service is through.
pub(super) enum Passed {
    Yes,
    /// It won't be; why, as a clause that follows its name.
    Never(String),
    /// Not yet; it is to be looked at again then at the latest.
    NotBefore(Time),
}

/// When a service counts as up.
enum Up {
    /// It says so.
    Now,
    /// If it is as it is until then.
    From(Time),
}

impl Supervisor {
    /// From now on a service is waited for.
    pub(super) fn wait_for(&mut self, name: &ServiceName, up: bool) {
        let stop = self.plan.services.get(name).map_or_else(Default::default, ServicePlan::stop_time);
        let until = self.now.after(stop).after(self.plan.reload.timeout);
        // A run that is being made already is made with the old plan, or will be ended: only later ones count, but
        // for one that is started from rest.
        let gate = Gate { up, after: self.last_run, began: self.now, until, files: None };
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
                () if self.way.up_to_date && now >= gate.until => late("did not stop"),
                () => Passed::NotBefore(gate.until),
            };
        }
        if let Some(Files::Refused(why)) = &gate.files {
            return Passed::Never(format!("could not be given its files: {why}"));
        }
        if let Some(Files::NotTold(why)) = &gate.files {
            return Passed::Never(format!("could not be told of its new files: {why}"));
        }
        let job = node.links.dependents.values().any(|condition| *condition == Condition::Completed);
        match &service.phase {
            Phase::Failed => return Passed::Never(format!("failed: {}", service.reason)),
            Phase::Completed => return Passed::Yes,
            // It may be days before somebody comes.
            Phase::Waiting(_) if self.waits_for_logon(name) => return Passed::Yes,
            // Somebody wants it down: that is nothing that a configuration could be blamed for.
            phase if phase.stays_down() => return Passed::Yes,
            _ if service.tally.crash_loop => {
                return Passed::Never(format!("keeps ending: {}", service.reason));
            }
            _ => {}
        }
        let run = service.phase.run_id();
        let (through, what) = match &gate.files {
            Some(Files::Changing { .. }) => (None, "did not get its files"),
            Some(Files::Told { of, at, asked }) if run == Some(*of) => {
                (self.healthy(service, plan, (*at, *asked)), "was told of its new files, but was not healthy")
            }
            // One that has ended meanwhile has read them at its start.
            _ => {
                let later = run.is_some_and(|run: RunId| run.0 > gate.after) && !job;
                (if later { self.comes_up(service, plan) } else { None }, "did not come up")
            }
        };
        match through {
            Some(Up::Now) => Passed::Yes,
            Some(Up::From(at)) if self.way.up_to_date && at <= now => Passed::Yes,
            _ if self.way.up_to_date && now >= gate.until => late(what),
            Some(Up::From(at)) => Passed::NotBefore(at.min(gate.until)),
            None => Passed::NotBefore(gate.until),
        }
    }

    /// When a service that is as it is counts as up.
    fn comes_up(&self, service: &Service, plan: &ServicePlan) -> Option<Up> {
        match service.state() {
            StateName::Ready => Some(Up::Now),
            StateName::Running if plan.ready.is_none() => {
                Some(Up::From(service.since.after(self.plan.reload.settle)))
            }
            _ => None,
        }
    }

    /// When a service counts as healthy whose program was told something at that time. What its probe knew before
    /// says nothing.
    fn healthy(&self, service: &Service, plan: &ServicePlan, (told, asked): (Time, u64)) -> Option<Up> {
        let up = self.comes_up(service, plan)?;
        // Some are not asked, but say it themselves.
        if plan.ready.as_ref().is_none_or(|ready| ready.check == Check::Notify) {
            let settled = told.after(self.plan.reload.settle);
            return Some(match up {
                Up::Now => Up::From(settled),
                Up::From(at) => Up::From(at.max(settled)),
            });
        }
        service.phase.run()?.probes.succeeds_after(ProbeKind::Ready, asked).then_some(up)
    }
}
