//! The state table as text, made by driving a service into each phase and letting everything happen to it there.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use super::{Plan, Supervisor};
use crate::service::{Machine, On, Phase, Service};
use crate::{
    Check, Effect, Exit, ExitAction, Hook, Hooks, ProbePlan, Refusal, Request, RestartPlan, RestartPolicy,
    ServiceName, ServicePlan, Time,
};

const NAME: &str = "s";

/// The state table in Markdown: what each thing that can happen to a service does in each phase of its life.
///
/// First all of it as a matrix, then each phase with the effects and the reason that is shown.
pub fn table() -> String {
    let Ok(name) = ServiceName::new(NAME) else { return String::new() };
    let bench = Bench { plan: plan(), name };
    let phases: Vec<Stand> = ways().into_iter().map(|way| bench.drive(way)).collect();
    let mut text = String::new();
    bench.matrix(&mut text, &phases);
    for stand in &phases {
        bench.details(&mut text, stand);
    }
    text
}

/// A service with all three probes and hooks, that is restarted on failure, never after code 78.
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
        hooks: hooks(),
        ..ServicePlan::default()
    }
}

fn hooks() -> Hooks {
    let hook =
        || Some(Hook { command: vec!["hook".into()], timeout: Duration::from_secs(60), required: true });
    Hooks {
        before_start: hook(),
        after_ready: hook(),
        before_stop: hook(),
        after_exit: hook(),
        on_failure: hook(),
        ..Hooks::default()
    }
}

/// How to get into a phase, and how the others stand meanwhile.
struct Way {
    steps: Vec<On>,
    /// Whether a dependency is missing.
    blocked: bool,
    /// Whether a dependent has a process.
    held: bool,
}

/// A service in a phase.
struct Stand {
    service: Service,
    at: Time,
    blocked: bool,
    held: bool,
}

