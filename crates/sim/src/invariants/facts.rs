//! What is known from the trace alone: runs and states, followed input by input and effect by effect.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use mainstay_core::{
    Condition, Effect, EventKind, Exit, HookMoment, Input, Plan, ProbeKind, Request, RunId, ServiceName,
    ServicePlan, StateName, StopAction, Time,
};

use crate::trace::Cause;

/// What is known so far.
#[derive(Debug)]
pub struct Facts {
    /// The plan as it is now.
    pub plan: Plan,
    /// Every run there ever was, by number. Runs over are dropped some time after.
    pub runs: BTreeMap<RunId, Run>,
    /// The state of each service as told.
    pub states: BTreeMap<ServiceName, StateName>,
    /// The newest run of each service.
    pub newest: BTreeMap<ServiceName, RunId>,
    /// The highest run number ever used.
    pub last_run: Option<RunId>,
    /// Whether the present input can have changed nothing: it comes too late or a second time.
    pub idle_input: bool,
    /// The preparations under way.
    pub preparing: BTreeMap<ServiceName, RunId>,
    /// Those that are prepared and were not started since.
    pub prepared: BTreeSet<ServiceName>,
    /// Whose preparation the present input says to have failed.
    pub not_prepared: Option<ServiceName>,
    /// Those that were left running, and are still up.
    pub left: BTreeSet<ServiceName>,
    /// The session in which services run that want one.
    pub session: Option<u32>,
    /// Which it was before the present input, and is now, if that changed it.
    pub session_change: Option<(Option<u32>, Option<u32>)>,
    /// The next deadline before the present input.
    pub deadline: Option<Time>,
    /// Who depends on whom, the other way round.
    dependents: BTreeMap<ServiceName, BTreeMap<ServiceName, Condition>>,
}

/// One life of a service's process, as the trace shows it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Of this service.
    pub service: ServiceName,
    /// When it was asked for.
    pub asked: Time,
    /// When its process was there.
    pub made: Option<Time>,
    /// When and how its main process ended; `None` inside if its process was never made.
    pub ended: Option<(Time, Option<Exit>)>,
    /// When nothing was left of it.
    pub gone: Option<Time>,
    /// Whether it was forgotten.
    pub forgotten: bool,
    /// Whether it is frozen, as far as was told.
    pub frozen: bool,
    /// Freezes (true) and thaws (false) not yet answered, in order.
    pub frost_asked: VecDeque<bool>,
    /// Whether the last one asked for was a thaw.
    pub thaw_asked: bool,
    /// Its `before_stop` hook, once that was wanted.
    pub before_stop: Option<BeforeStop>,
    /// Ways it was asked to end, and when.
    pub signals: Vec<(Time, StopAction)>,
    /// Steps of its stop that were told to have failed, by their place, and when.
    pub failed_steps: BTreeMap<usize, Time>,
    /// Steps of its stop whose answer came in time, by their place.
    pub answered_steps: BTreeSet<usize>,
    /// When it was killed.
    pub kills: Vec<Time>,
    /// Probes asked and not answered yet.
    pub probes: BTreeMap<ProbeKind, (Time, u64)>,
    /// Those asked before a pause: their answers count for nothing, but whoever was asked is at it still.
    pub probes_before_pause: BTreeMap<ProbeKind, (Time, u64)>,
}

/// The hook before the stop of a run.
#[derive(Clone, Copy, Debug)]
pub struct BeforeStop {
    /// When it was first wanted.
    pub asked: Time,
    /// When its time is over.
    pub until: Time,
    /// Whether it has come to its end, or is waited for no more.
    pub over: bool,
}

impl Run {
    /// Whether anything of it may be left.
    pub const fn is_there(&self) -> bool {
        self.gone.is_none()
    }

    /// Whether its main process may be there.
    pub const fn main_is_there(&self) -> bool {
        self.ended.is_none()
    }

    /// When its end began: with the hook before it, or by asking it in whatever way.
    pub fn first_asked_to_end(&self) -> Option<Time> {
        self.before_stop.map(|hook| hook.asked).into_iter().chain(self.first_step()).min()
    }

    /// When something was first done to end it.
    pub fn first_step(&self) -> Option<Time> {
        let signal = self.signals.first().map(|(at, _)| *at);
        signal.into_iter().chain(self.kills.first().copied()).min()
    }
}

