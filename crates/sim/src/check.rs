//! Plays a history to its end and says whether it went as it must.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use mainstay_core::{Condition, Plan, ProbePlan, Request, ServiceName, ServicePlan, StateName};

use crate::history::{Finish, History};
use crate::invariants::Violation;
use crate::trace::Step;
use crate::transition::{Conduct, Transition};
use crate::world::{Count, World};

/// What went wrong in a history.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The rule that was broken, or `panic`.
    pub rule: &'static str,
    /// All about it, in words.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// Plays a history.
///
/// # Errors
/// The first thing that went wrong.
pub fn play(history: &History) -> Result<Count, Failure> {
    guarded(history, false).0
}

/// Plays a history and keeps its trace, up to the step that went wrong.
pub fn play_traced(history: &History) -> (Result<Count, Failure>, Vec<Step>) {
    guarded(history, true)
}

fn guarded(history: &History, keep: bool) -> (Result<Count, Failure>, Vec<Step>) {
    let mut trace = Vec::new();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(history.plan.clone(), history.seed)?;
        if keep {
            world.keep_trace();
        }
        let played = all(&mut world, history);
        trace = world.take_trace();
        played.map(|()| world.count)
    }));
    let played = match played {
        Ok(played) => played.map_err(|v| Failure { rule: v.rule, what: format!("at {}: {}", v.at, v.what) }),
        Err(panic) => Err(Failure { rule: "panic", what: words(panic.as_ref()) }),
    };
    (played, trace)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn all(world: &mut World, history: &History) -> Result<(), Violation> {
    for job in &history.jobs {
        world.os.set_conduct(job, Conduct::perfect_job());
    }
    for step in &history.steps {
        apply(world, step)?;
    }
    finish(world, history)
}

/// The outside does one thing.
fn apply(world: &mut World, step: &Transition) -> Result<(), Violation> {
    match step {
        Transition::Wait(time) => return world.run_for(*time),
        Transition::Request(request) => return world.request(request.clone()),
        Transition::Conduct(name, conduct) => world.os.set_conduct(name, conduct.as_ref().clone()),
        Transition::Answers(name, probe, answer) => world.os.conduct_mut(name).set_answer(*probe, *answer),
        Transition::Ends(name, exit) => world.os.main_ends(name, *exit),
        Transition::LeftoversEnd(name) => world.os.leftovers_end(name),
        Transition::Notify(name, text) => world.os.says(name, text),
        Transition::Echo(back) => return world.echo(*back),
        Transition::Stutter => return world.echo(0),
        Transition::Stale(name, stale) => return world.stale(name, *stale),
        Transition::SpuriousTick => return world.spurious_tick(),
        Transition::Rotated(name) => return world.rotated(name),
        Transition::Session(id) => return world.set_session(*id),
        Transition::Lateness(lateness) => world.set_lateness(*lateness),
        Transition::DaemonDies(death) => return world.set_death(Some(*death)),
    }
    Ok(())
}

/// Nothing new goes wrong from now on; everything must end well, in bounded time.
fn finish(world: &mut World, history: &History) -> Result<(), Violation> {
    world.set_lateness(Duration::ZERO);
    world.set_death(None)?;
    let patience = world.now().after(Duration::from_secs(60));
    world.run_until(patience, |world| world.daemon().is_some())?;
    if history.finish == Finish::Heal && !is_going_down(world) {
        heal(world, history)?;
    }
    if !is_going_down(world) {
        world.request(Request::Down)?;
        world.run_for(Duration::from_secs(5))?;
    }
    if !world.over {
        world.request(Request::DownAll)?;
    }
    let patience = world.now().after(patience_for(world.plan()));
    world.run_until(patience, |_| false)?;
    if !world.over {
        return Err(world.violation("a stop ends", format!("the stack is not down by {patience}")));
    }
    world.after_all()
}

fn is_going_down(world: &World) -> bool {
    world.over || world.daemon().is_some_and(|daemon| daemon.supervisor().is_going_down())
}

/// All processes behave; everything is started; everything that can must come up, and stay.
fn heal(world: &mut World, history: &History) -> Result<(), Violation> {
    let names: Vec<ServiceName> = world.plan().services.keys().cloned().collect();
    for name in &names {
        let job = history.jobs.contains(name);
        world.os.set_conduct(name, if job { Conduct::perfect_job() } else { Conduct::perfect() });
    }
    if world.session().is_none() {
        world.set_session(Some(1))?;
    }
    // What was under way still goes as it was.
    world.run_for(Duration::from_secs(4))?;
    let patience = patience_for(world.plan());
    let settled = world.now().after(patience);
    world.run_until(settled, |world| !world.any_state(StateName::Stopping))?;
    for name in &names {
        world.request(Request::Continue(name.clone()))?;
    }
    world.run_for(Duration::from_secs(12))?;
    for name in &names {
        world.request(Request::Start(name.clone()))?;
        if history.jobs.contains(name) {
            world.os.main_ends(name, mainstay_core::Exit::Code(0));
        }
        world.os.says(name, "READY=1");
    }
    let must = must_come_up(world.plan(), &history.jobs);
    let up = |world: &World| must.iter().all(|name| world.is_up(name, history.jobs.contains(name)));
    let by = world.now().after(patience);
    world.run_until(by, up)?;
    if let Some(name) = must.iter().find(|name| !world.is_up(name, history.jobs.contains(*name))) {
        let state = world.state(name);
        return Err(world.violation("all comes up", format!("{name} is {state} at {by}, and nothing fails")));
    }
    let spawns = world.count.spawns;
    world.run_for(Duration::from_secs(5))?;
    let restless = must.iter().find(|name| !world.is_up(name, history.jobs.contains(*name)));
    if let Some(name) = restless.filter(|_| world.count.spawns != spawns) {
        return Err(world.violation("all comes up", format!("{name} does not stay up, and nothing fails")));
    }
    Ok(())
}

/// Those about which there is no doubt that they come up when all behaves.
fn must_come_up(plan: &Plan, jobs: &BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
    let mut must = BTreeSet::new();
    // Dependencies come first by name; those added later may depend on any that came before them.
    for _ in 0..plan.services.len() {
        for (name, service) in &plan.services {
            let disabled = service.start == mainstay_core::StartMode::Disabled;
            let brief = jobs.contains(name) && (service.startup.is_some() || service.ready.is_some());
            let served = service.depends_on.iter().all(|(on, condition)| {
                must.contains(on) && (*condition == Condition::Completed) == jobs.contains(on)
            });
            if !disabled && !brief && served {
                must.insert(name.clone());
            }
        }
    }
    must
}

/// How long everything may take for one service after the other.
fn patience_for(plan: &Plan) -> Duration {
    plan.services.values().map(patience_for_one).sum::<Duration>() + Duration::from_secs(60)
}

fn patience_for_one(plan: &ServicePlan) -> Duration {
    let probe = |probe: &Option<ProbePlan>| {
        probe.as_ref().map_or(Duration::ZERO, |probe| {
            probe.initial_delay + (probe.interval + probe.timeout) * (probe.failures + probe.successes + 4)
        })
    };
    let probes = probe(&plan.startup) + probe(&plan.ready) + probe(&plan.live);
    plan.stop_time() + probes + plan.restart.max_delay * 2 + Duration::from_secs(30)
}
