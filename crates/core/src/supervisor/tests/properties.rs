//! Random histories of a small stack.
//!
//! After each input everything that is counted is counted anew (`audit`), the trace is held against what must hold
//! of every trace, and a supervisor restored from the snapshots has to do the same as the one that wrote them.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::reload::ReloadSettings;
use crate::testing::{SEED, name, notify, probe, service};
use crate::{
    Condition, Control, Effect, EventKind, Exit, ExitAction, Hook, HookMoment, Hooks, HttpCall, Input, Plan,
    ProbeKind, ProbeOutcome, ProbePlan, Request, RestartPlan, RestartPolicy, RunId, ServiceName, ServicePlan,
    Session, StartLimit, StartMode, StateName, StopAction, StopPlan, StopStep, Supervisor, Time,
};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Something that happens to a stack, before it is known what the stack looks like by then.
#[derive(Clone, Debug)]
enum Step {
    Ask(Wanted, Index),
    /// News of the run of a service, or of one that is over.
    News(Index, News, Option<u64>),
    Answer(Index, bool),
    /// Time goes on, without anybody looking at the clock.
    Pass(u64),
    /// To the next deadline, or a little beyond.
    Due(u64),
    Restore,
    /// Somebody signs in or off.
    Session(Option<u32>),
    /// Another configuration.
    Apply(Box<Plan>, Vec<bool>),
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Up,
    Down,
    Start,
    Stop,
    Restart,
    Pause,
    PauseAll,
    ContinueAll,
    Continue,
    Add,
    Remove,
}

