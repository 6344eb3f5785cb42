//! What people ask for.

use std::collections::BTreeMap;

use super::moments::facts;
use super::{Node, Supervisor};
use crate::service::{On, Service};
use crate::walks::in_order;
use crate::words::clip;
use crate::{
    Control, Effect, Event, EventKind, HookFacts, Request, ServiceName, ServicePlan, StartMode, StateName,
};

impl Request {
    /// The word for it, as on the command line.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Request::Up => "up",
            Request::Down => "down",
            Request::DownAll => "down --all",
            Request::Start(_) => "start",
            Request::Stop(_) => "stop",
            Request::Restart(_) => "restart",
            Request::Pause(_) => "pause",
            Request::Continue(_) => "continue",
            Request::Add(..) => "add",
            Request::Remove(_) => "remove",
            Request::Control(control) => control.as_str(),
        }
    }

    /// The service that it is about; none for the stack as a whole.
    pub const fn service(&self) -> Option<&ServiceName> {
        match self {
            Request::Up | Request::Down | Request::DownAll | Request::Control(_) => None,
            Request::Start(name)
            | Request::Stop(name)
            | Request::Restart(name)
            | Request::Pause(name)
            | Request::Continue(name)
            | Request::Add(name, _)
            | Request::Remove(name) => Some(name),
        }
    }
}

/// What becomes of services that are to be left running.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    GoesOn,
    IsStopped,
}

impl Supervisor {
    /// Whether it is taken.
    pub(super) fn request(&mut self, by: String, request: Request) -> bool {
        let by = clip(by);
        let service = request.service().cloned();
        if let Err(refusal) = self.check(&request) {
            self.tell(service, EventKind::Refused { reason: refusal.to_string() });
            return false;
        }
        if let Request::Control(control @ (Control::Power(_) | Control::Session { .. })) = request {
            // Nobody has asked for it, and only those are concerned that want to know: their hooks are told.
            self.tell_hooks(control);
            return true;
        }
        let why = format!("asked by {by}");
        let what = match &request {
            Request::Control(Control::Code(code)) => format!("control {code}"),
            request => request.as_str().to_owned(),
        };
        self.tell(service, EventKind::Requested { by, what });
        match request {
            Request::Up => self.up(&why),
            Request::Down => self.down(&why, Left::GoesOn),
            Request::DownAll => self.down(&why, Left::IsStopped),
            Request::Start(name) => self.start(name, why),
            Request::Stop(name) => self.stop(name, why),
            Request::Restart(name) => self.restart(name, why),
            Request::Pause(name) => self.queue.push_back((name, On::Pause(why))),
            Request::Continue(name) => self.queue.push_back((name, On::Continue(why))),
            Request::Add(name, plan) => self.add(name, *plan, why),
            Request::Remove(name) => self.remove(name, why),
            Request::Control(control) => self.control(control, &why),
        }
        true
    }

    pub(super) fn tell(&mut self, service: Option<ServiceName>, kind: EventKind) {
        let run = service
            .as_ref()
            .and_then(|name| self.nodes.get(name))
            .and_then(|node| node.service.phase.run_id());
        self.effects.push_back(Effect::Tell(Event { service, run, kind }));
    }

    fn up(&mut self, why: &str) {
        if self.going_down {
            self.take_over(why);
        }
        let order = in_order(&self.plan);
        let cannot = self.cut_off(&order);
        // From the dependents to the dependencies, so that what is needed is known before it is looked at. What is
        // on its way already is not started, but what it waits for is.
        let mut wanted: BTreeMap<&ServiceName, String> = BTreeMap::new();
        for name in order.iter().rev() {
            let (Some(node), Some(plan)) = (self.nodes.get(name), self.plan.services.get(name)) else {
                continue;
            };
            let state = node.service.state();
            let there = state.is_started() || state == StateName::Completed;
            let by_itself = plan.start == StartMode::Auto && !there && !node.service.removing;
            if by_itself && !cannot.contains_key(name) {
                wanted.insert(name, why.to_owned());
            }
            if wanted.contains_key(name) {
                for (dependency, condition) in &plan.depends_on {
                    let failed = self.state(dependency.as_str()) == Some(StateName::Failed);
                    let may_start =
                        !failed && !self.is_disabled(dependency) && !cannot.contains_key(dependency);
                    if may_start && !self.is_met(dependency, *condition) {
                        wanted.entry(dependency).or_insert_with(|| format!("needed by {name}, {why}"));
                    }
                }
            }
        }
        let stays_down =
            |name: &&ServiceName| self.nodes.get(*name).is_some_and(|node| node.service.phase.stays_down());
        let starts: Vec<(ServiceName, On)> = order
            .iter()
            .filter(stays_down)
            .filter_map(|name| wanted.remove(name).map(|why| (name.clone(), On::Start(why))))
            .collect();
        self.queue.extend(starts);
        for (name, disabled) in cannot {
            if self.plan.services.get(&name).is_some_and(|plan| plan.start == StartMode::Auto) {
                let reason = format!("not started: {}", super::check::depends_on_disabled(&name, &disabled));
                if let Some(node) = self.nodes.get_mut(&name).filter(|node| node.service.state().is_down()) {
                    node.service.reason.clone_from(&reason);
                    self.dirty.insert(name.clone());
                }
                self.tell(Some(name), EventKind::Refused { reason });
            }
        }
    }

    /// Whether a service is down and is to be left down.
    fn is_disabled(&self, name: &ServiceName) -> bool {
        let disabled = self.plan.services.get(name).is_some_and(|plan| plan.start == StartMode::Disabled);
        disabled && self.nodes.get(name).is_some_and(|node| node.service.phase.stays_down())
    }

