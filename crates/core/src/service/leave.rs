//! Left running when the stack goes down, and taken over when it comes up again.

use super::Machine;
use super::phase::Phase;
use crate::{EventKind, WhenMainstayStops};

impl Machine<'_> {
    /// Leaves it alone, if its plan says so and it is up: nothing is asked of it any more. Whether it is.
    pub(crate) fn leave(&mut self, why: &str) -> bool {
        if self.plan.when_mainstay_stops != WhenMainstayStops::Leave {
            return false;
        }
        let (Phase::Running(run) | Phase::Ready(run) | Phase::Paused(run)) = &mut self.service.phase else {
            return false;
        };
        if !self.service.left {
            let id = run.id;
            run.probes.rest();
            self.service.left = true;
            self.service.reason = format!("left running; {why}");
            self.tell(Some(id), EventKind::Left);
        }
        true
    }

    /// Looks after it again. The probes' next questions come after their intervals.
    pub(crate) fn take_over(&mut self, why: &str) {
        if !std::mem::take(&mut self.service.left) {
            return;
        }
        let reason = format!("was left running; {why}");
        self.tell(self.run, EventKind::TakenOver);
        self.service.phase = match std::mem::take(&mut self.service.phase) {
            Phase::Running(run) | Phase::Ready(run) => self.resume(run, reason),
            phase => {
                self.service.reason = reason;
                phase
            }
        };
    }
}
