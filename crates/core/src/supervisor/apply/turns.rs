//! Whose turn it is: what goes first, what depends on nothing that is on its way, what goes last.

use std::collections::VecDeque;

use crate::service::On;
use crate::supervisor::Supervisor;
use crate::{ServiceName, ServicePlan};

impl Supervisor {
    /// Changes those whose turn it is. Whether there was one.
    pub(super) fn next_ones(&mut self) -> bool {
        let mut went = self.let_go(false);
        if !self.way.gone.is_empty() {
            return went;
        }
        let at_once = usize::try_from(self.plan.reload.at_once.max(1)).unwrap_or(usize::MAX);
        let mut passed_over = VecDeque::new();
        while self.progress.gates.len() < at_once
            && let Some(name) = self.way.todo.pop_front()
        {
            let goal = self.goal_of(&name);
            let waits = |on: &ServiceName| passed_over.contains(on) || self.progress.gates.contains_key(on);
            if goal.as_ref().is_some_and(|plan| plan.depends_on.keys().any(waits)) {
                passed_over.push_back(name);
                continue;
            }
            if let Some(plan) = goal {
                self.change(&name, plan);
                went = true;
            }
        }
        passed_over.append(&mut self.way.todo);
        self.way.todo = passed_over;
        if self.way.todo.is_empty() && self.progress.gates.is_empty() {
            went |= self.let_go(true);
        }
        went
    }

    /// Takes those out that nothing depends on any more. Whether there was one to begin with.
    fn let_go(&mut self, late: bool) -> bool {
        let Some(apply) = &self.apply else { return false };
        let why = format!("not in the configuration any more, revision {}", apply.revision);
        let gone = if late { &mut self.way.gone_late } else { &mut self.way.gone };
        gone.retain(|name| self.nodes.contains_key(name));
        let free = |name: &&ServiceName| {
            self.nodes
                .get(*name)
                .is_some_and(|node| node.links.dependents.is_empty() && !node.service.removing)
        };
        let free: Vec<ServiceName> = gone.iter().filter(free).cloned().collect();
        for name in &free {
            self.wait_for(name, false);
            if let Some(node) = self.nodes.get_mut(name) {
                node.service.removing = true;
                self.queue.push_back((name.clone(), On::Stop(why.clone())));
            }
        }
        !free.is_empty()
    }

    fn goal_of(&self, name: &ServiceName) -> Option<ServicePlan> {
        let apply = self.apply.as_ref()?;
        let goal = if self.progress.going_back.is_some() { &apply.back } else { &apply.goal };
        goal.services.get(name)?.clone()
    }
}
