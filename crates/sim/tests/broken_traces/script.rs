//! Writes traces by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::{
    Check, Effect, Event, EventKind, Exit, Input, Plan, ProbeKind, ProbePlan, Request, RunId, ServiceName,
    ServicePlan, ServiceStatus, StateName, StopAction, Time,
};
use mainstay_sim::invariants::{Checker, Violation};
use mainstay_sim::trace::{Cause, Step};

/// A trace being written.
#[derive(Clone)]
pub struct Script {
    plan: Plan,
    checker: fn(Plan) -> Checker,
    steps: Vec<Step>,
    now: u64,
}

impl Script {
    pub fn new(plan: Plan) -> Script {
        Script::under(Checker::new, plan)
    }

    /// One whose plan changes on the way.
    pub fn changing(plan: Plan) -> Script {
        Script::under(Checker::changing, plan)
    }

    fn under(checker: fn(Plan) -> Checker, plan: Plan) -> Script {
        let script = Script { plan, checker, steps: Vec::new(), now: 0 };
        script.step(Cause::New)
    }

    /// The time of the next step, in milliseconds.
    pub fn at(mut self, millis: u64) -> Script {
        self.now = millis;
        self
    }

    pub const fn now_ms(&self) -> u64 {
        self.now
    }

    pub fn input(self, input: Input) -> Script {
        self.step(Cause::Input(input))
    }

    pub fn request(self, request: Request) -> Script {
        self.input(Input::Request { by: "somebody".into(), request })
    }

    pub fn restored(self) -> Script {
        self.step(Cause::Restored { last_run: 9 })
    }

    fn step(mut self, cause: Cause) -> Script {
        self.steps.push(Step {
            at: moment(self.now),
            cause,
            effects: Vec::new(),
            status: Vec::new(),
            deadline: None,
            plan: None,
        });
        self
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().unwrap()
    }

    pub fn does(mut self, effects: &[Effect]) -> Script {
        self.last().effects.extend_from_slice(effects);
        self
    }

    pub fn shows(mut self, status: ServiceStatus) -> Script {
        self.last().status.push(status);
        self
    }

    /// The plan is this one from this step on.
    pub fn plans(mut self, plan: Plan) -> Script {
        self.last().plan = Some(Box::new(plan));
        self
    }

    /// The next deadline after this step, in milliseconds.
    pub fn then_due(mut self, millis: u64) -> Script {
        self.last().deadline = Some((moment(millis), "a test"));
        self
    }

    pub fn no_deadline(mut self) -> Script {
        self.last().deadline = None;
        self
    }

    /// From nothing to a process that runs.
    pub fn comes_up(self, service: &str, id: u64) -> Script {
        self.at(0)
            .request(Request::Start(name(service)))
            .does(&[state(service, StateName::Stopped, StateName::Starting), spawn(service, id)])
            .at(10)
            .input(Input::Spawned { run: run(id), pid: 1 })
            .does(&[state(service, StateName::Starting, StateName::Running)])
    }

    /// A stop that goes well, until 1,000 ms.
    pub fn stops(self, service: &str, id: u64) -> Script {
        self.at(900)
            .request(Request::Stop(name(service)))
            .does(&[state(service, StateName::Running, StateName::Stopping), signal(id, StopAction::CtrlC)])
            .then_due(10_900)
            .at(1_000)
            .input(Input::Exited { run: run(id), exit: Exit::Code(0), tree_empty: true })
            .does(&[Effect::Forget { run: run(id) }, state(service, StateName::Stopping, StateName::Stopped)])
    }

    /// A second later `a` ends for the `attempt`th time in a row and waits.
    pub fn crashes_and_waits(self, attempt: u32, wait: u64) -> Script {
        let now = self.now + 1_000;
        let delay = Duration::from_millis(wait);
        self.at(now)
            .input(Input::Exited { run: run(u64::from(attempt)), exit: Exit::Code(1), tree_empty: true })
            .does(&[
                Effect::Forget { run: run(u64::from(attempt)) },
                tell("a", EventKind::BackOff { delay, attempt }),
                state("a", StateName::Running, StateName::Backoff),
            ])
            .then_due(now + wait)
    }

