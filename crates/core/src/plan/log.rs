//! Where output goes, and how much of it stays.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a service's output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogPlan {
    /// A segment is closed at the first line end at or after this size, in bytes.
    pub rotate_size: u64,
    /// A segment is closed when it is this old.
    pub rotate_age: Option<Duration>,
    /// So many closed segments of each stream are kept.
    pub keep_files: u32,
    /// Closed segments that were last written to before so long are deleted.
    pub keep_age: Option<Duration>,
    /// The service's closed segments together have so many bytes at the most.
    pub keep_total: Option<u64>,
    /// How closed segments are compressed.
    pub compress: Compress,
    /// Below so many free bytes on the disk old segments are deleted, and then the disk counts as full.
    pub min_free: Option<u64>,
    /// What happens to output while the disk is full.
    pub on_full: OnFull,
    /// Whether stderr has a log of its own, `<service>.err.log`.
    pub separate_stderr: bool,
    /// What each line has besides its text.
    pub format: LogFormat,
    /// What the output's bytes are, if they are to become UTF-8.
    pub encoding: LogEncoding,
}

/// What a log has besides the text of its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Nothing: it is exactly what was written.
    #[default]
    Raw,
    /// The time before each line.
    Timestamps,
    /// Each line is a JSON object.
    Json,
}

/// What the bytes of a service's output are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogEncoding {
    /// Whatever they are, so they stay.
    #[default]
    Raw,
    /// To be recognised: UTF-16, UTF-8, else the console's code page.
    Auto,
    /// UTF-16, the lower byte first.
    Utf16le,
    /// UTF-16, the higher byte first.
    Utf16be,
    /// The console's code page on Windows.
    Console,
}

/// How closed segments are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compress {
    /// zstd.
    #[default]
    Zstd,
    /// gzip.
    Gzip,
    /// Not.
    None,
}

/// What happens to output while the disk is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// It is left out, and counted.
    #[default]
    Drop,
    /// The service waits in its write.
    Block,
}

impl Default for LogPlan {
    fn default() -> Self {
        LogPlan {
            rotate_size: 100_000_000,
            rotate_age: None,
            keep_files: 10,
            keep_age: None,
            keep_total: None,
            compress: Compress::Zstd,
            min_free: None,
            on_full: OnFull::Drop,
            separate_stderr: false,
            format: LogFormat::Raw,
            encoding: LogEncoding::Raw,
        }
    }
}
