//! Virtual time: the fake operating system, the daemon and everything between them, moved on from one moment at
//! which something happens to the next.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mainstay_core::{
    Effect, HookMoment, Input, Plan, ProbeKind, ProbeOutcome, Request, Rotation, RotationCause, RunId,
    ServiceName, StateName, Time,
};

use crate::invariants::{Checker, Violation};
use crate::trace::Step;
use crate::transition::{Answer, DaemonDeath, Stale};

mod daemon;
mod files;
mod os;

pub use daemon::{Daemon, Kept};
pub use files::{SECRET, filled, marks};
pub use os::{Os, Place};

/// When histories begin: some time after the machine did.
pub const START: Time = Time::from_nanos(1_000_000_000_000);

/// The most inputs within one [`World::run_for`] that are not a storm.
const STORM: u64 = 2_000_000;

/// The world of one history.
pub struct World {
    now: Time,
    seed: u64,
    /// The operating system with the keeper.
    pub os: Os,
    /// The session of who is signed in.
    session: Option<u32>,
    /// The value of the one secret that there is, [`SECRET`].
    pub secret: String,
    daemon: Option<Daemon>,
    kept: Kept,
    daemons: u64,
    /// Events that were told, not yet acknowledged.
    unacknowledged: VecDeque<(u64, Input)>,
    told: u64,
    /// What was delivered lately, newest last: for echoes.
    delivered: VecDeque<Input>,
    /// Questions of the daemon's on their way to an answer.
    answers: BTreeMap<(Time, u64), Input>,
    asked: u64,
    delivery: Option<Time>,
    latency: Duration,
    lateness: Duration,
    death: Option<DaemonDeath>,
    comes_back: Option<Time>,
    looks: bool,
    checker: Checker,
    trace: Option<Vec<Step>>,
    /// Whether the stack is down and its keeper gone.
    pub over: bool,
    /// How much has happened.
    pub count: Count,
}

/// How much has happened in a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Inputs handled and committed.
    pub inputs: u64,
    /// Effects wanted.
    pub effects: u64,
    /// Processes made.
    pub spawns: u64,
    /// Daemons replaced.
    pub daemons: u64,
    /// Crash loops told.
    pub crash_loops: u64,
}

impl Count {
    /// What happened in both.
    #[must_use]
    pub const fn plus(self, other: Count) -> Count {
        Count {
            inputs: self.inputs + other.inputs,
            effects: self.effects + other.effects,
            spawns: self.spawns + other.spawns,
            daemons: self.daemons + other.daemons,
            crash_loops: self.crash_loops + other.crash_loops,
        }
    }
}

/// What goes wrong in a world: a rule is broken.
pub type Moved = Result<(), Violation>;

impl World {
    /// A world at its beginning.
    ///
    /// # Errors
    /// If already the first moment breaks a rule.
    pub fn new(plan: Plan, seed: u64) -> Result<World, Violation> {
        let checker = Checker::new(plan.clone());
        World::with(plan, seed, checker, true)
    }

    /// A world of a very large stack: under all rules, but those that need the status after each step.
    ///
    /// # Errors
    /// If already the first moment breaks a rule.
    pub fn large(plan: Plan, seed: u64) -> Result<World, Violation> {
        let checker = Checker::new(plan.clone());
        World::with(plan, seed, checker, false)
    }

    /// A world whose plan changes on the way. Most rules know only plans that stay as they are, so this one is under those
    /// of the operating system (no service runs twice, no number is used twice, nothing is left at the end), and those
    /// of [`Checker::changing`].
    ///
    /// # Errors
    /// If already the first moment breaks a rule.
    pub fn changing(plan: Plan, seed: u64) -> Result<World, Violation> {
        let checker = Checker::changing(plan.clone());
        World::with(plan, seed, checker, false)
    }

