//! Who depends on whom, and what a change of one means for the others.
//!
//! Nothing here is in the snapshots: counts are kept up to date with each change, so that no change looks at more
//! than the services beside it, and counted anew after a restore.

use std::collections::{BTreeMap, VecDeque};

use super::Supervisor;
use super::sessions::NOBODY;
use crate::service::{On, Phase, Service};
use crate::{Condition, EventKind, RunId, ServiceName, ServicePlan, StateName};

/// A service's place among the others.
#[derive(Default)]
pub(super) struct Links {
    /// Those that depend on it, and what for.
    pub dependents: BTreeMap<ServiceName, Condition>,
    /// How many of its dependencies are not there.
    pub unmet: usize,
    /// How many of its dependents are occupied; for each of [`Edges`].
    occupied_dependents: [usize; 2],
    /// Whether it is occupied: it is on its way down, or has no process and an occupied dependent. As its
    /// dependencies count it. One that runs is not: it may have been started again since, and never stop.
    occupied: [bool; 2],
}

/// Which dependencies count when a stop waits for dependents.
#[derive(Clone, Copy)]
pub(super) enum Edges {
    /// Those on something that runs. Who needs a job only completed does not stop with it.
    Running,
    /// All: when the whole stack goes down.
    All,
}

const EDGES: [Edges; 2] = [Edges::Running, Edges::All];

impl Edges {
    pub(super) fn count(self, condition: Condition) -> bool {
        match self {
            Edges::Running => condition != Condition::Completed,
            Edges::All => true,
        }
    }
}

impl Links {
    /// Whether a stop has to wait for dependents.
    pub(super) fn has_dependents(&self, going_down: bool) -> bool {
        let edges = if going_down { Edges::All } else { Edges::Running };
        self.occupied_dependents[edges as usize] > 0
    }
}

/// What of a service matters to others.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Standing {
    pub state: StateName,
    pub run: Option<RunId>,
    level: Level,
}

/// Which conditions it meets.
#[derive(Clone, Copy, PartialEq)]
struct Level {
    started: bool,
    ready: bool,
    completed: bool,
}

impl Standing {
    pub(super) fn of(service: &Service, plan: &ServicePlan) -> Self {
        let state = service.state();
        // What has completed has been started.
        let completed = state == StateName::Completed;
        let started = state.is_started() || completed;
        let ready = match state {
            StateName::Ready => true,
            StateName::Running | StateName::Completed => plan.ready.is_none(),
            _ => false,
        };
        Standing { state, run: service.phase.run_id(), level: Level { started, ready, completed } }
    }

    pub(super) fn meets(self, condition: Condition) -> bool {
        match condition {
            Condition::Started => self.level.started,
            Condition::Ready => self.level.ready,
            Condition::Completed => self.level.completed,
        }
    }

    /// Whether its process is being ended, or will be as soon as its dependents are gone.
    pub(super) fn is_leaving(self) -> bool {
        self.state == StateName::Stopping
    }
}

impl Supervisor {
    /// How a service stands now.
    pub(super) fn standing(&self, name: &ServiceName) -> Option<Standing> {
        Some(Standing::of(&self.nodes.get(name)?.service, self.plan.services.get(name)?))
    }

    /// Whether what a service asks of a dependency is there.
    pub(super) fn is_met(&self, dependency: &ServiceName, condition: Condition) -> bool {
        self.standing(dependency).is_some_and(|standing| standing.meets(condition))
    }

    /// How much of what a service needs is not there, a session that it wants included.
    pub(super) fn count_unmet(&self, plan: &ServicePlan) -> usize {
        let unmet =
            plan.depends_on.iter().filter(|(dependency, condition)| !self.is_met(dependency, **condition));
        unmet.count() + usize::from(self.lacks_session(plan))
    }

    /// Counts everything anew.
    pub(super) fn link_all(&mut self) {
        let names: Vec<ServiceName> = self.nodes.keys().cloned().collect();
        for name in &names {
            self.link(name);
        }
        for name in &names {
            if let Some(standing) = self.standing(name) {
                self.not_down += usize::from(!standing.state.is_down());
                self.left += self.nodes.get(name).map_or(0, |node| usize::from(node.service.left));
                if let Some(run) = standing.run {
                    self.runs.insert(run, name.clone());
                }
                self.occupy(name);
            }
        }
    }

    /// Gives a service its place among the others.
    pub(super) fn link(&mut self, name: &ServiceName) {
        let Some(plan) = self.plan.services.get(name) else { return };
        let unmet = self.count_unmet(plan);
        for (dependency, condition) in &plan.depends_on {
            if let Some(node) = self.nodes.get_mut(dependency) {
                node.links.dependents.insert(name.clone(), *condition);
            }
        }
        if let Some(node) = self.nodes.get_mut(name) {
            node.links.unmet = unmet;
        }
    }

