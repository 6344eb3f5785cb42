//! What a service's probes say, after Kubernetes' rules.

use mainstay_core::{Check, ProbeKind, ProbePlan, ServicePlan, StateName};

/// The verdicts of one run's probes.
#[derive(Debug, Default)]
pub(super) struct Health {
    startup: Score,
    ready: Score,
    live: Score,
    /// Whether the run was frozen once: what its probes saw around that time may count or not.
    pub(super) unsure: bool,
}

#[derive(Debug, Default)]
struct Score {
    verdict: Option<bool>,
    good: u32,
    bad: u32,
}

impl Score {
    fn answer(&mut self, plan: &ProbePlan, ok: bool) {
        (self.good, self.bad) = if ok { (self.good + 1, 0) } else { (0, self.bad + 1) };
        if self.good >= plan.successes {
            self.verdict = Some(true);
        }
        if self.bad >= plan.failures {
            self.verdict = Some(false);
        }
    }
}

impl Health {
    /// The run is frozen.
    pub(super) const fn pause(&mut self) {
        self.unsure = true;
    }

    /// A probe was answered while the service was in this state.
    pub(super) fn answer(&mut self, plan: &ServicePlan, probe: ProbeKind, ok: bool, state: StateName) {
        let (score, plan) = match probe {
            ProbeKind::Startup => (&mut self.startup, &plan.startup),
            ProbeKind::Ready => (&mut self.ready, &plan.ready),
            ProbeKind::Live => (&mut self.live, &plan.live),
        };
        let Some(plan) = plan else { return };
        if matches!(state, StateName::Starting | StateName::Running | StateName::Ready) {
            score.answer(plan, ok);
        }
    }

    /// The service said something about itself.
    pub(super) fn notified(&mut self, plan: &ServicePlan, line: &str) {
        let says_itself =
            |probe: &Option<ProbePlan>| probe.as_ref().is_some_and(|p| p.check == Check::Notify);
        match line {
            "READY=1" => {
                if says_itself(&plan.startup) && self.startup.verdict.is_none() {
                    self.startup.verdict = Some(true);
                }
                if says_itself(&plan.ready) {
                    self.ready.verdict = Some(true);
                }
            }
            "READY=0" | "STOPPING=1" if says_itself(&plan.ready) => self.ready.verdict = Some(false),
            _ => {}
        }
    }

    /// Whether it is past its startup probe.
    pub(super) fn has_started(&self, plan: &ServicePlan) -> bool {
        plan.startup.is_none() || self.startup.verdict == Some(true)
    }

    /// Whether the run is to be ended for what its probes saw.
    pub(super) fn is_lost(&self) -> bool {
        self.startup.verdict == Some(false) || self.live.verdict == Some(false)
    }

    /// The state of a run that is there and neither frozen nor being ended.
    pub(super) fn state(&self, plan: &ServicePlan) -> Option<StateName> {
        if self.unsure {
            return None;
        }
        Some(match (self.has_started(plan), self.ready.verdict) {
            (false, _) => StateName::Starting,
            (true, Some(true)) => StateName::Ready,
            (true, _) => StateName::Running,
        })
    }
}
