//! A bench for tests: a supervisor, virtual time, and words for what happens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{
    Check, Condition, Effect, EventKind, Exit, FilesOutcome, Input, Plan, ProbeKind, ProbeOutcome, ProbePlan,
    Request, RunId, ServiceName, ServicePlan, ServiceStatus, StateName, Supervisor, Time,
};

pub(crate) const SEED: u64 = 7;

pub(crate) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A service with defaults and a command.
pub(crate) fn service() -> ServicePlan {
    let mut plan = ServicePlan::default();
    plan.launch.command = vec!["program".into()];
    plan
}

/// A service that depends on others.
pub(crate) fn needs<const N: usize>(on: [(&str, Condition); N]) -> ServicePlan {
    let depends_on = on.into_iter().map(|(on, condition)| (name(on), condition)).collect();
    ServicePlan { depends_on, ..service() }
}

/// A probe every second, with a second's patience, that fails after three failures.
pub(crate) fn probe() -> ProbePlan {
    ProbePlan {
        check: Check::Tcp("localhost:1".into()),
        initial_delay: Duration::ZERO,
        interval: secs(1),
        timeout: secs(1),
        failures: 3,
        successes: 1,
    }
}

pub(crate) fn notify() -> ProbePlan {
    ProbePlan { check: Check::Notify, ..probe() }
}

pub(crate) fn plan<const N: usize>(services: [(&str, ServicePlan); N]) -> Plan {
    let services = services.into_iter().map(|(text, plan)| (name(text), plan)).collect();
    Plan { stack: "test".into(), services, ..Plan::default() }
}

pub(crate) struct Bench {
    pub supervisor: Supervisor,
    pub now: Time,
    /// What was wanted since the last look, in short words.
    seen: Vec<String>,
    /// What was told since the last look.
    told: Vec<EventKind>,
    /// The questions in flight, by run and probe.
    pub asked: BTreeMap<(RunId, ProbeKind), u64>,
    /// The last change of files.
    pub configuring: Option<RunId>,
}

impl Bench {
    pub(crate) fn new<const N: usize>(services: [(&str, ServicePlan); N]) -> Self {
        Bench::with(plan(services))
    }

    pub(crate) fn with(plan: Plan) -> Self {
        let now = Time::ZERO.after(secs(1_000));
        let supervisor = Supervisor::new(plan, SEED, now);
        Bench {
            supervisor,
            now,
            seen: Vec::new(),
            told: Vec::new(),
            asked: BTreeMap::new(),
            configuring: None,
        }
    }

    /// A bench with one service `s` that is up.
    pub(crate) fn up(plan: ServicePlan) -> Self {
        let mut bench = Bench::new([("s", plan)]);
        bench.ask(Request::Up);
        bench.made("s");
        bench.look();
        bench
    }

    pub(crate) fn feed(&mut self, input: Input) {
        self.supervisor.handle(self.now, input);
        self.collect();
        self.supervisor.audit();
    }

    pub(crate) fn collect(&mut self) {
        while let Some(effect) = self.supervisor.poll_effect() {
            let of = |bench: &Bench, run: &RunId| match bench.supervisor.service_of(*run) {
                Some(name) => name.to_string(),
                None => format!("run {run}"),
            };
            let words = match &effect {
                Effect::Prepare { service, .. } => format!("prepare {service}"),
                Effect::Configure { service, run, tell } => {
                    self.configuring = Some(*run);
                    let told = if tell.is_some() { " and tell it" } else { "" };
                    format!("change the files of {service}{told}")
                }
                Effect::CancelPrepare { run } => format!("cancel {run}"),
                Effect::CancelHook { moment, run } => format!("cancel {moment} {}", of(self, run)),
                Effect::Hook { service, moment, .. } => format!("{moment} {service}"),
                Effect::Spawn { service, .. } => format!("spawn {service}"),
                Effect::Signal { run, action } => format!("{action} {}", of(self, run)),
                Effect::StopStep { run, action, step, .. } => format!("{action} {} ({step})", of(self, run)),
                Effect::Kill { run } => format!("kill {}", of(self, run)),
                Effect::Freeze { run } => format!("freeze {}", of(self, run)),
                Effect::Thaw { run } => format!("thaw {}", of(self, run)),
                Effect::Forget { run } => format!("forget {run}"),
                Effect::Probe { service, run, probe, seq } => {
                    self.asked.insert((*run, *probe), *seq);
                    format!("ask {service} {probe}")
                }
                Effect::Control { service, code, .. } => format!("control {code} {service}"),
                Effect::StackDown => "stack down".to_owned(),
                Effect::StackRests => "stack rests".to_owned(),
                Effect::Tell(event) => {
                    self.told.push(event.kind.clone());
                    continue;
                }
            };
            self.seen.push(words);
        }
    }

    /// What was wanted since the last look, without what was told.
    pub(crate) fn look(&mut self) -> Vec<String> {
        self.told.clear();
        std::mem::take(&mut self.seen)
    }

    /// The same without the probes' questions and what was forgotten.
    pub(crate) fn deeds(&mut self) -> Vec<String> {
        self.look()
            .into_iter()
            .filter(|deed| !deed.starts_with("ask ") && !deed.starts_with("forget "))
            .collect()
    }

