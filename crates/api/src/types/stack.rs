//! What runs, and how it is.

use mainstay_core::leak::Growth;
use mainstay_core::{Exit, LimitHits, NotEnforced, ProbeKind, ServiceName, StateName, WhenMainstayStops};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Configuration;

/// The whole stack. `GET /v1/stack`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// The file it was made from; none for a stack of `mainstay run`.
    pub config: Option<String>,
    /// The keeper.
    pub keeper: Process,
    /// The daemon that answers.
    pub daemon: Process,
    /// How many daemons there were before this one.
    pub daemons_before: u32,
    /// Why the one before is gone; empty for the first.
    pub daemon_reason: String,
    /// How process trees are contained: `cgroup`, `session`, `job`.
    pub containment: String,
    /// Whether the stack is going down.
    pub going_down: bool,
    /// Whether it is down but for services that were left running.
    #[serde(default)]
    pub resting: bool,
    /// Rises with every change; see [`Changes`].
    pub revision: u64,
    /// Which configuration runs.
    #[serde(default)]
    pub configuration: Configuration,
    /// The services, by name.
    pub services: Vec<Service>,
}

/// One of Mainstay's own processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// The version of Mainstay it was built as.
    pub version: String,
    /// How long it has been there, in milliseconds.
    pub uptime_ms: u64,
}

/// One service. `GET /v1/services/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// What its owner says about it.
    pub description: Option<String>,
    /// Its state.
    pub state: StateName,
    /// Why it is in that state, as a short clause.
    pub reason: String,
    /// For how long it has been in that state, in milliseconds.
    pub since_ms: u64,
    /// The number of its present run.
    pub run: Option<u64>,
    /// The process id of its present run.
    pub pid: Option<u32>,
    /// How long its present run has lasted, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Whether it keeps ending soon after its start.
    pub crash_loop: bool,
    /// When the next start comes, in milliseconds from now.
    pub next_start_ms: Option<u64>,
    /// How its last run ended.
    pub last_exit: Option<Exit>,
    /// The same in words.
    pub last_exit_text: Option<String>,
    /// What it waits for, in words.
    pub waiting_for: Vec<String>,
    /// What it says that it is doing (`STATUS=` of the notify protocol); at most 500 bytes.
    #[serde(default)]
    pub says: Option<String>,
    /// What its probes saw last.
    pub probes: Vec<Probe>,
    /// Bytes of its output that could not be written.
    pub log_dropped_bytes: u64,
    /// What becomes of it when the stack goes down.
    #[serde(default)]
    pub when_mainstay_stops: WhenMainstayStops,
    /// Whether it was left running when the stack went down: nobody probes or restarts it.
    #[serde(default)]
    pub left: bool,
    /// Limits that do not hold on this machine.
    #[serde(default)]
    pub not_enforced: Vec<NotEnforced>,
    /// Limits that the run which ended last came up against.
    #[serde(default)]
    pub limit_hits: LimitHits,
    /// What grows without end in the present run.
    #[serde(default)]
    pub leaks: Vec<Growth>,
}

/// What a probe saw last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Which probe.
    pub probe: ProbeKind,
    /// What it asks: `http http://127.0.0.1:8080/healthz`.
    #[serde(default)]
    pub check: String,
    /// Its verdict, after thresholds; none while it has none.
    pub ok: Option<bool>,
    /// Its last answer, whatever the thresholds made of it; none before the first.
    #[serde(default)]
    pub last: Option<bool>,
    /// What it saw last, in words; at most 500 bytes.
    pub detail: String,
    /// When that was: so many milliseconds ago.
    pub ago_ms: Option<u64>,
    /// How long that answer took, in milliseconds; none for what the service said itself.
    #[serde(default)]
    pub took_ms: Option<u64>,
    /// Successes in a row.
    #[serde(default)]
    pub successes: u32,
    /// Failures in a row.
    pub failures: u32,
}

/// Waits until the revision differs from `since` or `timeout_ms` has passed, then answers like `GET /v1/stack`.
/// `GET /v1/changes?since=7&timeout_ms=10000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// The revision that the client knows.
    #[serde(default)]
    pub since: u64,
    /// Longest wait, in milliseconds; at most 60,000.
    #[serde(default)]
    pub timeout_ms: u64,
}

/// Who answers. `GET /v1/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// The versions of the API that it speaks: `["v1"]`.
    pub api: Vec<String>,
    /// Mainstay's version, of the daemon that answers.
    pub mainstay: String,
    /// The stack's name.
    pub stack: String,
}