    fn with(plan: Plan, seed: u64, checker: Checker, looks: bool) -> Result<World, Violation> {
        let daemon = Daemon::new(plan.clone(), seed, START, looks);
        let mut world = World {
            now: START,
            seed,
            os: Os::default(),
            session: None,
            secret: String::new(),
            daemon: Some(daemon),
            kept: Kept { state: BTreeMap::new(), plan, ack: 0 },
            daemons: 1,
            unacknowledged: VecDeque::new(),
            told: 0,
            delivered: VecDeque::new(),
            answers: BTreeMap::new(),
            asked: 0,
            delivery: None,
            latency: Duration::from_micros(200),
            lateness: Duration::ZERO,
            death: None,
            comes_back: None,
            looks,
            checker,
            trace: None,
            over: false,
            count: Count::default(),
        };
        world.os.advance(START);
        world.commit()?;
        world.set_session(Some(1))?;
        Ok(world)
    }

    /// Keeps every step from now on.
    pub fn keep_trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    /// The steps kept.
    pub fn take_trace(&mut self) -> Vec<Step> {
        self.trace.take().unwrap_or_default()
    }

    /// The time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The daemon, if there is one.
    pub const fn daemon(&self) -> Option<&Daemon> {
        self.daemon.as_ref()
    }

    /// The plan as it was kept last.
    pub const fn plan(&self) -> &Plan {
        &self.kept.plan
    }

    /// The state of a service as it was told; `stopped` if there is none or nobody watches.
    pub fn state(&self, name: &ServiceName) -> StateName {
        self.checker.facts().state(name)
    }

    /// Whether any service is in this state.
    pub fn any_state(&self, state: StateName) -> bool {
        self.kept.plan.services.keys().any(|name| self.state(name) == state)
    }

    /// Whether a service is as far up as it gets.
    pub fn is_up(&self, name: &ServiceName, job: bool) -> bool {
        let has_ready = self.kept.plan.services.get(name).is_some_and(|plan| plan.ready.is_some());
        match self.state(name) {
            StateName::Completed => job,
            StateName::Ready => !job,
            StateName::Running => !job && !has_ready,
            _ => false,
        }
    }

    /// The keeper is gone; what if the daemon were asked on?
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn after_all(&mut self) -> Moved {
        self.over = false;
        for request in [Request::Up, Request::Down, Request::DownAll] {
            self.request(request)?;
        }
        self.spurious_tick()
    }

    /// The session of who is signed in.
    pub const fn session(&self) -> Option<u32> {
        self.session
    }

