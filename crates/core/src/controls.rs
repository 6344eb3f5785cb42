//! What a service manager can ask of a stack, beside its start and its end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Hook, StopAction};

/// Something that is asked of the stack as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Freeze all that run.
    Pause,
    /// Let all that are frozen go on.
    Continue,
    /// Do what the services say that this code means, 128–255.
    Code(u8),
    /// The machine's power changes. Told to those that want to know.
    Power(PowerChange),
    /// Somebody's session changes. Told to those that want to know.
    Session {
        /// Its number.
        id: u32,
        /// What became of it.
        change: SessionChange,
    },
}

/// What becomes of the machine's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerChange {
    /// It is about to sleep.
    Suspend,
    /// It is awake again.
    Resume,
    /// It runs on another source, or the battery's state has changed.
    Source,
}

impl PowerChange {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PowerChange::Suspend => "suspend",
            PowerChange::Resume => "resume",
            PowerChange::Source => "source",
        }
    }
}

/// What becomes of somebody's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionChange {
    /// Somebody has signed in.
    Logon,
    /// And out.
    Logoff,
    /// The screen is locked.
    Lock,
    /// And unlocked.
    Unlock,
    /// It is shown, here or elsewhere.
    Connect,
    /// It goes on, and is not shown.
    Disconnect,
}

impl SessionChange {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            SessionChange::Logon => "logon",
            SessionChange::Logoff => "logoff",
            SessionChange::Lock => "lock",
            SessionChange::Unlock => "unlock",
            SessionChange::Connect => "connect",
            SessionChange::Disconnect => "disconnect",
        }
    }
}

impl Control {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Control::Pause => "pause",
            Control::Continue => "continue",
            Control::Code(_) => "control",
            Control::Power(change) => change.as_str(),
            Control::Session { change, .. } => change.as_str(),
        }
    }
}

/// What a code means to a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControlAction {
    /// This is sent to its tree.
    Signal(StopAction),
    /// This is run beside it.
    Command(Hook),
    /// Its log goes on in a new segment.
    Rotate,
}

/// How far the stack as a whole is with pausing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frost {
    /// Something runs, or nothing is frozen.
    Runs,
    /// Something is frozen, and nothing runs that is not.
    Frozen,
    /// Some are being frozen or thawed.
    Changes,
}

/// The stack has come to its end by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// The services that failed, each with its reason; none if all ran to their end.
    pub failed: Vec<String>,
}
