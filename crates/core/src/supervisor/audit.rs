//! Counts everything anew and compares, after each input of a test.

use super::Supervisor;
use super::graph::Standing;

impl Supervisor {
    pub(crate) fn audit(&self) {
        assert!(self.queue.is_empty());
        let standing = |name| self.standing(name).unwrap();
        assert!(self.nodes.keys().eq(self.plan.services.keys()), "the plan has other services");
        let runs: Vec<_> = self.nodes.keys().filter_map(|name| Some((standing(name).run?, name))).collect();
        assert!(runs.len() == self.runs.len(), "{runs:?}, not {:?}", self.runs);
        assert!(
            runs.iter().all(|(run, name)| self.runs.get(run) == Some(*name)),
            "{runs:?}, not {:?}",
            self.runs
        );
        assert!(runs.iter().all(|(run, _)| run.0 <= self.last_run));
        let not_down = self.nodes.keys().filter(|name| !standing(name).state.is_down()).count();
        assert_eq!(self.not_down, not_down);
        let armed = self.nodes.values().filter(|node| node.armed.is_some()).count();
        assert_eq!(self.timers.len(), armed);
        for (name, node) in &self.nodes {
            let plan = &self.plan.services[name];
            assert_eq!(node.links.unmet, self.count_unmet(plan), "{name} counts what is missing");
            assert_eq!(node.armed, node.service.deadline(plan).map(|(at, _)| at), "the deadline of {name}");
            let dependents = self.plan.services.iter().filter(|(_, plan)| plan.depends_on.contains_key(name));
            assert!(node.links.dependents.keys().eq(dependents.map(|(name, _)| name)));
            for going_down in [false, true] {
                let occupied = self.anyone_above(name, going_down);
                assert_eq!(node.links.has_dependents(going_down), occupied, "{name} counts its dependents");
            }
        }
        self.audit_rest();
    }

    /// What cannot be while nothing happens.
    fn audit_rest(&self) {
        use crate::service::Phase;
        for (name, node) in &self.nodes {
            let phase = &node.service.phase;
            let comes_down = phase.stays_down() || node.service.left;
            assert!(!self.going_down || comes_down, "{name} is {phase:?} in a stack that goes down");
            assert!(!(node.service.removing && phase.state().is_down()), "{name} was to be removed");
            match phase {
                Phase::Waiting(waiting) => {
                    assert!(node.links.unmet > 0, "{name} waits for nothing");
                    let known = waiting.on.is_some() || self.lacks_session(&self.plan.services[name]);
                    assert!(known, "{name} does not say what it waits for");
                }
                Phase::Holding(_) => {
                    assert!(node.links.has_dependents(self.going_down), "{name} holds for nobody");
                }
                _ => {}
            }
        }
        let left = self.nodes.values().filter(|node| node.service.left).count();
        assert_eq!(self.left, left);
        assert!(left == 0 || self.going_down, "something is left alone in a stack that is up");
        assert!(!self.told_down || self.not_down == 0);
    }

    /// Whether any dependent is on its way down, or has no process and such a dependent itself.
    fn anyone_above(&self, name: &crate::ServiceName, all: bool) -> bool {
        self.nodes[name].links.dependents.iter().any(|(dependent, condition)| {
            (all || *condition != crate::Condition::Completed)
                && self.standing(dependent).is_some_and(|standing: Standing| {
                    standing.is_leaving() || (standing.run.is_none() && self.anyone_above(dependent, all))
                })
        })
    }
}