    /// Somebody signs in or off. A daemon that is away looks when it is there again.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn set_session(&mut self, id: Option<u32>) -> Moved {
        self.session = id;
        self.batch(vec![(None, Input::Session { id })])
    }

    /// A file of a service's log is closed. Not known to a daemon that is away.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn rotated(&mut self, service: &ServiceName) -> Moved {
        let log = service.to_string();
        let rotation = Rotation { log, first: 1, last: 1, why: RotationCause::Size };
        self.batch(vec![(None, Input::Rotated { service: service.clone(), rotation })])
    }

    /// How late deadlines are handled from now on.
    pub const fn set_lateness(&mut self, lateness: Duration) {
        self.lateness = lateness;
    }

    /// How the daemon dies next.
    pub fn set_death(&mut self, death: Option<DaemonDeath>) -> Moved {
        self.death = death;
        if death.is_some_and(|death| death.after_inputs == 0) && self.daemon.is_some() {
            self.die()?;
        }
        Ok(())
    }

    /// Somebody asks for something. Lost if there is no daemon.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn request(&mut self, request: Request) -> Moved {
        self.batch(vec![(None, Input::Request { by: "sim".to_owned(), request })])
    }

    /// Somebody wants another configuration. Lost if there is no daemon.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn apply(&mut self, revision: u64, plan: Plan) -> Moved {
        self.batch(vec![(None, Input::Apply { by: "sim".to_owned(), revision, plan: Box::new(plan) })])
    }

    /// A deadline has come, it is said.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn spurious_tick(&mut self) -> Moved {
        self.batch(vec![(None, Input::Tick)])
    }

    /// An event that was delivered before comes again. Only those that the keeper may repeat in that way.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn echo(&mut self, back: u64) -> Moved {
        let index = usize::try_from(back).unwrap_or(usize::MAX);
        let again = self.delivered.iter().rev().nth(index).cloned();
        match again {
            Some(
                Input::Notify { .. }
                | Input::Frozen { .. }
                | Input::Thawed { .. }
                | Input::FreezeFailed { .. },
            ) if back > 0 => Ok(()),
            Some(input) => self.batch(vec![(None, input)]),
            None => Ok(()),
        }
    }

    /// Something is told about a run that is over, or that never was.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn stale(&mut self, service: &ServiceName, stale: Stale) -> Moved {
        let present = self.os.run_of(service);
        let run = match present {
            Some(run) if self.now.as_nanos().is_multiple_of(2) => RunId(run.0.saturating_sub(1)),
            _ => RunId(self.os.last_run() + 1_000),
        };
        // The one before may be another service's, and alive.
        if self.os.runs().any(|there| there == run) {
            return Ok(());
        }
        let error = "of old".to_owned();
        let outcome = ProbeOutcome { ok: false, detail: error.clone() };
        let input = match stale {
            Stale::Prepared => Input::Prepared { run, error: Some(error) },
            Stale::Spawned => Input::Spawned { run, pid: 77 },
            Stale::SpawnFailed => Input::SpawnFailed { run, error },
            Stale::Exited => Input::Exited { run, exit: mainstay_core::Exit::Code(1), tree_empty: true },
            Stale::TreeEmpty => Input::TreeEmpty { run },
            Stale::Frozen => Input::Frozen { run },
            Stale::Thawed => Input::Thawed { run },
            Stale::FreezeFailed => Input::FreezeFailed { run, error },
            Stale::StopStepDone => Input::StopStepDone { run, step: 0, error: Some(error) },
            Stale::ProbeResult => Input::ProbeResult { run, probe: ProbeKind::Live, seq: 1, outcome },
            Stale::Notify => Input::Notify { run, text: "READY=1".to_owned() },
        };
        self.batch(vec![(None, input)])
    }

    /// Time passes, and what is under way happens.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn run_for(&mut self, time: Duration) -> Moved {
        let until = self.now.after(time);
        self.run_until(until, |_| false)
    }

    /// Time passes until something is so, at most until then.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn run_until(&mut self, until: Time, so: impl Fn(&World) -> bool) -> Moved {
        let before = self.count.inputs;
        self.collect();
        while !self.over && !so(self) {
            let Some(next) = self.next().filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            self.os.advance(self.now);
            self.collect();
            self.happen()?;
            if self.count.inputs - before > STORM {
                return Err(self.violation("no storm", format!("more than {STORM} inputs by {}", self.now)));
            }
        }
        if !so(self) && !self.over {
            self.now = self.now.max(until);
            self.os.advance(self.now);
            self.collect();
        }
        Ok(())
    }

    /// When something happens next.
    fn next(&self) -> Option<Time> {
        let daemon = self.daemon.as_ref();
        let tick = daemon.and_then(|d| d.supervisor().next_deadline()).map(|(at, _)| at.after(self.lateness));
        let answer = self.answers.keys().next().map(|(at, _)| *at);
        let delivery = daemon.and(self.delivery);
        [self.os.next(), tick, answer, delivery, self.comes_back].into_iter().flatten().min()
    }

    /// The keeper takes down what the operating system did.
    fn collect(&mut self) {
        while let Some(input) = self.os.events.pop_front() {
            self.told += 1;
            self.unacknowledged.push_back((self.told, input));
            let at = self.now.after(self.latency);
            self.delivery.get_or_insert(at);
        }
    }

    /// What is due happens.
    fn happen(&mut self) -> Moved {
        if self.comes_back.is_some_and(|at| at <= self.now) {
            self.comes_back = None;
            self.another_daemon()?;
        }
        if self.daemon.is_some() && self.delivery.is_some_and(|at| at <= self.now) {
            self.delivery = None;
            self.deliver()?;
        }
        while let Some(entry) = self.answers.first_entry()
            && entry.key().0 <= self.now
        {
            let input = entry.remove();
            self.batch(vec![(None, input)])?;
        }
        let deadline = self.daemon.as_ref().and_then(|d| d.supervisor().next_deadline());
        if deadline.is_some_and(|(at, _)| at.after(self.lateness) <= self.now) {
            self.batch(vec![(None, Input::Tick)])?;
        }
        Ok(())
    }

    fn deliver(&mut self) -> Moved {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        let seen = daemon.seen();
        let news: Vec<(Option<u64>, Input)> = self
            .unacknowledged
            .iter()
            .filter(|(number, _)| *number > seen)
            .map(|(number, input)| (Some(*number), input.clone()))
            .collect();
        for (_, input) in &news {
            self.delivered.push_back(input.clone());
        }
        while self.delivered.len() > 16 {
            self.delivered.pop_front();
        }
        self.batch(news)
    }

    /// Some inputs at one moment: one transaction, unless the daemon dies in it.
    fn batch(&mut self, inputs: Vec<(Option<u64>, Input)>) -> Moved {
        for (event, input) in inputs {
            if self.over {
                return Ok(());
            }
            let Some(daemon) = &mut self.daemon else { return Ok(()) };
            let handled = daemon.handle(self.now, event, input);
            handled.map_err(|what| self.violation("check says what handle does", what))?;
            if let Some(death) = &mut self.death {
                death.after_inputs = death.after_inputs.saturating_sub(1);
                if death.after_inputs == 0 {
                    return self.die();
                }
            }
        }
        self.commit()
    }

    /// The daemon dies. What it has done since its last transaction arrives at the keeper whole, or not at all.
    fn die(&mut self) -> Moved {
        let Some(death) = self.death.take() else { return Ok(()) };
        if death.frame_arrives {
            self.commit()?;
        }
        self.daemon = None;
        self.answers.clear();
        self.comes_back = Some(self.now.after(death.away));
        Ok(())
    }

    fn another_daemon(&mut self) -> Moved {
        let last_run = self.os.last_run();
        let daemon = Daemon::restored(&self.kept, self.seed, last_run, self.now, self.looks);
        let unknown: Vec<RunId> =
            self.os.runs().filter(|run| daemon.supervisor().service_of(*run).is_none()).collect();
        if !unknown.is_empty() {
            return Err(self.violation("no run is lost", format!("the new daemon does not know {unknown:?}")));
        }
        self.daemon = Some(daemon);
        self.daemons += 1;
        self.count.daemons += 1;
        if self.unacknowledged.iter().any(|(number, _)| *number > self.kept.ack) {
            self.delivery = Some(self.now);
        }
        self.batch(vec![(None, Input::Session { id: self.session })])
    }

    /// The daemon's transaction arrives: state kept, events acknowledged, effects done, the trace checked.
    fn commit(&mut self) -> Moved {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let steps = daemon.commit(&mut self.kept);
        while self.unacknowledged.front().is_some_and(|(number, _)| *number <= self.kept.ack) {
            self.unacknowledged.pop_front();
        }
        for step in steps {
            self.count.inputs += 1;
            self.count.effects += step.effects.len() as u64;
            self.count.crash_loops += u64::from(daemon::tells_crash_loop(&step));
            let checked = self.checker.step(&step);
            for effect in &step.effects {
                self.perform(effect);
            }
            if let Some(trace) = &mut self.trace {
                trace.push(step);
            }
            checked?;
            if let Some(what) = self.os.outrage.take() {
                return Err(self.violation("the operating system's truth", what));
            }
        }
        self.collect();
        Ok(())
    }

    fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Prepare { service, run, .. } => self.prepare(service, *run),
            Effect::Configure { service, run, tell } => self.configure(service, *run, *tell),
            // Its answer may be under way all the same, and comes too late.
            Effect::CancelPrepare { .. } | Effect::CancelHook { .. } | Effect::Control { .. } => {}
            Effect::Hook { service, run, moment, .. } => self.run_hook(service, *run, *moment),
            Effect::Spawn { service, run } => {
                self.count.spawns += 1;
                // What the daemon does not know yet the system knows.
                let waits = self.kept.plan.services.get(service).is_some_and(|plan| plan.session.waits());
                let place = if waits && self.session.is_none() { Place::Gone } else { Place::There };
                self.os.spawn(service, *run, place);
            }
            Effect::Signal { run, action } => self.os.signal(*run, action.clone()),
            Effect::StopStep { service, run, step, action, timeout } => {
                self.take_step(service, *run, *step, action, *timeout);
            }
            Effect::Kill { run } => self.os.kill(*run),
            Effect::Freeze { run } => self.os.freeze(*run),
            Effect::Thaw { run } => self.os.thaw(*run),
            Effect::Forget { run } => self.os.forget(*run),
            Effect::Probe { service, run, probe, seq } => self.ask(service, *run, *probe, *seq),
            Effect::Tell(_) | Effect::StackRests => {}
            Effect::StackDown => {
                let left = self.os.runs().find(|run| self.os.is_there(*run));
                if let Some(run) = left {
                    self.os.outrage = Some(format!("the stack is said to be down, but run {run} is there"));
                }
                self.over = true;
            }
        }
    }

    /// Asks a probe's question; the answer comes later, or never.
    fn ask(&mut self, service: &ServiceName, run: RunId, probe: ProbeKind, seq: u64) {
        let plan = self.kept.plan.services.get(service);
        let asked = plan.and_then(|plan| match probe {
            ProbeKind::Startup => plan.startup.as_ref(),
            ProbeKind::Ready => plan.ready.as_ref(),
            ProbeKind::Live => plan.live.as_ref(),
        });
        let timeout = asked.map_or(Duration::ZERO, |probe| probe.timeout);
        let answer = match self.os.conduct(service).answer(probe) {
            Answer::Good(_) if !self.os.answers(run) => Answer::Hangs,
            answer => answer,
        };
        let (after, ok) = match answer {
            Answer::Good(after) if after <= timeout => (after, true),
            Answer::Bad(after) if after <= timeout => (after, false),
            Answer::Good(_) | Answer::Bad(_) | Answer::Hangs => (timeout, false),
            Answer::TooLate(after) => (timeout + after, true),
            Answer::Lost => return,
        };
        let outcome = ProbeOutcome { ok, detail: if ok { "200 OK" } else { "no answer" }.to_owned() };
        self.answer_at(self.now.after(after), Input::ProbeResult { run, probe, seq, outcome });
    }

    /// Answers what was asked for, behind all that was answered for then.
    fn answer_at(&mut self, at: Time, input: Input) {
        self.asked += 1;
        self.answers.insert((at, self.asked), input);
    }

    /// Runs a command of a stop, or makes its request. The answer comes later, too late, or never.
    fn take_step(
        &mut self,
        service: &ServiceName,
        run: RunId,
        step: u32,
        action: &mainstay_core::StopAction,
        timeout: Duration,
    ) {
        let failed = Some("exit code 1".to_owned());
        let (after, error) = match self.os.conduct(service).stop_steps {
            Answer::Good(after) if after <= timeout => {
                self.os.signal(run, action.clone());
                (after, None)
            }
            Answer::Bad(after) if after <= timeout => (after, failed),
            Answer::Good(_) | Answer::Bad(_) | Answer::Hangs => (timeout, failed),
            Answer::TooLate(after) => (timeout + after, failed),
            Answer::Lost => return,
        };
        self.answer_at(self.now.after(after), Input::StopStepDone { run, step, error });
    }

    /// Runs a hook. How it comes out is told later, too late, or never.
    fn run_hook(&mut self, service: &ServiceName, run: RunId, moment: HookMoment) {
        let hook = self.kept.plan.services.get(service).and_then(|plan| plan.hooks.at(moment));
        let timeout = hook.map_or(Duration::ZERO, |hook| hook.timeout);
        let (after, ok) = match self.os.conduct(service).stop_steps {
            Answer::Good(after) => (after.min(timeout), after <= timeout),
            Answer::Bad(after) => (after.min(timeout), false),
            Answer::Hangs => (timeout, false),
            Answer::TooLate(after) => (timeout + after, false),
            Answer::Lost => return,
        };
        let detail = if ok { "exit code 0" } else { "exit code 1" }.to_owned();
        self.answer_at(
            self.now.after(after),
            Input::HookDone { service: service.clone(), run, moment, ok, detail },
        );
    }

    /// A rule is broken now.
    pub fn violation(&self, rule: &'static str, what: String) -> Violation {
        Violation { rule, at: self.now, what }
    }
}
