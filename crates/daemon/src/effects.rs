//! Doing what the core wants.

use std::collections::BTreeMap;

use mainstay_api::types::EventBody;
use mainstay_core::{
    Check, ControlAction, Effect, EventKind, HookFacts, HookMoment, Input, OnFull, RunId, SecretText,
    ServiceName, ServicePlan, StopAction,
};
use mainstay_link::{Command, Log, ROTATE, Spawn};
use tracing::error;

use crate::driver::{Driver, now};
use crate::probes::{Question, Step};
use crate::secrets::{Missing, in_words};

/// By which the spans of a program join the trace of its life, as W3C has it.
const TRACE_PARENT: &str = "TRACEPARENT";

impl Driver {
    /// Does it, or puts it into the frame.
    pub(crate) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Prepare { service, run, facts } => self.prepare(service, run, facts),
            Effect::Configure { service, run, tell } => self.files.want_change(&service, run, tell),
            Effect::CancelPrepare { run } => {
                self.preparing.remove(&run);
                self.files.cancel(run, &mut self.probes);
                self.hooks.cancel(run, HookMoment::BeforeStart, &mut self.probes.exec);
            }
            Effect::CancelHook { run, moment } => {
                self.hooks.cancel(run, moment, &mut self.probes.exec);
            }
            Effect::Hook { service, run, moment, facts } => self.hooks.want(&service, run, moment, facts),
            Effect::Spawn { service, run } => match self.core.plan().services.get(&service) {
                Some(plan) => {
                    let mut spawn = spawn(&service, run, plan);
                    if self.core.plan().opentelemetry.has_traces() {
                        let parent = self.ids.trace_parent(run);
                        spawn.environment.entry(TRACE_PARENT.to_owned()).or_insert(parent);
                    }
                    self.spawn(&service, spawn, &plan.launch.secret_texts());
                }
                None => error!("{service} is to be started, but is not in the plan"),
            },
            Effect::Signal { run, action } => self.signal(run, action),
            Effect::StopStep { service, run, step, action, timeout } => {
                if let Some(plan) = self.core.plan().services.get(&service) {
                    let taken = Step { service: &service, plan, run, step };
                    self.probes.take_step(now(), &taken, action, timeout);
                }
            }
            Effect::Kill { run } => {
                self.probes.end_steps(run);
                self.out.command(Command::Kill { run });
            }
            Effect::Freeze { run } => self.out.command(Command::Freeze { run }),
            Effect::Thaw { run } => self.out.command(Command::Thaw { run }),
            Effect::Forget { run } => {
                self.end_probes(run);
                self.probes.end_steps(run);
                self.log_starts.remove(&run);
                self.out.command(Command::Forget { run });
            }
            Effect::Probe { service, run, probe, seq } => {
                if let Some(plan) = self.core.plan().services.get(&service) {
                    self.asked.insert((run, probe), now());
                    let log_start = self.log_starts.get(&run).copied().unwrap_or_default();
                    let service = &service;
                    self.probes.ask(now(), &Question { service, plan, run, probe, seq, log_start });
                }
            }
            Effect::Control { service, run, code, facts } => self.control(&service, run, code, facts),
            Effect::Tell(event) => {
                if let EventKind::Reload { revision, stage, detail } = &event.kind {
                    self.revisions.stage(*revision, *stage, detail);
                    self.note_revisions();
                }
                self.events.stage(EventBody::Core(event));
            }
            Effect::StackRests => self.rest(),
            Effect::StackDown => {
                // The last hooks still have their time.
                self.is_down = true;
            }
        }
    }
}

impl Driver {
    /// Lets the keeper make a process, with the values of its secrets. The preparation has read them.
    fn spawn(&mut self, service: &ServiceName, mut spawn: Spawn, secrets: &BTreeMap<String, SecretText>) {
        match self.vault.fill(secrets) {
            Ok(filled) => {
                spawn.take_secrets(filled);
                match self.place(service, &mut spawn).and_then(|()| self.knows.fit(&mut spawn)) {
                    Ok(()) => self.out.command(Command::Spawn(Box::new(spawn))),
                    Err(error) => self.input(Input::SpawnFailed { run: RunId(spawn.run), error }),
                }
            }
            Err(missing) => {
                let error = match missing {
                    Missing::Never(error) => in_words(&error),
                    Missing::NotYet => "its secrets have changed while it was prepared".to_owned(),
                };
                self.input(Input::SpawnFailed { run: RunId(spawn.run), error });
            }
        }
    }

    fn signal(&mut self, run: RunId, action: StopAction) {
        // Time alone is given: there is nothing to be sent.
        if action == StopAction::Drain {
            return;
        }
        let nearest = self.knows.nearest(action.clone());
        if nearest != action {
            self.events.stage_own(format!("the keeper is too old to send {action}; it sends {nearest}"));
        }
        self.out.command(Command::Signal { run, action: nearest });
    }

    /// Does what a code of the service manager means to a service.
    fn control(&mut self, service: &ServiceName, run: Option<RunId>, code: u8, facts: HookFacts) {
        let Some(plan) = self.core.plan().services.get(service) else { return };
        match (plan.controls.get(&code), run) {
            (Some(ControlAction::Rotate), _) if self.knows.has(ROTATE) => {
                let log = log_of(service, plan);
                for log in std::iter::once(log.name).chain(log.stderr) {
                    self.out.command(Command::Rotate { log });
                }
            }
            (Some(ControlAction::Rotate), _) => {
                self.events.stage_own(format!("the keeper is too old to rotate the log of {service}"));
            }
            (Some(ControlAction::Signal(action)), Some(run)) => {
                let action = action.clone();
                self.signal(run, action);
            }
            (Some(ControlAction::Command(_)), Some(run)) => {
                self.hooks.want(service, run, HookMoment::OnControl, facts);
            }
            (Some(_), None) => {
                self.events
                    .stage_own(format!("control {code} means nothing to {service} now: it does not run"));
            }
            (None, _) => {}
        }
    }
}

fn spawn(service: &ServiceName, run: RunId, plan: &ServicePlan) -> Spawn {
    let mut launch = plan.launch.clone();
    // As systemd does: libraries send `WATCHDOG=1` twice in that time.
    if let Some(live) = plan.live.as_ref().filter(|live| live.check == Check::Notify) {
        launch.environment.insert("WATCHDOG_USEC".to_owned(), live.interval.as_micros().to_string());
    }
    let probes = [&plan.startup, &plan.ready, &plan.live];
    Spawn {
        run: run.0,
        container: service.to_string(),
        command: launch.command,
        working_dir: launch.working_dir,
        environment: launch.environment,
        secrets: BTreeMap::new(),
        user: launch.user,
        password: None,
        // Said when it is made.
        session: None,
        settings: launch.settings,
        limits: launch.limits,
        log: Some(log_of(service, plan)),
        notify: probes.into_iter().flatten().any(|probe| probe.check == Check::Notify),
    }
}

/// Where a service's output goes.
pub(crate) fn log_of(service: &ServiceName, plan: &ServicePlan) -> Log {
    Log {
        name: service.to_string(),
        rotate_size: plan.log.rotate_size,
        rotate_age_ms: plan.log.rotate_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        keep_files: plan.log.keep_files,
        min_free: plan.log.min_free,
        wait_when_full: plan.log.on_full == OnFull::Block,
        stderr: plan.log.separate_stderr.then(|| mainstay_logs::stderr_name(service.as_str())),
        format: plan.log.format,
        encoding: plan.log.encoding,
        most: None,
        tell_rotations: plan.hooks.on_rotation.is_some(),
    }
}
