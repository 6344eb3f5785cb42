//! What goes over the wire, as JSON. Times are relative (milliseconds ago, milliseconds from now), because clocks
//! of client and daemon may differ by the time somebody reads them.

use mainstay_core::leak::Growth;
use mainstay_core::reload::ReloadPlan;
use mainstay_core::{
    Applying, EventKind, Exit, LimitHits, NotEnforced, Plan, ProbeKind, RunId, ServiceName, ServicePlan,
    StateName, WhenMainstayStops,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// Which configuration runs, and what became of the newest one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Configuration {
    /// The revision that runs; 0 if that is not known.
    pub revision: u64,
    /// The one that is being applied.
    pub applying: Option<Applying>,
    /// A later one that does not run, and why: "revision 8 refused: mainstay.toml:14:9: …".
    pub trouble: Option<String>,
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is being applied.
    Applying,
    /// It was applied, or the stack was started with it.
    Applied,
    /// It did not work, and the one before runs again.
    TakenBack,
    /// The stack went down in the middle.
    Abandoned,
}

/// A configuration that was applied, or tried. `GET /v1/revisions`: the last ten, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Its number.
    pub revision: u64,
    /// When it was asked for: wall-clock time, RFC 3339, UTC.
    pub at: String,
    /// Who asked, and in which way.
    pub by: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, if it did not work.
    #[serde(default)]
    pub detail: String,
    /// It is the configuration of this revision, with other values of secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<u64>,
}

/// Applies a configuration. `POST /v1/apply`; answered by a [`Reloading`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Apply {
    /// What everything is to be like.
    pub plan: Plan,
    /// In which way it is asked for, for the history: `apply`, `a file changed`.
    #[serde(default)]
    pub how: String,
    /// Only tell what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Goes back to an earlier configuration, under a new number. `POST /v1/rollback`; answered by a [`Reloading`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {
    /// To this revision; to the last one that was applied before the present one, if absent.
    #[serde(default)]
    pub to: Option<u64>,
}

/// Values of secrets have changed: the services are restarted whose processes were made with others. `POST /v1/secrets`;
/// answered by a [`Reloading`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SecretsChanged {
    /// Of these; of all if it is empty.
    pub names: Vec<String>,
    /// How it was asked for, for people: "secret rotate".
    pub how: String,
    /// Only tell what it would do.
    pub dry_run: bool,
}

/// What is done, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloading {
    /// Its number; the present one if nothing is different, or nothing is done.
    pub revision: u64,
    /// Whether it is being applied now. What comes of it is seen in status and events.
    pub applying: bool,
    /// What that means for each service.
    pub reload: ReloadPlan,
}

/// Somebody read a configuration that cannot be applied. `POST /v1/refused`; answered by an [`Accepted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedConfiguration {
    /// Where and why: `mainstay.toml:14:9: unknown key`.
    pub reason: String,
    /// In which way it was asked for.
    #[serde(default)]
    pub how: String,
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

/// What to stop. `POST /v1/down?all=true`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DownQuery {
    /// Also what is to be left running, or was.
    #[serde(default)]
    pub all: bool,
}

/// Brings a stack up again that is down but for what was left running. `POST /v1/take-over`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakeOver {
    /// The file in the stack's state directory that has the plan.
    pub offer: String,
    /// The program that the next daemon is made from, absolute.
    pub exe: String,
    /// The process whose end takes the stack down; none if it stays up.
    #[serde(default)]
    pub leash: Option<u32>,
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

/// What can be asked of a service. `POST /v1/services/{name}/{action}`; answered at once by an [`Accepted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Start it and what it depends on.
    Start,
    /// Stop it, its dependents first.
    Stop,
    /// Stop and start it.
    Restart,
    /// Freeze it.
    Pause,
    /// Let it go on.
    Continue,
    /// Stop it and take it out of the stack.
    Remove,
}

impl Action {
    /// The action's word, in the path and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Restart => "restart",
            Action::Pause => "pause",
            Action::Continue => "continue",
            Action::Remove => "remove",
        }
    }
}

/// A request was taken; what comes of it is seen in status and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The stack's revision after it.
    pub revision: u64,
}

/// Puts a service into the stack. `POST /v1/services`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AddService {
    /// Its name; refused if it is taken.
    pub name: ServiceName,
    /// What it is.
    pub plan: ServicePlan,
}

/// What a service says about itself. `POST /v1/services/{name}/notify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notify {
    /// The run that says it.
    pub run: u64,
    /// `READY=1` and the like, a line each.
    pub text: String,
}

