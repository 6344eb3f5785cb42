//! Order: a dependent never starts before its dependency's condition holds, and a dependency never stops before
//! its dependents are gone.

use std::collections::BTreeSet;

use mainstay_core::{Condition, Effect, EventKind, HookMoment, Input, Request, ServiceName, StateName, Time};

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Those that were ready when they were frozen, or are.
    ready: BTreeSet<ServiceName>,
    /// Those that are to stay down: their dependents go first.
    stopping: BTreeSet<ServiceName>,
    going_down: bool,
}

impl Rule for Order {
    fn name(&self) -> &'static str {
        "order of dependencies"
    }

    fn input(&mut self, facts: &Facts, step: &Step) -> Verdict {
        let Cause::Input(Input::Request { request, .. }) = &step.cause else { return Ok(()) };
        if step.is_refusal() {
            return Ok(());
        }
        match request {
            Request::Stop(name) if facts.state(name).is_down() => {}
            Request::Stop(name) => self.stopping.extend(facts.with_users(name)),
            Request::Down | Request::DownAll => {
                self.stopping.extend(facts.plan.services.keys().cloned());
                self.going_down = true;
            }
            Request::Up => {
                self.stopping.clear();
                self.going_down = false;
            }
            Request::Add(..) => self.stopping.clear(),
            Request::Start(name) | Request::Restart(name) => {
                for name in facts.with_dependencies([name]) {
                    self.stopping.remove(&name);
                }
            }
            Request::Pause(_) | Request::Continue(_) | Request::Remove(_) | Request::Control(_) => {}
        }
        Ok(())
    }

    fn effect(&mut self, facts: &Facts, _at: Time, effect: &Effect) -> Verdict {
        match effect {
            Effect::Spawn { service, .. } => self.may_start(facts, service),
            Effect::Tell(event) => {
                if let (Some(name), EventKind::State { to, .. }) = (&event.service, &event.kind) {
                    self.follow(name, *to);
                }
                Ok(())
            }
            Effect::Signal { run, .. }
            | Effect::StopStep { run, .. }
            | Effect::Kill { run }
            | Effect::Hook { run, moment: HookMoment::BeforeStop, .. } => {
                let Some(run) = facts.runs.get(run) else { return Ok(()) };
                // What is left of a tree whose main process has ended serves nobody any more; and an end that was
                // under way for another reason goes on.
                if run.main_is_there()
                    && run.first_asked_to_end().is_none()
                    && self.stopping.contains(&run.service)
                {
                    return self.may_stop(facts, &run.service);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Order {
    fn follow(&mut self, name: &ServiceName, to: StateName) {
        match to {
            StateName::Ready => {
                self.ready.insert(name.clone());
            }
            StateName::Pausing | StateName::Paused | StateName::Continuing => {}
            _ => {
                self.ready.remove(name);
            }
        }
    }

    fn may_start(&self, facts: &Facts, service: &ServiceName) -> Verdict {
        let Some(plan) = facts.service(service) else { return Ok(()) };
        for (on, condition) in &plan.depends_on {
            let state = facts.state(on);
            let has_ready = facts.service(on).is_some_and(|plan| plan.ready.is_some());
            // What has run to its end has been there.
            let started = state.is_started() || state == StateName::Completed;
            let holds = match condition {
                Condition::Started => started,
                Condition::Ready if has_ready => self.ready.contains(on),
                Condition::Ready => started,
                Condition::Completed => state == StateName::Completed,
            };
            if !holds {
                return Err(format!(
                    "{service} is started while {on}, to be {condition:?} first, is {state}"
                ));
            }
        }
        Ok(())
    }

    fn may_stop(&self, facts: &Facts, service: &ServiceName) -> Verdict {
        let there =
            |dependent: &&ServiceName| facts.run_of(dependent).is_some() && !facts.left.contains(*dependent);
        let found = if self.going_down {
            facts.dependents(service).find(there)
        } else {
            facts.users(service).find(there)
        };
        found.map_or(Ok(()), |dependent| {
            Err(format!("{service} is asked to end while {dependent}, which needs it, is there"))
        })
    }
}