    /// The same, and comes up again after that.
    pub fn crashes(self, attempt: u32, wait: u64) -> Script {
        let script = self.crashes_and_waits(attempt, wait);
        let (now, next) = (script.now, u64::from(attempt) + 1);
        script
            .at(now + wait)
            .input(Input::Tick)
            .does(&[state("a", StateName::Backoff, StateName::Starting), spawn("a", next)])
            .at(now + wait + 10)
            .input(Input::Spawned { run: run(next), pid: 1 })
            .does(&[state("a", StateName::Starting, StateName::Running)])
    }

    fn check(&self) -> Result<(), (usize, Violation)> {
        let mut checker = (self.checker)(self.plan.clone());
        for (number, step) in self.steps.iter().enumerate() {
            checker.step(step).map_err(|violation| (number, violation))?;
        }
        Ok(())
    }

    /// No rule is broken.
    pub fn holds(&self) {
        if let Err((number, violation)) = self.check() {
            panic!("{violation}\nin step {number}: {}", self.steps[number]);
        }
    }

    /// This rule is broken by the last step, and no rule before.
    pub fn breaks(&self, rule: &str) {
        let broken = self.broken();
        assert_eq!(broken, rule, "{:?}", self.check());
    }

    /// The rule that is broken by the last step, and none before.
    pub fn broken(&self) -> String {
        match self.check() {
            Err((number, violation)) if number + 1 == self.steps.len() => violation.rule.to_owned(),
            Err((number, violation)) => {
                panic!("{violation}\nalready in step {number}: {}", self.steps[number])
            }
            Ok(()) => panic!("nobody saw anything wrong in {}", self.steps[self.steps.len() - 1]),
        }
    }
}

pub const fn moment(millis: u64) -> Time {
    Time::from_nanos(1_000_000_000 + millis * 1_000_000)
}

pub fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

pub const fn run(id: u64) -> RunId {
    RunId(id)
}

/// Services without anything special.
pub fn plan(names: &[&str]) -> Plan {
    let services: BTreeMap<_, _> = names.iter().map(|text| (name(text), ServicePlan::default())).collect();
    Plan { stack: "test".into(), services, ..Plan::default() }
}

/// Asked 100 ms after its turn and every second from then on.
pub fn http_probe() -> ProbePlan {
    ProbePlan {
        check: Check::Http("http://127.0.0.1:1/".into()),
        initial_delay: Duration::from_millis(100),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        failures: 3,
        successes: 1,
    }
}

pub fn spawn(service: &str, id: u64) -> Effect {
    Effect::Spawn { service: name(service), run: run(id) }
}

pub fn kill(id: u64) -> Effect {
    Effect::Kill { run: run(id) }
}

pub fn signal(id: u64, action: StopAction) -> Effect {
    Effect::Signal { run: run(id), action }
}

pub fn probe(id: u64, probe: ProbeKind, seq: u64) -> Effect {
    Effect::Probe { service: name("a"), run: run(id), probe, seq }
}

pub fn tell(service: &str, kind: EventKind) -> Effect {
    Effect::Tell(Event { service: Some(name(service)), run: None, kind })
}

pub fn state(service: &str, from: StateName, to: StateName) -> Effect {
    tell(service, EventKind::State { from, to, reason: "a test".into() })
}

pub fn status(service: &str, state: StateName) -> ServiceStatus {
    ServiceStatus {
        name: name(service),
        state,
        since: moment(0),
        reason: "a test".into(),
        run: None,
        pid: None,
        started: None,
        restarts: 0,
        crash_loop: false,
        next_start: None,
        last_exit: None,
        waiting_for: Vec::new(),
        says: None,
        probes: Vec::new(),
        left: false,
    }
}
