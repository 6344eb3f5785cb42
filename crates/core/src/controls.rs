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
}

impl Control {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Control::Pause => "pause",
            Control::Continue => "continue",
            Control::Code(_) => "control",
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
