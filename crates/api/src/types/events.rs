//! What happened.

use mainstay_core::{EventKind, RunId, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    #[serde(default, deserialize_with = "super::flag::flag")]
    pub follow: bool,
    /// At most so many old ones, the newest; 0 means all that are kept.
    #[serde(default)]
    pub limit: usize,
}
