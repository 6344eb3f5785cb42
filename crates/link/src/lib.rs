//! What keeper and daemon say to each other: small, versioned, JSON in frames.
//!
//! A frame is a length (4 bytes, little endian) and that many bytes of JSON: a [`ToKeeper`] from the daemon, a
//! [`ToDaemon`] from the keeper. The transport (`mainstay_sys::mux`) delivers whole frames or nothing.
//!
//! Two rules make a `kill -9` of the daemon harmless at any moment:
//! - The keeper numbers its events and repeats to a new daemon all that were not acknowledged.
//! - A frame from the daemon is one transaction: the acknowledgement of the events it has handled, the state that
//!   came of them, and the commands that follow. It arrives whole or not at all, so that state and commands never
//!   disagree. The keeper stores the state unread and hands it to the next daemon.
//!
//! Unknown fields are ignored and new ones have defaults, so that an old keeper works with a new daemon.
#![forbid(unsafe_code)]

mod secret;

use std::collections::BTreeMap;

use mainstay_core::{
    Control, Exit, Frost, LimitHits, Limits, LogEncoding, LogFormat, NotEnforced, Over, PASSWORD, Rotation,
    RunId, Settings, StopAction, Time,
};
use serde::{Deserialize, Serialize};

pub use secret::Secret;

/// The protocol's version. It rises only when an old keeper could no longer work with a new daemon.
pub const VERSION: u32 = 1;

/// What a keeper of this version knows beyond the first one's [`Command`]s; goes into [`Welcome::knows`]. A daemon asks
/// for nothing else: a frame with a word that an old keeper does not know would be lost whole.
pub const KNOWS: [&str; 10] =
    [CTRL_BREAK, SEND, SET_LIMITS, SET_LOG, REST, ROTATE, ROTATIONS, SECRETS, TOKENS, SESSIONS];

/// The keeper can send `ctrl_break`.
pub const CTRL_BREAK: &str = "ctrl_break";

/// The keeper takes [`Command::Send`].
pub const SEND: &str = "send";

/// The keeper takes [`Command::SetLimits`].
pub const SET_LIMITS: &str = "set_limits";

/// The keeper takes [`Command::SetLog`].
pub const SET_LOG: &str = "set_log";

/// The keeper takes [`Command::Rest`] and [`Command::WakeUp`].
pub const REST: &str = "rest";

/// The keeper takes [`Command::Rotate`].
pub const ROTATE: &str = "rotate";

/// The keeper minds [`Log::tell_rotations`].
pub const ROTATIONS: &str = "rotations";

/// The keeper takes [`Spawn::secrets`].
pub const SECRETS: &str = "secrets";

/// The keeper gives processes less than their account has, as [`Settings`] say. An older one would give them all.
pub const TOKENS: &str = "tokens";

/// The keeper makes processes in the [session](Spawn::session) of who is signed in. An older one would make them in its
/// own, with its own rights.
pub const SESSIONS: &str = "sessions";

/// How a [`Event::LogNote`] begins that tells of a disk on which too little is left.
pub const DISK_LOW: &str = "less than min_free is left on the disk";

/// The longest frame accepted, in bytes; a longer one is a broken peer.
pub const MAX_FRAME: usize = 64 << 20;

/// One transaction of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToKeeper {
    /// All events up to this number are handled; the keeper drops them.
    pub ack: u64,
    /// State to keep for the next daemon, by key; `None` removes the key.
    pub state: Vec<(String, Option<String>)>,
    /// Done in this order.
    pub commands: Vec<Command>,
    /// Every service that starts by itself has come up, or is known not to: a service manager may be told that the stack
    /// is there. Said once by each daemon.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// How far the stack is with pausing, when that has changed; also said by each new daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frost: Option<Frost>,
    /// The stack has come to its end by itself; a service manager may be told so. Without one nothing follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
}

/// What the daemon wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// The first command of every daemon; answered by [`ToDaemon::welcome`].
    Hello {
        /// The protocol version that it speaks.
        version: u32,
        /// Mainstay's version, for people.
        build: String,
    },
    /// The answer to [`Event::Ping`].
    Pong {
        /// The ping's number.
        n: u64,
    },
    /// Make a process. Answered by `Spawned` or `SpawnFailed`. A run number that the keeper knows already is
    /// answered as it was the first time; nothing is made twice.
    Spawn(Box<Spawn>),
    /// Ask the tree of a run to end, in one way.
    Signal {
        /// Which run.
        run: RunId,
        /// How.
        action: StopAction,
    },
    /// Send a signal by hand. Answered by [`Event::Sent`].
    Send {
        /// Goes into the answer.
        id: u64,
        /// To this run …
        run: RunId,
        /// … and these of its processes,
        whom: Whom,
        /// this one.
        action: StopAction,
    },
    /// End the whole tree of a run at once.
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
    /// Change the limits of a run that is there, while it runs; what is absent is limited no more. Answered by
    /// `LimitsSet`, which also says what holds only from the next start on; not at all if there is no such run.
    SetLimits {
        /// Which run.
        run: RunId,
        /// All its limits, as in [`Spawn::limits`].
        limits: Limits,
    },
    /// The run is over and known to be; its record goes.
    Forget {
        /// Which run.
        run: RunId,
    },
    /// Close the active segment of this log, at the next end of a line. Not answered.
    Rotate {
        /// The log's name.
        log: String,
    },
    /// Replace the daemon by one made from this program; the old one is taken back if the new one does not answer.
    Replace {
        /// The program, absolute.
        exe: String,
    },
    /// The log of this name is kept like this from now on. Only for keepers that know [`SET_LOG`].
    SetLog(Log),
    /// Everything is down but what is left running: whoever wanted the stack down has what they wanted.
    Rest,
    /// A stack that rested comes up again.
    WakeUp {
        /// The process that stays with it: when that ends, the stack goes down.
        leash: Option<u32>,
    },
    /// Everything is down: the keeper ends its daemon and itself.
    Exit,
}

