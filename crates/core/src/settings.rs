//! What a process is given of the system, where it is not what Mainstay has itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a process. The core passes them on unread. All absent: as Mainstay has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// Its group, by name or number. Linux.
    pub group: Option<String>,
    /// Its further groups, by name or number; those of the account if absent. Linux.
    pub supplementary_groups: Option<Vec<String>>,
    /// Its nice value, -20 to 19; on Windows the priority class that is nearest.
    pub nice: Option<i8>,
    /// The processors that it may run on, in rising order; all if empty.
    pub cpus: Vec<u16>,
    /// Limits of the kernel by their names in small letters (`nofile`). Linux.
    pub rlimits: BTreeMap<String, Rlimit>,
    /// The bits that new files do not get. Linux.
    pub umask: Option<u32>,
    /// The file that standard input is, absolute; empty if absent.
    pub stdin: Option<String>,
}

/// One limit of the kernel. [`Rlimit::UNLIMITED`] stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rlimit {
    /// What holds.
    pub soft: u64,
    /// How far the process may raise it; as Mainstay has it if absent.
    #[serde(default)]
    pub hard: Option<u64>,
}

impl Rlimit {
    /// No limit at all.
    pub const UNLIMITED: u64 = u64::MAX;
}

impl Settings {
    /// Whether nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == Settings::default()
    }
}
