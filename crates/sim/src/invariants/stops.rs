//! A stop ends: its hook comes first, its steps come in order and in their time, and at the end of its timeout the whole tree is killed,
//! again and again until it is gone.

use mainstay_core::{Effect, HookMoment, StateName, StopAction, Time};

use super::{Facts, Rule, Run, Verdict};
use crate::trace::Step;

/// See the module.
#[derive(Debug)]
pub(super) struct Stops;

impl Rule for Stops {
    fn name(&self) -> &'static str {
        "a stop ends"
    }

    fn effect(&mut self, facts: &Facts, at: Time, effect: &Effect) -> Verdict {
        if let Effect::Signal { run, .. } | Effect::StopStep { run, .. } | Effect::Kill { run } = effect {
            facts.runs.get(run).map_or(Ok(()), |run| after_hook(facts, run))?;
        }
        match effect {
            Effect::Hook { run, moment: HookMoment::BeforeStop, .. } => {
                facts.runs.get(run).map_or(Ok(()), before_anything)
            }
            Effect::CancelHook { run, .. } => {
                facts.runs.get(run).map_or(Ok(()), |run| hook_had_its_time(run, at))
            }
            Effect::Signal { run, action } => {
                facts.runs.get(run).map_or(Ok(()), |run| signal_in_order(facts, run, at, action))
            }
            Effect::StopStep { run, action, step, timeout, .. } => {
                facts.runs.get(run).map_or(Ok(()), |run| {
                    signal_in_order(facts, run, at, action)?;
                    answered_step(facts, run, *step, *timeout)
                })
            }
            Effect::Kill { run } => facts.runs.get(run).map_or(Ok(()), |run| kill_in_time(facts, run, at)),
            _ => Ok(()),
        }
    }

    fn after(&mut self, facts: &Facts, step: &Step) -> Verdict {
        let there: Vec<&Run> =
            facts.newest.keys().filter_map(|name| facts.run_of(name)).map(|(_, run)| run).collect();
        for run in &there {
            ends_in_time(facts, run, step)?;
        }
        let waits = |run: &&&Run| {
            let stopping = facts.state(&run.service) == StateName::Stopping;
            stopping && run.made.is_some() && run.first_asked_to_end().is_none()
        };
        let Some(first) = there.iter().find(waits) else { return Ok(()) };
        // Whoever is needed by something that is on its way down may wait for it, through others that are not there.
        // What runs is nothing to wait for: it may have been started again, and go on for ever.
        let leaving = there.iter().filter(|run| facts.state(&run.service) == StateName::Stopping);
        let needed = leaving.clone().filter_map(|run| facts.service(&run.service));
        let needed = facts.with_dependencies(needed.flat_map(|plan| plan.depends_on.keys()));
        // A process that is still being made needs no deadline: whoever makes it tells when it is there.
        let being_made = leaving.clone().any(|run| run.made.is_none());
        match there.iter().filter(waits).find(|run| !needed.contains(&run.service)) {
            Some(stuck) => Err(format!("{} is stopping but nobody asked it to end", stuck.service)),
            None if step.deadline.is_none() && !being_made => {
                Err(format!("{} waits to be stopped for ever", first.service))
            }
            None => Ok(()),
        }
    }
}

/// The hook before a stop is wanted once, of a program that is there and can answer, before anything is done to it.
fn before_anything(run: &Run) -> Verdict {
    let service = &run.service;
    if !run.main_is_there() || run.made.is_none() {
        return Err(format!("{service} has no process to be prepared for its stop"));
    }
    if run.frozen && !run.thaw_asked {
        return Err(format!("{service} is frozen while its before_stop hook runs"));
    }
    if run.first_step().is_some() || run.before_stop.is_some_and(|hook| hook.over) {
        return Err(format!("the before_stop hook of {service} comes in the middle of its stop"));
    }
    Ok(())
}

/// What there is a hook for is not asked to end before that is over.
fn after_hook(facts: &Facts, run: &Run) -> Verdict {
    let service = &run.service;
    if !run.main_is_there() || run.first_step().is_some() {
        return Ok(());
    }
    let wanted = facts.service(service).is_some_and(|plan| plan.hooks.before_stop.is_some());
    match run.before_stop {
        Some(hook) if !hook.over => Err(format!("{service} is asked to end while its before_stop hook runs")),
        None if wanted => Err(format!("{service} is asked to end without its before_stop hook")),
        Some(_) | None => Ok(()),
    }
}

