//! What services use, did use, and when something will be short.

use mainstay_core::ServiceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the services use. `GET /v1/usage?max_age_ms=10000`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StackUsage {
    /// How long ago it was looked, in milliseconds.
    pub age_ms: u64,
    /// The keeper's own; none while it was not looked yet.
    pub keeper: Option<Usage>,
    /// The daemon's own.
    pub daemon: Option<Usage>,
    /// The services, by name.
    pub services: Vec<ServiceUsage>,
}

/// What one service uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceUsage {
    /// Its name.
    pub name: ServiceName,
    /// Of its whole tree of processes; none if it does not run.
    pub usage: Option<Usage>,
}

/// What a tree of processes uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Processor time of all runs so far, in seconds; it never falls.
    pub cpu_seconds: f64,
    /// Processors that it kept busy between the last two looks: 0.5 is half of one. None at the first look.
    pub cpu: Option<f64>,
    /// Bytes of memory that are in RAM.
    pub memory_bytes: u64,
    /// Bytes of memory that nobody shares.
    pub private_bytes: u64,
    /// Processes.
    pub processes: u32,
    /// Threads.
    pub threads: u32,
    /// Open descriptors or handles; none where that may not be looked at.
    pub handles: Option<u64>,
    /// Bytes read from disks (on Windows: all bytes read) by all runs so far; it never falls.
    pub read_bytes: Option<u64>,
    /// Bytes written, likewise.
    pub written_bytes: Option<u64>,
}

/// How old an answer about usage may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageQuery {
    /// If the last look is longer ago than so many milliseconds, there is another one first; at least 1,000.
    #[serde(default = "usage_age")]
    pub max_age_ms: u64,
}

impl Default for UsageQuery {
    fn default() -> Self {
        UsageQuery { max_age_ms: usage_age() }
    }
}

fn usage_age() -> u64 {
    10_000
}

/// When something will be short. `GET /v1/forecast`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecasts {
    /// Of the machine, then of the services that have limits.
    pub resources: Vec<ResourceForecast>,
}

/// When one thing will be short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceForecast {
    /// Whose limit it is; none: the machine has no more.
    pub service: Option<ServiceName>,
    /// What it is.
    pub what: Scarce,
    /// How much there is: bytes, or processors.
    pub capacity: f64,
    /// When that will not suffice.
    pub forecast: mainstay_core::forecast::Forecast,
}

/// What may be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scarce {
    /// Memory.
    Memory,
    /// Processors.
    Cpu,
    /// The disk that the logs are on.
    Disk,
}

/// What a service used in the past. `GET /v1/services/{name}/history?since_ms=3600000`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Seconds that each record stands for: 10 for the last day, 60 for the last 30 days, 3,600 beyond.
    pub interval_s: u64,
    /// In order of time; those that are missing were not seen.
    pub records: Vec<HistoryRecord>,
    /// What a person should know of.
    #[serde(default)]
    pub note: Option<String>,
}

/// What a service used for a while.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryRecord {
    /// The beginning, in seconds of Unix time.
    pub at: u64,
    /// By name: `cpu` (processors kept busy), `memory`, `private` (bytes), `processes`, `threads`, `handles`, `read`,
    /// `written` (bytes in a second).
    pub figures: std::collections::BTreeMap<String, Span>,
}

/// A figure over a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Its mean.
    pub mean: f64,
    /// Its lowest value.
    pub min: f64,
    /// Its highest value.
    pub max: f64,
}

/// Which past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryQuery {
    /// From so many milliseconds ago until now.
    pub since_ms: u64,
}
