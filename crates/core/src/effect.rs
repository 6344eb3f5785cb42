//! What the core wants done.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::{HookFacts, HookMoment, ProbeKind, RunId, ServiceName, StopAction};

/// Something to do, taken with [`Supervisor::poll_effect`](crate::Supervisor::poll_effect) and done in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Do what comes before a start: put the service's files in their places, wait for its hooks under way, then run
    /// `before_start`. Answered by `Prepared`, whatever happens. Wanted again by the next daemon if it was not answered.
    Prepare {
        /// Of this service.
        service: ServiceName,
        /// The preparation's own number; the run of the process gets a higher one.
        run: RunId,
        /// What the hook is told.
        facts: HookFacts,
    },
    /// Nobody waits for a preparation any more; what it runs is ended. Not answered.
    CancelPrepare {
        /// Which.
        run: RunId,
    },
    /// Run a hook. Answered by `HookDone`, for which only a stop waits, if it is `before_stop`, and the service's next
    /// hook.
    Hook {
        /// Of this service.
        service: ServiceName,
        /// About this run.
        run: RunId,
        /// Which of its hooks.
        moment: HookMoment,
        /// What it is told.
        facts: HookFacts,
    },
    /// A hook has had its time: it is ended, or left out if its turn has not come. Not answered.
    CancelHook {
        /// About this run.
        run: RunId,
        /// Which of its hooks.
        moment: HookMoment,
    },
    /// Put a service's changed files in their places, all or none, and tell its program if that is wanted. Answered by
    /// `Configured`, whatever happens. Wanted again by the next daemon if it was not answered. One that is wanted later
    /// takes the place of one that is not done.
    Configure {
        /// Of this service, whose plan has the files and what the program is told.
        service: ServiceName,
        /// The change's own number; goes into the answer.
        run: RunId,
        /// The run whose program is told; none if nobody is.
        tell: Option<RunId>,
    },
    /// Make the process of a new run. Answered by `Spawned` or `SpawnFailed`, whatever happens.
    Spawn {
        /// Of this service.
        service: ServiceName,
        /// Under this number.
        run: RunId,
    },
    /// Ask the tree of a run to end, in one way. Not answered; an `Exited` or `TreeEmpty` may follow.
    Signal {
        /// Which run.
        run: RunId,
        /// How.
        action: StopAction,
    },
    /// Take a step of a stop that is neither signal nor kill: run a command, make a request. Answered by `StopStepDone`
    /// if it comes out within `timeout`; without an answer by then the core itself tells that it did not.
    StopStep {
        /// Of this service, whose plan says how commands are run.
        service: ServiceName,
        /// About this run.
        run: RunId,
        /// The step's place in the plan; goes into the answer.
        step: u32,
        /// What is done.
        action: StopAction,
        /// It is broken off after this time.
        timeout: Duration,
    },
    /// End the whole tree of a run at once. `Exited` and `TreeEmpty` follow. Repeated if they don't.
    Kill {
        /// Which run.
        run: RunId,
    },
    /// Freeze the tree of a run. Answered by `Frozen` or `FreezeFailed`.
    Freeze {
        /// Which run.
        run: RunId,
    },
    /// Let the tree of a run go on. Answered by `Thawed` or `FreezeFailed`.
    Thaw {
        /// Which run.
        run: RunId,
    },
    /// The run is over, nothing of it is left, or its process was never made; whoever keeps a record of it may drop
    /// it.
    Forget {
        /// Which run.
        run: RunId,
    },
    /// Ask a probe's question once. Answered by `ProbeResult` within the probe's timeout.
    Probe {
        /// Of this service, whose plan has the question.
        service: ServiceName,
        /// About this run.
        run: RunId,
        /// Which probe.
        probe: ProbeKind,
        /// Goes into the answer.
        seq: u64,
    },
    /// A service manager has sent a code that means something to this service: do that. Not answered.
    Control {
        /// Which service, whose plan says what it means.
        service: ServiceName,
        /// Its run, if it has a process.
        run: Option<RunId>,
        /// The code.
        code: u8,
        /// What a command is told.
        facts: HookFacts,
    },
    /// Something worth telling.
    Tell(Event),
    /// Every service is down, as [`Request::Down`](crate::Request::Down) wanted.
    StackDown,
    /// Every service is down but those that are left running.
    StackRests,
}
