//! The supervisor: all services of a stack, what they depend on, and who asks for what.
//!
//! An input goes to one service, whose [`Machine`] takes a step. What the step changed for others (a dependency is
//! there, a dependent is gone) becomes inputs of theirs, in a queue that is worked off before
//! [`Supervisor::handle`] returns. Only services that something changes for are looked at.

mod apply;
#[cfg(test)]
mod audit;
mod check;
mod forced;
mod graph;
mod moments;
mod order;
mod request;
mod sessions;
mod show;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use apply::{Apply, Progress, Way};
pub use apply::{Applying, PlanChanges};
use graph::{Links, Standing};
pub use table::table;

use crate::leak::{Change, Growth};
use crate::service::{Machine, On, Service};
use crate::words::clip;
use crate::{
    ConfigStage, Effect, Event, EventKind, Exit, HookMoment, Input, LeakAction, Plan, RunId, SecretMarks,
    ServiceName, Time,
};

/// All services of a stack. See the [crate's documentation](crate) for the contract.
pub struct Supervisor {
    plan: Plan,
    seed: u64,
    now: Time,
    nodes: BTreeMap<ServiceName, Node>,
    /// The service of each run that is there or being made. News of any other run is late, and ends here.
    runs: BTreeMap<RunId, ServiceName>,
    /// The deadline of each service that has one.
    timers: BTreeSet<(Time, ServiceName)>,
    /// What is still to be stepped through, in order.
    queue: VecDeque<(ServiceName, On)>,
    effects: VecDeque<Effect>,
    last_run: u64,
    going_down: bool,
    /// In which services run that want one.
    session: Option<u32>,
    /// Whether [`Effect::StackDown`] was given.
    told_down: bool,
    /// Whether [`Effect::StackRests`] was given, and no request to come up since.
    told_rests: bool,
    /// How many services are left running.
    left: usize,
    /// How many services are not down.
    not_down: usize,
    /// Services whose snapshots changed, and those that went.
    dirty: BTreeSet<ServiceName>,
    dirty_stack: bool,
    /// The configuration that is being applied, and how far that is.
    apply: Option<Apply>,
    progress: Progress,
    way: Way,
    dirty_apply: bool,
    /// Which parts of the plan have changed.
    plan_changes: PlanChanges,
}

/// A service and its place among the others.
struct Node {
    service: Service,
    links: Links,
    armed: Option<Time>,
}

impl Node {
    fn new(service: Service) -> Self {
        Node { service, links: Links::default(), armed: None }
    }
}

impl Supervisor {
    /// A supervisor of services that are all `stopped`. [`Request::Up`](crate::Request::Up) starts them.
    pub fn new(plan: Plan, seed: u64, now: Time) -> Self {
        let nodes =
            plan.services.keys().map(|name| (name.clone(), Node::new(Service::new(now, "never started"))));
        let nodes: BTreeMap<_, _> = nodes.collect();
        let dirty = nodes.keys().cloned().collect();
        let mut supervisor = Supervisor {
            plan,
            seed,
            now,
            nodes,
            runs: BTreeMap::new(),
            timers: BTreeSet::new(),
            queue: VecDeque::new(),
            effects: VecDeque::new(),
            last_run: 0,
            going_down: false,
            session: None,
            told_down: false,
            told_rests: false,
            left: 0,
            not_down: 0,
            dirty,
            dirty_stack: true,
            apply: None,
            progress: Progress::default(),
            way: Way::default(),
            dirty_apply: false,
            plan_changes: PlanChanges::default(),
        };
        supervisor.link_all();
        supervisor
    }

