//! What is written where: the kernel's words for limits, in cgroup v2 and v1.

use std::path::Path;

use super::device;
use crate::container::limits::Limits;
use crate::container::linux::controllers::Controller;

/// The period that processor time is counted in, in microseconds: the kernel's default.
const PERIOD: u64 = 100_000;

/// The kernel takes no shorter quota.
const LEAST_QUOTA: u64 = 1_000;

/// The two kinds of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// A text for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The limit that it is for; none if the file is only put back to "no limit", which may be refused.
    pub(super) limit: Option<&'static str>,
    pub(super) file: &'static str,
    /// Or why there is none.
    pub(super) text: Result<String, String>,
    /// Whether the limit does not hold without it.
    pub(super) counts: bool,
}

/// The limits of a controller that are asked for.
pub(super) fn asked(controller: Controller, limits: &Limits) -> Vec<&'static str> {
    let named = |name: &'static str, asked: bool| asked.then_some(name);
    let all = match controller {
        Controller::Memory => [
            named("memory", limits.memory.is_some()),
            named("memory_high", limits.memory_high.is_some()),
            None,
        ],
        Controller::Cpu => [
            named("cpu", limits.cpu_millis.is_some()),
            named("cpu_weight", limits.cpu_weight.is_some()),
            None,
        ],
        Controller::Pids => [named("processes", limits.processes.is_some()), None, None],
        Controller::Io => [
            named("io_read", limits.io_read.is_some()),
            named("io_write", limits.io_write.is_some()),
            named("io_weight", limits.io_weight.is_some()),
        ],
    };
    all.into_iter().flatten().collect()
}

/// All files of a controller, in the order in which they are written. What is not limited is put back.
pub(super) fn settings(controller: Controller, version: Version, limits: &Limits) -> Vec<Setting> {
    match (controller, version) {
        (Controller::Memory, Version::V2) => vec![
            must("memory", "memory.max", limits.memory.map(|n| n.to_string()), "max"),
            // Otherwise as much again would be swapped. Without swap there is no such file.
            may("memory", "memory.swap.max", limits.memory.map(|_| "0".into()), "max"),
            must("memory_high", "memory.high", limits.memory_high.map(|n| n.to_string()), "max"),
        ],
        (Controller::Memory, Version::V1) => {
            let memory = limits.memory.map(|n| n.to_string());
            // With swap the limit is never below the one without, so that one of the two has to go first.
            let with_swap = || may("memory", "memory.memsw.limit_in_bytes", memory.clone(), "-1");
            let plain = must("memory", "memory.limit_in_bytes", memory.clone(), "-1");
            let high = limits.memory_high.map(|_| never("memory_high", "cgroup v1 knows no such limit"));
            [with_swap(), plain, with_swap()].into_iter().chain(high).collect()
        }
        (Controller::Cpu, Version::V2) => vec![
            must(
                "cpu",
                "cpu.max",
                limits.cpu_millis.map(|n| format!("{} {PERIOD}", quota(n))),
                &format!("max {PERIOD}"),
            ),
            must("cpu_weight", "cpu.weight", limits.cpu_weight.map(|n| n.to_string()), "100"),
        ],
        (Controller::Cpu, Version::V1) => vec![
            may("cpu", "cpu.cfs_period_us", limits.cpu_millis.map(|_| PERIOD.to_string()), "100000"),
            must("cpu", "cpu.cfs_quota_us", limits.cpu_millis.map(|n| quota(n).to_string()), "-1"),
            must("cpu_weight", "cpu.shares", limits.cpu_weight.map(|n| shares(n).to_string()), "1024"),
        ],
        (Controller::Pids, _) => {
            vec![must("processes", "pids.max", limits.processes.map(|n| n.to_string()), "max")]
        }
        (Controller::Io, Version::V2) => io_v2(limits),
        (Controller::Io, Version::V1) => io_v1(limits),
    }
}

fn io_v2(limits: &Limits) -> Vec<Setting> {
    let mut all = Vec::new();
    let device = device_of(limits);
    for (name, key, bytes) in [("io_read", "rbps", limits.io_read), ("io_write", "wbps", limits.io_write)] {
        let to_text = |device: &String| match bytes {
            Some(bytes) => format!("{device} {key}={bytes}"),
            None => format!("{device} {key}=max"),
        };
        all.push(of(name, "io.max", bytes.is_some(), device.as_ref().map(to_text).map_err(Clone::clone)));
    }
    all.push(must("io_weight", "io.weight", limits.io_weight.map(|n| format!("default {n}")), "default 100"));
    all
}

