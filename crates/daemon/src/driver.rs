//! The driver: takes in what happened, asks the core, and makes one transaction of what follows. No policy in here.
//!
//! Everything that one batch of wakes brings about goes into one frame {acknowledgement, state, commands}. Only
//! when that frame is on its way to the keeper are its events written and its API requests answered: whoever has
//! an answer can rely on it, whatever becomes of this daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mainstay_api::types::{About, EventBody};
use mainstay_core::leak::{Change, Growth};
use mainstay_core::{
    Control, Effect, Frost, HookFacts, HookMoment, Input, Plan, ProbeKind, Request, RunId, ServiceName,
    ServicePlan, StateName, Supervisor, Time,
};
use mainstay_link::{Command, Event, LogPos, Queues, Spawn, ToDaemon, ToKeeper};
use tokio::sync::watch;
use tracing::warn;

use crate::effects::log_of;
use crate::events_log::EventsLog;
use crate::files::{Files, Follows};
use crate::hooks::Hooks;
use crate::limits::AllKnown;
use crate::message::{Taken, ToDriver};
use crate::metrics::ProbeTally;
use crate::otlp::Ids;
use crate::outbox::{
    DROPPED_KEY, EVENTS_KEY, Outbox, PLAN_KEY, RECORD_KEY, REVISIONS_KEY, SEEN_KEY, TOP_KEY,
};
use crate::outputs::{Outputs, service_of_log};
use crate::plan_store::Source;
use crate::probes::{Answer, Helper, Probes, StepDone};
use crate::record::Recorder;
use crate::revisions::Revisions;
use crate::secrets::Vault;
use crate::sending::{Knows, Sending};
use crate::sessions::Sessions;
use crate::shelf::Shelf;

/// The present moment.
pub(crate) fn now() -> Time {
    Time::from_nanos(mainstay_sys::clock::monotonic_nanos())
}

/// What the driver is made of.
pub(crate) struct Driver {
    pub core: Supervisor,
    pub probes: Probes,
    pub hooks: Hooks,
    /// The values of secrets.
    pub vault: Vault,
    /// Preparations whose secrets are being read.
    pub preparing: BTreeMap<RunId, (ServiceName, HookFacts)>,
    pub files: Files,
    pub events: EventsLog,
    pub recorder: Recorder,
    pub out: Outbox,
    /// The configuration file.
    pub config: Option<String>,
    /// What the configuration is read from.
    pub source: Option<Source>,
    /// The configurations that were applied.
    pub revisions: Revisions,
    /// Where each run's output starts.
    pub log_starts: BTreeMap<RunId, LogPos>,
    /// What came of output, and what was lost.
    pub outputs: Outputs,
    /// What waits in the keeper.
    pub queues: Queues,
    /// Limits that do not hold, or were hit.
    pub limits: AllKnown,
    /// What grows, as this daemon has seen it, and in which run.
    pub leaks: BTreeMap<ServiceName, (RunId, Vec<Growth>)>,
    pub watched: Watched,
    /// How logs are kept.
    pub shelf: Shelf,
    pub overlay: Overlay,
    /// The highest number of a run. The keeper wants them to rise, those of services and of probes' commands alike.
    pub last_run: u64,
    /// What the core wants, until the frame is made.
    effects: Vec<Effect>,
    /// Signals that the keeper is to send.
    pub sending: Sending,
    /// Who comes and goes.
    pub sessions: Sessions,
    /// What the keeper knows.
    pub knows: Knows,
    /// Answers that wait for their frame.
    pub replies: Vec<Promise>,
    /// Answers whose frame is being sent.
    leaving: Vec<Promise>,
    /// Whether every service is down for good.
    pub is_down: bool,
    /// When each probe was asked that has not answered.
    pub asked: BTreeMap<(RunId, ProbeKind), Time>,
    /// What probes answer, to be counted.
    tally: ProbeTally,
    /// Of the traces of this stack's services.
    pub ids: Ids,
    /// Whether the keeper was told to end.
    pub ended: bool,
    /// The keeper ends everything by force.
    pub forced: bool,
    /// Whether the keeper holds lines of events that are in their file by now.
    events_held: bool,
    /// Whether the revision rises with the next frame.
    pub(crate) changed: bool,
    /// Whether the keeper knows that every service has come up or failed to.
    settled: bool,
    /// What the keeper knows of pausing.
    frost: Option<Frost>,
    /// Whether the keeper knows that the stack has come to its end by itself.
    over: bool,
}