impl Facts {
    /// Nothing has happened yet.
    pub fn new(plan: Plan) -> Facts {
        let mut facts = Facts {
            plan: Plan::default(),
            runs: BTreeMap::new(),
            states: BTreeMap::new(),
            newest: BTreeMap::new(),
            last_run: None,
            idle_input: false,
            preparing: BTreeMap::new(),
            prepared: BTreeSet::new(),
            not_prepared: None,
            left: BTreeSet::new(),
            session: None,
            session_change: None,
            deadline: None,
            dependents: BTreeMap::new(),
        };
        facts.set_plan(plan);
        facts
    }

    /// The plan is another one.
    pub fn set_plan(&mut self, plan: Plan) {
        self.states.retain(|name, _| plan.services.contains_key(name));
        self.newest.retain(|name, _| plan.services.contains_key(name));
        self.dependents.clear();
        for (name, service) in &plan.services {
            self.states.entry(name.clone()).or_insert(StateName::Stopped);
            for (on, condition) in &service.depends_on {
                self.dependents.entry(on.clone()).or_default().insert(name.clone(), *condition);
            }
        }
        self.plan = plan;
    }

    /// The plan of a service.
    pub fn service(&self, name: &ServiceName) -> Option<&ServicePlan> {
        self.plan.services.get(name)
    }

    /// The state of a service as told.
    pub fn state(&self, name: &ServiceName) -> StateName {
        self.states.get(name).copied().unwrap_or(StateName::Stopped)
    }

    /// Those that depend on a service directly.
    pub fn dependents(&self, name: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        self.dependents.get(name).into_iter().flat_map(BTreeMap::keys)
    }

    /// Those that need a service to be there while they are: not those that need its work done.
    pub fn users(&self, name: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        let dependents = self.dependents.get(name).into_iter().flatten();
        dependents.filter(|(_, condition)| **condition != Condition::Completed).map(|(name, _)| name)
    }

    /// A service with everything that needs it to be there, directly or not.
    pub fn with_users(&self, name: &ServiceName) -> BTreeSet<ServiceName> {
        closure([name], |one| self.users(one).collect())
    }