/// A way into each phase, in the order of a life.
fn ways() -> Vec<Way> {
    let why = || String::from("asked");
    let way = |steps: &[&[On]]| Way { steps: steps.concat(), blocked: false, held: false };
    let start = &[On::Start(why())][..];
    let stop = &[On::Stop(why())][..];
    let spawned = &[On::Start(why()), On::Prepared, On::Spawned(7)][..];
    let up = &[On::StartupOk("startup probe succeeded".into())][..];
    let ready = &[On::ReadyOk("ready probe succeeds".into())][..];
    let pause = &[On::Pause(why())][..];
    let frozen = &[On::Frozen][..];
    let crash = &[On::Exited(Exit::Code(1)), On::Prepared, On::Spawned(7)][..];
    let prepared = &[On::Prepared][..];
    let parted = &[On::BeforeStopDone][..];
    vec![
        way(&[]),
        Way { blocked: true, ..way(&[start]) },
        way(&[start]),
        way(&[start, prepared]),
        way(&[start, prepared, stop]),
        way(&[spawned]),
        way(&[spawned, up]),
        way(&[spawned, up, ready]),
        way(&[spawned, up, pause]),
        way(&[spawned, up, pause, frozen]),
        way(&[spawned, up, pause, frozen, &[On::Continue(why())]]),
        Way { held: true, ..way(&[spawned, up, stop]) },
        way(&[spawned, up, stop]),
        way(&[spawned, up, stop, parted]),
        way(&[spawned, crash, &[On::Exited(Exit::Code(1))]]),
        way(&[spawned, &[On::Exited(Exit::Code(78))]]),
        way(&[spawned, &[On::Exited(Exit::Code(0))]]),
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
        ("prepared", On::Prepared),
        ("a hook before the start failed", On::PrepareFailed("before_start: exit code 1".into())),
        ("process made", On::Spawned(7)),
        ("process not made", On::SpawnFailed("program not found".into())),
        ("ended with 0, nothing left", On::Exited(Exit::Code(0))),
        ("ended with 1, nothing left", On::Exited(Exit::Code(1))),
        ("ended with 1, others left", On::ExitedLeaving(Exit::Code(1))),
        ("nothing left", On::TreeEmpty),
        ("frozen", On::Frozen),
        ("thawed", On::Thawed),
        ("its before_stop hook is over", On::BeforeStopDone),
        ("a command of its stop succeeded", On::StepAnswered(0, None)),
        ("a command of its stop failed", On::StepAnswered(0, Some("exit code 1".into()))),
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
    fn drive(&self, way: Way) -> Stand {
        let Way { steps, blocked, held } = way;
        let service = Service::new(Time::ZERO, "never started");
        let mut stand = Stand { service, at: Time::ZERO, blocked, held };
        for on in steps {
            stand.at = stand.at.after(Duration::from_millis(100));
            stand.service = self.step(&stand, on).0;
        }
        stand.at = stand.at.after(Duration::from_millis(100));
        stand
    }

    fn step(&self, stand: &Stand, on: On) -> (Service, Vec<Effect>) {
        let (mut service, mut last_run, mut effects) = (stand.service.clone(), 0, VecDeque::new());
        let due = service.deadline(&self.plan).filter(|_| on == On::Due).map(|(due, _)| due);
        let mut machine = Machine {
            now: stand.at.max(due.unwrap_or(stand.at)),
            name: &self.name,
            plan: &self.plan,
            seed: 0,
            unblocked: !stand.blocked || on == On::Unblocked,
            has_dependents: stand.held && on != On::DependentsDown,
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
    fn cell(&self, stand: &Stand, on: &On) -> Result<(Service, Vec<Effect>), Refusal> {
        self.check(&stand.service, on)?;
        Ok(self.step(stand, on.clone()))
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
        let mut supervisor =
            Supervisor::new(Plan { stack: String::new(), services, ..Plan::default() }, 0, Time::ZERO);
        if let Some(node) = supervisor.nodes.get_mut(&self.name) {
            node.service = service.clone();
        }
        supervisor.check(&request)
    }

    fn matrix(&self, text: &mut String, phases: &[Stand]) {
        let row = |text: &mut String, first: &str, cells: &mut dyn Iterator<Item = String>| {
            let _ = writeln!(text, "| {first} | {} |", cells.collect::<Vec<_>>().join(" | "));
        };
        row(text, "phase", &mut phases.iter().map(|stand| format!("**{}**", label(&stand.service.phase))));
        row(text, "---", &mut phases.iter().map(|_| "---".to_owned()));
        row(text, "*state*", &mut phases.iter().map(|stand| format!("*{}*", stand.service.state())));
        for (words, on) in inputs() {
            let cell = |stand: &Stand| match self.cell(stand, &on) {
                Err(_) => "refused".to_owned(),
                Ok((after, effects)) if after == stand.service && effects.is_empty() => "·".to_owned(),
                Ok((after, _)) if label(&after.phase) == label(&stand.service.phase) => "(same)".to_owned(),
                Ok((after, _)) => label(&after.phase).to_owned(),
            };
            row(text, words, &mut phases.iter().map(cell));
        }
    }

    fn details(&self, text: &mut String, stand: &Stand) {
        let service = &stand.service;
        let _ = writeln!(text, "\n### {} ({})\n", label(&service.phase), service.state());
        let _ = writeln!(text, "| when | then | does | reason shown |\n| --- | --- | --- | --- |");
        let mut nothing = Vec::new();
        for (words, on) in inputs() {
            let (then, does, reason) = match self.cell(stand, &on) {
                Err(refusal) => ("refused", String::new(), refusal.to_string()),
                Ok((after, effects)) if after == *service && effects.is_empty() => {
                    nothing.push(words);
                    continue;
                }
                Ok((after, effects)) => {
                    let does: Vec<String> = effects.iter().filter_map(does).collect();
                    (label(&after.phase), does.join(", "), after.reason)
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
        Effect::Prepare { .. } => "prepare".into(),
        Effect::Configure { .. } => "change its files".into(),
        Effect::CancelPrepare { .. } => "cancel the preparation".into(),
        Effect::Hook { moment, .. } => format!("run {moment}"),
        Effect::CancelHook { moment, .. } => format!("cancel {moment}"),
        Effect::Spawn { .. } => "spawn".into(),
        Effect::Signal { action, .. } => action.to_string(),
        Effect::StopStep { action, .. } => action.to_string(),
        Effect::Kill { .. } => "kill".into(),
        Effect::Freeze { .. } => "freeze".into(),
        Effect::Thaw { .. } => "thaw".into(),
        Effect::Forget { .. } => "forget the run".into(),
        Effect::Probe { probe, .. } => format!("ask the {probe} probe"),
        Effect::Control { code, .. } => format!("control {code}"),
        Effect::Tell(_) => return None,
        Effect::StackDown => "stack down".into(),
        Effect::StackRests => "stack rests".into(),
    })
}

fn label(phase: &Phase) -> &'static str {
    match phase {
        Phase::Stopped => "stopped",
        Phase::Waiting(_) => "waiting",
        Phase::Preparing(_) => "preparing",
        Phase::Spawning(_) => "spawning",
        Phase::Aborting(_) => "aborting",
        Phase::Startup(_) => "startup",
        Phase::Running(_) => "running",
        Phase::Ready(_) => "ready",
        Phase::Pausing(_) => "pausing",
        Phase::Paused(_) => "paused",
        Phase::Continuing(_) => "continuing",
        Phase::Holding(_) => "holding",
        Phase::BeforeStop(_) => "before stop",
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
        let driven: Vec<&str> =
            ways().into_iter().map(|way| label(&bench.drive(way).service.phase)).collect();
        let expected = [
            "stopped",
            "waiting",
            "preparing",
            "spawning",
            "aborting",
            "startup",
            "running",
            "ready",
            "pausing",
            "paused",
            "continuing",
            "holding",
            "before stop",
            "stopping",
            "backoff",
            "failed",
            "completed",
        ];
        assert_eq!(driven, expected);
    }
}
