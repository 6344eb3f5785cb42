//! What the core tells: the raw material of `mainstay events` and of every explanation.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::leak::Change;
use crate::status::StateName;
use crate::{Exit, HookMoment, LimitHits, NotEnforced, ProbeKind, RunId, ServiceName};

/// Something that happened to a service, worth telling a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// To which service; none for the stack as a whole.
    pub service: Option<ServiceName>,
    /// In which run, if one was there.
    pub run: Option<RunId>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EventKind {
    /// The state changed.
    State {
        /// From this.
        from: StateName,
        /// To this.
        to: StateName,
        /// Why, as a short clause: "asked by root", "ready probe: 200 OK", "exit code 3".
        reason: String,
    },
    /// Somebody asked for something.
    Requested {
        /// Who.
        by: String,
        /// What, as the command's word: "stop".
        what: String,
    },
    /// The process was made.
    Spawned {
        /// Its process id.
        pid: u32,
    },
    /// The process could not be made.
    SpawnFailed {
        /// Why.
        error: String,
    },
    /// The main process ended.
    Exited {
        /// How.
        exit: Exit,
        /// How long it had run.
        after: Duration,
    },
    /// The next start waits.
    BackOff {
        /// So long.
        delay: Duration,
        /// So many restarts in a row there have been.
        attempt: u32,
    },
    /// It keeps ending soon after its start; trying goes on.
    CrashLoop {
        /// So many restarts in a row there have been.
        attempt: u32,
    },
    /// A probe's verdict changed.
    Probe {
        /// Which probe.
        probe: ProbeKind,
        /// The new verdict.
        ok: bool,
        /// What it saw.
        detail: String,
    },
    /// A step of a stop was taken, or came out.
    StopStep {
        /// Which, and how, in words.
        step: String,
    },
    /// A hook came to its end.
    Hook {
        /// Which.
        hook: HookMoment,
        /// Whether it succeeded.
        ok: bool,
        /// In words: "exit code 3".
        detail: String,
    },
    /// The files of its program were changed, or were to be.
    Config {
        /// How far that got.
        stage: ConfigStage,
        /// In words: which files, what the program was told, why not.
        detail: String,
        /// How long this part of it took.
        took: Duration,
    },
    /// What it waits for before it starts.
    Waiting {
        /// In words: "db is not ready yet".
        reason: String,
    },
    /// Something that it uses has begun to grow without end, or does not any more.
    Leak {
        /// What became of it.
        change: Change,
    },
    /// A limit of it does not hold here. No failure: it runs without.
    NotEnforced {
        /// Which, why, and what to do.
        limit: NotEnforced,
    },
    /// It came up against limits; told before the end of the run.
    LimitHit {
        /// Which, with figures.
        hits: LimitHits,
    },
    /// The stack goes down, and it is left running; nobody looks after it.
    Left,
    /// It was left running, and is looked after again.
    TakenOver,
    /// A request was refused.
    Refused {
        /// Why.
        reason: String,
    },
    /// A changed configuration got so far.
    Reload {
        /// Its number.
        revision: u64,
        /// How far.
        stage: ReloadStage,
        /// Who asked and what is done; or why it is refused or taken back.
        detail: String,
    },
}

/// How far a change of a program's files got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfigStage {
    /// They are in their places; its next process reads them.
    Written,
    /// They are in their places, and the program was told.
    Told,
    /// The program was told, and is healthy.
    Taken,
    /// They could not be changed, or the program not be told.
    Failed,
}

/// How far a changed configuration got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReloadStage {
    /// It cannot be applied; nothing changed.
    Refused,
    /// Applying it has begun.
    Begun,
    /// It is applied.
    Applied,
    /// It does not work; everything goes back.
    Failed,
    /// Everything is as it was before.
    TakenBack,
    /// The stack went down in the middle.
    Abandoned,
}
