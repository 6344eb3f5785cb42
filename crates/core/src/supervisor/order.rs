//! Walks along the dependencies: in which order, and what else has to start or stop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Supervisor;
use super::graph::Edges;
use crate::{ServiceName, StartMode, StateName};

impl Supervisor {
    /// All services, dependencies before dependents, else by name.
    pub(super) fn in_order(&self) -> Vec<ServiceName> {
        let here = |name: &ServiceName| self.nodes.contains_key(name);
        let mut missing: BTreeMap<&ServiceName, usize> = BTreeMap::new();
        let mut free: VecDeque<&ServiceName> = VecDeque::new();
        for (name, plan) in &self.plan.services {
            match plan.depends_on.keys().filter(|dependency| here(dependency)).count() {
                0 => free.push_back(name),
                count => drop(missing.insert(name, count)),
            }
        }
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(name) = free.pop_front() {
            order.push(name.clone());
            for dependent in self.nodes.get(name).into_iter().flat_map(|node| node.links.dependents.keys()) {
                if let Some(count) = missing.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        missing.remove(dependent);
                        free.push_back(dependent);
                    }
                }
            }
        }
        // What is left depends on itself in a circle, which no valid plan has. It will say what it waits for.
        order.extend(missing.into_keys().cloned());
        order
    }

    /// What must be started before `name` can be: what it depends on and what that depends on, as far as it is not
    /// there and not coming. Dependencies first. What has failed is left alone: somebody has to look at it.
    ///
    /// # Errors
    /// A dependency that never starts because it is disabled, with the service that needs it.
    pub(super) fn missing_for(
        &self,
        name: &ServiceName,
    ) -> Result<Vec<ServiceName>, (ServiceName, ServiceName)> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        let mut open = vec![(name, false)];
        while let Some((at, done)) = open.pop() {
            if done {
                order.push(at.clone());
                continue;
            }
            if !seen.insert(at) {
                continue;
            }
            open.push((at, true));
            for (dependency, condition) in
                self.plan.services.get(at).into_iter().flat_map(|plan| &plan.depends_on)
            {
                let (Some(node), Some(plan)) =
                    (self.nodes.get(dependency), self.plan.services.get(dependency))
                else {
                    continue;
                };
                if self.is_met(dependency, *condition) || node.service.state() == StateName::Failed {
                    continue;
                }
                if plan.start == StartMode::Disabled && node.service.phase.stays_down() {
                    return Err((at.clone(), dependency.clone()));
                }
                open.push((dependency, false));
            }
        }
        order.retain(|at| {
            at != name && self.nodes.get(at).is_some_and(|node| node.service.phase.stays_down())
        });
        Ok(order)
    }

    /// All that has to stop before `name` does: what depends on it running, directly or not. Dependents first.
    pub(super) fn dependents_of(&self, name: &ServiceName) -> Vec<ServiceName> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        let mut open = vec![(name, false)];
        while let Some((at, done)) = open.pop() {
            if done {
                order.push(at.clone());
                continue;
            }
            if !seen.insert(at) {
                continue;
            }
            open.push((at, true));
            for (dependent, condition) in
                self.nodes.get(at).into_iter().flat_map(|node| &node.links.dependents)
            {
                if Edges::Running.count(*condition) {
                    open.push((dependent, false));
                }
            }
        }
        order.retain(|at| at != name);
        order
    }
}
