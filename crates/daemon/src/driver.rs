//! The driver: takes in what happened, asks the core, and makes one transaction of what follows. No policy in here.
//!
//! Everything that one batch of wakes brings about goes into one frame {acknowledgement, state, commands}. Only
//! when that frame is on its way to the keeper are its events written and its API requests answered: whoever has
//! an answer can rely on it, whatever becomes of this daemon.

mod frame;
mod heard;
mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;

use mainstay_core::leak::{Change, Growth};
use mainstay_core::{Effect, Frost, HookFacts, Input, ProbeKind, RunId, ServiceName, Supervisor, Time};
use mainstay_link::{LogPos, Queues};
use tokio::sync::watch;

use crate::events_log::EventsLog;
use crate::files::Files;
use crate::hooks::Hooks;
use crate::limits::AllKnown;
use crate::message::{Taken, ToDriver};
use crate::metrics::ProbeTally;
use crate::otlp::Ids;
use crate::outbox::{Outbox, SEEN_KEY};
use crate::outputs::Outputs;
use crate::plan_store::Source;
use crate::probes::{Answer, Probes, StepDone};
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
}
