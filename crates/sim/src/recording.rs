//! From a trace to a recording in the core's form, which `mainstay debug replay` reads, and back.

use mainstay_core::Supervisor;
use mainstay_core::record::{Header, Recorded, Recording, Takeover};

use crate::history::History;
use crate::invariants::{Checker, Violation};
use crate::trace::{Cause, Step};
use crate::world::START;

/// The recording of a history that left this trace.
pub fn of(history: &History, trace: &[Step]) -> Recording {
    let header = Header::new(history.plan.clone(), history.seed, START);
    let (mut inputs, mut takeovers) = (Vec::new(), Vec::new());
    for step in trace {
        match &step.cause {
            Cause::New => {}
            Cause::Restored { last_run } => {
                takeovers.push(Takeover { before: inputs.len(), at: step.at, last_run: *last_run });
            }
            Cause::Input(input) => inputs.push(Recorded { at: step.at, input: input.clone() }),
        }
    }
    Recording { header, inputs, takeovers, torn: false }
}

/// Does a recording again under all rules; how many steps that were.
///
/// What the outside would do on its own, such as the tick that a deadline asks for, is what was recorded, even if
/// the supervisor would ask for something else by now: inputs that make no sense any more come too late.
///
/// # Errors
/// The first rule that is broken.
pub fn check(recording: &Recording) -> Result<usize, Violation> {
    let header = &recording.header;
    let mut supervisor = header.supervisor();
    let mut checker = Checker::new(header.plan.clone());
    let mut services = header.plan.services.len();
    let mut steps = 0;
    let mut take = |supervisor: &mut Supervisor, at, cause| {
        let effects = std::iter::from_fn(|| supervisor.poll_effect()).collect();
        let now = supervisor.plan().services.len();
        let changed = std::mem::replace(&mut services, now) != now;
        steps += 1;
        checker.step(&Step {
            at,
            cause,
            effects,
            status: supervisor.status(),
            deadline: supervisor.next_deadline(),
            plan: changed.then(|| Box::new(supervisor.plan().clone())),
        })
    };
    take(&mut supervisor, header.start, Cause::New)?;
    let mut takeovers = recording.takeovers.iter().peekable();
    for (number, Recorded { at, input }) in recording.inputs.iter().enumerate() {
        while let Some(takeover) = takeovers.next_if(|takeover| takeover.before <= number) {
            takeover.apply(&mut supervisor);
            take(&mut supervisor, takeover.at, Cause::Restored { last_run: takeover.last_run })?;
        }
        supervisor.handle(*at, input.clone());
        take(&mut supervisor, *at, Cause::Input(input.clone()))?;
    }
    Ok(steps)
}
