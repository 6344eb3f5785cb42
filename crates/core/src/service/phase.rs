//! What a service can be doing, and what can happen to it.

use serde::{Deserialize, Serialize};

use super::run::Run;
use crate::{Exit, RunId, ServiceName, StateName, Time};

/// What a service is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nothing; and nothing wants it up.
    #[default]
    Stopped,
    /// Waits for what it depends on.
    Waiting(Waiting),
    /// What comes before a start is being done.
    Preparing(Preparing),
    /// Its process is being made.
    Spawning(Spawning),
    /// Its process is being made, and is to end as soon as it is there.
    Aborting(Aborting),
    /// Its process runs; the startup probe has not succeeded yet.
    Startup(Box<Run>),
    /// Its process runs; there is no readiness probe, or it does not succeed at present.
    Running(Box<Run>),
    /// Its process runs and the readiness probe succeeds.
    Ready(Box<Run>),
    /// Its tree is being frozen.
    Pausing(Freezing),
    /// Its tree is frozen.
    Paused(Box<Run>),
    /// Its tree is being thawed.
    Continuing(Freezing),
    /// Asked to stop; its dependents stop first.
    Holding(Box<Holding>),
    /// About to be stopped; its `before_stop` hook comes first.
    BeforeStop(Box<BeforeStop>),
    /// Its tree is being ended, step by step.
    Stopping(Box<Stopping>),
    /// Ended by itself; the next start waits.
    Backoff(Backoff),
    /// Down for good.
    Failed,
    /// Ran to its end, as wanted.
    Completed,
}

/// The data of [`Phase::Waiting`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Why it was started.
    pub origin: String,
    /// The dependency that its reason names; the supervisor looks for it.
    pub on: Option<ServiceName>,
}

/// The data of [`Phase::Preparing`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Preparing {
    /// The preparation's number.
    pub run: RunId,
    /// Why it was started.
    pub origin: String,
}

/// The data of [`Phase::Spawning`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spawning {
    pub run: RunId,
}

/// The data of [`Phase::Aborting`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Aborting {
    pub run: RunId,
    pub wish: Wish,
}

/// The data of [`Phase::Pausing`] and [`Phase::Continuing`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Freezing {
    pub run: Box<Run>,
    /// When to stop waiting for the answer.
    pub until: Time,
    /// Why the opposite was asked for meanwhile; it follows the answer, so that only one question is open at once.
    pub reverse: Option<String>,
}

/// The data of [`Phase::Holding`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holding {
    pub run: Run,
    pub wish: Wish,
}

/// The data of [`Phase::BeforeStop`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BeforeStop {
    pub run: Run,
    pub wish: Wish,
    /// When the hook was wanted.
    pub began: Time,
    /// When to stop waiting for it.
    pub until: Time,
}

/// The data of [`Phase::Stopping`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stopping {
    pub run: Run,
    pub wish: Wish,
    /// When its first step was taken.
    pub began: Time,
    /// The index of the next step.
    pub step: usize,
    /// When the next step, or the next kill, is due.
    pub due: Time,
    /// When the present step was taken, while its answer is waited for. A snapshot of an earlier version has none.
    #[serde(default)]
    pub asked: Option<Time>,
    /// Until when the service asked to be given time; holds over the plan's timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended: Option<Time>,
    /// When the whole tree was killed first, and how often so far.
    pub killed: Option<(Time, u32)>,
}

/// The data of [`Phase::Backoff`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Backoff {
    pub until: Time,
    /// What it ended with, as a clause.
    pub what: String,
}

/// Why it stops, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub why: String,
    pub after: After,
    /// Whether its dependents were asked to stop too, and do so first.
    pub dependents_first: bool,
}

/// What follows a stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum After {
    /// It stays stopped.
    Stay,
    /// It starts again, for this reason.
    Start(String),
    /// Its restart policy is asked.
    Policy(End),
}

/// How a run came to its end, if nobody asked for that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// The main process ended.
    Exit(Exit),
    /// A probe failed; this says which and why.
    Unhealthy(String),
    /// The process could not be made; this says why.
    NotMade(String),
}

impl Phase {
    /// The state that people see.
    pub(crate) fn state(&self) -> StateName {
        match self {
            Phase::Stopped => StateName::Stopped,
            Phase::Waiting(_) | Phase::Preparing(_) | Phase::Spawning(_) | Phase::Startup(_) => {
                StateName::Starting
            }
            Phase::Running(_) => StateName::Running,
            Phase::Ready(_) => StateName::Ready,
            Phase::Pausing(_) => StateName::Pausing,
            Phase::Paused(_) => StateName::Paused,
            Phase::Continuing(_) => StateName::Continuing,
            Phase::Aborting(_) | Phase::Holding(_) | Phase::BeforeStop(_) | Phase::Stopping(_) => {
                StateName::Stopping
            }
            Phase::Backoff(_) => StateName::Backoff,
            Phase::Failed => StateName::Failed,
            Phase::Completed => StateName::Completed,
        }
    }