/// What the I/O thread watches.
pub(crate) struct Watched {
    /// Rises with every change that somebody can see.
    pub revision: watch::Sender<u64>,
    /// Counts the changes of the plan.
    pub plan: watch::Sender<u64>,
    /// Who wanted the configuration to be read again last.
    pub reload: watch::Sender<Option<String>>,
}

/// Changes of the plan that may not be in its file yet: state key, and the count of changes when it was made.
pub(crate) type Overlay = BTreeMap<String, u64>;

/// An answer that is given later.
pub(crate) type Promise = Box<dyn FnOnce(Taken) + Send>;

/// What a driver starts with.
pub(crate) struct Parts {
    pub core: Supervisor,
    pub probes: Probes,
    pub vault: Vault,
    pub files: Files,
    pub events: EventsLog,
    pub state_dir: PathBuf,
    pub log_dir: PathBuf,
    pub config: Option<String>,
    pub source: Option<Source>,
    pub revisions: Revisions,
    pub watched: Watched,
    pub shelf: Shelf,
    /// The highest number of a run so far.
    pub last_run: u64,
    /// What probes answer, to be counted.
    pub tally: ProbeTally,
}

impl Driver {
    /// A driver that has said nothing yet.
    pub fn new(parts: Parts) -> Driver {
        let Parts {
            core,
            probes,
            vault,
            files,
            events,
            state_dir,
            log_dir,
            config,
            source,
            revisions,
            watched,
            shelf,
            last_run,
            tally,
        } = parts;
        let ids = Ids::of_stack(&crate::metrics::stack_id(&state_dir));
        let mut driver = Driver {
            core,
            probes,
            vault,
            preparing: BTreeMap::new(),
            hooks: Hooks::new(log_dir),
            files,
            events,
            recorder: Recorder::new(&state_dir),
            out: Outbox::default(),
            config,
            source,
            revisions,
            log_starts: BTreeMap::new(),
            outputs: Outputs::default(),
            queues: Queues::default(),
            limits: AllKnown::new(),
            leaks: BTreeMap::new(),
            watched,
            shelf,
            overlay: Overlay::new(),
            last_run,
            effects: Vec::new(),
            sending: Sending::default(),
            sessions: Sessions::default(),
            knows: Knows::default(),
            replies: Vec::new(),
            leaving: Vec::new(),
            is_down: false,
            asked: BTreeMap::new(),
            tally,
            ids,
            ended: false,
            forced: false,
            events_held: true,
            changed: false,
            settled: false,
            frost: None,
            over: false,
        };
        driver.vault.follow(driver.core.plan());
        driver.sessions.follow(driver.core.plan());
        driver.take_effects();
        driver
    }

    /// When [`tick`](Driver::tick) is wanted.
    pub fn deadline(&self) -> Option<Time> {
        let core = self.core.next_deadline().map(|(at, _)| at);
        core.into_iter().chain(self.probes.exec.deadline()).chain(self.sessions.deadline()).min()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time) {
        if self.probes.exec.deadline().is_some_and(|at| at <= now) {
            self.probes.exec.tick(now);
        }
        self.look_at_sessions_if_due(now);
        if self.core.next_deadline().is_some_and(|(at, _)| at <= now) {
            self.input(Input::Tick);
        }
    }

    /// Another thread said something.
    pub fn message(&mut self, message: ToDriver) {
        match message {
            ToDriver::Ask(ask) => self.asked(ask),
            ToDriver::Probed(answer) => self.probed(answer),
            ToDriver::StepEnded(done) => self.step_ended(done),
            ToDriver::Files(moved) => self.files.moved(moved),
            ToDriver::Leak(run, change) => self.leak(run, change),
            ToDriver::LeakWindow(run, growth) => self.input(Input::LeakWindow { run, growth }),
            ToDriver::SecretsRead(run, read) => self.secrets_read(run, read),
            // What waits for them is looked at with the next frame.
            ToDriver::SecretsThere => {}
            ToDriver::Note(text) => self.events.stage_own(text),
            ToDriver::PlanWritten(count) => {
                let out = &mut self.out;
                self.overlay.retain(|key, at| {
                    let kept = *at > count;
                    if !kept {
                        out.put(key, None);
                    }
                    kept
                });
            }
        }
    }

