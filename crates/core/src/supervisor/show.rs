//! What can be seen of a supervisor.

use super::sessions::NOBODY;
use super::{Node, Supervisor};
use crate::service::Phase;
use crate::{Frost, Over, RunId, ServiceName, ServiceStatus, StartMode, StateName, Time};

/// The most lines that say what a service waits for.
const LINES: usize = 20;

impl Supervisor {
    /// All services, by name.
    pub fn status(&self) -> Vec<ServiceStatus> {
        self.nodes.iter().map(|(name, node)| self.show(name, node)).collect()
    }

    /// One service.
    pub fn service_status(&self, name: &str) -> Option<ServiceStatus> {
        let (name, node) = self.nodes.get_key_value(name)?;
        Some(self.show(name, node))
    }

    /// A service's state, for those who need no more: cheaper than its status.
    pub fn state(&self, name: &str) -> Option<StateName> {
        self.nodes.get(name).map(|node| node.service.state())
    }

    /// All services by name, each with its run, the run's process, and when it was started, if it has them: cheaper
    /// than their status.
    pub fn processes(&self) -> impl Iterator<Item = (&ServiceName, Option<(RunId, u32, Time)>)> {
        self.nodes.iter().map(|(name, node)| {
            let phase = &node.service.phase;
            let run = || Some((phase.run_id()?, phase.run()?.pid?, phase.run()?.started));
            (name, run())
        })
    }

    /// Whether each service that starts with the stack has come up, or has ended at least once: nothing is still on its
    /// first way up. A service that waits for another one that does not come up is.
    pub fn is_settled(&self) -> bool {
        let automatic = self.plan.services.iter().filter(|(_, plan)| plan.start == StartMode::Auto);
        automatic.into_iter().all(|(name, plan)| match self.state(name.as_str()) {
            Some(StateName::Starting) => self.waits_for_logon(name),
            Some(StateName::Running) => plan.ready.is_none(),
            _ => true,
        })
    }

    /// How far the stack as a whole is with pausing.
    pub fn frost(&self) -> Frost {
        let (mut runs, mut paused) = (false, false);
        for node in self.nodes.values() {
            match node.service.state() {
                StateName::Pausing | StateName::Continuing => return Frost::Changes,
                StateName::Starting | StateName::Running | StateName::Ready | StateName::Stopping => {
                    runs = true;
                }
                StateName::Paused => paused = true,
                StateName::Stopped | StateName::Backoff | StateName::Failed | StateName::Completed => {}
            }
        }
        // What waits for its restart, or was stopped, is not paused.
        if paused && !runs { Frost::Frozen } else { Frost::Runs }
    }

    /// Whether nothing runs and nothing will by itself: each service that starts with the stack has failed for good or
    /// has run to its end. Not if somebody has stopped one, or may want to start one by hand.
    pub fn over(&self) -> Option<Over> {
        let mut failed = Vec::new();
        for (name, plan) in &self.plan.services {
            let service = &self.nodes.get(name)?.service;
            match service.state() {
                StateName::Failed => failed.push(format!("{name}: {}", service.reason)),
                StateName::Completed if plan.start == StartMode::Auto => {}
                StateName::Stopped if plan.start == StartMode::Disabled => {}
                _ => return None,
            }
        }
        (!self.plan.services.is_empty() && !self.going_down).then_some(Over { failed })
    }

    fn show(&self, name: &ServiceName, node: &Node) -> ServiceStatus {
        let service = &node.service;
        let run = service.phase.run();
        ServiceStatus {
            name: name.clone(),
            state: service.state(),
            since: service.since,
            reason: service.reason.clone(),
            run: service.phase.run_id(),
            pid: run.and_then(|run| run.pid),
            started: run.map(|run| run.started),
            restarts: service.tally.restarts,
            // What somebody stopped does not go on ending. What failed did until then.
            crash_loop: service.tally.crash_loop && service.state() != StateName::Stopped,
            next_start: match &service.phase {
                Phase::Backoff(backoff) => Some(backoff.until),
                _ => None,
            },
            last_exit: service.last_exit,
            waiting_for: self.waiting_for(name, node),
            says: run.and_then(|run| run.probes.says()).map(str::to_owned),
            probes: run.map(|run| run.probes.status(self.plan.services.get(name))).unwrap_or_default(),
            left: service.left,
        }
    }

    fn waiting_for(&self, name: &ServiceName, node: &Node) -> Vec<String> {
        let lines: Vec<String> = match &node.service.phase {
            Phase::Waiting(_) => {
                let needs = self.plan.services.get(name).into_iter().flat_map(|plan| &plan.depends_on);
                let unmet = needs.filter(|(dependency, condition)| !self.is_met(dependency, **condition));
                let nobody = self.plan.services.get(name).is_some_and(|plan| self.lacks_session(plan));
                let nobody = nobody.then(|| NOBODY.to_owned());
                unmet
                    .map(|(dependency, condition)| {
                        let obstacle = self.obstacle(dependency, *condition);
                        match self.nodes.get(dependency).map(|node| &node.service) {
                            Some(service) if !service.state().is_down() => {
                                format!("{obstacle} ({}: {})", service.state(), service.reason)
                            }
                            _ => obstacle,
                        }
                    })
                    .chain(nobody)
                    .take(LINES)
                    .collect()
            }
            Phase::Preparing(_) => vec!["its hooks, which come first, have not ended yet".to_owned()],
            Phase::BeforeStop(_) => vec!["its before_stop hook has not ended yet".to_owned()],
            Phase::Holding(_) => {
                let dependents =
                    node.links.dependents.keys().filter_map(|name| Some((name, self.nodes.get(name)?)));
                let busy = dependents.filter(|(_, node)| node.service.state() == StateName::Stopping);
                busy.map(|(name, node)| format!("{name} is still {}", node.service.state()))
                    .take(LINES)
                    .collect()
            }
            _ => Vec::new(),
        };
        lines
    }
}
