//! A daemon that takes over goes on exactly where the one before was, but for the questions under way.

use mainstay_core::{Effect, HookMoment, ServiceStatus};

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    before: Vec<ServiceStatus>,
}

impl Rule for HandOver {
    fn name(&self) -> &'static str {
        "a new daemon goes on"
    }

    fn after(&mut self, facts: &Facts, step: &Step) -> Verdict {
        if matches!(step.cause, Cause::Restored { .. }) {
            let odd = step.effects.iter().find(|effect| match effect {
                Effect::Probe { .. } | Effect::Prepare { .. } => false,
                Effect::Hook { moment, .. } => *moment != HookMoment::BeforeStop,
                _ => true,
            });
            if let Some(odd) = odd {
                return Err(format!("the new daemon begins with {odd:?}"));
            }
            if let Some((before, after)) = self.before.iter().zip(&step.status).find(|(b, a)| b != a) {
                return Err(format!("what was\n  {before:?}\nis now\n  {after:?}"));
            }
            if let (Some(before), Some((after, why))) = (facts.deadline, step.deadline)
                && after < before
                && after > step.at
            {
                return Err(format!("the next deadline was {before} and is now {after} ({why})"));
            }
        }
        self.before.clone_from(&step.status);
        Ok(())
    }
}
