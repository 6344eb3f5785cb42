//! What the change of one service does to it.

use crate::reload::{Action, Step};
use crate::service::{Phase, Service};
use crate::supervisor::{Node, Supervisor};
use crate::{EventKind, ServiceName, ServicePlan, StartMode};

impl Supervisor {
    /// Gives a service its new plan, and does what follows from that.
    pub(super) fn change(&mut self, name: &ServiceName, plan: ServicePlan) {
        let Some(apply) = &self.apply else { return };
        let (revision, by) = (apply.revision, apply.by.clone());
        self.progress.done.insert(name.clone());
        self.dirty_apply = true;
        let before = self.plan.services.get(name).cloned();
        let step = before.as_ref().map(|before| Step::changed(name, before, &plan));
        let cause = step.as_ref().map_or_else(|| "new".to_owned(), |step| step.reason.clone());
        let why = match self.progress.going_back {
            Some(_) => format!("back from revision {revision}"),
            None => format!("{cause} in revision {revision}, asked by {by}"),
        };
        let writes = before.as_ref().is_some_and(|before| plan.config.writes_over(&before.config));
        match before {
            None => self.insert(name, plan),
            Some(before) if before == plan => {}
            Some(before) => self.replan(name, &before, plan),
        }
        if let Some(node) = self.nodes.get_mut(name) {
            node.service.removing = false;
        }
        if !self.progress.untouched.remove(name) {
            let action = step.map_or(Action::Start, |step| step.action);
            let action = if writes && self.is_being_made(name) { Action::Restart } else { action };
            let wanted = self.wanted(name, action);
            self.act(name, wanted, writes, why);
        }
        self.touch(name);
    }

    /// Whether a process is about to be there for which the files were, or are being, put in their places already.
    fn is_being_made(&self, name: &ServiceName) -> bool {
        let phase = self.nodes.get(name).map(|node| &node.service.phase);
        matches!(phase, Some(Phase::Preparing(_) | Phase::Spawning(_)))
    }

    /// What a service needs, as it is now, when its plan's change does this.
    fn wanted(&self, name: &ServiceName, action: Action) -> Action {
        let (Some(apply), Some(node)) = (&self.apply, self.nodes.get(name)) else { return Action::Nothing };
        let was_up = apply.was_up.contains(name);
        let auto = self.plan.services.get(name).is_some_and(|plan| plan.start == StartMode::Auto);
        let phase = &node.service.phase;
        let (up, ended) = (!phase.stays_down(), matches!(phase, Phase::Failed | Phase::Completed));
        let replaced = match (action, phase) {
            (Action::Signal, Phase::Startup(_) | Phase::Running(_) | Phase::Ready(_)) => Action::Signal,
            // There is nobody who could be told. What it is about to do, it does with the new files.
            (Action::Signal | Action::Restart, _) => Action::Restart,
            _ => Action::Live,
        };
        match (self.progress.going_back.is_some(), action) {
            (true, _) if was_up && !up => Action::Start,
            (true, _) if !was_up && up => Action::Stop,
            (true, _) if up => replaced,
            (true, _) => Action::Nothing,
            (false, Action::Stop) if up => Action::Stop,
            (false, Action::Start) if !up && auto => Action::Start,
            (false, Action::Restart | Action::Signal) if up => replaced,
            // What ended with its old settings gets a chance with the new ones.
            (false, Action::Restart | Action::Signal) if ended && auto => Action::Start,
            (false, _) if up => Action::Live,
            (false, _) => Action::Nothing,
        }
    }

    /// Does it. `writes`: its files are to be others, which come first where a process runs.
    fn act(&mut self, name: &ServiceName, wanted: Action, writes: bool, why: String) {
        let files_first = writes && self.reads_files(name).is_some();
        match wanted {
            Action::Live | Action::Signal if files_first => self.configure(name, wanted, why),
            Action::Nothing | Action::Live | Action::Signal => {}
            Action::Stop => {
                self.wait_for(name, false);
                self.stop(name.clone(), why);
            }
            Action::Start | Action::Restart => {
                if let Err((_, disabled)) = self.missing_for(name) {
                    let reason = format!("not started: it depends on {disabled}, which is disabled");
                    self.tell(Some(name.clone()), EventKind::Refused { reason: reason.clone() });
                    self.stop(name.clone(), reason);
                } else if wanted == Action::Restart && files_first {
                    // What a check does not accept is found out before anything is stopped.
                    self.configure(name, wanted, why);
                } else {
                    self.wait_for(name, true);
                    match wanted {
                        Action::Restart => self.restart(name.clone(), why),
                        _ => self.start(name.clone(), why),
                    }
                }
            }
        }
    }

    fn insert(&mut self, name: &ServiceName, plan: ServicePlan) {
        self.plan.services.insert(name.clone(), plan);
        self.plan_changes.services.insert(name.clone());
        self.nodes.insert(name.clone(), Node::new(Service::new(self.now, "never started")));
        self.link(name);
    }

    /// Puts another plan in the place of a service's, whatever it is doing.
    fn replan(&mut self, name: &ServiceName, before: &ServicePlan, plan: ServicePlan) {
        let stood = self.standing(name);
        self.unhook(name);
        self.plan.services.insert(name.clone(), plan);
        self.plan_changes.services.insert(name.clone());
        self.hook(name);
        if let (Some(stood), Some(stands)) = (stood, self.standing(name)) {
            // What counts as ready may be something else by now.
            self.spread(name, stood, stands);
        }
        let follows = self.with(name, |machine| machine.replan(before)).flatten();
        self.queue.extend(follows.map(|on| (name.clone(), on)));
    }
}