#[derive(Clone, Debug)]
enum News {
    Prepared(bool),
    Spawned,
    SpawnFailed,
    Exited(i64, bool),
    TreeEmpty,
    Frozen,
    Thawed,
    FreezeFailed,
    StopStepDone(u32, bool),
    Notify(&'static str),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Wanted::{Add, Continue, ContinueAll, Pause, PauseAll, Remove, Restart, Start, Stop, Up};
    let wanted = select(vec![
        Up,
        Start,
        Start,
        Start,
        Stop,
        Stop,
        Restart,
        Restart,
        Pause,
        Pause,
        Continue,
        PauseAll,
        ContinueAll,
        Add,
        Remove,
    ]);
    let says = select(vec!["READY=1", "READY=0", "STOPPING=1", "WATCHDOG=1", "READY=1\nSTOPPING=1", "x"]);
    let news = prop_oneof![
        4 => any::<bool>().prop_map(News::Prepared),
        6 => Just(News::Spawned),
        1 => Just(News::SpawnFailed),
        3 => (select(vec![0, 1, 10, 20, 78]), any::<bool>()).prop_map(|(code, empty)| News::Exited(code, empty)),
        3 => Just(News::TreeEmpty),
        2 => Just(News::Frozen),
        2 => Just(News::Thawed),
        1 => Just(News::FreezeFailed),
        2 => (0_u32..3, any::<bool>()).prop_map(|(step, ok)| News::StopStepDone(step, ok)),
        2 => says.prop_map(News::Notify),
    ];
    let stale = prop_oneof![8 => Just(None), 1 => (0_u64..12).prop_map(Some)];
    let step = prop_oneof![
        4 => (wanted, any::<Index>()).prop_map(|(wanted, at)| Step::Ask(wanted, at)),
        8 => (any::<Index>(), news, stale).prop_map(|(at, news, stale)| Step::News(at, news, stale)),
        4 => (any::<Index>(), any::<bool>()).prop_map(|(at, ok)| Step::Answer(at, ok)),
        1 => (0_u64..5_000).prop_map(Step::Pass),
        5 => (0_u64..50).prop_map(Step::Due),
        1 => Just(Step::Restore),
        1 => select(vec![None, None, Some(1), Some(2)]).prop_map(Step::Session),
        1 => (plans(), vec(prop::bool::weighted(0.8), 5)).prop_map(|(plan, there)| Step::Apply(Box::new(plan), there)),
    ];
    let down = prop_oneof![3 => Just(None), 1 => any::<Index>().prop_map(Some)];
    (vec(step, 0..120), down).prop_map(|(mut steps, down)| {
        if let Some(at) = down {
            steps.insert(at.index(steps.len() + 1), Step::Ask(Wanted::Down, at));
        }
        steps
    })
}

fn probes() -> impl Strategy<Value = Option<ProbePlan>> {
    let plan = (any::<bool>(), 0_u64..3, 1_u32..3, 1_u32..3);
    let plan = plan.prop_map(|(said, delay, failures, successes)| {
        let initial_delay = Duration::from_secs(delay);
        Some(ProbePlan { initial_delay, failures, successes, ..if said { notify() } else { probe() } })
    });
    prop_oneof![2 => Just(None), 1 => plan]
}

fn hooks() -> impl Strategy<Value = Hooks> {
    let hook = Hook { command: vec!["hook".into()], timeout: Duration::from_secs(1), required: true };
    let hook = prop_oneof![3 => Just(None), 1 => Just(Some(hook))];
    [hook.clone(), hook.clone(), hook.clone(), hook.clone(), hook].prop_map(
        |[before_start, after_ready, before_stop, after_exit, on_failure]| Hooks {
            before_start,
            after_ready,
            before_stop,
            after_exit,
            on_failure,
            ..Hooks::default()
        },
    )
}

/// A service that may depend on those before it.
fn service_plan(number: usize) -> impl Strategy<Value = ServicePlan> {
    let condition = select(vec![Condition::Started, Condition::Ready, Condition::Completed]);
    let depends_on = btree_map(select(NAMES[..number.max(1)].to_vec()), condition, 0..=number.min(2));
    let start = select(vec![
        StartMode::Auto,
        StartMode::Auto,
        StartMode::Auto,
        StartMode::Manual,
        StartMode::Disabled,
    ]);
    let policy = select(vec![RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never]);
    let limit = prop_oneof![
        3 => Just(None),
        1 => (0_u32..4).prop_map(|starts| Some(StartLimit { starts, window: Duration::from_secs(20) })),
    ];
    let action = select(vec![
        StopAction::CtrlC,
        StopAction::CloseWindow,
        StopAction::Signal(1),
        StopAction::Kill,
        StopAction::CtrlBreak,
        StopAction::Command(vec!["drain".into()]),
        StopAction::Http(HttpCall {
            url: "http://127.0.0.1/stop".into(),
            method: "POST".into(),
            socket: None,
        }),
    ]);
    let stop = (vec((action, 0_u64..4), 0..4), 0_u64..8);
    let session = select(vec![
        Session::Services,
        Session::Services,
        Session::Services,
        Session::Active,
        Session::PreferActive,
    ]);
    (depends_on, start, (policy, 0_u8..3, session), limit, stop, [probes(), probes(), probes()], hooks())
        .prop_map(
            |(
                depends_on,
                start,
                (policy, version, session),
                limit,
                (steps, timeout),
                [startup, ready, live],
                hooks,
            )| {
                let wait = Duration::from_secs;
                let steps =
                    steps.into_iter().map(|(action, secs)| StopStep { action, wait: wait(secs) }).collect();
                let on_exit =
                    [(10, ExitAction::RestartNow), (20, ExitAction::Stop), (78, ExitAction::Fail)].into();
                ServicePlan {
                    depends_on: depends_on.into_iter().map(|(on, condition)| (name(on), condition)).collect(),
                    start,
                    restart: RestartPlan {
                        policy,
                        limit,
                        on_exit,
                        reset_after: wait(10),
                        ..Default::default()
                    },
                    stop: StopPlan { steps, timeout: wait(timeout) },
                    startup,
                    ready,
                    live,
                    hooks,
                    session,
                    launch: crate::Launch { user: Some(format!("user-{version}")), ..service().launch },
                    ..service()
                }
            },
        )
}

fn plans() -> impl Strategy<Value = Plan> {
    (service_plan(0), service_plan(1), service_plan(2), service_plan(3)).prop_map(|(mut a, b, c, d)| {
        a.depends_on.clear();
        let services = NAMES.into_iter().zip([a, b, c, d]).map(|(text, plan)| (name(text), plan)).collect();
        let reload = ReloadSettings { timeout: Duration::from_secs(5), ..ReloadSettings::default() };
        Plan { stack: "random".into(), services, reload, ..Plan::default() }
    })
}

/// What the outside knows of the runs, from the effects alone.
#[derive(Default)]
struct Trace {
    /// The runs that are not over, with their services.
    runs: BTreeMap<RunId, ServiceName>,
    /// The preparations that are under way.
    preparing: BTreeMap<RunId, ServiceName>,
    last_run: u64,
    states: BTreeMap<ServiceName, StateName>,
    asked: BTreeMap<(RunId, ProbeKind), u64>,
    down: bool,
}

impl Trace {
    fn check(&mut self, effect: &Effect) {
        match effect {
            Effect::Prepare { service, run, .. } => {
                assert!(!self.down, "{service} is prepared in a stack that is down");
                assert!(run.0 > self.last_run, "numbers of runs rise");
                assert!(self.runs.values().all(|other| other != service), "{service} is there already");
                assert!(self.preparing.values().all(|other| other != service), "{service} is prepared twice");
                self.last_run = run.0;
                self.preparing.insert(*run, service.clone());
            }
            Effect::Configure { .. } => unreachable!("nothing is applied here"),
            Effect::CancelPrepare { run } => {
                assert!(self.preparing.remove(run).is_some(), "{run} is cancelled but not under way");
            }
            Effect::Hook { moment, .. } => assert!(*moment != HookMoment::BeforeStart),
            Effect::CancelHook { run, moment } => {
                assert!(self.runs.contains_key(run) && *moment == HookMoment::BeforeStop);
            }
            Effect::Control { run, .. } => assert!(run.is_none_or(|run| self.runs.contains_key(&run))),
            Effect::Spawn { service, run } => {
                assert!(self.preparing.values().all(|other| other != service), "{service} is prepared still");
                assert!(!self.down, "{service} is started in a stack that is down");
                assert!(run.0 > self.last_run, "numbers of runs rise");
                assert!(self.runs.values().all(|other| other != service), "{service} runs twice");
                self.last_run = run.0;
                self.runs.insert(*run, service.clone());
            }
            Effect::Forget { run } => {
                assert!(self.runs.remove(run).is_some(), "run {run} is forgotten but not there");
                self.asked.retain(|(asked, _), _| asked != run);
            }
            Effect::Signal { run, .. }
            | Effect::StopStep { run, .. }
            | Effect::Kill { run }
            | Effect::Freeze { run }
            | Effect::Thaw { run } => {
                assert!(self.runs.contains_key(run), "{effect:?} of a run that is over");
            }
            Effect::Probe { service, run, probe, seq } => {
                assert_eq!(self.runs.get(run), Some(service));
                self.asked.insert((*run, *probe), *seq);
            }
            Effect::Tell(event) => {
                if let (Some(service), EventKind::State { from, to, reason }) = (&event.service, &event.kind)
                {
                    let before = self.states.insert(service.clone(), *to).unwrap_or(StateName::Stopped);
                    assert_eq!(before, *from, "{service} goes to {to}");
                    assert!(from != to && !reason.is_empty());
                }
            }
            Effect::StackRests => unreachable!("nothing in these plans is left running"),
            Effect::StackDown => {
                assert!(!std::mem::replace(&mut self.down, true), "down twice");
                assert!(self.runs.is_empty(), "down with {:?}", self.runs);
            }
        }
    }
}

struct World {
    supervisor: Supervisor,
    now: Time,
    trace: Trace,
    added: usize,
}

impl World {
    fn new(plan: Plan) -> Self {
        let now = Time::ZERO.after(Duration::from_secs(1));
        World { supervisor: Supervisor::new(plan, SEED, now), now, trace: Trace::default(), added: 0 }
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.supervisor.poll_effect()).collect()
    }