    /// What a run uses grows, or does not any more.
    fn leak(&mut self, run: RunId, change: Change) {
        let Some(service) = self.core.service_of(run).cloned() else { return };
        let (of, leaks) = self.leaks.entry(service).or_insert((run, Vec::new()));
        if *of != run {
            (*of, *leaks) = (run, Vec::new());
        }
        let (Change::Grows(growth) | Change::Settled(growth)) = change;
        leaks.retain(|known| known.resource != growth.resource);
        if let Change::Grows(growth) = change {
            leaks.push(growth);
        }
        self.changed = true;
        self.input(Input::Leak { run, change });
    }

    /// The keeper said something.
    pub fn heard(&mut self, frame: ToDaemon) {
        if let Some(n) = frame.ping {
            self.out.command(Command::Pong { n });
        }
        self.outputs.count(frame.tallies);
        if let Some(queues) = frame.queues {
            self.queues = queues;
        }
        if let Some(why) = frame.forced {
            return self.forced(&why);
        }
        for (number, event) in frame.events {
            if self.out.ack(number) {
                self.event(event);
            }
        }
    }

    /// The keeper is about to end everything, this daemon too. It waits a moment for what is told of that.
    fn forced(&mut self, why: &str) {
        for event in self.core.ended_by_force(now(), why) {
            self.events.stage(EventBody::Core(event));
        }
        self.events.stage_own(format!("everything is ended by force: {why}"));
        self.events.take_leave();
        self.events.flush();
        self.forced = true;
    }

    fn event(&mut self, event: Event) {
        let exec = &mut self.probes.exec;
        match event {
            Event::SpawnFailed { run, error } if exec.is_helper(run) => {
                exec.heard(run, Helper::SpawnFailed(error));
            }
            Event::Exited { run, exit, tree_empty } if exec.is_helper(run) => {
                exec.heard(run, Helper::Exited(exit, tree_empty));
            }
            Event::TreeEmpty { run } if exec.is_helper(run) => exec.heard(run, Helper::TreeEmpty),
            Event::Spawned { run, log_start, .. } if exec.is_helper(run) => exec.begins(run, log_start),
            Event::Drained { run, .. } if exec.is_helper(run) => exec.heard(run, Helper::Drained),
            Event::Spawned { run, pid, log_start } => {
                self.log_starts.insert(run, log_start);
                self.input(Input::Spawned { run, pid });
            }
            Event::SpawnFailed { run, error } => self.input(Input::SpawnFailed { run, error }),
            Event::Exited { run, exit, tree_empty } => {
                self.end_probes(run);
                self.limits_of_ended(run);
                self.input(Input::Exited { run, exit, tree_empty });
            }
            Event::LimitsSet { run, not_enforced } => self.limits_set(run, not_enforced),
            Event::LimitHit { run, hits } => self.limit_hit(run, hits),
            Event::TreeEmpty { run } => self.input(Input::TreeEmpty { run }),
            Event::Drained { .. } => {}
            Event::Frozen { run } => self.input(Input::Frozen { run }),
            Event::Thawed { run } => self.input(Input::Thawed { run }),
            Event::FreezeFailed { run, error } => self.input(Input::FreezeFailed { run, error }),
            Event::Sent { id, count, error } => {
                if !self.files.sent(id, error.clone()) {
                    self.sent_by_hand(id, count, error);
                }
            }
            Event::Notify { run, text } => self.input(Input::Notify { run, text }),
            Event::LogDropped { name, bytes, error } => {
                if let Some(text) = self.outputs.lost(now(), &name, bytes, &error) {
                    self.events.stage_about(About::OutputLost, text);
                }
                self.out.put_json(DROPPED_KEY, self.outputs.dropped());
                self.changed = true;
            }
            Event::LogNote { name, text } => {
                let about =
                    if text.starts_with(mainstay_link::DISK_LOW) { About::DiskLow } else { About::Log };
                self.events.stage_about(about, format!("{name}'s log: {text}"));
            }
            Event::Rotated(rotation) => {
                if let Some(service) = service_of_log(self.core.plan(), &rotation.log) {
                    self.input(Input::Rotated { service, rotation });
                }
            }
            Event::DownWanted { by, all } => {
                let request = self.down(all);
                self.input(Input::Request { by, request });
            }
            Event::Control { by, control } => {
                self.input(Input::Request { by, request: Request::Control(control) });
                // Hooks hear of it before a service ends for it.
                if let Control::Session { id, change } = control {
                    self.session_changed(id, change);
                }
            }
            Event::ReloadWanted { by } => {
                self.watched.reload.send_replace(Some(by));
            }
            Event::ConfigRefused { reason } => self.config_refused(&reason),
            Event::ReplaceFailed { error } => {
                warn!("the upgrade failed: {error}");
                let text = format!("the upgrade failed, the old program is back: {error}");
                self.events.stage_about(About::UpgradeFailed, text);
            }
        }
    }

