//! Runs hooks: commands beside a service, one of a service at a time, in the order in which they were wanted.
//!
//! Each is a process of the keeper in a container of its own, with the service's environment, directory and account,
//! and variables that say what happened. What it writes goes into the service's log. A new daemon ends the hooks of
//! the one before: `before_start` and `before_stop` are run again, the others are not.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_core::{
    ControlAction, Exit, Hook, HookFacts, HookMoment, Input, Plan, ProbeOutcome, Rotation, RunId,
    ServiceName, ServicePlan, Time, signal_name,
};
use mainstay_logs::closed_file;

use crate::probes::Exec;
use crate::shelf::Held;

/// So many hooks of a service wait at the most. One more makes the oldest be left out that no start or stop waits for.
const MAX_WAITING: usize = 16;

/// The hooks of all services.
pub(crate) struct Hooks {
    /// Where the logs are.
    log_dir: PathBuf,
    queues: BTreeMap<ServiceName, VecDeque<Job>>,
    /// Numbers the commands, so that a late answer is not taken for another one's.
    seq: u64,
    /// What the core is to be told.
    told: Vec<Input>,
}

struct Job {
    run: RunId,
    moment: HookMoment,
    facts: HookFacts,
    /// The number of its command, once that was started.
    started: Option<u64>,
}

impl Hooks {
    /// None wait. `log_dir` is where the logs are.
    pub fn new(log_dir: PathBuf) -> Hooks {
        Hooks { log_dir, queues: BTreeMap::new(), seq: 0, told: Vec::new() }
    }

    /// Queues a hook; [`HookMoment::BeforeStart`] is answered by `Prepared`, whether or not there is one. Of a log that is
    /// closed again and again one waits at the most, which is told of all the files.
    pub fn want(&mut self, service: &ServiceName, run: RunId, moment: HookMoment, facts: HookFacts) {
        let queue = self.queues.entry(service.clone()).or_default();
        if let Some(rotation) = &facts.rotation {
            let mut waiting = queue.iter_mut().filter(|job| job.started.is_none());
            if waiting.any(|job| job.facts.rotation.as_mut().is_some_and(|first| first.absorb(rotation))) {
                return;
            }
        }
        queue.push_back(Job { run, moment, facts, started: None });
        let idle = |job: &Job| job.started.is_none() && !job.is_waited_for();
        if queue.len() > MAX_WAITING
            && let Some(left_out) = queue.iter().position(idle).and_then(|at| queue.remove(at))
        {
            let detail = "left out: too many hooks wait".to_owned();
            self.told.push(left_out.done(service, false, detail));
        }
    }

    /// Nobody waits for this hook any more.
    pub fn cancel(&mut self, run: RunId, moment: HookMoment, exec: &mut Exec) {
        for (service, queue) in &mut self.queues {
            let wanted = |job: &Job| job.run == run && job.moment == moment;
            if let Some(job) = queue.iter().position(wanted).and_then(|at| queue.remove(at)) {
                if job.started.is_some() {
                    exec.cancel_hook(service);
                }
                return;
            }
        }
    }

    /// The closed files that hooks are told of.
    pub fn held(&self) -> Held {
        let mut held = Held::new();
        for Rotation { log, first, .. } in
            self.queues.values().flatten().filter_map(|job| job.facts.rotation.as_ref())
        {
            let least = held.entry(log.clone()).or_insert(*first);
            *least = (*least).min(*first);
        }
        held
    }

    /// Whether no hook runs or waits.
    pub fn is_idle(&self) -> bool {
        self.queues.is_empty()
    }

    /// Takes in the end of a command.
    pub fn ended(&mut self, service: &ServiceName, seq: u64, outcome: ProbeOutcome, plan: &Plan) {
        let Some(queue) = self.queues.get_mut(service) else { return };
        let Some(job) = queue.pop_front_if(|job| job.started == Some(seq)) else { return };
        let required =
            plan.services.get(service).and_then(|plan| job.hook(plan)).is_none_or(|hook| hook.required);
        let ProbeOutcome { ok, detail } = outcome;
        if job.moment == HookMoment::BeforeStart {
            let error = (!ok && required).then(|| format!("{}: {detail}", job.moment));
            self.told.push(job.done(service, ok, detail));
            self.told.push(Input::Prepared { run: job.run, error });
        } else {
            self.told.push(job.done(service, ok, detail));
        }
    }

