//! Limits of a service: what its whole tree of processes may use, what of that does not hold here, and what was hit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::count;

/// What a service may use. All absent: as much as there is. Unless it says otherwise a limit is for all processes of
/// the service together. The core passes it on unread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Bytes of memory. Beyond it something of the tree is killed (Linux), or is refused more (Windows).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of memory beyond which the tree is slowed down and its memory taken back. Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<u64>,
    /// Processor time, in thousandths of a processor: 1500 is one and a half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// Its share of the processors when they do not suffice, 1 to 10,000; others have 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<u32>,
    /// Processes; on Linux threads count too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Open files of each process by itself. Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Bytes a second read from the disk of the working directory. Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_read: Option<u64>,
    /// Bytes a second written to it. Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_write: Option<u64>,
    /// Its share of the disks when they do not suffice, 1 to 10,000; others have 100. Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u32>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_default(&self) -> bool {
        *self == Limits::default()
    }
}

/// A limit that does not hold here. No error: the service runs without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NotEnforced {
    /// Its key in the configuration: `memory`.
    pub limit: String,
    /// Why, as a clause.
    pub why: String,
    /// What can be done, as a clause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
    /// Whether something else holds in its place; `why` says what.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_part: bool,
}

impl NotEnforced {
    /// "its limit `memory` does not hold here: …; …"
    pub fn words(&self) -> String {
        let to_do = self.to_do.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
        let holds = if self.in_part { "holds only in part" } else { "does not hold" };
        format!("its limit `{}` {holds} here: {}{to_do}", self.limit, self.why)
    }
}

/// Limits that a run came up against, as far as the system counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LimitHits {
    /// Memory ran out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryHit>,
    /// It wanted more processes than it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<ProcessesHit>,
}

impl LimitHits {
    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        *self == LimitHits::default()
    }

    /// `out of memory: limit 512 MB, …; too many processes: limit 100 …`
    pub fn words(&self) -> String {
        let memory = self.memory.as_ref().map(|hit| format!("out of memory: {}", hit.words()));
        let processes = self.processes.as_ref().map(|hit| format!("too many processes: {}", hit.words()));
        memory.into_iter().chain(processes).collect::<Vec<_>>().join("; ")
    }
}

/// Memory ran out for a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MemoryHit {
    /// Whether its own limit was reached; otherwise the machine, or a group around it, had no more.
    pub own: bool,
    /// Its limit, in bytes.
    pub limit: Option<u64>,
    /// The most that it has used, in bytes, as the system counts it.
    pub peak: Option<u64>,
    /// So many of its processes the kernel killed for it. 0 where the system kills nobody (Windows): there the process
    /// is refused more.
    pub killed: u64,
}

impl MemoryHit {
    /// `limit 512 MB, peak 512 MB, killed by the kernel`
    pub fn words(&self) -> String {
        let binary = self.limit.is_some_and(|limit| limit % 1_000_000 != 0);
        let mut parts = Vec::new();
        match (self.own, self.limit) {
            (true, Some(limit)) => parts.push(format!("limit {}", bytes(limit, binary))),
            (true, None) => parts.push("its own limit".to_owned()),
            (false, _) => {
                parts.push("not its own limit: the machine, or a group around it, had no more".into())
            }
        }
        if let Some(peak) = self.peak {
            parts.push(format!("peak {}", bytes(peak, binary)));
        }
        match self.killed {
            0 => parts.push("more is refused".to_owned()),
            1 => parts.push("killed by the kernel".to_owned()),
            n => parts.push(format!("{n} processes killed by the kernel")),
        }
        parts.join(", ")
    }
}

/// A tree wanted more processes than it may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProcessesHit {
    /// Its limit.
    pub limit: u64,
    /// So many times it was refused.
    pub refused: u64,
}

impl ProcessesHit {
    /// `limit 100 processes, 7 more refused`
    pub fn words(&self) -> String {
        let limit = u32::try_from(self.limit).unwrap_or(u32::MAX);
        format!("limit {}, {} more refused", count(limit, "process"), self.refused)
    }
}

/// `512 MB`, or `512 MiB` where a limit was written so.
pub fn bytes(count: u64, binary: bool) -> String {
    let (step, units) =
        if binary { (1024, ["KiB", "MiB", "GiB", "TiB"]) } else { (1000, ["kB", "MB", "GB", "TB"]) };
    if count < step {
        return format!("{count} bytes");
    }
    // Tenths of the unit, rounded: nobody wants to read that a limit of 20 MB had a peak of 19.9.
    let mut unit = step;
    let mut name = units[0];
    for next in &units[1..] {
        if count < unit.saturating_mul(step) - unit / 20 {
            break;
        }
        unit = unit.saturating_mul(step);
        name = next;
    }
    let tenths = (u128::from(count) * 10 + u128::from(unit) / 2) / u128::from(unit);
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        tenth => format!("{}.{tenth} {name}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_words() {
        for (count, binary, text) in [
            (0, false, "0 bytes"),
            (999, false, "999 bytes"),
            (1_000, false, "1 kB"),
            (512_000_000, false, "512 MB"),
            (19_996_672, false, "20 MB"),
            (999_990_000, false, "1 GB"),
            (1_550_000_000, false, "1.6 GB"),
            (512 << 20, true, "512 MiB"),
            (3 << 29, true, "1.5 GiB"),
            (u64::MAX, false, "18446744.1 TB"),
        ] {
            assert_eq!(bytes(count, binary), text);
        }
    }

    #[test]
    fn hits_in_words() {
        let own = MemoryHit { own: true, limit: Some(512 << 20), peak: Some((512 << 20) - 4096), killed: 1 };
        assert_eq!(own.words(), "limit 512 MiB, peak 512 MiB, killed by the kernel");
        let two = MemoryHit { killed: 2, limit: Some(20_000_000), ..own };
        assert_eq!(two.words(), "limit 20 MB, peak 536.9 MB, 2 processes killed by the kernel");
        let other = MemoryHit { killed: 1, ..MemoryHit::default() };
        assert!(other.words().starts_with("not its own limit: the machine"), "{}", other.words());
        assert_eq!(ProcessesHit { limit: 1, refused: 3 }.words(), "limit 1 process, 3 more refused");
        assert_eq!(ProcessesHit { limit: 9, refused: 1 }.words(), "limit 9 processes, 1 more refused");
    }

    #[test]
    fn what_an_older_version_wrote_is_read() {
        assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());
        assert_eq!(serde_json::to_string(&Limits::default()).unwrap(), "{}");
        let hits: LimitHits = serde_json::from_str(r#"{"memory":{"own":true,"new":1}}"#).unwrap();
        assert!(hits.memory.is_some_and(|hit| hit.own));
    }
}
