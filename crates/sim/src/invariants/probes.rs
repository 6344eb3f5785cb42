//! Probes: one question at a time, none too early, the others only after the startup probe, none while the service
//! is frozen or being ended; and each question that may be asked is asked.

use std::collections::BTreeMap;

use mainstay_core::{
    Check, Effect, Input, ProbeKind, ProbePlan, RunId, ServiceName, ServicePlan, StateName, Time,
};

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Probes {
    runs: BTreeMap<RunId, Asked>,
    restored: bool,
}

#[derive(Debug, Default)]
struct Asked {
    /// When each probe was asked last, and under which number.
    last: BTreeMap<ProbeKind, (Time, u64)>,
    /// When the startup probe had succeeded.
    started: Option<Time>,
    /// Its successes in a row.
    successes: u32,
    /// Its question without an answer. Another one after it says that the answer is lost, which is a failure.
    open: Option<u64>,
}

/// The plan of a probe.
pub const fn plan_of(plan: &ServicePlan, kind: ProbeKind) -> Option<&ProbePlan> {
    match kind {
        ProbeKind::Startup => plan.startup.as_ref(),
        ProbeKind::Ready => plan.ready.as_ref(),
        ProbeKind::Live => plan.live.as_ref(),
    }
}

impl Rule for Probes {
    fn name(&self) -> &'static str {
        "probes in turn"
    }

    fn input(&mut self, facts: &Facts, step: &Step) -> Verdict {
        self.restored = matches!(step.cause, Cause::Restored { .. });
        self.runs.retain(|run, _| facts.runs.get(run).is_some_and(super::Run::is_there));
        if facts.idle_input {
            return Ok(());
        }
        match &step.cause {
            Cause::Input(Input::ProbeResult { run, probe: ProbeKind::Startup, outcome, seq }) => {
                let known = facts.runs.get(run).and_then(|known| facts.service(&known.service));
                let needs = known.and_then(|plan| plan.startup.as_ref()).map_or(1, |probe| probe.successes);
                let asked = self.runs.entry(*run).or_default();
                asked.open.take_if(|open| open == seq);
                asked.successes = if outcome.ok { asked.successes + 1 } else { 0 };
                if asked.successes >= needs {
                    asked.started.get_or_insert(step.at);
                }
            }
            Cause::Input(Input::Notify { run, text }) if text.lines().any(|line| line == "READY=1") => {
                let known = facts.runs.get(run).and_then(|known| facts.service(&known.service));
                let startup = known.and_then(|plan| plan.startup.as_ref());
                if startup.is_some_and(|probe| probe.check == Check::Notify) {
                    self.runs.entry(*run).or_default().started.get_or_insert(step.at);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn effect(&mut self, facts: &Facts, at: Time, effect: &Effect) -> Verdict {
        let Effect::Probe { service, run, probe, seq } = effect else { return Ok(()) };
        self.may_ask(facts, at, (service, *run, *probe, *seq))
            .map_err(|what| format!("the {probe} probe of {service} is asked {what}"))?;
        let asked = self.runs.entry(*run).or_default();
        if *probe == ProbeKind::Startup && asked.open.replace(*seq).is_some_and(|open| open != *seq) {
            asked.successes = 0;
        }
        let last = asked.last.entry(*probe).or_insert((at, *seq));
        // A question put again after a takeover does not put off the next one.
        if last.1 != *seq {
            *last = (at, *seq);
        }
        Ok(())
    }
}

impl Probes {
    fn may_ask(
        &self,
        facts: &Facts,
        at: Time,
        (service, run, kind, seq): (&ServiceName, RunId, ProbeKind, u64),
    ) -> Verdict {
        let Some(plan) = facts.service(service) else { return Err("without a plan".to_owned()) };
        let Some(probe) = plan_of(plan, kind) else { return Err("which is not in its plan".to_owned()) };
        let Some(there) = facts.runs.get(&run) else { return Err("about no run".to_owned()) };
        let state = facts.state(service);
        if probe.check == Check::Notify {
            return Err("although the service itself says it".to_owned());
        }
        if state != StateName::Starting && state != StateName::Running && state != StateName::Ready {
            return Err(format!("while it is {state}"));
        }
        for open in [&there.probes, &there.probes_before_pause] {
            if let Some((since, open)) = open.get(&kind)
                && at.since(*since) < probe.timeout
            {
                return Err(format!("while question {open} has no answer yet"));
            }
        }
        let asked = self.runs.get(&run);
        let started = asked.and_then(|asked| asked.started);
        let turn = match (&plan.startup, kind) {
            (Some(_), ProbeKind::Startup) if started.is_some() => {
                return Err("after it had succeeded".to_owned());
            }
            (None, _) | (_, ProbeKind::Startup) => there.made,
            (Some(_), _) => started,
        };
        let Some(turn) = turn else { return Err("before its turn".to_owned()) };
        if at.since(turn) < probe.initial_delay {
            return Err(format!("{:?} after its turn, not {:?}", at.since(turn), probe.initial_delay));
        }
        let Some((last, last_seq)) = asked.and_then(|asked| asked.last.get(&kind)) else { return Ok(()) };
        if self.restored && seq == *last_seq {
            return Ok(());
        }
        if seq <= *last_seq {
            return Err(format!("under the number {seq}, after {last_seq}"));
        }
        if at.since(*last) < probe.interval {
            return Err(format!("again after {:?}, not {:?}", at.since(*last), probe.interval));
        }
        Ok(())
    }
}