    fn feed(&mut self, input: Input) -> Vec<Effect> {
        let wanted = match &input {
            Input::Request { request, .. } => Some(self.supervisor.check(request)),
            Input::Apply { plan, .. } => Some(self.supervisor.check_apply(plan)),
            _ => None,
        };
        let before = wanted.as_ref().filter(|check| check.is_err()).map(|_| self.supervisor.snapshots());
        if let Input::Prepared { run, .. } = &input {
            self.trace.preparing.remove(run);
        }
        self.supervisor.handle(self.now, input);
        let effects = self.effects();
        if let Some(before) = before {
            assert_eq!(self.supervisor.snapshots(), before, "a refused request changes nothing");
            assert_eq!(effects.len(), 1);
        }
        // What was there when it started may count as missing under a plan that changed afterwards.
        let same_plan = self.supervisor.take_plan_changes().is_empty();
        for effect in &effects {
            if let Effect::Spawn { service, .. } = effect
                && same_plan
            {
                self.may_start(service);
            }
            self.trace.check(effect);
        }
        self.supervisor.audit();
        // One that is gone and comes again is another one.
        self.trace.states.retain(|name, _| self.supervisor.state(name.as_str()).is_some());
        for status in self.supervisor.status() {
            let told = self.trace.states.get(&status.name).copied().unwrap_or(StateName::Stopped);
            assert_eq!(told, status.state, "{} is told", status.name);
        }
        effects
    }

