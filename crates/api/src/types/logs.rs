//! What services wrote.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which lines of a service's output. `GET /v1/services/{name}/logs?lines=100&follow=true`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogsQuery {
    /// Go on with new ones.
    #[serde(default, deserialize_with = "super::flag::flag")]
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