/// Which processes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// The main process.
    Main,
    /// The one with this id, if it is of the run's tree.
    One(u32),
    /// All of the tree.
    All,
}

/// A process to make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spawn {
    /// The run's number. Numbers are given by the daemon and rise.
    pub run: u64,
    /// The name of its container; one run at a time in each. A service's name, or `service.probe-live` and the
    /// like for a helper beside it.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory, absolute; the keeper's own if absent.
    pub working_dir: Option<String>,
    /// Set over the keeper's environment.
    pub environment: BTreeMap<String, String>,
    /// Set over that: variables whose values are secret. Only for keepers that know [`SECRETS`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// The account it runs under.
    pub user: Option<String>,
    /// Its password. An older keeper, which passes over it, makes no process under another account on Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The session in which somebody is signed in, as whom and on whose desktop it runs; in the keeper's own if absent. Only
    /// for keepers that know [`SESSIONS`]. Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
    /// What else it is given of the system.
    #[serde(skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
    /// What its tree may use.
    #[serde(skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// The service's name for its log `<name>.log`; output goes nowhere if absent.
    pub log: Option<Log>,
    /// Whether it gets a `NOTIFY_SOCKET` (Linux).
    pub notify: bool,
}

impl Spawn {
    /// Takes in the filled [`Launch::secret_texts`](mainstay_core::Launch::secret_texts).
    pub fn take_secrets(&mut self, mut filled: BTreeMap<String, Secret>) {
        self.password = filled.remove(PASSWORD);
        self.secrets = filled;
    }
}

/// Where a run's output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// The stream's name: `<name>.log` in the log directory.
    pub name: String,
    /// A segment is closed at the first line end at or after this size, in bytes.
    pub rotate_size: u64,
    /// A segment is closed when it is this old, in milliseconds.
    pub rotate_age_ms: Option<u64>,
    /// So many closed segments are kept.
    pub keep_files: u32,
    /// Below so many free bytes on the disk old segments are deleted, and then the disk counts as full.
    pub min_free: Option<u64>,
    /// While the disk is full the output is not read, instead of being left out and counted.
    pub wait_when_full: bool,
    /// Standard error goes to a log of this name, kept like the other. With the rest if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// What each line has besides its text.
    pub format: LogFormat,
    /// What the bytes are, if they are to become UTF-8.
    pub encoding: LogEncoding,
    /// Of this run so many bytes go there at the most; what is more is left out, and counted. No bound if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
    /// Whether closed segments are told, by [`Event::Rotated`]. Only for keepers that know [`ROTATIONS`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tell_rotations: bool,
}

/// A place in a log: a segment's number and a byte in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPos {
    /// The segment's number; rises by one with each rotation.
    pub segment: u64,
    /// Bytes from its start.
    pub offset: u64,
}

/// What the keeper tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToDaemon {
    /// The answer to `Hello`, in the first frame.
    pub welcome: Option<Welcome>,
    /// What happened, in order; each with its number, which rises by one.
    pub events: Vec<(u64, Event)>,
    /// Asks for a `Pong` with the same number. Not an event: never repeated.
    pub ping: Option<u64>,
    /// How much came of the logs of these names since the keeper's start. Each that has changed, within seconds; all with
    /// the welcome.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tallies: BTreeMap<String, Tally>,
    /// What waits in the keeper; with each ping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queues: Option<Queues>,
    /// Everything is about to be ended by force, the daemon too, and why: it tells that and ends. Nothing follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
}

/// How much output came. A line counts where its end is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Bytes in the log.
    pub bytes: u64,
    /// Lines in the log.
    pub lines: u64,
    /// Bytes lost.
    pub dropped_bytes: u64,
    /// Lines lost.
    pub dropped_lines: u64,
}

impl std::ops::Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally {
            bytes: self.bytes + other.bytes,
            lines: self.lines + other.lines,
            dropped_bytes: self.dropped_bytes + other.dropped_bytes,
            dropped_lines: self.dropped_lines + other.dropped_lines,
        }
    }
}