    /// A dependent never starts before its dependency.
    fn may_start(&self, service: &ServiceName) {
        let plan = &self.supervisor.plan().services[service];
        assert!(!self.supervisor.lacks_session(plan), "{service} starts while nobody is signed in");
        for (on, condition) in &plan.depends_on {
            assert!(self.supervisor.is_met(on, *condition), "{service} starts before {on} is {condition:?}");
        }
    }

    fn input(&mut self, step: &Step) -> Option<Input> {
        let services: Vec<ServiceName> = self.supervisor.plan().services.keys().cloned().collect();
        let pick = |at: &Index| services.get(at.index(services.len().max(1))).cloned();
        match step {
            Step::Ask(wanted, at) => {
                let picked = pick(at).unwrap_or_else(|| name("nobody"));
                let request = match wanted {
                    Wanted::Up => Request::Up,
                    Wanted::Down => Request::Down,
                    Wanted::Start => Request::Start(picked),
                    Wanted::Stop => Request::Stop(picked),
                    Wanted::Restart => Request::Restart(picked),
                    Wanted::Pause => Request::Pause(picked),
                    Wanted::Continue => Request::Continue(picked),
                    Wanted::PauseAll => Request::Control(Control::Pause),
                    Wanted::ContinueAll => Request::Control(Control::Continue),
                    Wanted::Remove => Request::Remove(picked),
                    Wanted::Add => {
                        self.added += 1;
                        let mut plan = ServicePlan { ready: Some(probe()), ..service() };
                        plan.depends_on.insert(picked, Condition::Started);
                        Request::Add(name(&format!("new-{}", self.added)), Box::new(plan))
                    }
                };
                Some(Input::Request { by: "somebody".into(), request })
            }
            Step::News(at, news, stale) => {
                let run = match stale {
                    Some(back) => RunId(self.trace.last_run.saturating_sub(*back)),
                    None => self.supervisor.service_status(pick(at)?.as_str())?.run?,
                };
                Some(match news {
                    News::Prepared(ok) => {
                        Input::Prepared { run, error: (!ok).then(|| "exit code 1".to_owned()) }
                    }
                    News::Spawned => Input::Spawned { run, pid: 7 },
                    News::SpawnFailed => Input::SpawnFailed { run, error: "not found".into() },
                    News::Exited(code, tree_empty) => {
                        Input::Exited { run, exit: Exit::Code(*code), tree_empty: *tree_empty }
                    }
                    News::TreeEmpty => Input::TreeEmpty { run },
                    News::Frozen => Input::Frozen { run },
                    News::Thawed => Input::Thawed { run },
                    News::FreezeFailed => Input::FreezeFailed { run, error: "not permitted".into() },
                    News::StopStepDone(step, ok) => {
                        let error = (!ok).then(|| "exit code 1".to_owned());
                        Input::StopStepDone { run, step: *step, error }
                    }
                    News::Notify(text) => Input::Notify { run, text: (*text).into() },
                })
            }
            Step::Answer(at, ok) => {
                let asked: Vec<_> = self.trace.asked.iter().map(|(key, seq)| (*key, *seq)).collect();
                let ((run, probe), seq) = *asked.get(at.index(asked.len().max(1)))?;
                self.trace.asked.remove(&(run, probe));
                Some(answer(run, probe, seq, *ok))
            }
            Step::Pass(ms) => {
                self.now = self.now.after(Duration::from_millis(*ms));
                None
            }
            Step::Due(late) => {
                let (at, why) = self.supervisor.next_deadline()?;
                assert!(!why.is_empty());
                self.now = self.now.max(at.after(Duration::from_millis(*late)));
                Some(Input::Tick)
            }
            Step::Restore => None,
            Step::Session(id) => Some(Input::Session { id: *id }),
            Step::Apply(plan, there) => {
                let mut plan = plan.as_ref().clone();
                let mut there = there.iter();
                plan.services.retain(|_, _| *there.next().unwrap_or(&true));
                let names: Vec<ServiceName> = plan.services.keys().cloned().collect();
                for service in plan.services.values_mut() {
                    service.depends_on.retain(|on, _| names.contains(on));
                }
                self.added += 1;
                Some(Input::Apply {
                    by: "somebody".into(),
                    revision: self.added as u64,
                    plan: Box::new(plan),
                })
            }
        }
    }
}