fn io_v1(limits: &Limits) -> Vec<Setting> {
    let mut all = Vec::new();
    let device = device_of(limits);
    for (name, file, bytes) in [
        ("io_read", "blkio.throttle.read_bps_device", limits.io_read),
        ("io_write", "blkio.throttle.write_bps_device", limits.io_write),
    ] {
        // 0 is "none".
        let text = device.as_ref().map(|device| format!("{device} {}", bytes.unwrap_or(0)));
        all.push(of(name, file, bytes.is_some(), text.map_err(Clone::clone)));
    }
    // Its weights are 1 to 1,000.
    let weight = limits.io_weight.map(|n| n.min(1_000).to_string());
    all.push(must("io_weight", "blkio.bfq.weight", weight, "100"));
    all
}

fn device_of(limits: &Limits) -> Result<String, String> {
    device::of(limits.io_path.as_deref().unwrap_or(Path::new(".")))
}

fn of(limit: &'static str, file: &'static str, asked: bool, text: Result<String, String>) -> Setting {
    Setting { limit: (asked || text.is_ok()).then_some(limit), file, text, counts: asked }
}

/// The limit does not hold if this is refused.
fn must(limit: &'static str, file: &'static str, text: Option<String>, otherwise: &str) -> Setting {
    let counts = text.is_some();
    Setting { limit: Some(limit), file, text: Ok(text.unwrap_or_else(|| otherwise.to_owned())), counts }
}

/// It holds nevertheless.
fn may(limit: &'static str, file: &'static str, text: Option<String>, otherwise: &str) -> Setting {
    Setting { counts: false, ..must(limit, file, text, otherwise) }
}

fn never(limit: &'static str, why: &str) -> Setting {
    Setting { limit: Some(limit), file: "", text: Err(why.to_owned()), counts: true }
}

fn quota(millis: u32) -> u64 {
    (u64::from(millis) * PERIOD / 1_000).max(LEAST_QUOTA)
}

/// v1's shares for a weight of v2, where 100 and 1,024 are what everybody has.
fn shares(weight: u32) -> u64 {
    (u64::from(weight) * 1_024 / 100).clamp(2, 262_144)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(controller: Controller, version: Version, limits: &Limits) -> Vec<(&'static str, String)> {
        settings(controller, version, limits)
            .into_iter()
            .map(|setting| (setting.file, setting.text.unwrap_or_else(|why| why)))
            .collect()
    }

    #[test]
    fn the_kernels_words() {
        let limits = Limits {
            memory: Some(64 << 20),
            memory_high: Some(48 << 20),
            cpu_millis: Some(250),
            cpu_weight: Some(50),
            processes: Some(10),
            ..Limits::default()
        };
        let v1 = |controller| texts(controller, Version::V1, &limits);
        assert_eq!(
            v1(Controller::Memory),
            [
                ("memory.memsw.limit_in_bytes", "67108864".to_owned()),
                ("memory.limit_in_bytes", "67108864".to_owned()),
                ("memory.memsw.limit_in_bytes", "67108864".to_owned()),
                ("", "cgroup v1 knows no such limit".to_owned()),
            ]
        );
        assert_eq!(
            v1(Controller::Cpu)[1..],
            [("cpu.cfs_quota_us", "25000".to_owned()), ("cpu.shares", "512".to_owned())]
        );
        let v2 = |controller| texts(controller, Version::V2, &limits);
        assert_eq!(
            v2(Controller::Memory)[1..],
            [("memory.swap.max", "0".to_owned()), ("memory.high", "50331648".to_owned())]
        );
        assert_eq!(v2(Controller::Cpu)[0], ("cpu.max", "25000 100000".to_owned()));
        assert_eq!(v2(Controller::Pids), [("pids.max", "10".to_owned())]);
        assert_eq!(quota(1), LEAST_QUOTA, "the kernel refuses less");
        assert_eq!((shares(1), shares(100), shares(10_000)), (10, 1_024, 102_400));
    }

    #[test]
    fn a_disk_that_is_none_is_told_for_what_was_asked() {
        let limits = Limits { io_read: Some(1), io_path: Some("/no/such/place".into()), ..Limits::default() };
        for version in [Version::V1, Version::V2] {
            let all = settings(Controller::Io, version, &limits);
            assert!(all[0].text.as_ref().is_err_and(|why| why.contains("/no/such/place")), "{:?}", all[0]);
            assert_eq!((all[0].limit, all[1].limit), (Some("io_read"), None));
        }
        assert_eq!(asked(Controller::Io, &limits), ["io_read"]);
    }
}