    pub(crate) fn told(&mut self) -> Vec<EventKind> {
        std::mem::take(&mut self.told)
    }

    pub(crate) fn ask(&mut self, request: Request) {
        self.feed(Input::Request { by: "root".into(), request });
    }

    /// Asks for other services in the place of all that are there.
    pub(crate) fn apply<const N: usize>(&mut self, revision: u64, services: [(&str, ServicePlan); N]) {
        let mut new = plan(services);
        new.reload = self.supervisor.plan().reload.clone();
        self.feed(Input::Apply { by: "root".into(), revision, plan: Box::new(new) });
    }

    pub(crate) fn start(&mut self, service: &str) {
        self.ask(Request::Start(name(service)));
    }

    pub(crate) fn stop(&mut self, service: &str) {
        self.ask(Request::Stop(name(service)));
    }

    pub(crate) fn restart(&mut self, service: &str) {
        self.ask(Request::Restart(name(service)));
    }

    pub(crate) fn pause(&mut self, service: &str) {
        self.ask(Request::Pause(name(service)));
    }

    pub(crate) fn resume(&mut self, service: &str) {
        self.ask(Request::Continue(name(service)));
    }

    pub(crate) fn status(&self, service: &str) -> ServiceStatus {
        self.supervisor.service_status(service).unwrap()
    }

    pub(crate) fn state(&self, service: &str) -> StateName {
        self.status(service).state
    }

    pub(crate) fn reason(&self, service: &str) -> String {
        self.status(service).reason
    }

    pub(crate) fn run(&self, service: &str) -> RunId {
        self.status(service).run.unwrap_or_else(|| panic!("{service} has no run: {:?}", self.status(service)))
    }

    pub(crate) fn prepared(&mut self, service: &str, error: Option<&str>) {
        let run = self.run(service);
        self.feed(Input::Prepared { run, error: error.map(str::to_owned) });
    }

    /// The answer to the last change of files.
    pub(crate) fn configured(&mut self, error: Option<&str>) {
        let run = self.configuring.take().expect("files are being changed");
        let outcome = match error {
            None => FilesOutcome::Done("app.json is new".to_owned()),
            Some(why) => FilesOutcome::Refused(why.to_owned()),
        };
        self.feed(Input::Configured { run, outcome });
    }

    pub(crate) fn made(&mut self, service: &str) {
        let run = self.run(service);
        self.feed(Input::Spawned { run, pid: 4_000 + u32::try_from(run.0).unwrap() });
    }

    pub(crate) fn not_made(&mut self, service: &str, error: &str) {
        let run = self.run(service);
        self.feed(Input::SpawnFailed { run, error: error.into() });
    }

    pub(crate) fn exits(&mut self, service: &str, code: i64) {
        let run = self.run(service);
        self.feed(Input::Exited { run, exit: Exit::Code(code), tree_empty: true });
    }

    pub(crate) fn leaves(&mut self, service: &str, code: i64) {
        let run = self.run(service);
        self.feed(Input::Exited { run, exit: Exit::Code(code), tree_empty: false });
    }

    pub(crate) fn empty(&mut self, service: &str) {
        let run = self.run(service);
        self.feed(Input::TreeEmpty { run });
    }

    pub(crate) fn frozen(&mut self, service: &str) {
        let run = self.run(service);
        self.feed(Input::Frozen { run });
    }

    pub(crate) fn thawed(&mut self, service: &str) {
        let run = self.run(service);
        self.feed(Input::Thawed { run });
    }

    pub(crate) fn freeze_fails(&mut self, service: &str) {
        let run = self.run(service);
        self.feed(Input::FreezeFailed { run, error: "not permitted".into() });
    }

    pub(crate) fn says(&mut self, service: &str, text: &str) {
        let run = self.run(service);
        self.feed(Input::Notify { run, text: text.into() });
    }

    /// Answers the question in flight.
    pub(crate) fn answer(&mut self, service: &str, probe: ProbeKind, ok: bool) {
        let run = self.run(service);
        let seq =
            self.asked.remove(&(run, probe)).unwrap_or_else(|| panic!("{service} {probe} was not asked"));
        let detail = if ok { "200 OK" } else { "connection refused" }.to_owned();
        self.feed(Input::ProbeResult { run, probe, seq, outcome: ProbeOutcome { ok, detail } });
    }

    /// Lets time pass, with a tick at each deadline.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while let Some((at, _)) = self.supervisor.next_deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.feed(Input::Tick);
        }
        self.now = end;
    }

    /// Asks what is due now.
    pub(crate) fn tick(&mut self) {
        self.pass(Duration::ZERO);
    }

    /// Puts another supervisor in the place of this one, made from its snapshots.
    pub(crate) fn take_over(&mut self) {
        let snapshots = self.supervisor.snapshots();
        let plan = self.supervisor.plan().clone();
        self.supervisor = Supervisor::restore(plan, SEED, &snapshots, self.now);
        self.collect();
        self.supervisor.audit();
    }
}
