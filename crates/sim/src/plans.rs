//! Random plans: dependency graphs, policies, stops, probes, limits. Always valid ones: what `config` refuses never
//! reaches the core.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::{
    Check, Condition, ConfigFile, ExitAction, Hook, HookMoment, Hooks, HttpCall, Launch, Piece, Plan,
    ProbePlan, ProgramConfig, RestartPlan, RestartPolicy, SecretText, ServiceName, ServicePlan, Session,
    StartLimit, StartMode, StopAction, StopPlan, StopStep, WhenMainstayStops,
};

use crate::rng::Rng;

/// The exit codes that plans have actions for and that processes end with.
pub const CODES: [i64; 6] = [0, 1, 3, 4, 5, 6];

/// The name of the service with this number.
///
/// # Panics
/// Never.
pub fn name(number: usize) -> ServiceName {
    ServiceName::new(format!("s{number}")).expect("a letter and digits are a valid name")
}

/// A random plan of up to `most` services.
pub fn plan(rng: &mut Rng, most: u64) -> Plan {
    let count = usize::try_from(rng.range(1, most)).unwrap_or(1);
    let mut services = BTreeMap::new();
    for number in 0..count {
        let known: Vec<ServiceName> = services.keys().cloned().collect();
        services.insert(name(number), service(rng, &known));
    }
    // Whoever waits for the end of a service waits for a job: one that has an end.
    let awaited: Vec<ServiceName> = services.values().flat_map(awaited_ends).collect();
    for job in awaited {
        if let Some(plan) = services.get_mut(&job) {
            make_job(rng, plan);
        }
    }
    Plan { stack: "sim".to_owned(), services, ..Plan::default() }
}

fn awaited_ends(plan: &ServicePlan) -> Vec<ServiceName> {
    let completed = plan.depends_on.iter().filter(|(_, condition)| **condition == Condition::Completed);
    completed.map(|(name, _)| name.clone()).collect()
}

/// Gives a service an end that counts as one.
fn make_job(rng: &mut Rng, plan: &mut ServicePlan) {
    if plan.restart.policy == RestartPolicy::Always {
        plan.restart.policy = *rng.pick(&[RestartPolicy::Never, RestartPolicy::OnFailure]);
    }
    plan.restart.on_exit.remove(&0);
}

/// A random service that depends on some of those known.
pub fn service(rng: &mut Rng, known: &[ServiceName]) -> ServicePlan {
    let mut depends_on = BTreeMap::new();
    for dependency in known {
        if rng.chance(if known.len() > 3 { 25 } else { 45 }) {
            let condition =
                rng.weighted(&[(40, Condition::Started), (40, Condition::Ready), (20, Condition::Completed)]);
            depends_on.insert(dependency.clone(), *condition);
        }
    }
    let notify = if rng.chance(30) { Check::Notify } else { http() };
    ServicePlan {
        description: None,
        instance_of: None,
        launch: launch(rng),
        start: *rng.weighted(&[(78, StartMode::Auto), (18, StartMode::Manual), (4, StartMode::Disabled)]),
        depends_on,
        restart: restart(rng),
        stop: stop(rng),
        startup: rng.chance(25).then(|| probe(rng, notify.clone())),
        ready: rng.chance(35).then(|| probe(rng, notify)),
        live: rng.chance(30).then(|| probe(rng, http())),
        hooks: hooks(rng),
        controls: BTreeMap::new(),
        config: config(rng),
        log: mainstay_core::LogPlan::default(),
        leak: mainstay_core::LeakAction::default(),
        session: *rng.weighted(&[(80, Session::Services), (12, Session::Active), (8, Session::PreferActive)]),
        when_mainstay_stops: *rng.weighted(&[(75, WhenMainstayStops::Stop), (25, WhenMainstayStops::Leave)]),
    }
}

fn launch(rng: &mut Rng) -> Launch {
    let mut launch = Launch { command: vec!["program".to_owned()], ..Launch::default() };
    if rng.chance(15) {
        let text = SecretText::of([Piece::Secret("key", Vec::new())]);
        launch.secret_environment.insert("KEY".to_owned(), text);
    }
    launch
}

fn hooks(rng: &mut Rng) -> Hooks {
    let mut hooks = Hooks::default();
    for moment in HookMoment::ALL {
        if rng.chance(15) {
            let hook =
                Hook { command: vec!["hook".to_owned()], timeout: Duration::from_secs(5), required: true };
            hooks.set(moment, Some(hook));
        }
    }
    hooks
}

/// Files that are there before a start. What follows from their changes is for plans that change.
fn config(rng: &mut Rng) -> ProgramConfig {
    let mut config = ProgramConfig::default();
    if rng.chance(10) {
        config.files.insert("/etc/app.json".to_owned(), ConfigFile::default());
    }
    config
}

fn http() -> Check {
    Check::Http("http://127.0.0.1:1/".into())
}

fn restart(rng: &mut Rng) -> RestartPlan {
    let policies = [(60, RestartPolicy::Always), (25, RestartPolicy::OnFailure), (15, RestartPolicy::Never)];
    let mut on_exit = BTreeMap::new();
    let actions = [ExitAction::Restart, ExitAction::RestartNow, ExitAction::Stop, ExitAction::Fail];
    for (code, action) in CODES[2..].iter().zip(actions) {
        if rng.chance(25) {
            on_exit.insert(*code, action);
        }
    }
    if rng.chance(5) {
        on_exit.insert(0, *rng.pick(&actions));
    }
    let delay = rng.millis(50, 1_000);
    RestartPlan {
        policy: *rng.weighted(&policies),
        delay,
        max_delay: if rng.chance(10) { delay } else { delay + rng.skewed_millis(20_000) },
        reset_after: if rng.chance(5) { Duration::from_secs(1) } else { rng.millis(500, 30_000) },
        limit: rng.chance(25).then(|| StartLimit {
            starts: u32::try_from(rng.range(0, 5)).unwrap_or(0),
            window: rng.millis(500, 60_000),
        }),
        on_exit,
    }
}

fn stop(rng: &mut Rng) -> StopPlan {
    let actions = [
        StopAction::CtrlC,
        StopAction::CtrlC,
        StopAction::CloseWindow,
        StopAction::Signal(1),
        StopAction::Kill,
        StopAction::CtrlBreak,
        StopAction::Drain,
        StopAction::Command(vec!["drain".to_owned()]),
        StopAction::Command(vec!["quit".to_owned()]),
        StopAction::Http(HttpCall {
            url: "http://127.0.0.1:1/quit".to_owned(),
            method: "POST".to_owned(),
            socket: None,
        }),
    ];
    let steps = (0..rng.below(4))
        .map(|_| StopStep { action: rng.pick(&actions).clone(), wait: rng.skewed_millis(4_000) })
        .collect();
    StopPlan { steps, timeout: rng.skewed_millis(8_000) }
}

fn probe(rng: &mut Rng, check: Check) -> ProbePlan {
    ProbePlan {
        check,
        initial_delay: rng.skewed_millis(2_000),
        interval: rng.millis(100, 3_000),
        timeout: rng.millis(50, 2_000),
        failures: u32::try_from(rng.range(1, 4)).unwrap_or(1),
        successes: u32::try_from(*rng.pick(&[1_u64, 1, 1, 2, 3])).unwrap_or(1),
    }
}
