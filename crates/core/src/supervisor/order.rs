//! Walks along the dependencies: in which order, and what else has to start or stop.

use std::convert::Infallible;

use super::Supervisor;
use super::graph::Edges;
use crate::walks::bottom_up;
use crate::{ServiceName, StartMode, StateName};

impl Supervisor {
    /// What must be started before `name` can be: what it depends on and what that depends on, as far as it is not
    /// there and not coming. Dependencies first. What has failed is left alone: somebody has to look at it.
    ///
    /// # Errors
    /// A dependency that never starts because it is disabled, with the service that needs it.
    pub(super) fn missing_for(
        &self,
        name: &ServiceName,
    ) -> Result<Vec<ServiceName>, (ServiceName, ServiceName)> {
        let mut order = bottom_up([name], |at| {
            let mut missing = Vec::new();
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
                missing.push(dependency);
            }
            Ok(missing)
        })?;
        order.retain(|at| {
            at != name && self.nodes.get(at).is_some_and(|node| node.service.phase.stays_down())
        });
        Ok(order)
    }

    /// All that has to stop before `name` does: what depends on it running, directly or not. Dependents first.
    pub(super) fn dependents_of(&self, name: &ServiceName) -> Vec<ServiceName> {
        let Ok(mut order) = bottom_up([name], |at| {
            let links = self.nodes.get(at).into_iter().flat_map(|node| &node.links.dependents);
            let running = links.filter(|(_, condition)| Edges::Running.count(**condition));
            Ok::<_, Infallible>(running.map(|(dependent, _)| dependent).collect())
        });
        order.retain(|at| at != name);
        order
    }
}
