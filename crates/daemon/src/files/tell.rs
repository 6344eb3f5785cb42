//! Telling a program that its files are others.

use mainstay_core::{OnChange, ProgramConfig, RunId, ServiceName, ServicePlan, Time};
use mainstay_sys::tell;

use super::Follows;
use super::work::Worker;
use crate::probes::Probes;

/// A program that is to be told.
pub(super) struct Telling<'a> {
    pub now: Time,
    pub service: &'a ServiceName,
    pub plan: &'a ServicePlan,
    /// Its run.
    pub run: RunId,
    pub config: &'a ProgramConfig,
    /// The job's number.
    pub seq: u64,
}

impl Telling<'_> {
    /// Begins to tell it; how that came out is heard later. What somebody else has to do for it.
    pub fn begin(&self, worker: &Worker<'_>, probes: &mut Probes) -> Option<Follows> {
        let (seq, timeout) = (self.seq, self.config.timeout);
        match self.config.on_change.clone() {
            OnChange::Signal(action) => return Some(Follows::Signal { id: seq, run: self.run, action }),
            OnChange::Command(words) => {
                probes.exec.run_on_change(self.now, (self.service, self.plan), seq, &words, timeout);
            }
            OnChange::Http(request) => {
                worker.ask(seq, async move { Probes::request(&request.into(), timeout).await });
            }
            OnChange::Event(name) => worker.tell(seq, move || tell::set_event(&name)),
            OnChange::Control { service, code } => {
                worker.tell(seq, move || tell::control_service(&service, code));
            }
            // Nobody is told then.
            OnChange::Restart | OnChange::Nothing => {}
        }
        None
    }
}