fn answer(run: RunId, probe: ProbeKind, seq: u64, ok: bool) -> Input {
    Input::ProbeResult { run, probe, seq, outcome: ProbeOutcome { ok, detail: "seen".into() } }
}

/// The snapshots, as somebody has them who only takes the changes.
fn keep(kept: &mut BTreeMap<String, String>, supervisor: &mut Supervisor) {
    for (key, text) in supervisor.take_dirty() {
        match text {
            Some(text) => kept.insert(key, text),
            None => kept.remove(&key),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(plan in plans(), steps in steps()) {
        let mut world = World::new(plan);
        for step in &steps {
            if let Some(input) = world.input(step) {
                world.feed(input);
            }
        }
        // Whatever has happened, the stack can be ended.
        world.feed(Input::Request { by: "the end".into(), request: Request::Down });
        for _ in 0..1_000 {
            if world.trace.down {
                break;
            }
            assert!(world.trace.preparing.is_empty(), "nobody waits for a preparation in a stack that goes down");
            let Some(run) = world.trace.runs.keys().next().copied() else { break };
            let status = world.supervisor.status();
            let status = status.iter().find(|status| status.run == Some(run)).expect("a run has its service");
            if status.started.is_none() {
                world.feed(Input::SpawnFailed { run, error: "no".into() });
                continue;
            }
            // It ignores everything but the kill.
            let mut killed = false;
            while let Some((at, _)) = world.supervisor.next_deadline().filter(|_| !killed) {
                world.now = world.now.max(at);
                let effects = world.feed(Input::Tick);
                killed = effects.iter().any(|effect| matches!(effect, Effect::Kill { .. }));
            }
            let runs: Vec<RunId> = world.trace.runs.keys().copied().collect();
            for run in runs {
                world.feed(Input::TreeEmpty { run });
            }
        }
        prop_assert!(world.trace.down, "the stack does not go down: {:#?}", world.supervisor.status());
    }

    #[test]
    fn a_restored_supervisor_does_the_same(plan in plans(), steps in steps()) {
        let mut world = World::new(plan);
        let mut kept = BTreeMap::new();
        keep(&mut kept, &mut world.supervisor);
        let mut other: Option<Supervisor> = None;
        for step in &steps {
            if matches!(step, Step::Restore) {
                let plan = world.supervisor.plan().clone();
                let mut restored = Supervisor::restore(plan, SEED, &kept, world.now);
                prop_assert_eq!(restored.status(), world.supervisor.status());
                // It asks again what is not answered; let both have the answer.
                let again: Vec<Effect> = std::iter::from_fn(|| restored.poll_effect()).collect();
                for effect in again {
                    let input = match &effect {
                        Effect::Probe { run, probe, seq, .. } => {
                            world.trace.asked.remove(&(*run, *probe));
                            answer(*run, *probe, *seq, true)
                        }
                        Effect::Prepare { run, .. } => Input::Prepared { run: *run, error: None },
                        Effect::Hook { service, run, moment: HookMoment::BeforeStop, .. } => {
                            let (service, moment) = (service.clone(), HookMoment::BeforeStop);
                            let detail = "exit code 0".to_owned();
                            Input::HookDone { service, run: *run, moment, ok: true, detail }
                        }
                        _ => panic!("{effect:?} is not asked again"),
                    };
                    let done = world.feed(input.clone());
                    restored.handle(world.now, input);
                    let same: Vec<Effect> = std::iter::from_fn(|| restored.poll_effect()).collect();
                    prop_assert_eq!(&done, &same);
                }
                keep(&mut kept, &mut world.supervisor);
                prop_assert_eq!(&kept, &world.supervisor.snapshots());
                prop_assert_eq!(&kept, &restored.snapshots());
                other = Some(restored);
            }
            let Some(input) = world.input(step) else { continue };
            let done = world.feed(input.clone());
            keep(&mut kept, &mut world.supervisor);
            if let Some(other) = &mut other {
                other.handle(world.now, input);
                let same: Vec<Effect> = std::iter::from_fn(|| other.poll_effect()).collect();
                prop_assert_eq!(&done, &same);
                prop_assert_eq!(world.supervisor.next_deadline(), other.next_deadline());
                prop_assert_eq!(&kept, &other.snapshots());
                other.audit();
            }
        }
        prop_assert_eq!(&kept, &world.supervisor.snapshots(), "every change was dirty");
    }
}
