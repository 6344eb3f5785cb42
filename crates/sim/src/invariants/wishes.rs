//! Nothing starts that nobody wants up: not after a requested stop, not while the stack goes down, not after an
//! end that was final. And the stack is down exactly once, exactly when everything is.

use std::collections::BTreeSet;

use mainstay_core::{Effect, Event, EventKind, Input, Request, ServiceName, StartMode, StateName, Time};

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// Those that may start.
    wanted: BTreeSet<ServiceName>,
    going_down: bool,
    down: bool,
    rests: bool,
}

impl Rule for Wishes {
    fn name(&self) -> &'static str {
        "nothing starts unwanted"
    }

    fn input(&mut self, facts: &Facts, step: &Step) -> Verdict {
        if let Some((None, Some(_))) = facts.session_change.filter(|_| !self.going_down) {
            // What has done its work for the one before does it for the next one.
            let done = facts
                .plan
                .services
                .iter()
                .filter(|(name, plan)| plan.session.waits() && facts.state(name) == StateName::Completed);
            self.wanted.extend(done.map(|(name, _)| name.clone()));
        }
        let Cause::Input(Input::Request { request, .. }) = &step.cause else { return Ok(()) };
        if step.is_refusal() {
            return Ok(());
        }
        match request {
            Request::Up => {
                // What is down but for what was left comes up again.
                if std::mem::take(&mut self.rests) {
                    self.going_down = false;
                }
                let auto = facts.plan.services.iter().filter(|(_, plan)| plan.start == StartMode::Auto);
                self.wanted.extend(facts.with_dependencies(auto.map(|(name, _)| name)));
            }
            Request::Start(name) | Request::Restart(name) => {
                self.wanted.extend(facts.with_dependencies([name]));
            }
            Request::Add(name, plan) => {
                if plan.start == StartMode::Auto {
                    self.wanted.extend(facts.with_dependencies([name]));
                }
            }
            // A stop of what is down changes nothing.
            Request::Stop(name) if facts.state(name).is_down() => {}
            Request::Stop(name) => {
                for name in facts.with_users(name) {
                    self.wanted.remove(&name);
                }
            }
            Request::Remove(name) => {
                self.wanted.remove(name);
            }
            Request::Down | Request::DownAll => {
                self.wanted.clear();
                self.going_down = true;
            }
            Request::Pause(_) | Request::Continue(_) | Request::Control(_) => {}
        }
        if self.going_down
            && !matches!(request, Request::Down | Request::DownAll | Request::Stop(_) | Request::Remove(_))
        {
            let harmless = matches!(request, Request::Pause(_) | Request::Continue(_) | Request::Control(_));
            if !harmless {
                return Err(format!("{request:?} is accepted while the stack goes down"));
            }
        }
        Ok(())
    }

    fn effect(&mut self, facts: &Facts, _at: Time, effect: &Effect) -> Verdict {
        match effect {
            Effect::Spawn { service, .. } if self.going_down => {
                return Err(format!("{service} is started while the stack goes down"));
            }
            Effect::Spawn { service, .. } if !self.wanted.contains(service) => {
                return Err(format!("{service} is started, but nobody wants it up"));
            }
            // It was left up, and is kept up again.
            Effect::Tell(Event { service: Some(name), kind: EventKind::TakenOver, .. }) => {
                self.wanted.insert(name.clone());
            }
            Effect::Tell(event) => {
                if let (Some(name), EventKind::State { to: StateName::Failed | StateName::Completed, .. }) =
                    (&event.service, &event.kind)
                {
                    self.wanted.remove(name);
                }
            }
            Effect::StackRests => {
                if !self.going_down || std::mem::replace(&mut self.rests, true) {
                    return Err("the stack is said to rest, which is not so or is known".to_owned());
                }
                if let Some(name) = still_up(facts).find(|name| !facts.left.contains(*name)) {
                    return Err(format!("the stack is said to rest, but {name} doesn't"));
                }
            }
            Effect::Probe { service, .. } if facts.left.contains(service) => {
                return Err(format!("{service} is left alone, but is asked something"));
            }
            Effect::StackDown => {
                if !self.going_down {
                    return Err("the stack is said to be down, which nobody asked for".to_owned());
                }
                if std::mem::replace(&mut self.down, true) {
                    return Err("the stack is said to be down twice".to_owned());
                }
                if let Some(name) = still_up(facts).next() {
                    return Err(format!("the stack is said to be down, but {name} isn't"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn after(&mut self, facts: &Facts, _step: &Step) -> Verdict {
        if self.going_down && !self.down && still_up(facts).next().is_none() {
            return Err("everything is down, but it is not said".to_owned());
        }
        let rests = !facts.left.is_empty() && still_up(facts).all(|name| facts.left.contains(name));
        if self.going_down && !self.rests && rests {
            return Err("everything is down but what is left, but it is not said".to_owned());
        }
        if !self.going_down
            && let Some(name) = facts.left.first()
        {
            return Err(format!("{name} is left alone, but the stack is up"));
        }
        Ok(())
    }
}

fn still_up(facts: &Facts) -> impl Iterator<Item = &ServiceName> {
    facts.plan.services.keys().filter(|name| facts.run_of(name).is_some() || !facts.state(name).is_down())
}