    /// Takes a service's edges to its dependencies away, for others to take their place.
    pub(super) fn unhook(&mut self, name: &ServiceName) {
        let Some(plan) = self.plan.services.get(name) else { return };
        let needs: Vec<(ServiceName, Condition)> =
            plan.depends_on.iter().map(|(name, condition)| (name.clone(), *condition)).collect();
        let occupied = self.nodes.get_mut(name).map(|node| std::mem::take(&mut node.links.occupied));
        for (dependency, condition) in &needs {
            let Some(node) = self.nodes.get_mut(dependency) else { continue };
            node.links.dependents.remove(name);
            for edges in EDGES.into_iter().filter(|edges| edges.count(*condition)) {
                let counted = occupied.is_some_and(|occupied| occupied[edges as usize]);
                node.links.occupied_dependents[edges as usize] -= usize::from(counted);
            }
            if matches!(node.service.phase, Phase::Holding(_)) && !node.links.has_dependents(self.going_down)
            {
                self.queue.push_back((dependency.clone(), On::DependentsDown));
            }
        }
        for (dependency, _) in &needs {
            self.occupy(dependency);
        }
    }

    /// Gives a service with a new plan its place among the others.
    pub(super) fn hook(&mut self, name: &ServiceName) {
        self.link(name);
        self.occupy(name);
        let Some(node) = self.nodes.get_mut(name) else { return };
        if let Phase::Waiting(waiting) = &mut node.service.phase {
            waiting.on = None;
            if node.links.unmet == 0 {
                self.queue.push_back((name.clone(), On::Unblocked));
            }
        }
    }

    /// Takes a service that is down, and that nothing depends on, out of the stack.
    fn unlink(&mut self, name: &ServiceName) {
        self.plan_changes.services.insert(name.clone());
        // What it depended on may go now.
        self.way.look = true;
        if let Some(plan) = self.plan.services.remove(name) {
            for dependency in plan.depends_on.keys() {
                if let Some(node) = self.nodes.get_mut(dependency) {
                    node.links.dependents.remove(name);
                }
            }
        }
        self.nodes.remove(name);
    }

    /// Lets the others know how a service's standing has changed.
    pub(super) fn spread(&mut self, name: &ServiceName, before: Standing, after: Standing) {
        if before != after {
            self.not_down =
                self.not_down + usize::from(!after.state.is_down()) - usize::from(!before.state.is_down());
            if before.run != after.run {
                before.run.and_then(|run| self.runs.remove(&run));
                after.run.and_then(|run| self.runs.insert(run, name.clone()));
            }
            if before.run != after.run || before.is_leaving() != after.is_leaving() {
                self.occupy(name);
            }
            self.wake_dependents(name, before, after);
        }
        let Some(node) = self.nodes.get(name) else { return };
        match &node.service.phase {
            Phase::Waiting(waiting) if waiting.on.is_none() => self.look_what_blocks(name),
            phase if node.service.removing && phase.state().is_down() => self.unlink(name),
            _ => {}
        }
    }

    /// Tells the dependents that wait which of their conditions are met now, or why they are not.
    fn wake_dependents(&mut self, name: &ServiceName, before: Standing, after: Standing) {
        // The dependents are put back below; nothing in between needs them.
        let Some(node) = self.nodes.get_mut(name) else { return };
        let dependents = std::mem::take(&mut node.links.dependents);
        let other_obstacle = Obstacle::of(before.state) != Obstacle::of(after.state);
        let failed = after.state == StateName::Failed;
        for (dependent, condition) in &dependents {
            let Some(node) = self.nodes.get_mut(dependent) else { continue };
            let (met_before, met_now) = (before.meets(*condition), after.meets(*condition));
            node.links.unmet = node.links.unmet + usize::from(met_before) - usize::from(met_now);
            let Phase::Waiting(waiting) = &mut node.service.phase else { continue };
            if node.links.unmet == 0 {
                self.queue.push_back((dependent.clone(), On::Unblocked));
                continue;
            }
            if failed && !met_now {
                waiting.on = Some(name.clone());
            }
            if (other_obstacle || met_before != met_now) && waiting.on.as_ref() == Some(name) {
                self.look_what_blocks(dependent);
            }
        }
        if let Some(node) = self.nodes.get_mut(name) {
            node.links.dependents = dependents;
        }
    }