/// Sends a signal by hand. `POST /v1/services/{name}/signal`; answered by a [`Signalled`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signal {
    /// `HUP`, `SIGUSR1`, `1` and the like on Linux; `ctrl_c`, `ctrl_break`, `close_window` or `kill` on Windows.
    pub signal: String,
    /// To this process of the service's tree instead of the main process.
    #[serde(default)]
    pub pid: Option<u32>,
    /// To all processes of the tree instead.
    #[serde(default)]
    pub all: bool,
}

/// A signal was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signalled {
    /// To so many processes.
    pub processes: u32,
}

/// Replaces the daemon by one made from another program. `POST /v1/upgrade`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upgrade {
    /// The program, absolute.
    pub exe: String,
}

/// Turns the recording of inputs on or off. `POST /v1/debug/record`; answered by a [`Recording`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// On or off.
    pub on: bool,
}

/// Where inputs are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recording {
    /// Whether it is on.
    pub on: bool,
    /// The file, absolute.
    pub file: String,
    /// Inputs in it.
    pub inputs: u64,
}

/// Something that happened, as `mainstay events` shows it. `GET /v1/events?since=0&follow=false&limit=1000`: a JSON
/// object per line; with `follow` the answer goes on until the client hangs up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    /// Rises by one with each event of a stack, over all its daemons.
    pub seq: u64,
    /// Wall-clock time, RFC 3339 with milliseconds, UTC.
    pub at: String,
    /// What the core told, or one of the keeper's and daemon's own.
    #[serde(flatten)]
    #[schemars(with = "EventFields")]
    pub event: EventBody,
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

/// Which lines of a service's output. `GET /v1/services/{name}/logs?lines=100&follow=true`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogsQuery {
    /// Go on with new ones.
    #[serde(default, deserialize_with = "flag")]
    pub follow: bool,
    /// Begin with so many old ones, the newest.
    #[serde(default)]
    pub lines: u64,
    /// Begin here instead: [`LogRecord::next`] of the last line that is known.
    #[serde(default)]
    pub from: Option<String>,
}

/// A line of a service's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogRecord {
    /// Where the line after it begins, as `segment:byte`; the id of a server-sent event.
    pub next: String,
    /// What it says. Bytes that are no UTF-8 are shown as `\u{FFFD}`.
    pub text: String,
    /// Whether it has its line end; a line of more than 256 KiB comes in pieces.
    pub ended: bool,
    /// So many bytes before it were deleted by rotation before the reader came to them.
    #[serde(default)]
    pub missed_bytes: u64,
}

/// `?follow`, `?follow=true` and `?follow=1` are the same.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Flag;
    impl serde::de::Visitor<'_> for Flag {
        type Value = bool;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("true or false")
        }
        fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }
        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<bool, E> {
            match value {
                "" | "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
            }
        }
    }
    deserializer.deserialize_any(Flag)
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventBody {
    /// To a service, or to the stack as a whole.
    Core(mainstay_core::Event),
    /// To Mainstay itself.
    Own {
        /// In words.
        message: String,
        /// What it is about, where that is of a known kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<About>,
    },
    /// Something that a newer version wrote and this one does not know.
    Other(serde_json::Map<String, serde_json::Value>),
}

/// What an event of Mainstay itself is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A daemon died or hung, and another one is in its place.
    DaemonReplaced,
    /// Another version could not take over.
    UpgradeFailed,
    /// Output of a service could not be written and is lost.
    OutputLost,
    /// Less is left on the disk than the logs are to leave.
    DiskLow,
    /// Something else about a log.
    Log,
    /// The stack is down.
    Down,
    /// The keeper died, and took everything along.
    KeeperLost,
}

/// [`EventBody`] as a form: all fields of an event, of which some are there.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the form is all that it is for")]
struct EventFields {
    /// To which service; none for the stack as a whole.
    service: Option<ServiceName>,
    /// In which run, if one was there.
    run: Option<RunId>,
    /// What happened to a service or to the stack.
    kind: Option<EventKind>,
    /// What happened to Mainstay itself, in words.
    message: Option<String>,
    /// What that is about.
    about: Option<About>,
}

/// Which events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventsQuery {
    /// Only those after this number.
    #[serde(default)]
    pub since: u64,
    /// Go on with new ones.
    #[serde(default, deserialize_with = "flag")]
    pub follow: bool,
    /// At most so many old ones, the newest; 0 means all that are kept.
    #[serde(default)]
    pub limit: usize,
}

/// Why a request failed. The body of every answer that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[error("{message}")]
pub struct Problem {
    /// What is wrong, where.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