    /// Makes a helper's process one that this keeper can make, where its service belongs.
    fn fit_helper(&self, spawn: &mut Spawn) -> Result<(), String> {
        if let Some(service) = self.probes.exec.service_of(RunId(spawn.run)) {
            self.place(service, spawn)?;
        }
        self.knows.fit(spawn)
    }

    fn probed(&mut self, answer: Answer) {
        if self.probes.done(&answer) {
            self.out.put_json(SEEN_KEY, self.probes.seen());
        }
        let Answer { run, probe, seq, outcome } = answer;
        let took = self.asked.remove(&(run, probe)).map(|asked| now().since(asked));
        if let Some(service) = self.core.service_of(run) {
            self.tally.answered(service, probe, outcome.ok, took);
        }
        self.input(Input::ProbeResult { run, probe, seq, outcome });
    }

    fn step_ended(&mut self, done: StepDone) {
        let StepDone { run, step, error } = done;
        self.input(Input::StopStepDone { run, step, error });
    }

    /// Takes in which hooks are over and starts the next ones; what the core is to be told.
    fn hooks_go_on(&mut self) -> Vec<Input> {
        let (plan, exec) = (self.core.plan(), &mut self.probes.exec);
        for (service, seq, outcome) in exec.take_hooks() {
            self.hooks.ended(&service, seq, outcome, plan);
        }
        let told = self.hooks.go_on(now(), plan, exec);
        self.shelf.hold(self.hooks.held());
        told
    }

    /// Takes in how far changes of files are and takes their next steps; what the core is to be told.
    fn files_go_on(&mut self) -> Vec<Input> {
        for done in self.probes.exec.take_files() {
            self.files.ended(done);
        }
        let mut told = Vec::new();
        for follows in self.files.go_on(now(), self.core.plan(), &mut self.probes) {
            match follows {
                Follows::Input(input) => told.push(input),
                Follows::Hooks { service, run, facts } => {
                    self.hooks.want(&service, run, HookMoment::BeforeStart, facts);
                }
                Follows::Signal { id, run, action } => self.signal_main(id, run, action),
            }
        }
        told
    }

    pub(crate) fn end_probes(&mut self, run: RunId) {
        self.asked.retain(|(of, _), _| *of != run);
        if self.probes.cancel(run) {
            self.out.put_json(SEEN_KEY, self.probes.seen());
        }
    }

    /// Gives the core something.
    pub fn input(&mut self, input: Input) {
        let now = now();
        self.recorder.input(now, &input);
        self.core.handle(now, input);
        self.take_effects();
    }

    /// Tells something, behind what the core has told before.
    pub(crate) fn tell(&mut self, event: mainstay_core::Event) {
        self.effects.push(Effect::Tell(event));
    }

