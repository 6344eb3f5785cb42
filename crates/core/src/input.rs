//! Everything that can happen to the core.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{Plan, ServicePlan};
use crate::{Control, HookMoment, Rotation, RunId, SecretMarks, ServiceName};

/// Something that happened. Handled by [`Supervisor::handle`](crate::Supervisor::handle) together with its time.
///
/// An input about a run that is over, or that never was, changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Somebody asks for something.
    Request {
        /// Who: a person's account, `mainstay up`, the keeper.
        by: String,
        /// What.
        request: Request,
    },
    /// In which session somebody is signed in whose desktop services run in that want one; none if nobody is. Said when
    /// it changes, and by each new daemon.
    Session {
        /// Its number.
        id: Option<u32>,
    },
    /// The answer to [`Effect::Prepare`](crate::Effect::Prepare).
    Prepared {
        /// Which preparation.
        run: RunId,
        /// Why the start cannot go on, in words; none if it can.
        error: Option<String>,
    },
    /// The values of a service's secrets were read for a preparation, whose answer follows.
    SecretsRead {
        /// Which preparation.
        run: RunId,
        /// What tells of changed values.
        marks: SecretMarks,
    },
    /// Files with secrets are in their places, for a preparation or a change whose answer follows.
    FilesMade {
        /// Which.
        run: RunId,
        /// What tells of the values that are in them.
        secrets: SecretMarks,
        /// By the path of each, what tells of its content.
        contents: SecretMarks,
    },
    /// Files of a service were put in their places before a start. Only told.
    FilesWritten {
        /// Whose.
        service: ServiceName,
        /// For this preparation.
        run: RunId,
        /// Which, in words.
        detail: String,
    },
    /// The answer to [`Effect::Configure`](crate::Effect::Configure).
    Configured {
        /// Which change. An answer about another one than the last is late and changes nothing.
        run: RunId,
        /// How it came out.
        outcome: FilesOutcome,
    },
    /// How a hook came out, `before_start` included. Told; a stop goes on after its `before_stop`.
    HookDone {
        /// Whose.
        service: ServiceName,
        /// About this run.
        run: RunId,
        /// Which.
        moment: HookMoment,
        /// Whether it succeeded.
        ok: bool,
        /// In words: "exit code 3".
        detail: String,
    },
    /// Files of a service's log were closed. Its hook is told.
    Rotated {
        /// Whose.
        service: ServiceName,
        /// Which.
        rotation: Rotation,
    },
    /// A changed configuration is to be applied. Told by [`EventKind::Reload`](crate::EventKind::Reload), also if
    /// it is refused.
    Apply {
        /// Who asks.
        by: String,
        /// Its number, for people; it rises.
        revision: u64,
        /// What everything is to be like.
        plan: Box<Plan>,
    },
    /// The keeper made the process of a run.
    Spawned {
        /// Which run.
        run: RunId,
        /// Its process id, for people; the core does nothing with it but show it.
        pid: u32,
    },
    /// The keeper could not make the process of a run.
    SpawnFailed {
        /// Which run.
        run: RunId,
        /// Why, in words.
        error: String,
    },
    /// The main process of a run ended.
    Exited {
        /// Which run.
        run: RunId,
        /// How.
        exit: Exit,
        /// Whether nothing of its tree is left. If not, a [`Input::TreeEmpty`] follows when it is.
        tree_empty: bool,
    },
    /// The last process of a run whose main process had ended before is gone.
    TreeEmpty {
        /// Which run.
        run: RunId,
    },
    /// The tree of a run is frozen.
    Frozen {
        /// Which run.
        run: RunId,
    },
    /// The tree of a run goes on.
    Thawed {
        /// Which run.
        run: RunId,
    },
    /// The tree of a run could not be frozen or thawed, and is as it was before: nothing of it, or all of it, frozen.
    FreezeFailed {
        /// Which run.
        run: RunId,
        /// Why, in words.
        error: String,
    },
    /// The answer to one [`Effect::Probe`](crate::Effect::Probe).
    ProbeResult {
        /// Which run.
        run: RunId,
        /// Which of its probes.
        probe: ProbeKind,
        /// The number that the effect carried; an answer with another number is late and changes nothing.
        seq: u64,
        /// The answer.
        outcome: ProbeOutcome,
    },
    /// The answer to one [`Effect::StopStep`](crate::Effect::StopStep).
    StopStepDone {
        /// Which run.
        run: RunId,
        /// The step that the effect carried; an answer about another one is late and changes nothing.
        step: u32,
        /// Why it failed, in words; none if it did not.
        error: Option<String>,
    },
    /// The service said something over the notify protocol.
    Notify {
        /// Which run.
        run: RunId,
        /// `READY=1`, `READY=0`, `WATCHDOG=1`, `WATCHDOG=trigger`, `STOPPING=1`, `STATUS=…`, `EXTEND_TIMEOUT_USEC=…`, a
        /// line each; other lines are ignored.
        text: String,
    },
    /// What a service uses has begun to grow, or does not any more.
    Leak {
        /// Which run.
        run: RunId,
        /// What became of it.
        change: crate::leak::Change,
    },
    /// What it uses grows, and it is the time of the day at which its plan lets it be restarted for that
    /// ([`LeakAction::RestartIn`](crate::LeakAction::RestartIn)).
    LeakWindow {
        /// Which run.
        run: RunId,
        /// What grows.
        growth: crate::leak::Growth,
    },
    /// The time asked for by [`Supervisor::next_deadline`](crate::Supervisor::next_deadline) has come.
    Tick,
}