    /// The services that stay down and cannot start because of one that is disabled, each with that one.
    fn cut_off(&self, order: &[ServiceName]) -> BTreeMap<ServiceName, ServiceName> {
        let mut cut_off: BTreeMap<ServiceName, ServiceName> = BTreeMap::new();
        for name in order {
            let (Some(node), Some(plan)) = (self.nodes.get(name), self.plan.services.get(name)) else {
                continue;
            };
            if !node.service.phase.stays_down() || plan.start == StartMode::Disabled {
                continue;
            }
            let obstacle = plan.depends_on.iter().find_map(|(dependency, condition)| {
                let disabled = self.plan.services.get(dependency)?.start == StartMode::Disabled;
                let down = self.nodes.get(dependency)?.service.phase.stays_down();
                match self.is_met(dependency, *condition) {
                    true => None,
                    false if disabled && down => Some(dependency.clone()),
                    false => cut_off.get(dependency).cloned(),
                }
            });
            if let Some(disabled) = obstacle {
                cut_off.insert(name.clone(), disabled);
            }
        }
        cut_off
    }

    /// From rest to being open again, with what was left.
    fn take_over(&mut self, why: &str) {
        (self.going_down, self.told_rests) = (false, false);
        self.dirty_stack = true;
        let left = self.nodes.iter().filter(|(_, node)| node.service.left).map(|(name, _)| name.clone());
        for name in left.collect::<Vec<_>>() {
            self.with(&name, |machine| machine.take_over(why));
        }
    }

    fn down(&mut self, why: &str, left: Left) {
        self.going_down = true;
        self.dirty_stack = true;
        let why = format!("the stack goes down, {why}");
        for name in in_order(&self.plan).into_iter().rev() {
            let stays =
                left == Left::GoesOn && self.with(&name, |machine| machine.leave(&why)).unwrap_or_default();
            if !stays && self.nodes.get(&name).is_some_and(|node| !node.service.state().is_down()) {
                self.queue.push_back((name, On::Stop(why.clone())));
            }
        }
    }

    /// What a service manager asks of all services: who is concerned.
    fn control(&mut self, control: Control, why: &str) {
        let mut names = in_order(&self.plan);
        match control {
            // Dependents before what they depend on, and the other way round.
            Control::Pause => {
                names.reverse();
                let runs = |name: &ServiceName| {
                    matches!(self.state(name.as_str()), Some(StateName::Running | StateName::Ready))
                };
                let pauses = names.into_iter().filter(runs).map(|name| (name, On::Pause(why.to_owned())));
                self.queue.extend(pauses.collect::<Vec<_>>());
            }
            Control::Continue => {
                let frozen = |name: &ServiceName| {
                    matches!(self.state(name.as_str()), Some(StateName::Pausing | StateName::Paused))
                };
                let thaws = names.into_iter().filter(frozen).map(|name| (name, On::Continue(why.to_owned())));
                self.queue.extend(thaws.collect::<Vec<_>>());
            }
            Control::Code(code) => {
                for name in names {
                    self.control_one(name, code, why);
                }
            }
            Control::Power(_) | Control::Session { .. } => {}
        }
    }

    fn control_one(&mut self, service: ServiceName, code: u8, why: &str) {
        let known = self.plan.services.get(&service).is_some_and(|plan| plan.controls.contains_key(&code));
        let Some(node) = self.nodes.get(&service).filter(|_| known) else { return };
        let run = node.service.phase.run().filter(|run| run.pid.is_some()).map(|run| run.id);
        let facts = HookFacts { control: Some(code), ..facts(node, why) };
        self.effects.push_back(Effect::Control { service, run, code, facts });
    }

    /// Starts a service, after what it depends on.
    pub(super) fn start(&mut self, name: ServiceName, why: String) {
        if !self.nodes.get(&name).is_some_and(|node| node.service.state().is_started()) {
            self.start_missing_for(&name, &why);
        }
        self.queue.push_back((name, On::Start(why)));
    }

    /// Makes a new run of a service, after what it depends on.
    pub(super) fn restart(&mut self, name: ServiceName, why: String) {
        self.start_missing_for(&name, &why);
        self.queue.push_back((name, On::Restart(why)));
    }

    fn start_missing_for(&mut self, name: &ServiceName, why: &str) {
        // A disabled one was refused before.
        for missing in self.missing_for(name).unwrap_or_default() {
            self.queue.push_back((missing, On::Start(format!("needed by {name}, {why}"))));
        }
    }

    /// Stops a service, after what depends on it.
    pub(super) fn stop(&mut self, name: ServiceName, why: String) {
        if self.nodes.get(&name).is_some_and(|node| node.service.state().is_down()) {
            return;
        }
        for dependent in self.dependents_of(&name) {
            if self.nodes.get(&dependent).is_some_and(|node| !node.service.state().is_down()) {
                self.queue.push_back((dependent, On::Stop(format!("{name} is to stop, {why}"))));
            }
        }
        self.queue.push_back((name, On::Stop(why)));
    }

    fn add(&mut self, name: ServiceName, plan: ServicePlan, why: String) {
        let start = plan.start;
        self.plan_changes.services.insert(name.clone());
        self.plan.services.insert(name.clone(), plan);
        self.nodes.insert(name.clone(), Node::new(Service::new(self.now, "never started")));
        self.link(&name);
        self.touch(&name);
        if start == StartMode::Auto {
            self.start(name, why);
        }
    }

    fn remove(&mut self, name: ServiceName, why: String) {
        if let Some(node) = self.nodes.get_mut(&name) {
            node.service.removing = true;
            self.queue.push_back((name, On::Stop(format!("to be removed, {why}"))));
        }
    }
}