fn hook_had_its_time(run: &Run, at: Time) -> Verdict {
    match run.before_stop {
        Some(hook) if !hook.over && at >= hook.until => Ok(()),
        hook => Err(format!("the before_stop hook of {} is broken off: {hook:?}", run.service)),
    }
}

/// Steps are taken in the plan's order, none before the wait of the one before is over.
fn signal_in_order(facts: &Facts, run: &Run, at: Time, action: &StopAction) -> Verdict {
    let service = &run.service;
    let Some(plan) = facts.service(service) else { return Ok(()) };
    if run.frozen && !run.thaw_asked {
        return Err(format!("{service} is frozen and cannot hear {action:?}"));
    }
    if !run.kills.is_empty() {
        return Err(format!("{service} is asked with {action:?} to end after it was killed"));
    }
    let steps: Vec<_> = plan.stop.steps.iter().filter(|step| step.action != StopAction::Kill).collect();
    let Some(wanted) = steps.get(run.signals.len()) else {
        return Err(format!("{service} is asked with {action:?} to end, which is not in its plan"));
    };
    if wanted.action != *action {
        return Err(format!("{service} is asked with {action:?} to end, not with {:?}", wanted.action));
    }
    let Some((before, _)) = run.signals.last() else { return Ok(()) };
    let since = at.since(*before);
    let wait = steps[run.signals.len() - 1].wait;
    // What failed is not waited for.
    let failed = run.failed_steps.contains_key(&(run.signals.len() - 1));
    if since < wait && !failed {
        return Err(format!("{service} had {since:?}, not {wait:?}, for a step of its stop"));
    }
    Ok(())
}

/// A process that was asked to end is given the time it was promised.
fn kill_in_time(facts: &Facts, run: &Run, at: Time) -> Verdict {
    let service = &run.service;
    let Some(plan) = facts.service(service) else { return Ok(()) };
    let Some((first, _)) = run.signals.first() else { return Ok(()) };
    if !run.kills.is_empty() || !run.main_is_there() || run.made.is_none() {
        return Ok(());
    }
    let mut promised = *first;
    for (place, step) in plan.stop.steps.iter().enumerate() {
        if step.action == StopAction::Kill {
            break;
        }
        // What failed is not waited for.
        promised = run.failed_steps.get(&place).copied().unwrap_or(promised.after(step.wait));
    }
    let promised = promised.min(first.after(plan.stop.timeout));
    if at < promised {
        return Err(format!("{service} is killed at {at}, but was promised time until {promised}"));
    }
    Ok(())
}

/// A command or request carries its place, and ends with its stop at the latest.
fn answered_step(facts: &Facts, run: &Run, step: u32, timeout: std::time::Duration) -> Verdict {
    let service = &run.service;
    if usize::try_from(step) != Ok(run.signals.len()) {
        return Err(format!("{service} is asked with step {step} to end, not with {}", run.signals.len()));
    }
    let Some(plan) = facts.service(service) else { return Ok(()) };
    if timeout > plan.stop.timeout {
        return Err(format!("{service} has a step of {timeout:?} in a stop of {:?}", plan.stop.timeout));
    }
    Ok(())
}

fn ends_in_time(facts: &Facts, run: &Run, step: &Step) -> Verdict {
    let service = &run.service;
    let Some(plan) = facts.service(service) else { return Ok(()) };
    if run.first_asked_to_end().is_none() {
        return Ok(());
    }
    let Some((deadline, _)) = step.deadline else {
        return Err(format!("{service} was asked to end, but nobody will look whether it does"));
    };
    let Some(first) = run.first_step() else {
        return match run.before_stop {
            Some(hook) if hook.over && run.is_there() => {
                Err(format!("{service} is not asked to end, but its before_stop hook is over"))
            }
            Some(hook) if deadline > hook.until => {
                Err(format!("{service} waits for its before_stop hook until {deadline}, not {}", hook.until))
            }
            Some(_) | None => Ok(()),
        };
    };
    let last = run.signals.len().wrapping_sub(1);
    if run.kills.is_empty() && run.failed_steps.contains_key(&last) && run.is_there() {
        return Err(format!("{service} waits for step {last} of its stop, which has failed"));
    }
    let end = first.after(plan.stop.timeout);
    if run.kills.is_empty() && deadline > end {
        return Err(format!("{service} is not killed at {end}, the end of its stop, but at {deadline}"));
    }
    Ok(())
}