/// How a change of a program's files came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilesOutcome {
    /// They are in their places, and the program was told if that was wanted. Which, and what, in words.
    Done(String),
    /// They are as they were before, for this reason, and nobody was told anything.
    Refused(String),
    /// They are in their places, but the program could not be told, for this reason.
    NotTold(String),
}

/// What somebody can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Start every service with `start = "auto"` that is stopped or failed, and what these depend on.
    Up,
    /// Stop every service in reverse order of dependency; [`Effect::StackDown`](crate::Effect::StackDown) when all
    /// are down. Nothing starts afterwards. What is up and to be left goes on: then
    /// [`Effect::StackRests`](crate::Effect::StackRests) is all that comes, and [`Request::Up`] opens the stack again.
    Down,
    /// As [`Request::Down`], and what was left or is to be left is stopped, too.
    DownAll,
    /// Start a service and what it depends on.
    Start(ServiceName),
    /// Stop a service, its dependents first; not those that only need it to have completed.
    Stop(ServiceName),
    /// Stop a service and start it again. Dependents stay up.
    Restart(ServiceName),
    /// Freeze a service's tree.
    Pause(ServiceName),
    /// Let a frozen service go on.
    Continue(ServiceName),
    /// Put a service into the stack, and start it unless `start` says otherwise.
    Add(ServiceName, Box<ServicePlan>),
    /// Take a service out of the stack, stopping it first. Refused while another one depends on it.
    Remove(ServiceName),
    /// What a service manager asks of all services together.
    Control(Control),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It ended itself with this code (on Windows the unsigned 32-bit exit code).
    Code(i64),
    /// A signal ended it (Linux).
    Signal(i32),
    /// Nobody saw how.
    Unknown,
}

impl Exit {
    /// Whether it was an end with code 0.
    pub const fn is_success(self) -> bool {
        matches!(self, Exit::Code(0))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) if *code > 0xFFFF => write!(f, "exit code {code:#010X}"),
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {name}"),
                None => write!(f, "signal {number}"),
            },
            Exit::Unknown => f.write_str("an unknown exit"),
        }
    }
}

/// The name of a Linux signal (x86_64 numbers), or none for a real-time or unknown one.
pub fn signal_name(number: i32) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).and_then(|n| NAMES.get(n)).copied()
}

/// The number of a Linux signal by its name, with or without `SIG`, in any case.
pub fn signal_number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    (1..=31).find(|n| signal_name(*n).is_some_and(|known| &known[3..] == bare))
}

/// Which probe of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// Holds the others back.
    Startup,
    /// Marks ready.
    Ready,
    /// Restarts.
    Live,
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ProbeKind::Startup => "startup",
            ProbeKind::Ready => "ready",
            ProbeKind::Live => "live",
        })
    }
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeOutcome {
    /// Whether it was what was hoped for.
    pub ok: bool,
    /// What it was, in words: "200 OK", "connection refused".
    pub detail: String,
}
