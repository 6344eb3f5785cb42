//! The reference: what somebody who has read `docs/lifecycle.md` expects of each service, as far as it says
//! something definite. Written from that page, not from the core.
//!
//! It follows the trace like any [`Rule`] and says after each step in which states a service may be.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_core::{
    Condition, Effect, EventKind, Exit, ExitAction, Input, Request, RestartPolicy, RunId, ServiceName, ServicePlan,
    StartMode, StateName, Time,
};

use crate::invariants::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

mod health;

use health::Health;

/// The reference for all services.
#[derive(Debug, Default)]
pub struct Model {
    services: BTreeMap<ServiceName, Expected>,
}

/// What is expected of one service.
#[derive(Debug)]
struct Expected {
    /// Where it may be when it has no run.
    at_rest: BTreeSet<StateName>,
    /// Whether somebody asked for the end of the present run.
    end_requested: bool,
    /// Whether it is to start again after that end.
    start_after: bool,
    /// Whether requests crossed each other in a way that leaves a choice.
    unsure: bool,
    /// What its probes say.
    health: Health,
    /// When automatic restarts were due, all of them and those since the last start by hand.
    restarts: Vec<Time>,
}

impl Default for Expected {
    fn default() -> Self {
        Expected {
            at_rest: BTreeSet::from([StateName::Stopped]),
            end_requested: false,
            start_after: false,
            unsure: false,
            health: Health::default(),
            restarts: Vec::new(),
        }
    }
}

const UP: [StateName; 2] = [StateName::Starting, StateName::Backoff];