/// What waits in the keeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queues {
    /// Events that the daemon has not acknowledged.
    pub events: u64,
    /// Commands of the daemon that are not done.
    pub commands: u64,
    /// What the thread that writes the logs is to do. It waits while a disk hangs.
    pub capture: u64,
}

/// What a new daemon needs to go on where its predecessor was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Welcome {
    /// The protocol version that the keeper speaks.
    pub version: u32,
    /// Mainstay's version the keeper was built as.
    pub build: String,
    /// The keeper's process id.
    pub keeper_pid: u32,
    /// When the keeper started.
    pub keeper_started: Time,
    /// How many daemons there were before this one.
    pub predecessors: u32,
    /// Why the one before is gone, in words; empty for the first.
    pub reason: String,
    /// How trees are contained: `cgroup`, `session`, `job`.
    pub containment: String,
    /// The state that the one before left.
    pub state: BTreeMap<String, String>,
    /// Every run that the keeper knows.
    pub runs: Vec<Run>,
    /// The highest run number ever used; new ones are above.
    pub last_run: u64,
    /// [`KNOWS`] of the keeper; empty for an old one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub knows: Vec<String>,
}

/// A run as the keeper knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Its number.
    pub run: u64,
    /// Its container.
    pub container: String,
    /// The process id of its main process.
    pub pid: u32,
    /// When that process was made.
    pub started: Time,
    /// How its main process ended, if it has.
    pub exit: Option<Exit>,
    /// Whether nothing of its tree is left.
    pub tree_empty: bool,
    /// Where its output starts.
    pub log_start: LogPos,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The process was made.
    Spawned {
        /// Which run.
        run: RunId,
        /// Its process id.
        pid: u32,
        /// Where its output starts.
        log_start: LogPos,
    },
    /// The process could not be made.
    SpawnFailed {
        /// Which run.
        run: RunId,
        /// Why, in words.
        error: String,
    },
    /// The main process ended.
    Exited {
        /// Which run.
        run: RunId,
        /// How.
        exit: Exit,
        /// Whether nothing of its tree is left. If not, `TreeEmpty` follows when it is.
        tree_empty: bool,
    },
    /// The last process of the tree is gone.
    TreeEmpty {
        /// Which run.
        run: RunId,
    },
    /// All that the run wrote is in the log, up to this place.
    Drained {
        /// Which run.
        run: RunId,
        /// Where its output ends.
        log_end: LogPos,
    },
    /// The tree is frozen.
    Frozen {
        /// Which run.
        run: RunId,
    },
    /// The tree goes on.
    Thawed {
        /// Which run.
        run: RunId,
    },
    /// The tree could not be frozen or thawed.
    FreezeFailed {
        /// Which run.
        run: RunId,
        /// Why, in words.
        error: String,
    },
    /// The limits of a run hold, but for these. Follows `Spawned` if [`Spawn::limits`] has any, and
    /// [`Command::SetLimits`] if the run is there.
    LimitsSet {
        /// Which run.
        run: RunId,
        /// The limits that it was to have and does not have.
        not_enforced: Vec<NotEnforced>,
    },
    /// The run, which is about to be told as exited, came up against limits.
    LimitHit {
        /// Which run.
        run: RunId,
        /// Which limits, with figures.
        hits: LimitHits,
    },
    /// The answer to [`Command::Send`].
    Sent {
        /// The command's number.
        id: u64,
        /// To so many processes.
        count: u32,
        /// Why not to those that were meant, in words.
        error: Option<String>,
    },
    /// The service said something over its `NOTIFY_SOCKET`.
    Notify {
        /// Which run.
        run: RunId,
        /// The datagram's text.
        text: String,
    },
    /// Output could not be written (a full disk); so much of it is lost until now. Told at most once a second.
    LogDropped {
        /// Of which log.
        name: String,
        /// Bytes lost since the keeper's start.
        bytes: u64,
        /// Why, in words.
        error: String,
    },
    /// Something about a log that its owner wants to know: segments were deleted for want of space, its service waits
    /// for space, or no longer. Of several in a short time the newest is told.
    LogNote {
        /// Of which log.
        name: String,
        /// In words, a clause.
        text: String,
    },
    /// Segments of a log were closed that asks for being told so. What comes of the log before this is acknowledged is
    /// told together afterwards.
    Rotated(Rotation),
    /// The stack is to go down: the terminal of `mainstay up` is gone, or the keeper was told to end.
    DownWanted {
        /// Who or what wants it.
        by: String,
        /// Whether nothing is to be left running.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all: bool,
    },
    /// The service manager asks something of the stack.
    Control {
        /// Who that is.
        by: String,
        /// What it asks.
        control: Control,
    },
    /// The service manager wants the configuration to be read again and applied.
    ReloadWanted {
        /// Who that is.
        by: String,
    },
    /// The keeper was started with the plan of before, because the configuration of now cannot be used.
    ConfigRefused {
        /// Why, in words.
        reason: String,
    },
    /// The daemon that [`Command::Replace`] wanted did not come up; the old program is in charge again.
    ReplaceFailed {
        /// Why, in words.
        error: String,
    },
}