    /// Takes in one thing that happened. Its effects wait in [`poll_effect`](Self::poll_effect).
    ///
    /// Time that goes backwards counts as standing still.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        self.way.up_to_date = matches!(input, Input::Tick);
        match input {
            Input::Prepared { run, error: None } => self.about(run, On::Prepared),
            Input::Prepared { run, error: Some(error) } => self.about(run, On::PrepareFailed(error)),
            Input::SecretsRead { run, marks } => self.secrets_read(run, marks),
            Input::FilesMade { run, secrets, contents } => self.files_made(run, secrets, contents),
            Input::FilesWritten { service, run, detail } => {
                if self.nodes.contains_key(&service) {
                    let (stage, took) = (ConfigStage::Written, std::time::Duration::ZERO);
                    let kind = EventKind::Config { stage, detail: clip(detail), took };
                    self.effects.push_back(Effect::Tell(Event {
                        service: Some(service),
                        run: Some(run),
                        kind,
                    }));
                }
            }
            Input::Configured { run, outcome } => self.configured(run, outcome),
            Input::HookDone { service, run, moment: hook, ok, detail } => {
                if self.nodes.contains_key(&service) {
                    let kind = EventKind::Hook { hook, ok, detail: clip(detail) };
                    self.effects.push_back(Effect::Tell(Event {
                        service: Some(service),
                        run: Some(run),
                        kind,
                    }));
                    if hook == HookMoment::BeforeStop {
                        self.about(run, On::BeforeStopDone);
                    }
                }
            }
            // What is refused changes nothing, not even what is due.
            Input::Request { by, request } => {
                if !self.request(by, request) {
                    return;
                }
            }
            Input::Apply { by, revision, plan } => {
                if !self.apply(by, revision, *plan) {
                    return;
                }
            }
            Input::Spawned { run, pid } => self.about(run, On::Spawned(pid)),
            Input::SpawnFailed { run, error } => self.about(run, On::SpawnFailed(error)),
            Input::Exited { run, exit, tree_empty } => self.about(run, exited(exit, tree_empty)),
            Input::TreeEmpty { run } => self.about(run, On::TreeEmpty),
            Input::Frozen { run } => self.about(run, On::Frozen),
            Input::Thawed { run } => self.about(run, On::Thawed),
            Input::FreezeFailed { run, error } => self.about(run, On::FreezeFailed(error)),
            Input::StopStepDone { run, step, error } => self.about(run, On::StepAnswered(step, error)),
            Input::ProbeResult { run, probe, seq, outcome } => {
                if let Some(name) = self.runs.get(&run).cloned() {
                    let follows = self.with(&name, |machine| machine.answered(probe, seq, outcome));
                    self.queue.extend(follows.flatten().map(|on| (name, on)));
                }
            }
            Input::Notify { run, text } => {
                if let Some(name) = self.runs.get(&run).cloned() {
                    let follows = self.with(&name, |machine| machine.notified(&text));
                    self.queue.extend(follows.into_iter().flatten().map(|on| (name.clone(), on)));
                }
            }
            Input::Leak { run, change } => self.leak(run, change),
            Input::LeakWindow { run, growth } => self.restart_leaking(run, &growth, LeakAction::is_in_window),
            Input::Rotated { service, rotation } => self.rotated(service, rotation),
            Input::Session { id } => self.session_is(id),
            Input::Tick => self.tick(),
        }
        self.settle();
    }

    /// Notes with which values of its secrets a service's process is about to be made.
    fn secrets_read(&mut self, run: RunId, marks: SecretMarks) {
        let Some(name) = self.runs.get(&run).cloned() else { return };
        let Some(plan) = self.plan.services.get_mut(&name) else { return };
        let before = plan.config.secrets.clone();
        let is_new = plan.set_marks(&marks);
        // What did not work does not get into its files.
        let config = &mut plan.config;
        for (secret, refused) in &config.notes.refused {
            if config.secrets.get(secret) == Some(refused)
                && let Some(before) = before.get(secret)
            {
                config.secrets.insert(secret.clone(), before.clone());
            }
        }
        if is_new {
            self.plan_changes.services.insert(name);
        }
    }

    /// Notes what is in the files of a service.
    fn files_made(&mut self, run: RunId, secrets: SecretMarks, contents: SecretMarks) {
        let Some(name) = self.runs.get(&run).or_else(|| self.changes_files(run)).cloned() else { return };
        let Some(plan) = self.plan.services.get_mut(&name) else { return };
        let config = &mut plan.config;
        let before = (config.secrets.clone(), config.notes.clone());
        (config.secrets, config.notes.contents) = (secrets, contents);
        let made = &config.secrets;
        config.notes.refused.retain(|secret, refused| made.get(secret) != Some(refused));
        if before != (config.secrets.clone(), config.notes.clone()) {
            self.plan_changes.services.insert(name);
        }
    }

    /// The next thing to do, in order. Take all of them before [`take_dirty`](Self::take_dirty).
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Input::Tick`] is wanted next, and what for.
    pub fn next_deadline(&self) -> Option<(Time, &'static str)> {
        let gate = self.way.due.map(|at| (at, "a changed service is up"));
        let first = self
            .timers
            .first()
            .and_then(|(_, name)| self.nodes.get(name)?.service.deadline(self.plan.services.get(name)?));
        first.into_iter().chain(gate).min_by_key(|(at, _)| *at)
    }

    /// The plan as it is now, with what was added and without what was removed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether [`Request::Down`](crate::Request::Down) was asked for. Nothing starts any more then.
    pub fn is_going_down(&self) -> bool {
        self.going_down
    }

    /// Whether everything is down but what is left running, and stays so until somebody asks for something.
    pub fn is_resting(&self) -> bool {
        self.going_down && self.left > 0 && self.left == self.not_down
    }

    /// Makes new runs' numbers rise above `last_run`.
    pub fn reserve_runs(&mut self, last_run: u64) {
        if last_run > self.last_run {
            self.last_run = last_run;
            self.dirty_stack = true;
        }
    }

    /// The service whose present run this is; none for a run that is over or never was.
    pub fn service_of(&self, run: RunId) -> Option<&ServiceName> {
        self.runs.get(&run)
    }

    /// News of a run.
    fn about(&mut self, run: RunId, on: On) {
        if let Some(name) = self.runs.get(&run) {
            self.queue.push_back((name.clone(), on));
        }
    }

    /// Tells that a service leaks or has stopped to, and restarts it if its plan wants that at once.
    fn leak(&mut self, run: RunId, change: Change) {
        let Some(name) = self.runs.get(&run).cloned() else { return };
        self.tell(Some(name), EventKind::Leak { change });
        if let Change::Grows(growth) = change {
            self.restart_leaking(run, &growth, |action| *action == LeakAction::Restart);
        }
    }

    /// Restarts a service that leaks, if its plan wants that now. Only one that is up: any other is on its way to a new
    /// run anyway.
    fn restart_leaking(&mut self, run: RunId, growth: &Growth, wanted: impl Fn(&LeakAction) -> bool) {
        let Some(name) = self.runs.get(&run).cloned() else { return };
        let up = self.nodes.get(&name).is_some_and(|node| node.service.state().is_started());
        let wanted = self.plan.services.get(&name).is_some_and(|plan| wanted(&plan.leak));
        if up && wanted && !self.going_down {
            self.restart(name, growth.to_string());
        }
    }

    /// Lets every service go on whose deadline has come, in the order of the deadlines.
    fn tick(&mut self) {
        // Each turn moves a deadline forward, so this ends by itself; the bound is for the case that it does not.
        for _ in 0..self.timers.len() * 8 + 64 {
            let Some((at, name)) = self.timers.first() else { return };
            if *at > self.now {
                return;
            }
            let name = name.clone();
            let follows = self.with(&name, |machine| machine.probes_due()).unwrap_or_default();
            self.queue.extend(follows.into_iter().chain([On::Due]).map(|on| (name.clone(), on)));
            self.settle();
        }
        debug_assert!(false, "a deadline does not move: {:?}", self.next_deadline());
    }

    /// Steps through everything that is queued, and what follows from it.
    fn settle(&mut self) {
        self.drain();
        if self.apply.is_some() {
            self.go_on();
            self.drain();
        }
        self.tell_down();
    }

    fn tell_down(&mut self) {
        if self.going_down && !self.told_down && self.not_down == 0 {
            self.told_down = true;
            self.dirty_stack = true;
            self.effects.push_back(Effect::StackDown);
        }
        if self.is_resting() && !self.told_rests {
            self.told_rests = true;
            self.dirty_stack = true;
            self.effects.push_back(Effect::StackRests);
        }
    }

    fn drain(&mut self) {
        while let Some((name, on)) = self.queue.pop_front() {
            self.with(&name, |machine| machine.step(on));
        }
    }

    /// Does something with one service, then with others what follows from it.
    fn with<R>(&mut self, name: &ServiceName, act: impl FnOnce(&mut Machine<'_>) -> R) -> Option<R> {
        let node = self.nodes.get_mut(name)?;
        let plan = self.plan.services.get(name)?;
        let before = Standing::of(&node.service, plan);
        let was_left = node.service.left;
        let last_run = self.last_run;
        let result = act(&mut Machine {
            now: self.now,
            name,
            plan,
            seed: self.seed,
            unblocked: node.links.unmet == 0,
            has_dependents: node.links.has_dependents(self.going_down),
            closed: self.going_down,
            shown: before.state,
            run: before.run,
            service: &mut node.service,
            last_run: &mut self.last_run,
            effects: &mut self.effects,
        });
        let after = Standing::of(&node.service, plan);
        // What is asked to end, or has ended, is not left any more.
        node.service.left &= after.state.is_started() || after.state == crate::StateName::Paused;
        self.left = self.left + usize::from(node.service.left) - usize::from(was_left);
        self.dirty_stack |= self.last_run != last_run;
        self.touch(name);
        self.spread(name, before, after);
        Some(result)
    }

    /// The service may have changed: its snapshot is to be written, its deadline to be looked up.
    fn touch(&mut self, name: &ServiceName) {
        let (Some(node), Some(plan)) = (self.nodes.get_mut(name), self.plan.services.get(name)) else {
            return;
        };
        let wanted = node.service.deadline(plan).map(|(at, _)| at);
        if node.armed != wanted {
            if let Some(at) = node.armed {
                self.timers.remove(&(at, name.clone()));
            }
            if let Some(at) = wanted {
                self.timers.insert((at, name.clone()));
            }
            node.armed = wanted;
        }
        if !self.dirty.contains(name) {
            self.dirty.insert(name.clone());
        }
    }
}

fn exited(exit: Exit, tree_empty: bool) -> On {
    if tree_empty { On::Exited(exit) } else { On::ExitedLeaving(exit) }
}
