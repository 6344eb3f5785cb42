//! Files of logs that are closed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Segments of a log that were closed, one or several in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rotation {
    /// The log's name: the service's, or that of its standard error.
    pub log: String,
    /// The number of the first.
    pub first: u64,
    /// That of the last.
    pub last: u64,
    /// Why the last was closed.
    pub why: RotationCause,
}

impl Rotation {
    /// Takes in what was closed of the same log after it. False, and unchanged, if that is another log's.
    pub fn absorb(&mut self, later: &Rotation) -> bool {
        let same = self.log == later.log;
        if same {
            *self = Rotation { first: self.first.min(later.first), ..later.clone() };
        }
        same
    }
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            RotationCause::Size => "has reached its size",
            RotationCause::Age => "has reached its age",
            RotationCause::Asked => "was to be closed",
        };
        write!(f, "{}.log {why}", self.log)
    }
}

/// Why a segment is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RotationCause {
    /// It is large enough.
    Size,
    /// It is old enough.
    Age,
    /// Somebody wants it.
    Asked,
}

impl RotationCause {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            RotationCause::Size => "size",
            RotationCause::Age => "age",
            RotationCause::Asked => "asked",
        }
    }
}
