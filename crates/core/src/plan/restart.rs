//! What follows the end of a process.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether an ended service starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// After every end.
    Always,
    /// After an end that was no success (an exit code other than 0, a signal, a failed liveness probe).
    OnFailure,
    /// Never.
    Never,
}

/// What follows an exit with a certain code, whatever the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitAction {
    /// Start again after the back-off.
    Restart,
    /// Start again at once, without a back-off; the crash-loop count still rises.
    RestartNow,
    /// Take it as a wanted end: the service is `completed`.
    Stop,
    /// Take it as final: the service is `failed` until somebody starts it.
    Fail,
}

/// At most so many automatic restarts in a time; one more makes the service `failed`. Starts by hand do not count,
/// and clear what was counted. A restart counts from the moment it is decided, before its back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartLimit {
    /// Automatic restarts allowed in the window. Numbers above 1,000 count as 1,000.
    pub starts: u32,
    /// The window's length.
    pub window: Duration,
}

/// What follows the end of a service's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RestartPlan {
    /// Whether it starts again.
    pub policy: RestartPolicy,
    /// The second restart in a row waits so long (the first goes at once), each later one twice as long as the
    /// one before.
    pub delay: Duration,
    /// The longest wait, jitter included.
    pub max_delay: Duration,
    /// A run healthy for so long sets the count of restarts in a row back to zero.
    pub reset_after: Duration,
    /// Gives up beyond it; tries for ever if absent.
    pub limit: Option<StartLimit>,
    /// Exceptions by exit code, before the policy is asked.
    #[schemars(with = "BTreeMap<String, ExitAction>")]
    pub on_exit: BTreeMap<i64, ExitAction>,
}

impl Default for RestartPlan {
    fn default() -> Self {
        RestartPlan {
            policy: RestartPolicy::Always,
            delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            reset_after: Duration::from_secs(60),
            limit: None,
            on_exit: BTreeMap::new(),
        }
    }
}
