//! What can be asked for, and the answers.

use mainstay_core::{ServiceName, ServicePlan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
