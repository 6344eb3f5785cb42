//! Time goes on: no deadline is stuck, no input makes a storm, an input that comes too late does nothing.

use mainstay_core::Time;

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    last: Option<Time>,
}

/// The most effects that one input may have in a stack of so many services.
fn most_effects(services: usize) -> usize {
    16 + 10 * services
}

impl Rule for Pulse {
    fn name(&self) -> &'static str {
        "time goes on"
    }

    fn after(&mut self, facts: &Facts, step: &Step) -> Verdict {
        if self.last.is_some_and(|last| step.at < last) {
            return Err("time runs backwards".to_owned());
        }
        self.last = Some(step.at);
        let most = most_effects(facts.plan.services.len());
        if step.effects.len() > most {
            return Err(format!("{} effects of one input, more than {most}", step.effects.len()));
        }
        if let Some((at, why)) = step.deadline
            && step.is_tick()
            && at <= step.at
        {
            return Err(format!("the deadline of {at} ({why}) is not over after it was handled"));
        }
        let due = facts.deadline.is_some_and(|deadline| deadline <= step.at);
        if facts.idle_input && !due && !step.effects.is_empty() {
            return Err(format!("an input that comes too late has effects: {:?}", step.effects));
        }
        if step.cause == Cause::New && !step.effects.is_empty() {
            return Err(format!("nobody asked for anything yet, but there are effects: {:?}", step.effects));
        }
        Ok(())
    }
}