    fn take_effects(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            if let Effect::Spawn { run, .. } = &effect {
                self.recorder.made(*run);
                self.last_run = self.last_run.max(run.0);
            }
            self.effects.push(effect);
        }
    }

    /// Does what the core wants, and makes the frame of this batch; none if there is nothing to say.
    pub fn take_frame(&mut self) -> Option<ToKeeper> {
        loop {
            for effect in std::mem::take(&mut self.effects) {
                self.perform(effect);
            }
            let answers = self.probes.exec.take_answers();
            let steps = self.probes.exec.take_steps();
            let mut told = self.files_go_on();
            told.extend(self.hooks_go_on());
            if answers.is_empty() && steps.is_empty() && told.is_empty() {
                break;
            }
            told.into_iter().for_each(|input| self.input(input));
            steps.into_iter().for_each(|done| self.step_ended(done));
            answers.into_iter().for_each(|answer| self.probed(answer));
        }
        if self.is_down && !self.ended && self.hooks.is_idle() {
            self.events.stage_about(About::Down, "the stack is down");
            self.out.command(Command::Exit);
            self.ended = true;
        }
        let (core, last_run, vault) = (&mut self.core, &mut self.last_run, &self.vault);
        let number = || {
            *last_run += 1;
            core.reserve_runs(*last_run);
            RunId(*last_run)
        };
        let commands = self.probes.exec.take_commands(number, |texts| vault.fill(texts));
        for mut command in commands {
            if let Command::Spawn(spawn) = &mut command
                && let Err(error) = self.fit_helper(spawn)
            {
                self.probes.exec.heard(RunId(spawn.run), Helper::SpawnFailed(error));
                continue;
            }
            self.out.command(command);
        }
        if self.core.applying().is_none() {
            self.vault.apply_is_over();
        }
        let changes = self.core.take_plan_changes();
        if !changes.is_empty() {
            self.vault.follow(self.core.plan());
            self.sessions.follow(self.core.plan());
        }
        if changes.stack {
            self.note_top();
        }
        for name in changes.services {
            let plan = self.core.plan().services.get(&name).cloned();
            if plan.is_none() {
                self.outputs.forget(&name);
                self.leaks.remove(&name);
                if self.limits.remove(&name).is_some() {
                    self.limits_changed();
                }
            }
            self.note_plan(&name, plan.as_ref());
        }
        for (key, text) in self.core.take_dirty() {
            self.changed = true;
            self.out.put(key, text);
        }
        self.tell_of_the_whole();
        if let Some(saved) = self.recorder.flush() {
            self.out.put(RECORD_KEY, saved);
        }
        let staged = self.events.is_staged();
        if staged || (self.events_held && !self.out.is_empty()) {
            self.out.put(EVENTS_KEY, self.events.saved());
            self.events_held = staged;
        }
        self.events.take_leave();
        self.leaving.append(&mut self.replies);
        if std::mem::take(&mut self.changed) {
            self.watched.revision.send_modify(|revision| *revision += 1);
        }
        self.out.take()
    }

    /// What a service manager wants to know of the stack as a whole.
    fn tell_of_the_whole(&mut self) {
        if !self.settled && self.core.is_settled() {
            self.settled = true;
            self.out.settled();
        }
        let frost = self.core.frost();
        if self.frost != Some(frost) {
            self.frost = Some(frost);
            self.out.frost(frost);
        }
        // The hooks of the end come first.
        let over = self.core.over().filter(|_| self.hooks.is_idle());
        if over.is_some() != self.over {
            self.over = over.is_some();
            over.into_iter().for_each(|over| self.out.over(over));
        }
    }

    /// The frame that was taken last is on its way (or there was none).
    pub fn sent(&mut self) {
        self.events.flush();
        let taken = Taken { revision: *self.watched.revision.borrow(), plan: *self.watched.plan.borrow() };
        for reply in self.leaving.drain(..) {
            reply(taken);
        }
    }

    /// The plan has changed in this service; none: it is gone.
    pub fn note_plan(&mut self, name: &ServiceName, plan: Option<&ServicePlan>) {
        self.watched.plan.send_modify(|count| *count += 1);
        if let Some(plan) = plan {
            if let Some(text) = self.knows.passes_over(name, plan) {
                self.events.stage_own(text);
            }
            self.apply_live(name, plan);
        }
        self.shelf.set(name, plan.map(|plan| &plan.log));
        let key = format!("{PLAN_KEY}{name}");
        self.overlay.insert(key.clone(), *self.watched.plan.borrow());
        self.out.put_json(key, &plan);
    }

    /// What of a changed plan holds for the run that is there.
    fn apply_live(&mut self, name: &ServiceName, plan: &ServicePlan) {
        let Some(status) = self.core.service_status(name.as_str()) else { return };
        if status.state.is_down() {
            return;
        }
        if self.knows.has(mainstay_link::SET_LOG) {
            self.out.command(Command::SetLog(log_of(name, plan)));
        }
        // One that is being stopped ends as it was begun.
        if let Some(run) = status.run.filter(|_| status.state != StateName::Stopping)
            && self.knows.has(mainstay_link::SET_LIMITS)
        {
            self.out.command(Command::SetLimits { run, limits: plan.launch.limits.clone() });
        }
    }

    /// What belongs to no service has changed.
    pub fn note_top(&mut self) {
        self.watched.plan.send_modify(|count| *count += 1);
        self.overlay.insert(TOP_KEY.to_owned(), *self.watched.plan.borrow());
        let top = Plan { services: BTreeMap::new(), ..self.core.plan().clone() };
        self.out.put_json(TOP_KEY, &top);
    }

    /// The list of configurations has changed.
    pub fn note_revisions(&mut self) {
        self.out.put_json(REVISIONS_KEY, &self.revisions);
        self.watched.plan.send_modify(|count| *count += 1);
        self.changed = true;
    }
}
