//! States: each change is told, each is one that may be, and what is told is what `status` shows.

use mainstay_core::{Effect, EventKind, ServiceStatus, StateName, Time};

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug)]
pub(super) struct States;

impl Rule for States {
    fn name(&self) -> &'static str {
        "states are as told"
    }

    fn effect(&mut self, facts: &Facts, _at: Time, effect: &Effect) -> Verdict {
        let Effect::Tell(event) = effect else { return Ok(()) };
        let (Some(name), EventKind::State { from, to, reason }) = (&event.service, &event.kind) else {
            return Ok(());
        };
        let before = facts.state(name);
        if before != *from {
            return Err(format!("{name} is told to go from {from} to {to}, but it was {before}"));
        }
        if from == to || !may_follow(*from, *to) {
            return Err(format!("{name} goes from {from} to {to} ({reason})"));
        }
        if reason.is_empty() {
            return Err(format!("{name} goes from {from} to {to} without a reason"));
        }
        Ok(())
    }

    fn after(&mut self, facts: &Facts, step: &Step) -> Verdict {
        if step.status.is_empty() && step.cause != Cause::New {
            return Ok(());
        }
        let names: Vec<_> = step.status.iter().map(|status| &status.name).collect();
        if !step.status.is_empty() && !names.iter().copied().eq(facts.plan.services.keys()) {
            return Err(format!("status shows {names:?}, the plan has others"));
        }
        step.status.iter().try_for_each(|status| agrees(facts, status, step.at))
    }
}

/// Whether a service may go from one state to another.
const fn may_follow(from: StateName, to: StateName) -> bool {
    use StateName::{
        Backoff, Completed, Continuing, Failed, Paused, Pausing, Ready, Running, Starting, Stopped, Stopping,
    };
    match from {
        Stopped | Failed | Completed => matches!(to, Starting | Stopped),
        Starting => !matches!(to, Pausing | Paused | Continuing),
        Running | Ready => !matches!(to, Paused | Continuing),
        // Whoever changes their mind half-way gets the opposite once the first is done.
        Pausing | Continuing => true,
        Paused => !matches!(to, Running | Ready | Pausing),
        Stopping => matches!(to, Stopped | Starting | Backoff | Failed | Completed),
        Backoff => matches!(to, Starting | Stopped | Failed),
    }
}

/// Whether a status is what the trace has shown.
fn agrees(facts: &Facts, status: &ServiceStatus, now: Time) -> Verdict {
    let name = &status.name;
    let told = facts.state(name);
    if told != status.state {
        return Err(format!("{name} is {}, but {told} is what was told", status.state));
    }
    let run = facts.run_of(name);
    let there = run.map(|(id, _)| id).or(facts.preparing.get(name).copied());
    if there != status.run {
        return Err(format!("{name} shows run {:?}, but {there:?} is there", status.run));
    }
    let started = run.and_then(|(_, run)| run.made);
    let shows_process = status.pid.is_some() && status.started.is_some();
    if started.is_some() != shows_process || (started.is_some() && status.started != started) {
        return Err(format!("{name} shows a process since {:?}, but it is {started:?}", status.started));
    }
    let alive = run.is_some_and(|(_, run)| run.made.is_some() && run.main_is_there());
    let asks_for_process = status.state.is_started();
    if asks_for_process && !alive {
        return Err(format!("{name} is {} without a process", status.state));
    }
    let at_rest = status.state.is_down() || status.state == StateName::Backoff;
    if at_rest && run.is_some() {
        return Err(format!("{name} is {} with a run that is there", status.state));
    }
    if (status.state == StateName::Backoff) != status.next_start.is_some() {
        return Err(format!("{name} is {} and starts next at {:?}", status.state, status.next_start));
    }
    if status.since > now || status.next_start.is_some_and(|at| at < status.since) {
        return Err(format!("{name} has been {} since {}, in the future", status.state, status.since));
    }
    let waits = matches!(status.state, StateName::Starting | StateName::Stopping);
    if !waits && !status.waiting_for.is_empty() {
        return Err(format!("{name} is {} and waits for {:?}", status.state, status.waiting_for));
    }
    if status.state == StateName::Starting && run.is_none() && status.waiting_for.is_empty() {
        return Err(format!("{name} is starting without a process and does not say what it waits for"));
    }
    let exit = facts.last_exit(name);
    if exit.is_some() && status.last_exit != exit {
        return Err(format!("{name} shows {:?} as its last exit, but it was {exit:?}", status.last_exit));
    }
    Ok(())
}