    /// Starts what can be started, and returns what the core is to be told.
    pub fn go_on(&mut self, now: Time, plan: &Plan, exec: &mut Exec) -> Vec<Input> {
        for (service, queue) in &mut self.queues {
            while let Some(job) = queue.front_mut().filter(|job| job.started.is_none()) {
                let there = plan.services.get(service);
                if let Some((there, hook)) = there.and_then(|there| Some((there, job.hook(there)?))) {
                    self.seq += 1;
                    job.started = Some(self.seq);
                    let mut variables = job.variables(&plan.stack, service, hook);
                    variables.extend(
                        job.facts.rotation.iter().flat_map(|closed| of_rotation(closed, &self.log_dir)),
                    );
                    exec.run_hook(
                        now.after(hook.timeout),
                        (service, there),
                        (job.run, self.seq),
                        hook,
                        variables,
                    );
                    break;
                }
                // A start only waited for the hooks before it; or the service is gone.
                match job.moment {
                    HookMoment::BeforeStart => {
                        self.told.push(Input::Prepared { run: job.run, error: None });
                    }
                    HookMoment::BeforeStop => {
                        let detail = "nothing to be done: the configuration has changed".to_owned();
                        self.told.push(job.done(service, true, detail));
                    }
                    _ => {}
                }
                queue.pop_front();
            }
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        std::mem::take(&mut self.told)
    }
}

impl Job {
    /// Whether something does not go on without it.
    fn is_waited_for(&self) -> bool {
        matches!(self.moment, HookMoment::BeforeStart | HookMoment::BeforeStop)
    }

    fn done(&self, service: &ServiceName, ok: bool, detail: String) -> Input {
        Input::HookDone { service: service.clone(), run: self.run, moment: self.moment, ok, detail }
    }

    /// Its command.
    fn hook<'a>(&self, plan: &'a ServicePlan) -> Option<&'a Hook> {
        match self.facts.control.and_then(|code| plan.controls.get(&code)) {
            Some(ControlAction::Command(hook)) => Some(hook),
            _ => plan.hooks.at(self.moment),
        }
    }

    /// What the command finds in its environment. `docs/hooks.md` lists them.
    fn variables(&self, stack: &str, service: &ServiceName, hook: &Hook) -> Vec<(&'static str, String)> {
        let HookFacts { reason, pid, exit, ran, restarts, in_a_row, control, power, session, rotation: _ } =
            &self.facts;
        let mut variables = vec![
            ("MAINSTAY_HOOK", self.moment.to_string()),
            ("MAINSTAY_STACK", stack.to_owned()),
            ("MAINSTAY_SERVICE", service.to_string()),
            ("MAINSTAY_RUN", self.run.to_string()),
            ("MAINSTAY_REASON", reason.clone()),
            ("MAINSTAY_TIMEOUT_MS", hook.timeout.as_millis().to_string()),
            ("MAINSTAY_RESTARTS", restarts.to_string()),
            ("MAINSTAY_RESTARTS_IN_A_ROW", in_a_row.to_string()),
        ];
        variables.extend(pid.map(|pid| ("MAINSTAY_PID", pid.to_string())));
        variables.extend(control.map(|code| ("MAINSTAY_CONTROL", code.to_string())));
        variables.extend(power.map(|change| ("MAINSTAY_POWER", change.as_str().to_owned())));
        if let Some((id, change)) = session {
            variables.push(("MAINSTAY_SESSION", change.as_str().to_owned()));
            variables.push(("MAINSTAY_SESSION_ID", id.to_string()));
        }
        variables.extend(ran.map(|ran: Duration| ("MAINSTAY_RAN_MS", ran.as_millis().to_string())));
        match exit {
            Some(Exit::Code(code)) => variables.push(("MAINSTAY_EXIT_CODE", code.to_string())),
            Some(Exit::Signal(number)) => {
                let name = signal_name(*number).map_or_else(|| number.to_string(), str::to_owned);
                variables.push(("MAINSTAY_EXIT_SIGNAL", name));
            }
            Some(Exit::Unknown) | None => {}
        }
        variables
    }
}

/// What the command finds of closed files.
fn of_rotation(rotation: &Rotation, dir: &Path) -> [(&'static str, String); 4] {
    let Rotation { log, first, last, why } = rotation;
    [
        ("MAINSTAY_ROTATION", why.as_str().to_owned()),
        ("MAINSTAY_LOG_FILE", closed_file(dir, log, *last).display().to_string()),
        ("MAINSTAY_LOG_NUMBER", last.to_string()),
        ("MAINSTAY_LOG_FIRST", first.to_string()),
    ]
}

#[cfg(test)]
mod tests;