    /// Looks for a dependency that a waiting service waits for, and tells it if that is news. The one that it waited
    /// for before stays it, if it is still not there; else the search goes on behind it, so that the whole search
    /// of a long wait looks at each dependency about once.
    pub(super) fn look_what_blocks(&mut self, name: &ServiceName) {
        let (Some(node), Some(plan)) = (self.nodes.get(name), self.plan.services.get(name)) else { return };
        let Phase::Waiting(waiting) = &node.service.phase else { return };
        let unmet =
            |(dependency, condition): &(&ServiceName, &Condition)| !self.is_met(dependency, **condition);
        let blocks = match &waiting.on {
            Some(on) => {
                let behind = plan.depends_on.range::<ServiceName, _>(on..);
                behind.chain(plan.depends_on.range::<ServiceName, _>(..on)).find(unmet)
            }
            None => plan.depends_on.iter().find(unmet),
        };
        let (on, reason) = match blocks {
            Some((dependency, condition)) => {
                (Some(dependency.clone()), self.obstacle(dependency, *condition))
            }
            None if self.lacks_session(plan) => (None, NOBODY.to_owned()),
            None => return,
        };
        let Some(node) = self.nodes.get_mut(name) else { return };
        let Phase::Waiting(waiting) = &mut node.service.phase else { return };
        waiting.on = on;
        if node.service.reason != reason {
            node.service.reason.clone_from(&reason);
            self.tell(Some(name.clone()), EventKind::Waiting { reason });
        }
        self.dirty.insert(name.clone());
    }

    /// Why a dependency is not there, in words that change only when somebody may have to do something.
    pub(super) fn obstacle(&self, dependency: &ServiceName, condition: Condition) -> String {
        let (Some(node), Some(plan)) = (self.nodes.get(dependency), self.plan.services.get(dependency))
        else {
            return format!("{dependency} is not in the stack");
        };
        match Obstacle::of(node.service.state()) {
            Obstacle::Failed => format!("{dependency} failed: {}; start it or fix it", node.service.reason),
            Obstacle::Stopped if plan.start == crate::StartMode::Disabled => {
                format!("{dependency} is disabled")
            }
            Obstacle::Stopped => format!("{dependency} is stopped; start it"),
            Obstacle::Completed => format!("{dependency} has completed and is not ready; start it"),
            Obstacle::OnItsWay => match condition {
                Condition::Started => format!("{dependency} is not started yet"),
                Condition::Ready => format!("{dependency} is not ready yet"),
                Condition::Completed => format!("{dependency} has not completed yet"),
            },
        }
    }

    /// Lets the dependencies know whether they have to wait for the service, or for one that depends on it, to go.
    fn occupy(&mut self, name: &ServiceName) {
        for edges in EDGES {
            self.occupy_along(name, edges);
        }
    }

    fn occupy_along(&mut self, name: &ServiceName, edges: Edges) {
        let going_down = self.going_down;
        let mut changed = VecDeque::from([name.clone()]);
        while let Some(name) = changed.pop_front() {
            let Some(standing) = self.standing(&name) else { continue };
            let (Some(node), Some(plan)) = (self.nodes.get_mut(&name), self.plan.services.get(&name)) else {
                continue;
            };
            let passes_on = standing.run.is_none() && node.links.occupied_dependents[edges as usize] > 0;
            let occupied = standing.is_leaving() || passes_on;
            if std::mem::replace(&mut node.links.occupied[edges as usize], occupied) == occupied {
                continue;
            }
            for (dependency, _) in plan.depends_on.iter().filter(|(_, condition)| edges.count(**condition)) {
                let Some(node) = self.nodes.get_mut(dependency) else { continue };
                let count = &mut node.links.occupied_dependents[edges as usize];
                *count = *count + usize::from(occupied) - usize::from(!occupied);
                if matches!(node.service.phase, Phase::Holding(_)) && !node.links.has_dependents(going_down) {
                    self.queue.push_back((dependency.clone(), On::DependentsDown));
                }
                changed.push_back(dependency.clone());
            }
        }
    }
}

/// What stands in the way of a dependent, as far as it makes a difference to a person.
#[derive(Clone, Copy, PartialEq)]
enum Obstacle {
    OnItsWay,
    Stopped,
    Failed,
    Completed,
}

impl Obstacle {
    fn of(state: StateName) -> Self {
        match state {
            StateName::Stopped => Obstacle::Stopped,
            StateName::Failed => Obstacle::Failed,
            StateName::Completed => Obstacle::Completed,
            StateName::Starting
            | StateName::Running
            | StateName::Ready
            | StateName::Pausing
            | StateName::Paused
            | StateName::Continuing
            | StateName::Stopping
            | StateName::Backoff => Obstacle::OnItsWay,
        }
    }
}