    /// The number of the run that is there or being made.
    pub(crate) fn run_id(&self) -> Option<RunId> {
        match self {
            Phase::Preparing(preparing) => Some(preparing.run),
            Phase::Spawning(spawning) => Some(spawning.run),
            Phase::Aborting(aborting) => Some(aborting.run),
            _ => self.run().map(|run| run.id),
        }
    }

    /// The run whose process was made.
    pub(crate) fn run(&self) -> Option<&Run> {
        match self {
            Phase::Startup(run) | Phase::Running(run) | Phase::Ready(run) | Phase::Paused(run) => Some(run),
            Phase::Pausing(freezing) | Phase::Continuing(freezing) => Some(&freezing.run),
            Phase::Holding(holding) => Some(&holding.run),
            Phase::BeforeStop(before) => Some(&before.run),
            Phase::Stopping(stopping) => Some(&stopping.run),
            Phase::Stopped
            | Phase::Waiting(_)
            | Phase::Preparing(_)
            | Phase::Spawning(_)
            | Phase::Aborting(_)
            | Phase::Backoff(_)
            | Phase::Failed
            | Phase::Completed => None,
        }
    }

    /// The run that is up, so that its probes count: also frozen, but not being ended.
    pub(crate) fn run_up_mut(&mut self) -> Option<&mut Run> {
        match self {
            Phase::Startup(run) | Phase::Running(run) | Phase::Ready(run) | Phase::Paused(run) => Some(run),
            Phase::Pausing(freezing) | Phase::Continuing(freezing) => Some(&mut freezing.run),
            Phase::Stopped
            | Phase::Waiting(_)
            | Phase::Preparing(_)
            | Phase::Spawning(_)
            | Phase::Aborting(_)
            | Phase::Holding(_)
            | Phase::BeforeStop(_)
            | Phase::Stopping(_)
            | Phase::Backoff(_)
            | Phase::Failed
            | Phase::Completed => None,
        }
    }

    /// Whether it neither comes up by itself nor on its way down would: only a start changes that.
    pub(crate) fn stays_down(&self) -> bool {
        match self {
            Phase::Stopped | Phase::Failed | Phase::Completed => true,
            Phase::Aborting(aborting) => aborting.wish.after == After::Stay,
            Phase::Holding(holding) => holding.wish.after == After::Stay,
            Phase::BeforeStop(before) => before.wish.after == After::Stay,
            Phase::Stopping(stopping) => stopping.wish.after == After::Stay,
            Phase::Waiting(_)
            | Phase::Preparing(_)
            | Phase::Spawning(_)
            | Phase::Startup(_)
            | Phase::Running(_)
            | Phase::Ready(_)
            | Phase::Pausing(_)
            | Phase::Paused(_)
            | Phase::Continuing(_)
            | Phase::Backoff(_) => false,
        }
    }
}

/// What can happen to a service. The texts are reasons, details and errors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum On {
    /// Somebody wants it up.
    Start(String),
    /// Somebody wants it down.
    Stop(String),
    /// Somebody wants a new run.
    Restart(String),
    /// Somebody wants it frozen.
    Pause(String),
    /// Somebody wants it to go on.
    Continue(String),
    /// All that it depends on is there.
    Unblocked,
    /// What comes before a start is done.
    Prepared,
    /// What comes before a start failed.
    PrepareFailed(String),
    /// No dependent is on its way down any more.
    DependentsDown,
    /// Its process was made.
    Spawned(u32),
    /// Its process could not be made.
    SpawnFailed(String),
    /// Its main process ended, and nothing is left.
    Exited(Exit),
    /// Its main process ended, and others of its tree are left.
    ExitedLeaving(Exit),
    /// The last process of its tree ended.
    TreeEmpty,
    /// Its tree is frozen.
    Frozen,
    /// Its tree goes on.
    Thawed,
    /// Its tree could not be frozen or thawed.
    FreezeFailed(String),
    /// The startup probe succeeded.
    StartupOk(String),
    /// The startup probe failed for good.
    StartupFailed(String),
    /// The readiness probe succeeds.
    ReadyOk(String),
    /// The readiness probe does not succeed any more.
    ReadyLost(String),
    /// The liveness probe failed for good.
    LiveFailed(String),
    /// It says that it is about to end.
    SaysStopping,
    /// Its `before_stop` hook came to its end.
    BeforeStopDone,
    /// A command or request of its stop came out: the step's place, and why it failed if it did.
    StepAnswered(u32, Option<String>),
    /// Its deadline has come.
    Due,
}
