//! The state table as text, made by driving a service into each phase and letting everything happen to it there.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use super::{Plan, Supervisor};
use crate::service::{Machine, On, Phase, Service};
use crate::{
    Check, Effect, Exit, ExitAction, ProbePlan, Refusal, Request, RestartPlan, RestartPolicy, ServiceName,
    ServicePlan, Time,
};

const NAME: &str = "s";

/// The state table in Markdown: what each thing that can happen to a service does in each phase of its life.
///
/// First all of it as a matrix, then each phase with the effects and the reason that is shown.
pub fn table() -> String {
    let Ok(name) = ServiceName::new(NAME) else { return String::new() };
    let bench = Bench { plan: plan(), name };
    let phases: Vec<(Service, Time)> = ways().into_iter().map(|way| bench.drive(way)).collect();
    let mut text = String::new();
    bench.matrix(&mut text, &phases);
    for (service, at) in &phases {
        bench.details(&mut text, service, *at);
    }
    text
}

/// A service with all three probes, that is restarted on failure, never after code 78.
fn plan() -> ServicePlan {
    let probe = || {
        let (initial_delay, second) = (Duration::ZERO, Duration::from_secs(1));
        let check = Check::Tcp("localhost:80".into());
        Some(ProbePlan { check, initial_delay, interval: second, timeout: second, failures: 3, successes: 1 })
    };
    let on_exit = BTreeMap::from([(78, ExitAction::Fail)]);
    ServicePlan {
        restart: RestartPlan { policy: RestartPolicy::OnFailure, on_exit, ..RestartPlan::default() },
        startup: probe(),
        ready: probe(),
        live: probe(),
        ..ServicePlan::default()
    }
}

/// How to get into each phase.
fn ways() -> Vec<Vec<On>> {
    let why = || String::from("asked");
    let start = || vec![On::Start(why())];
    let spawned = || [start(), vec![On::Spawned(7)]].concat();
    let running = || [spawned(), vec![On::StartupOk("startup probe succeeded".into())]].concat();
    let pausing = || [running(), vec![On::Pause(why())]].concat();
    let paused = || [pausing(), vec![On::Frozen]].concat();
    let crash = || vec![On::Spawned(7), On::Exited(Exit::Code(1))];
    vec![
        vec![],
        // The supervisor says what is missing; the bench takes it away for this one.
        vec![On::Start(String::new())],
        start(),
        [start(), vec![On::Stop(why())]].concat(),
        spawned(),
        running(),
        [running(), vec![On::ReadyOk("ready probe succeeds".into())]].concat(),
        pausing(),
        paused(),
        [paused(), vec![On::Continue(why())]].concat(),
        // With a dependent that is up: see the bench.
        [running(), vec![On::Stop(String::new())]].concat(),
        [running(), vec![On::Stop(why())]].concat(),
        [start(), crash(), crash()].concat(),
        [start(), vec![On::Spawned(7), On::Exited(Exit::Code(78))]].concat(),
        [start(), vec![On::Spawned(7), On::Exited(Exit::Code(0))]].concat(),
    ]
}

/// Everything that can happen, in words.
fn inputs() -> Vec<(&'static str, On)> {
    let why = || String::from("asked");
    vec![
        ("start", On::Start(why())),
        ("stop", On::Stop(why())),
        ("restart", On::Restart(why())),
        ("pause", On::Pause(why())),
        ("continue", On::Continue(why())),
        ("its dependencies are there", On::Unblocked),
        ("its dependents are down", On::DependentsDown),
        ("process made", On::Spawned(7)),
        ("process not made", On::SpawnFailed("program not found".into())),
        ("ended with 0, nothing left", On::Exited(Exit::Code(0))),
        ("ended with 1, nothing left", On::Exited(Exit::Code(1))),
        ("ended with 1, others left", On::ExitedLeaving(Exit::Code(1))),
        ("nothing left", On::TreeEmpty),
        ("frozen", On::Frozen),
        ("thawed", On::Thawed),
        ("not frozen, not thawed", On::FreezeFailed("not permitted".into())),
        ("startup probe succeeds", On::StartupOk("startup probe succeeded".into())),
        ("startup probe fails", On::StartupFailed("startup probe failed".into())),
        ("ready probe succeeds", On::ReadyOk("ready probe succeeds".into())),
        ("ready probe fails", On::ReadyLost("ready probe fails".into())),
        ("live probe fails", On::LiveFailed("live probe failed".into())),
        ("it says STOPPING=1", On::SaysStopping),
        ("deadline", On::Due),
    ]
}

struct Bench {
    plan: ServicePlan,
    name: ServiceName,
}

impl Bench {
    fn drive(&self, way: Vec<On>) -> (Service, Time) {
        let mut service = Service::new(Time::ZERO, "never started");
        let mut at = Time::ZERO;
        for on in way {
            at = at.after(Duration::from_millis(100));
            let blocked = on == On::Start(String::new());
            let held = on == On::Stop(String::new());
            service = self.step(service, at, on, blocked, held).0;
        }
        (service, at.after(Duration::from_millis(100)))
    }

    fn step(&self, service: Service, now: Time, on: On, blocked: bool, held: bool) -> (Service, Vec<Effect>) {
        let (mut service, mut last_run, mut effects) = (service, 0, VecDeque::new());
        let mut machine = Machine {
            now,
            name: &self.name,
            plan: &self.plan,
            seed: 0,
            unblocked: !blocked,
            has_dependents: held,
            closed: false,
            shown: service.state(),
            run: service.phase.run_id(),
            service: &mut service,
            last_run: &mut last_run,
            effects: &mut effects,
        };
        machine.step(on);
        (service, effects.into())
    }

