//! The reference: what somebody who has read `docs/lifecycle.md` expects of each service, as far as it says
//! something definite. Written from that page, not from the core.
//!
//! It follows the trace like any [`Rule`] and says after each step in which states a service may be.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_core::{
    Check, Condition, Effect, EventKind, Exit, ExitAction, HookMoment, Input, ProbeKind, Request,
    RestartPolicy, RunId, ServiceName, ServicePlan, StartMode, StateName, Time, WhenMainstayStops,
};

use crate::invariants::{Facts, Rule, Verdict, plan_of};
use crate::trace::{Cause, Step};

mod health;

use health::Health;

/// The reference for all services.
#[derive(Debug, Default)]
pub struct Model {
    services: BTreeMap<ServiceName, Expected>,
    going_down: bool,
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
    /// Whether it leaves the stack after that end.
    removing: bool,
    /// Whether it was left running and nobody looks after it since.
    left: bool,
    /// Whether requests crossed each other in a way that leaves a choice.
    unsure: bool,
    /// What its probes say.
    health: Health,
    /// When automatic restarts were decided on.
    restarts: Vec<Time>,
    /// So many of them may not count any more, because of a start by hand.
    by_hand: usize,
}

impl Default for Expected {
    fn default() -> Self {
        Expected {
            at_rest: BTreeSet::from([StateName::Stopped]),
            end_requested: false,
            start_after: false,
            removing: false,
            left: false,
            unsure: false,
            health: Health::default(),
            restarts: Vec::new(),
            by_hand: 0,
        }
    }
}

const UP: [StateName; 2] = [StateName::Starting, StateName::Backoff];

