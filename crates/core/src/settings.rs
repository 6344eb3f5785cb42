//! What a process is given of the system, where it is not what Mainstay has itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Integrity, Privileges};

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
    /// What it cannot do though its account could. Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// The privileges that it goes without. Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileges: Option<Privileges>,
    /// Its integrity level; that of its account if absent. Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
}

/// What a service cannot do though its account could: itself, its hooks, its exec probes and its stop commands. Paths
/// are absolute; a `-` before one passes over it if it is not there. Meanings are those of systemd.exec(5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sandbox {
    /// No program gives it more rights than it has.
    pub no_new_privileges: bool,
    /// The capabilities that it has and can have; as the account has them if absent.
    pub capabilities: Option<Vec<String>>,
    /// `/tmp` and `/var/tmp` are its own.
    pub private_tmp: bool,
    /// Shared memory, semaphores and queues are its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private_ipc: bool,
    /// What it cannot change, with everything below.
    pub read_only_paths: Vec<String>,
    /// What it can change below those.
    pub read_write_paths: Vec<String>,
    /// What it cannot see into.
    pub inaccessible_paths: Vec<String>,
    /// System calls for the administration of the machine fail.
    pub filter_system_calls: bool,
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

    /// Whether it is given less than its account has, by a token of its own.
    pub fn has_token(&self) -> bool {
        self.privileges.is_some() || self.integrity.is_some()
    }
}