    /// One cell: what came of it, or why it is refused.
    fn cell(&self, service: &Service, at: Time, on: &On) -> Result<(Service, Vec<Effect>), Refusal> {
        self.check(service, on)?;
        let due = service.deadline(&self.plan).filter(|_| *on == On::Due).map_or(at, |(due, _)| due);
        Ok(self.step(service.clone(), due.max(at), on.clone(), false, false))
    }

    /// Whether the supervisor would let a request through.
    fn check(&self, service: &Service, on: &On) -> Result<(), Refusal> {
        let request = match on {
            On::Start(_) => Request::Start(self.name.clone()),
            On::Stop(_) => Request::Stop(self.name.clone()),
            On::Restart(_) => Request::Restart(self.name.clone()),
            On::Pause(_) => Request::Pause(self.name.clone()),
            On::Continue(_) => Request::Continue(self.name.clone()),
            _ => return Ok(()),
        };
        let services = BTreeMap::from([(self.name.clone(), self.plan.clone())]);
        let mut supervisor = Supervisor::new(Plan { stack: String::new(), services }, 0, Time::ZERO);
        if let Some(node) = supervisor.nodes.get_mut(&self.name) {
            node.service = service.clone();
        }
        supervisor.check(&request)
    }

    fn matrix(&self, text: &mut String, phases: &[(Service, Time)]) {
        let row = |text: &mut String, cells: &[String]| {
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        };
        let head = |what: fn(&Service) -> String| phases.iter().map(move |(service, _)| what(service));
        let phase = head(|service| format!("**{}**", label(&service.phase)));
        row(text, &std::iter::once(String::from("phase")).chain(phase).collect::<Vec<_>>());
        row(text, &vec![String::from("---"); phases.len() + 1]);
        let state = head(|service| service.state().to_string());
        row(text, &std::iter::once(String::from("*state*")).chain(state).collect::<Vec<_>>());
        for (words, on) in inputs() {
            let cells = phases.iter().map(|(service, at)| match self.cell(service, *at, &on) {
                Err(_) => "refused".to_owned(),
                Ok((after, effects)) if after == *service && effects.is_empty() => "·".to_owned(),
                Ok((after, _)) if label(&after.phase) == label(&service.phase) => "(same)".to_owned(),
                Ok((after, _)) => label(&after.phase).to_owned(),
            });
            row(text, &std::iter::once(words.to_owned()).chain(cells).collect::<Vec<_>>());
        }
    }

    fn details(&self, text: &mut String, service: &Service, at: Time) {
        let _ = writeln!(text, "\n### {} ({})\n", label(&service.phase), service.state());
        let _ = writeln!(text, "| when | then | does | reason shown |\n| --- | --- | --- | --- |");
        let mut nothing = Vec::new();
        for (words, on) in inputs() {
            let (then, does, reason) = match self.cell(service, at, &on) {
                Err(refusal) => ("refused".to_owned(), String::new(), refusal.to_string()),
                Ok((after, effects)) if after == *service && effects.is_empty() => {
                    nothing.push(words);
                    continue;
                }
                Ok((after, effects)) => {
                    let does: Vec<String> = effects.iter().filter_map(does).collect();
                    (label(&after.phase).to_owned(), does.join(", "), after.reason)
                }
            };
            let _ = writeln!(text, "| {words} | {then} | {does} | {reason} |");
        }
        if !nothing.is_empty() {
            let _ = writeln!(text, "\nNothing changes: {}.", nothing.join("; "));
        }
    }
}

fn does(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Spawn { .. } => "spawn".into(),
        Effect::Signal { action, .. } => action.to_string(),
        Effect::Kill { .. } => "kill".into(),
        Effect::Freeze { .. } => "freeze".into(),
        Effect::Thaw { .. } => "thaw".into(),
        Effect::Forget { .. } => "forget the run".into(),
        Effect::Probe { probe, .. } => format!("ask the {probe} probe"),
        Effect::Tell(_) => return None,
        Effect::StackDown => "stack down".into(),
    })
}

fn label(phase: &Phase) -> &'static str {
    match phase {
        Phase::Stopped => "stopped",
        Phase::Waiting(_) => "waiting",
        Phase::Spawning(_) => "spawning",
        Phase::Aborting(_) => "aborting",
        Phase::Startup(_) => "startup",
        Phase::Running(_) => "running",
        Phase::Ready(_) => "ready",
        Phase::Pausing(_) => "pausing",
        Phase::Paused(_) => "paused",
        Phase::Continuing(_) => "continuing",
        Phase::Holding(_) => "holding",
        Phase::Stopping(_) => "stopping",
        Phase::Backoff(_) => "backoff",
        Phase::Failed => "failed",
        Phase::Completed => "completed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_as_it_is() {
        insta::assert_snapshot!(table());
    }

    #[test]
    fn the_table_has_every_phase() {
        let bench = Bench { plan: plan(), name: ServiceName::new(NAME).unwrap() };
        let driven: Vec<&str> = ways().into_iter().map(|way| label(&bench.drive(way).0.phase)).collect();
        let expected = [
            "stopped",
            "waiting",
            "spawning",
            "aborting",
            "startup",
            "running",
            "ready",
            "pausing",
            "paused",
            "continuing",
            "holding",
            "stopping",
            "backoff",
            "failed",
            "completed",
        ];
        assert_eq!(driven, expected);
    }
}
