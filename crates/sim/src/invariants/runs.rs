//! One instance: a service never runs twice at once, and nothing is done to a run that is over.

use mainstay_core::{Effect, RunId, StateName, Time};

use super::{Facts, Rule, Run, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OneInstance {
    /// Whether this is the first moment of a new daemon.
    restored: bool,
}

impl Rule for OneInstance {
    fn name(&self) -> &'static str {
        "one instance"
    }

    fn input(&mut self, _facts: &Facts, step: &Step) -> Verdict {
        self.restored = matches!(step.cause, Cause::Restored { .. });
        Ok(())
    }

    fn effect(&mut self, facts: &Facts, _at: Time, effect: &Effect) -> Verdict {
        match effect {
            Effect::Prepare { service, run, .. } => {
                if let Some((old, _)) = facts.run_of(service) {
                    return Err(format!("{service} is prepared while run {old} is not over"));
                }
                match facts.preparing.get(service) {
                    // A new daemon asks again.
                    Some(under_way) if under_way == run && self.restored => {}
                    Some(under_way) => {
                        return Err(format!("{service} is prepared, but {under_way} is under way"));
                    }
                    None if facts.last_run.is_some_and(|last| *run <= last) => {
                        return Err(format!("run number {run} does not rise"));
                    }
                    None => {}
                }
            }
            Effect::CancelPrepare { run } => {
                if !facts.preparing.values().any(|under_way| under_way == run) {
                    return Err(format!("preparation {run} is cancelled, but is not under way"));
                }
            }
            Effect::CancelHook { run, .. } => {
                there(facts, *run, effect)?;
            }
            Effect::Control { .. } | Effect::Configure { .. } => {}
            Effect::Hook { service, moment, .. } => {
                if facts.service(service).is_none_or(|plan| plan.hooks.at(*moment).is_none()) {
                    return Err(format!("{service} has no {moment} hook"));
                }
            }
            Effect::Spawn { service, run } => {
                if facts.preparing.contains_key(service) {
                    return Err(format!("{service} is started before it is prepared"));
                }
                if facts.service(service).is_some_and(|plan| plan.is_prepared())
                    && !facts.prepared.contains(service)
                {
                    return Err(format!("{service} is started without what comes before"));
                }
                if facts.service(service).is_none() {
                    return Err(format!("{service} is started but isn't in the plan"));
                }
                if let Some((old, _)) = facts.run_of(service) {
                    return Err(format!("{service} is started as run {run} while run {old} is not over"));
                }
                if facts.last_run.is_some_and(|last| *run <= last) {
                    return Err(format!("run number {run} does not rise"));
                }
                let unforgotten =
                    facts.newest.get(service).and_then(|id| facts.runs.get(id)).filter(|r| !r.forgotten);
                if unforgotten.is_some() {
                    return Err(format!("{service} is started before its last run was forgotten"));
                }
            }
            Effect::Signal { run, .. } | Effect::StopStep { run, .. } | Effect::Kill { run } => {
                there(facts, *run, effect)?;
            }
            Effect::Freeze { run } => {
                let there = there(facts, *run, effect)?;
                if there.frozen && there.frost_asked.is_empty() {
                    return Err(format!("run {run} is frozen and is to be frozen again"));
                }
            }
            Effect::Thaw { run } => {
                let there = there(facts, *run, effect)?;
                if !there.frozen && there.frost_asked.is_empty() {
                    return Err(format!("run {run} is not frozen but is to be thawed"));
                }
            }
            Effect::Probe { service, run, .. } => {
                let there = there(facts, *run, effect)?;
                if !there.main_is_there() || there.made.is_none() || there.service != *service {
                    return Err(format!("run {run} of {service} is asked while it has no process"));
                }
            }
            Effect::Forget { run } => match facts.runs.get(run) {
                Some(run) if !run.is_there() && !run.forgotten => {}
                Some(known) if known.forgotten => return Err(format!("run {run} is forgotten twice")),
                Some(_) => return Err(format!("run {run} is forgotten before it is over")),
                None => return Err(format!("run {run}, which never was, is forgotten")),
            },
            Effect::Tell(_) | Effect::StackDown | Effect::StackRests => {}
        }
        Ok(())
    }

    fn after(&mut self, facts: &Facts, _step: &Step) -> Verdict {
        if let Some(name) = facts.preparing.keys().find(|name| facts.state(name) != StateName::Starting) {
            return Err(format!("{name} is {} while it is prepared", facts.state(name)));
        }
        // Whoever keeps a record of a run must be able to drop it.
        let kept = facts.runs.iter().find(|(_, run)| !run.is_there() && !run.forgotten);
        kept.map_or(Ok(()), |(id, run)| Err(format!("run {id} of {} is over but not forgotten", run.service)))
    }
}

/// The run, if anything may be done to it.
fn there<'a>(facts: &'a Facts, run: RunId, effect: &Effect) -> Result<&'a Run, String> {
    match facts.runs.get(&run) {
        Some(there) if there.is_there() => Ok(there),
        Some(_) => Err(format!("{effect:?} for a run that is over")),
        None => Err(format!("{effect:?} for a run that never was")),
    }
}
