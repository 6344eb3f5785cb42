//! The steps of a stop that the daemon takes itself: commands, as the processes of exec probes are, and requests.
//!
//! The core waits for none of them longer than the step's time, and tells itself that it is over: what is broken off
//! here is not answered.

use std::sync::Arc;
use std::time::Duration;

use mainstay_core::{HttpCheck, ProbeOutcome, RunId, ServiceName, ServicePlan, StopAction, Time};

use super::{Probes, http};

/// One step.
pub(crate) struct Step<'a> {
    pub service: &'a ServiceName,
    pub plan: &'a ServicePlan,
    pub run: RunId,
    /// Its place in the plan.
    pub step: u32,
}

/// How a step came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepDone {
    pub run: RunId,
    pub step: u32,
    /// Why it failed.
    pub error: Option<String>,
}

impl StepDone {
    pub fn new(run: RunId, step: u64, outcome: ProbeOutcome) -> StepDone {
        let error = (!outcome.ok).then_some(outcome.detail);
        StepDone { run, step: u32::try_from(step).unwrap_or(u32::MAX), error }
    }
}

/// Where the ends of requests go. False: no room now.
pub(crate) type StepEnded = Arc<dyn Fn(StepDone) -> bool + Send + Sync>;

impl Probes {
    /// Takes a step, which is broken off after `timeout`.
    pub fn take_step(&mut self, now: Time, step: &Step<'_>, action: StopAction, timeout: Duration) {
        match action {
            StopAction::Command(command) => {
                self.exec.take_step(now.after(timeout), step, &command, timeout);
            }
            StopAction::Http(request) => {
                let (run, place) = (step.run, step.step);
                let ended = Arc::clone(&self.step_ended);
                let task = self.runtime.spawn(async move {
                    let check = request.into();
                    let asking = http::ask_to_end(&check);
                    let Ok(outcome) = tokio::time::timeout(timeout, asking).await else { return };
                    let done = StepDone::new(run, u64::from(place), outcome);
                    // No room means that the driver is far behind. After its time nobody waits for it.
                    while !ended(done.clone()) {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                });
                if let Some(earlier) = self.steps.insert(run, task.abort_handle()) {
                    earlier.abort();
                }
            }
            // The keeper's.
            StopAction::CtrlC
            | StopAction::CloseWindow
            | StopAction::Signal(_)
            | StopAction::Kill
            | StopAction::CtrlBreak => {}
            // Nobody's.
            StopAction::Drain => {}
        }
    }

    /// Makes a request that has to be answered in time.
    pub async fn request(check: &HttpCheck, timeout: Duration) -> ProbeOutcome {
        match tokio::time::timeout(timeout, http::ask(check)).await {
            Ok(outcome) => outcome,
            Err(_) => super::no(format!("no answer in {}", super::in_words(timeout))),
        }
    }

    /// The run is over, or killed: no step of its stop is of any use.
    pub fn end_steps(&mut self, run: RunId) {
        if let Some(task) = self.steps.remove(&run) {
            task.abort();
        }
        self.exec.cancel(run, true);
    }
}
