//! Sessions: what belongs to who is signed in is not started while nobody is, ends at the logoff, and goes where the next
//! one is; what only prefers to be there moves along.

use mainstay_core::{Effect, Input, Request, StateName, Time};

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    going_down: bool,
}

impl Rule for Sessions {
    fn name(&self) -> &'static str {
        "sessions of who is signed in"
    }

    fn input(&mut self, _facts: &Facts, step: &Step) -> Verdict {
        match &step.cause {
            Cause::Input(Input::Request { request, .. }) if !step.is_refusal() => match request {
                Request::Up => self.going_down = false,
                Request::Down | Request::DownAll => self.going_down = true,
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn effect(&mut self, facts: &Facts, _at: Time, effect: &Effect) -> Verdict {
        let service = match effect {
            // One that was under way goes on, and is asked for again by a new daemon.
            Effect::Prepare { service, run, .. } if facts.preparing.get(service) != Some(run) => service,
            Effect::Spawn { service, .. } => service,
            _ => return Ok(()),
        };
        if facts.has_session(service) {
            return Ok(());
        }
        Err(format!("{service} is started while nobody is signed in"))
    }

    fn after(&mut self, facts: &Facts, _step: &Step) -> Verdict {
        if facts.session_change.is_none() || self.going_down {
            return Ok(());
        }
        for (name, plan) in &facts.plan.services {
            let Some((_, run)) = facts.run_of(name).filter(|_| !plan.session.is_services()) else { continue };
            // One that is frozen is let go on first, and a stop may have to wait for dependents or for a hook.
            let asked = facts.state(name) == StateName::Stopping
                || run.first_asked_to_end().is_some()
                || run.frozen
                || !run.frost_asked.is_empty();
            let stays = run.main_is_there() && run.made.is_some() && !asked;
            if stays {
                return Err(format!("{name} goes on in a session that is not the one of now"));
            }
        }
        Ok(())
    }
}