    /// Services with everything that depends on them, directly or not.
    pub fn with_dependents<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a ServiceName>,
    ) -> BTreeSet<ServiceName> {
        closure(names, |one| self.dependents(one).collect())
    }

    /// Services with everything they depend on, directly or not.
    pub fn with_dependencies<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a ServiceName>,
    ) -> BTreeSet<ServiceName> {
        closure(names, |one| self.service(one).into_iter().flat_map(|plan| plan.depends_on.keys()).collect())
    }

    /// Whether somebody is signed in, or that is nothing to a service.
    pub fn has_session(&self, name: &ServiceName) -> bool {
        self.session.is_some() || !self.service(name).is_some_and(|plan| plan.session.waits())
    }

    /// The newest run of a service, if anything of it may be left.
    pub fn run_of(&self, name: &ServiceName) -> Option<(RunId, &Run)> {
        let id = *self.newest.get(name)?;
        let run = self.runs.get(&id)?;
        run.is_there().then_some((id, run))
    }

    /// How the main process of a service's newest run ended, if it did.
    pub fn last_exit(&self, name: &ServiceName) -> Option<Exit> {
        let run = self.runs.get(self.newest.get(name)?)?;
        run.ended?.1
    }

    /// Takes in what happened.
    pub fn input(&mut self, at: Time, cause: &Cause) {
        self.not_prepared = None;
        self.session_change = None;
        self.idle_input = match cause {
            Cause::New => false,
            Cause::Restored { .. } => {
                // The questions under way died with the daemon that asked them.
                for run in self.runs.values_mut() {
                    run.probes.clear();
                    run.probes_before_pause.clear();
                }
                false
            }
            Cause::Input(input) => !self.changes(at, input),
        };
    }

    /// Takes in an input; whether it can matter.
    fn changes(&mut self, at: Time, input: &Input) -> bool {
        let run = match input {
            Input::Session { id } => {
                let before = std::mem::replace(&mut self.session, *id);
                self.session_change = (before != *id).then_some((before, *id));
                return true;
            }
            Input::Request { .. }
            | Input::Apply { .. }
            | Input::Tick
            | Input::FilesWritten { .. }
            | Input::Rotated { .. }
            | Input::Configured { .. } => {
                return true;
            }
            Input::HookDone { run, moment, .. } => {
                if *moment == HookMoment::BeforeStop
                    && let Some(hook) = self.runs.get_mut(run).and_then(|run| run.before_stop.as_mut())
                {
                    hook.over = true;
                }
                return true;
            }
            Input::Prepared { run, error } => {
                let found = self.preparing.iter().find(|(_, preparing)| *preparing == run);
                let Some(name) = found.map(|(name, _)| name.clone()) else { return false };
                self.preparing.remove(&name);
                match error {
                    None => drop(self.prepared.insert(name)),
                    Some(_) => self.not_prepared = Some(name),
                }
                return true;
            }
            // Its answer follows.
            Input::SecretsRead { .. } | Input::FilesMade { .. } => return false,
            Input::Spawned { run, .. }
            | Input::SpawnFailed { run, .. }
            | Input::Exited { run, .. }
            | Input::TreeEmpty { run }
            | Input::Frozen { run }
            | Input::Thawed { run }
            | Input::FreezeFailed { run, .. }
            | Input::ProbeResult { run, .. }
            | Input::StopStepDone { run, .. }
            | Input::Leak { run, .. }
            | Input::LeakWindow { run, .. }
            | Input::Notify { run, .. } => run,
        };
        let Some(run) = self.runs.get_mut(run).filter(|run| run.is_there()) else { return false };
        match input {
            Input::Spawned { .. } if run.made.is_none() => run.made = Some(at),
            Input::SpawnFailed { .. } if run.made.is_none() => {
                run.ended = Some((at, None));
                run.gone = Some(at);
            }
            Input::Exited { exit, tree_empty, .. } if run.ended.is_none() => {
                run.ended = Some((at, Some(*exit)));
                run.gone = tree_empty.then_some(at);
            }
            Input::TreeEmpty { .. } if run.ended.is_some() => run.gone = Some(at),
            Input::Frozen { .. } | Input::Thawed { .. } | Input::FreezeFailed { .. } => {
                let asked = run.frost_asked.front().copied();
                let fits = match input {
                    Input::Frozen { .. } => asked == Some(true),
                    Input::Thawed { .. } => asked == Some(false),
                    _ => asked.is_some(),
                };
                if !fits {
                    return false;
                }
                run.frost_asked.pop_front();
                match input {
                    Input::Frozen { .. } => run.frozen = true,
                    Input::Thawed { .. } => run.frozen = false,
                    _ => {}
                }
            }
            Input::StopStepDone { step, error, .. } => {
                let step = usize::try_from(*step).unwrap_or(usize::MAX);
                let answered = run.signals.get(step).is_some_and(|(_, action)| action.is_answered());
                let present = answered && run.signals.len() == step + 1 && run.kills.is_empty();
                if !present || !run.answered_steps.insert(step) {
                    return false;
                }
                if error.is_some() {
                    run.failed_steps.insert(step, at);
                }
            }
            Input::ProbeResult { probe, seq, .. } => {
                if run.probes_before_pause.get(probe).is_some_and(|(_, asked)| asked == seq) {
                    run.probes_before_pause.remove(probe);
                    return false;
                }
                if run.probes.get(probe).is_none_or(|(_, asked)| asked != seq) {
                    return false;
                }
                run.probes.remove(probe);
            }
            Input::Notify { .. } => {}
            _ => return false,
        }
        true
    }

    fn told(&mut self, name: &ServiceName, kind: &EventKind) {
        match kind {
            EventKind::State { to, .. } => {
                self.states.insert(name.clone(), *to);
                if !matches!(to, StateName::Running | StateName::Ready | StateName::Paused) {
                    self.left.remove(name);
                }
            }
            EventKind::Left => {
                self.left.insert(name.clone());
                // It is asked nothing any more; the answer to a question from before comes too late.
                let run = self.newest.get(name).and_then(|run| self.runs.get_mut(run));
                if let Some(run) = run {
                    run.probes_before_pause.append(&mut run.probes);
                }
            }
            EventKind::TakenOver => {
                self.left.remove(name);
            }
            _ => {}
        }
    }

    /// Takes in what the supervisor wants done.
    pub fn effect(&mut self, at: Time, effect: &Effect) {
        match effect {
            Effect::Prepare { service, run, .. } => {
                self.last_run = self.last_run.max(Some(*run));
                self.prepared.remove(service);
                self.preparing.insert(service.clone(), *run);
            }
            Effect::CancelPrepare { run } => self.preparing.retain(|_, preparing| preparing != run),
            Effect::Hook { service, run, moment: HookMoment::BeforeStop, .. } => {
                let hook = self.service(service).and_then(|plan| plan.hooks.before_stop.as_ref());
                let until = at.after(hook.map_or(Duration::ZERO, |hook| hook.timeout));
                if let Some(run) = self.runs.get_mut(run) {
                    run.before_stop.get_or_insert(BeforeStop { asked: at, until, over: false });
                }
            }
            Effect::CancelHook { run, .. } => {
                if let Some(hook) = self.runs.get_mut(run).and_then(|run| run.before_stop.as_mut()) {
                    hook.over = true;
                }
            }
            Effect::Hook { .. } | Effect::Control { .. } | Effect::Configure { .. } => {}
            Effect::Spawn { service, run } => {
                self.prepared.remove(service);
                self.last_run = self.last_run.max(Some(*run));
                if let Some(old) = self.newest.insert(service.clone(), *run) {
                    // Kept for one more life, so that an event that comes late can be told from a wrong one.
                    self.runs.retain(|id, run| *id == old || run.service != *service || run.is_there());
                }
                self.runs.insert(*run, Run::new(service.clone(), at));
            }
            Effect::Tell(event) => {
                if let Some(name) = &event.service {
                    self.told(name, &event.kind);
                }
            }
            Effect::StackDown | Effect::StackRests => {}
            Effect::Signal { run, .. }
            | Effect::StopStep { run, .. }
            | Effect::Kill { run }
            | Effect::Freeze { run }
            | Effect::Thaw { run }
            | Effect::Forget { run }
            | Effect::Probe { run, .. } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.effect(at, effect);
                }
            }
        }
    }
}