impl Rule for Model {
    fn name(&self) -> &'static str {
        "as documented"
    }

    fn input(&mut self, facts: &Facts, step: &Step) -> Verdict {
        for name in facts.plan.services.keys() {
            if !self.services.contains_key(name) {
                self.services.insert(name.clone(), Expected::default());
            }
        }
        self.lost_answers(facts, step.at);
        match &step.cause {
            Cause::Input(Input::Request { request, .. }) if !step.is_refusal() => {
                self.request(facts, request)
            }
            Cause::Input(Input::Session { .. }) => self.session_changed(facts),
            Cause::Input(input) if !facts.idle_input => self.happened(facts, step.at, input),
            _ => {}
        }
        Ok(())
    }

    fn effect(&mut self, facts: &Facts, _at: Time, effect: &Effect) -> Verdict {
        match effect {
            Effect::Prepare { service, .. } | Effect::Spawn { service, .. } => {
                let Some(expected) = self.services.get_mut(service) else { return Ok(()) };
                expected.end_requested = false;
                expected.start_after = false;
                expected.left = false;
                expected.unsure = false;
                expected.health = Health::default();
                Ok(())
            }
            Effect::Signal { run, .. }
            | Effect::StopStep { run, .. }
            | Effect::Kill { run }
            | Effect::Hook { run, moment: HookMoment::BeforeStop, .. } => self.may_end(facts, *run),
            Effect::Tell(event) => {
                if let (Some(name), EventKind::State { to: StateName::Pausing, .. }) =
                    (&event.service, &event.kind)
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
        self.services.retain(|name, _| facts.plan.services.contains_key(name));
        for (name, expected) in &self.services {
            let state = facts.state(name);
            let Some(may) = expected.states(facts, name) else { continue };
            if !may.contains(&state) {
                return Err(format!("{name} is {state}, expected {may:?}"));
            }
            if state == StateName::Starting
                && facts.run_of(name).is_none()
                && !facts.preparing.contains_key(name)
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

    /// When exactly a question without an answer counts as a failure is left open.
    fn lost_answers(&mut self, facts: &Facts, at: Time) {
        for (name, expected) in &mut self.services {
            let (Some(plan), Some((_, run))) = (facts.service(name), facts.run_of(name)) else { continue };
            let late = |(kind, (asked, _)): (&ProbeKind, &(Time, u64))| {
                plan_of(plan, *kind).is_some_and(|probe| at.since(*asked) > probe.timeout)
            };
            expected.health.unsure |= run.probes.iter().any(late);
            if let (Some(made), Some(probe)) = (run.made, &plan.startup)
                && probe.check == Check::Notify
                && at.since(made) >= probe.initial_delay + probe.interval * probe.failures
            {
                // It has been silent for as many turns as it may be, unless it was not.
                expected.health.unsure |= !expected.health.has_started(plan);
            }
        }
    }

    fn request(&mut self, facts: &Facts, request: &Request) {
        match request {
            Request::Up => {
                self.services.values_mut().for_each(|expected| expected.left = false);
                self.going_down = false;
                let auto = facts.plan.services.iter().filter(|(_, plan)| plan.start == StartMode::Auto);
                let auto: Vec<&ServiceName> = auto.map(|(name, _)| name).collect();
                self.perhaps(facts, &auto);
                let cut_off = cut_off(facts);
                let surely = |name: &&&ServiceName| {
                    let removing = self.services.get(**name).is_some_and(|expected| expected.removing);
                    !removing && facts.state(name) != StateName::Completed && !cut_off.contains(**name)
                };
                let surely: Vec<&ServiceName> = auto.iter().filter(surely).copied().collect();
                self.start(facts, &surely);
            }
            Request::Add(_, plan) if plan.start != StartMode::Auto => {}
            Request::Start(name) | Request::Add(name, _) => {
                self.perhaps(facts, &[name]);
                self.start(facts, &[name]);
            }
            Request::Restart(name) => {
                self.perhaps(facts, &[name]);
                self.start(facts, &[name]);
                let up = facts.run_of(name).is_some();
                let expected = self.get(name);
                expected.end_requested |= up;
                expected.start_after |= up;
            }
            // A stop of what is down changes nothing.
            Request::Stop(name) if facts.state(name).is_down() => {}
            Request::Stop(name) => {
                for name in facts.with_users(name) {
                    self.get(&name).stop();
                }
            }
            Request::Remove(name) => {
                let expected = self.get(name);
                expected.stop();
                expected.removing = true;
            }
            Request::Down => {
                self.going_down = true;
                self.services.iter_mut().for_each(|(name, expected)| expected.down(facts, name));
            }
            Request::DownAll => {
                self.going_down = true;
                self.services.values_mut().for_each(Expected::stop);
            }
            Request::Pause(_) | Request::Continue(_) | Request::Control(_) => {}
        }
    }

    /// Somebody has signed in or off.
    fn session_changed(&mut self, facts: &Facts) {
        let Some((before, _)) = facts.session_change.filter(|_| !self.going_down) else { return };
        for (name, plan) in &facts.plan.services {
            if plan.session.is_services() {
                continue;
            }
            let expected = self.get(name);
            expected.by_hand = expected.restarts.len();
            match facts.run_of(name) {
                // It ends, and starts in the other one or when there is one.
                Some((_, run)) if run.main_is_there() && !expected.end_requested => {
                    expected.unsure |= expected.health.is_lost() || run.first_asked_to_end().is_some();
                    expected.end_requested = true;
                    expected.start_after = true;
                }
                Some(_) => {}
                // It has done its work for the one before.
                None if facts.state(name) == StateName::Completed
                    && plan.session.waits()
                    && before.is_none() =>
                {
                    expected.at_rest = BTreeSet::from(UP);
                }
                None => {}
            }
        }
    }

    /// These services and what they depend on may start now.
    fn perhaps(&mut self, facts: &Facts, names: &[&ServiceName]) {
        for on in facts.with_dependencies(names.iter().copied()) {
            self.get(&on).may_start(facts, &on);
        }
    }

    /// These services start now, with what they depend on as far as that is just stopped.
    fn start(&mut self, facts: &Facts, names: &[&ServiceName]) {
        let cut_off = cut_off(facts);
        let (mut open, mut seen) = (names.to_vec(), BTreeSet::new());
        open.retain(|name| facts.run_of(name).is_none() || self.get(name).end_requested);
        while let Some(one) = open.pop() {
            if !seen.insert(one) {
                continue;
            }
            self.get(one).must_start(facts, one);
            let needs = facts.service(one).into_iter().flat_map(|plan| plan.depends_on.keys());
            open.extend(needs.filter(|on| facts.state(on) == StateName::Stopped && !cut_off.contains(*on)));
        }
    }

    fn happened(&mut self, facts: &Facts, at: Time, input: &Input) {
        if let Some(name) = &facts.not_prepared
            && let Some(plan) = facts.service(name)
        {
            self.get(name).gone(plan, at, None);
        }
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
            Input::Notify { text, .. } => text.lines().for_each(|line| expected.health.notified(plan, line)),
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
        if expected.left && !expected.end_requested && run.main_is_there() {
            return Err(format!("{} is left alone, but asked to end", run.service));
        }
        if expected.end_requested
            || !run.main_is_there()
            || expected.health.is_lost()
            || expected.health.unsure
        {
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
    /// It is wanted up by something that leaves a choice.
    fn may_start(&mut self, facts: &Facts, name: &ServiceName) {
        match facts.run_of(name) {
            // A stop may be taken back or be followed by a start, an end that nobody asked for counts by hand.
            Some((_, run)) => {
                self.unsure |= self.end_requested || !run.main_is_there() || self.health.is_lost()
            }
            None => self.at_rest.extend(UP),
        }
        self.by_hand = self.restarts.len();
    }

    /// It is wanted up beyond doubt.
    fn must_start(&mut self, facts: &Facts, name: &ServiceName) {
        match facts.run_of(name) {
            Some((_, run)) => {
                self.start_after = true;
                // A stop that waits for its dependents may be taken back.
                self.unsure = run.first_asked_to_end().is_none();
            }
            None => self.at_rest = BTreeSet::from(UP),
        }
    }

    /// The stack goes down: what is up and to be left is left.
    fn down(&mut self, facts: &Facts, name: &ServiceName) {
        let leaves =
            facts.service(name).is_some_and(|plan| plan.when_mainstay_stops == WhenMainstayStops::Leave);
        let up = matches!(facts.state(name), StateName::Running | StateName::Ready | StateName::Paused);
        if leaves && up {
            self.left = true;
            self.health.pause();
        } else {
            self.stop();
        }
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
        }
        if std::mem::take(&mut self.left) {
            // Nothing starts while the stack is down.
            after.retain(|state| state.is_down());
            after.insert(StateName::Stopped);
        }
        if after.contains(&StateName::Backoff) {
            self.restarts.push(at);
            // Whether it was an automatic one is not sure.
            if self.unsure || self.end_requested {
                self.by_hand = self.restarts.len();
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
                // A restart counts from when it was due, which is up to a back-off after it was decided on.
                let sure =
                    self.restarts[self.by_hand..].iter().filter(|then| at.since(**then) < limit.window);
                let longest = limit.window + plan.restart.max_delay;
                let perhaps = self.restarts.iter().filter(|then| at.since(**then) <= longest);
                let (at_least, at_most) = (sure.count(), perhaps.count());
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
        if !run.frost_asked.is_empty() {
            return Some(vec![StateName::Pausing, StateName::Continuing]);
        }
        if run.frozen {
            return Some(vec![StateName::Paused]);
        }
        let plan = facts.service(name)?;
        if self.health.is_lost() && !self.health.unsure {
            return Some(vec![StateName::Stopping]);
        }
        self.health.state(plan).map(|state| vec![state])
    }
}

/// The services that are disabled, and all that depend on one.
fn cut_off(facts: &Facts) -> BTreeSet<ServiceName> {
    let plans = facts.plan.services.iter();
    let disabled = plans.filter(|(_, plan)| plan.start == StartMode::Disabled).map(|(name, _)| name);
    facts.with_dependents(disabled)
}

/// Whether everything that a service waits for is there beyond doubt.
fn surely_may_start(facts: &Facts, name: &ServiceName) -> bool {
    let Some(plan) = facts.service(name).filter(|_| facts.has_session(name)) else { return false };
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