impl Rule for Model {
    fn name(&self) -> &'static str {
        "as documented"
    }

    fn input(&mut self, facts: &Facts, step: &Step) -> Verdict {
        self.services.retain(|name, _| facts.plan.services.contains_key(name));
        for name in facts.plan.services.keys() {
            if !self.services.contains_key(name) {
                self.services.insert(name.clone(), Expected::default());
            }
        }
        match &step.cause {
            Cause::Input(Input::Request { request, .. }) if !step.is_refusal() => self.request(facts, request),
            Cause::Input(input) if !facts.idle_input => self.happened(facts, step.at, input),
            _ => {}
        }
        Ok(())
    }

    fn effect(&mut self, facts: &Facts, _at: Time, effect: &Effect) -> Verdict {
        match effect {
            Effect::Spawn { service, .. } => {
                let Some(expected) = self.services.get_mut(service) else { return Ok(()) };
                expected.end_requested = false;
                expected.start_after = false;
                expected.unsure = false;
                expected.health = Health::default();
                Ok(())
            }
            Effect::Signal { run, .. } | Effect::Kill { run } => self.may_end(facts, *run),
            Effect::Tell(event) => {
                if let (Some(name), EventKind::State { to: StateName::Pausing, .. }) = (&event.service, &event.kind)
                    && let Some(expected) = self.services.get_mut(name)
                {
                    expected.health.pause();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn after(&mut self, facts: &Facts, _step: &Step) -> Verdict {
        for (name, expected) in &self.services {
            let state = facts.state(name);
            let Some(may) = expected.states(facts, name) else { continue };
            if !may.contains(&state) {
                return Err(format!("{name} is {state}, expected {may:?}"));
            }
            if state == StateName::Starting
                && facts.run_of(name).is_none()
                && surely_may_start(facts, name)
                && !self.waits_for_stop(facts, name)
            {
                return Err(format!("{name} has all it waits for, but does not start"));
            }
        }
        Ok(())
    }
}

impl Model {
    fn get(&mut self, name: &ServiceName) -> &mut Expected {
        self.services.entry(name.clone()).or_default()
    }

    fn request(&mut self, facts: &Facts, request: &Request) {
        match request {
            Request::Up => {
                let auto = facts.plan.services.iter().filter(|(_, plan)| plan.start == StartMode::Auto);
                let names: BTreeSet<_> = auto.flat_map(|(name, _)| facts.with_dependencies(name)).collect();
                for name in names {
                    self.get(&name).start(facts, &name, false);
                }
            }
            Request::Add(_, plan) if plan.start != StartMode::Auto => {}
            Request::Start(name) | Request::Add(name, _) => {
                for on in facts.with_dependencies(name) {
                    self.get(&on).start(facts, &on, on == *name);
                }
            }
            Request::Restart(name) => {
                for on in facts.with_dependencies(name) {
                    self.get(&on).start(facts, &on, on == *name);
                }
                let up = facts.run_of(name).is_some();
                let expected = self.get(name);
                expected.end_requested |= up;
                expected.start_after |= up;
            }
            Request::Stop(name) => {
                for name in facts.with_dependents(name) {
                    self.get(&name).stop();
                }
            }
            Request::Remove(name) => self.get(name).stop(),
            Request::Down => self.services.values_mut().for_each(Expected::stop),
            Request::Pause(_) | Request::Continue(_) => {}
        }
    }

    fn happened(&mut self, facts: &Facts, at: Time, input: &Input) {
        let run = match input {
            Input::SpawnFailed { run, .. }
            | Input::Exited { run, .. }
            | Input::TreeEmpty { run }
            | Input::ProbeResult { run, .. }
            | Input::Notify { run, .. } => run,
            _ => return,
        };
        let Some(run) = facts.runs.get(run) else { return };
        let Some(plan) = facts.service(&run.service) else { return };
        let expected = self.get(&run.service);
        match input {
            Input::ProbeResult { probe, outcome, .. } if run.first_asked_to_end().is_none() => {
                expected.health.answer(plan, *probe, outcome.ok, facts.state(&run.service));
            }
            Input::Notify { text, .. } if text.lines().any(|line| line == "READY=1") => {
                expected.health.notified(plan);
            }
            _ => {}
        }
        if run.gone.is_some() {
            expected.gone(plan, at, run.ended.and_then(|(_, exit)| exit));
        }
    }

    /// Nothing ends a process but a request, its probes, or its own end.
    fn may_end(&self, facts: &Facts, run: RunId) -> Verdict {
        let Some(run) = facts.runs.get(&run) else { return Ok(()) };
        let Some(expected) = self.services.get(&run.service) else { return Ok(()) };
        if expected.end_requested || !run.main_is_there() || expected.health.is_lost() || expected.health.unsure {
            return Ok(());
        }
        Err(format!("{} is asked to end for no reason", run.service))
    }

    /// Whether something that needs this service is still on its way down.
    fn waits_for_stop(&self, facts: &Facts, name: &ServiceName) -> bool {
        facts.dependents(name).any(|dependent| facts.run_of(dependent).is_some())
    }
}

impl Expected {
    /// A start is asked for, by name or because something depends on it.
    fn start(&mut self, facts: &Facts, name: &ServiceName, by_name: bool) {
        match facts.run_of(name) {
            Some((_, run)) if self.end_requested => {
                self.start_after = true;
                // A stop that waits for its dependents may be taken back.
                self.unsure |= run.first_asked_to_end().is_none();
            }
            Some((_, run)) => self.unsure |= !run.main_is_there() || self.health.is_lost(),
            None => {
                let state = facts.state(name);
                if !by_name && matches!(state, StateName::Failed | StateName::Completed) {
                    self.at_rest.insert(state);
                } else {
                    self.at_rest.retain(|may| !may.is_down());
                }
                self.at_rest.extend(UP);
            }
        }
        self.restarts.clear();
    }

    fn stop(&mut self) {
        self.end_requested = true;
        self.start_after = false;
        if self.at_rest.iter().any(|state| !state.is_down()) {
            self.at_rest = BTreeSet::from([StateName::Stopped, StateName::Failed, StateName::Completed]);
        } else {
            self.at_rest.insert(StateName::Stopped);
        }
    }

    /// Nothing of its run is left; what follows?
    fn gone(&mut self, plan: &ServicePlan, at: Time, exit: Option<Exit>) {
        let mut after = BTreeSet::new();
        if self.unsure {
            after.extend(StateName::ALL);
        } else if self.end_requested && self.start_after {
            after.extend(UP);
        } else if self.end_requested {
            after.insert(StateName::Stopped);
        } else {
            let exit = exit.unwrap_or(Exit::Unknown);
            after.extend(self.follows(plan, exit, at));
            if self.health.is_lost() || self.health.unsure {
                // It counts as a failure, whatever the exit code says; unless the plan names the code.
                after.extend(self.follows(plan, Exit::Unknown, at));
            }
            if after.contains(&StateName::Backoff) {
                self.restarts.push(at);
            }
        }
        self.at_rest = after;
        self.end_requested = false;
        self.start_after = false;
    }

    /// The states that may follow an end that nobody asked for.
    fn follows(&self, plan: &ServicePlan, exit: Exit, at: Time) -> Vec<StateName> {
        let action = match exit {
            Exit::Code(code) => plan.restart.on_exit.get(&code),
            Exit::Signal(_) | Exit::Unknown => None,
        };
        let again = match (action, plan.restart.policy) {
            (Some(ExitAction::Stop), _) => return vec![StateName::Completed],
            (Some(ExitAction::Fail), _) => return vec![StateName::Failed],
            (Some(ExitAction::Restart | ExitAction::RestartNow), _) | (None, RestartPolicy::Always) => true,
            (None, RestartPolicy::OnFailure) => !exit.is_success(),
            (None, RestartPolicy::Never) => false,
        };
        match &plan.restart.limit {
            _ if !again && exit.is_success() => vec![StateName::Completed],
            _ if !again => vec![StateName::Failed],
            None => UP.to_vec(),
            Some(limit) => {
                let most = usize::try_from(limit.starts).unwrap_or(usize::MAX);
                let recent = |within: &dyn Fn(Time) -> bool| self.restarts.iter().filter(|t| within(**t)).count();
                let at_least = recent(&|earlier| at.since(earlier) < limit.window);
                let at_most = recent(&|earlier| at.since(earlier) <= limit.window);
                match (at_least >= most, at_most >= most) {
                    (true, _) => vec![StateName::Failed],
                    (false, true) => [&UP[..], &[StateName::Failed]].concat(),
                    (false, false) => UP.to_vec(),
                }
            }
        }
    }

    /// The states in which the service may be, if there is something to say.
    fn states(&self, facts: &Facts, name: &ServiceName) -> Option<Vec<StateName>> {
        let Some((_, run)) = facts.run_of(name) else {
            return Some(self.at_rest.iter().copied().collect());
        };
        if self.unsure {
            return None;
        }
        let asked_to_end = run.first_asked_to_end().is_some();
        if !run.main_is_there() {
            return Some(vec![StateName::Stopping]);
        }
        if run.made.is_none() {
            let stopping = self.end_requested || asked_to_end;
            return Some(vec![if stopping { StateName::Stopping } else { StateName::Starting }])
                .filter(|_| !self.end_requested);
        }
        if asked_to_end {
            return Some(vec![StateName::Stopping]);
        }
        if self.end_requested {
            return None;
        }
        if run.frost_asked > 0 {
            return Some(vec![StateName::Pausing, StateName::Continuing]);
        }
        if run.frozen {
            return Some(vec![StateName::Paused]);
        }
        let plan = facts.service(name)?;
        if self.health.is_lost() {
            return Some(vec![StateName::Stopping]);
        }
        self.health.state(plan).map(|state| vec![state])
    }
}

/// Whether everything that a service waits for is there beyond doubt.
fn surely_may_start(facts: &Facts, name: &ServiceName) -> bool {
    let Some(plan) = facts.service(name) else { return false };
    plan.depends_on.iter().all(|(on, condition)| {
        let has_ready = facts.service(on).is_some_and(|plan| plan.ready.is_some());
        match (condition, facts.state(on)) {
            (Condition::Started, StateName::Running | StateName::Ready)
            | (Condition::Ready, StateName::Ready)
            | (Condition::Completed, StateName::Completed) => true,
            (Condition::Ready, StateName::Running) => !has_ready,
            _ => false,
        }
    })
}