impl Run {
    const fn new(service: ServiceName, asked: Time) -> Run {
        Run {
            service,
            asked,
            made: None,
            ended: None,
            gone: None,
            forgotten: false,
            frozen: false,
            frost_asked: VecDeque::new(),
            thaw_asked: false,
            before_stop: None,
            signals: Vec::new(),
            failed_steps: BTreeMap::new(),
            answered_steps: BTreeSet::new(),
            kills: Vec::new(),
            probes: BTreeMap::new(),
            probes_before_pause: BTreeMap::new(),
        }
    }

    fn effect(&mut self, at: Time, effect: &Effect) {
        match effect {
            Effect::Signal { action, .. } | Effect::StopStep { action, .. } => {
                self.signals.push((at, action.clone()));
            }
            Effect::Kill { .. } => self.kills.push(at),
            Effect::Freeze { .. } | Effect::Thaw { .. } => {
                self.frost_asked.push_back(matches!(effect, Effect::Freeze { .. }));
                // Probes rest while it is frozen; the answer to a question from before comes too late.
                self.probes_before_pause.append(&mut self.probes);
                self.thaw_asked = matches!(effect, Effect::Thaw { .. });
            }
            Effect::Forget { .. } => self.forgotten = true,
            Effect::Probe { probe, seq, .. } => {
                self.probes.insert(*probe, (at, *seq));
            }
            Effect::Prepare { .. }
            | Effect::Configure { .. }
            | Effect::CancelPrepare { .. }
            | Effect::Hook { .. }
            | Effect::CancelHook { .. }
            | Effect::Control { .. }
            | Effect::Spawn { .. }
            | Effect::Tell(_)
            | Effect::StackDown
            | Effect::StackRests => {}
        }
    }
}

fn closure<'a>(
    from: impl IntoIterator<Item = &'a ServiceName>,
    next: impl Fn(&'a ServiceName) -> Vec<&'a ServiceName>,
) -> BTreeSet<ServiceName> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&ServiceName> = from.into_iter().collect();
    while let Some(one) = open.pop() {
        if found.insert(one) {
            open.extend(next(one));
        }
    }
    found.into_iter().cloned().collect()
}

/// The service that a request is about, if it is about one.
pub const fn subject(request: &Request) -> Option<&ServiceName> {
    match request {
        Request::Up | Request::Down | Request::DownAll | Request::Control(_) => None,
        Request::Start(name)
        | Request::Stop(name)
        | Request::Restart(name)
        | Request::Pause(name)
        | Request::Continue(name)
        | Request::Add(name, _)
        | Request::Remove(name) => Some(name),
    }
}
