//! The plan that the daemon writes down, and what of its changes holds at once.

use std::collections::BTreeMap;

use mainstay_core::{Plan, ServiceName, ServicePlan, StateName};
use mainstay_link::Command;

use super::Driver;
use crate::effects::log_of;
use crate::outbox::{PLAN_KEY, REVISIONS_KEY, TOP_KEY};

impl Driver {
    /// The plan has changed in this service; none: it is gone.
    pub fn note_plan(&mut self, name: &ServiceName, plan: Option<&ServicePlan>) {
        self.watched.plan.send_modify(|count| *count += 1);
        if let Some(plan) = plan {
            if let Some(text) = self.knows.passes_over(name, plan) {
                self.events.stage_own(text);
            }
            self.apply_live(name, plan);
        }
        self.shelf.set(name, plan.map(|plan| &plan.log));
        let key = format!("{PLAN_KEY}{name}");
        self.overlay.insert(key.clone(), *self.watched.plan.borrow());
        self.out.put_json(key, &plan);
    }

    /// What of a changed plan holds for the run that is there.
    fn apply_live(&mut self, name: &ServiceName, plan: &ServicePlan) {
        let Some(status) = self.core.service_status(name.as_str()) else { return };
        if status.state.is_down() {
            return;
        }
        if self.knows.has(mainstay_link::SET_LOG) {
            self.out.command(Command::SetLog(log_of(name, plan)));
        }
        // One that is being stopped ends as it was begun.
        if let Some(run) = status.run.filter(|_| status.state != StateName::Stopping)
            && self.knows.has(mainstay_link::SET_LIMITS)
        {
            self.out.command(Command::SetLimits { run, limits: plan.launch.limits.clone() });
        }
    }

    /// What belongs to no service has changed.
    pub fn note_top(&mut self) {
        self.watched.plan.send_modify(|count| *count += 1);
        self.overlay.insert(TOP_KEY.to_owned(), *self.watched.plan.borrow());
        let top = Plan { services: BTreeMap::new(), ..self.core.plan().clone() };
        self.out.put_json(TOP_KEY, &top);
    }

    /// The list of configurations has changed.
    pub fn note_revisions(&mut self) {
        self.out.put_json(REVISIONS_KEY, &self.revisions);
        self.watched.plan.send_modify(|count| *count += 1);
        self.changed = true;
    }
}
