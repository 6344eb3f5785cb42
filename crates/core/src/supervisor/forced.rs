//! What is told when everything is ended by force, past this supervisor.

use super::{Node, Supervisor};
use crate::service::Phase;
use crate::{Event, EventKind, Exit, ServiceName, StateName, Time};

impl Supervisor {
    /// What becomes of each service that runs: somebody else ends them all, and this supervisor too. Nothing is changed.
    pub fn ended_by_force(&self, now: Time, why: &str) -> Vec<Event> {
        self.nodes.iter().flat_map(|(name, node)| self.forced(name, node, now, why)).collect()
    }

    fn forced(&self, name: &ServiceName, node: &Node, now: Time, why: &str) -> Vec<Event> {
        let phase = &node.service.phase;
        let Some(run) = phase.run() else { return Vec::new() };
        let has_hook = self.plan.services.get(name).is_some_and(|plan| plan.hooks.before_stop.is_some());
        let hook = match phase {
            Phase::BeforeStop(_) => "; its before_stop hook is broken off",
            // It was run, or the program had ended by itself.
            Phase::Stopping(_) => "",
            _ if has_hook && run.exit.is_none() => "; its before_stop hook is not run",
            _ => "",
        };
        let reason = format!("everything is ended by force, {why}{hook}");
        let mut kinds = vec![
            EventKind::State { from: node.service.state(), to: StateName::Stopping, reason },
            EventKind::StopStep { step: "kill of the whole tree".to_owned() },
        ];
        if run.exit.is_none() && run.pid.is_some() {
            kinds.push(EventKind::Exited { exit: Exit::Unknown, after: now.since(run.started) });
        }
        let event = |kind| Event { service: Some(name.clone()), run: Some(run.id), kind };
        kinds.into_iter().map(event).collect()
    }
}
