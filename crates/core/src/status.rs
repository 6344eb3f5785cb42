//! What can be seen of the core from outside.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Exit, ProbeKind, RunId, ServiceName, Time};

/// The state of a service, as people and service managers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Down, and nothing wants it up.
    Stopped,
    /// On its way up: waits for what it depends on, its process is being made, or its startup probe has not
    /// succeeded yet.
    Starting,
    /// Its process runs; if it has a readiness probe, that one does not succeed at present.
    Running,
    /// Its readiness probe succeeds.
    Ready,
    /// Being frozen.
    Pausing,
    /// Frozen.
    Paused,
    /// Being thawed.
    Continuing,
    /// Being ended.
    Stopping,
    /// Ended by itself; waits before the next start.
    Backoff,
    /// Down for good: gave up, or its exit code said so. Only a start by hand changes that.
    Failed,
    /// Ran to its end, as wanted.
    Completed,
}

impl StateName {
    /// All states, in the order of a life.
    pub const ALL: [StateName; 11] = [
        StateName::Stopped,
        StateName::Starting,
        StateName::Running,
        StateName::Ready,
        StateName::Pausing,
        StateName::Paused,
        StateName::Continuing,
        StateName::Stopping,
        StateName::Backoff,
        StateName::Failed,
        StateName::Completed,
    ];

    /// The state's word, as in `mainstay status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            StateName::Stopped => "stopped",
            StateName::Starting => "starting",
            StateName::Running => "running",
            StateName::Ready => "ready",
            StateName::Pausing => "pausing",
            StateName::Paused => "paused",
            StateName::Continuing => "continuing",
            StateName::Stopping => "stopping",
            StateName::Backoff => "backoff",
            StateName::Failed => "failed",
            StateName::Completed => "completed",
        }
    }

    /// Whether the service neither runs nor will by itself.
    pub const fn is_down(self) -> bool {
        matches!(self, StateName::Stopped | StateName::Failed | StateName::Completed)
    }

    /// Whether its process is there and past its start: what [`Condition::Started`](crate::Condition) asks for.
    pub const fn is_started(self) -> bool {
        matches!(
            self,
            StateName::Running
                | StateName::Ready
                | StateName::Pausing
                | StateName::Paused
                | StateName::Continuing
        )
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Everything about one service that a person may want to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: ServiceName,
    /// Its state.
    pub state: StateName,
    /// When it got into that state.
    pub since: Time,
    /// Why it is in that state, as a short clause.
    pub reason: String,
    /// The run that is there now.
    pub run: Option<RunId>,
    /// The process id of that run.
    pub pid: Option<u32>,
    /// When that run's process was made.
    pub started: Option<Time>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Whether it keeps ending soon after its start.
    pub crash_loop: bool,
    /// When the next start comes, in back-off.
    pub next_start: Option<Time>,
    /// How its last run ended.
    pub last_exit: Option<Exit>,
    /// What it waits for, in words, a line each.
    pub waiting_for: Vec<String>,
    /// What it says that it is doing (`STATUS=` of the notify protocol).
    pub says: Option<String>,
    /// What its probes saw last.
    pub probes: Vec<ProbeStatus>,
    /// Whether it was left running when the stack went down, and nobody looks after it.
    #[serde(default)]
    pub left: bool,
}

/// What a probe saw last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// Which probe.
    pub probe: ProbeKind,
    /// What it asks, in words: "http http://127.0.0.1:8080/healthz".
    pub check: String,
    /// Its verdict, after thresholds; none while it has none.
    pub ok: Option<bool>,
    /// Its last answer, whatever the thresholds made of it.
    pub last: Option<bool>,
    /// What it saw last, in words.
    pub detail: String,
    /// When.
    pub at: Option<Time>,
    /// How long that answer took; none for what the service said itself.
    pub took: Option<std::time::Duration>,
    /// Successes in a row.
    pub successes: u32,
    /// Failures in a row.
    pub failures: u32,
}
