//! `/proc/stat` and `/proc/meminfo`.

use std::time::Duration;

use super::{Machine, Share};

pub(super) fn look() -> Machine {
    Machine {
        busy: std::fs::read_to_string("/proc/stat").ok().and_then(|text| busy(&text)),
        memory: std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text)),
    }
}

pub(super) fn processes() -> Option<Share> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let total = number("/proc/sys/kernel/threads-max")?.min(number("/proc/sys/kernel/pid_max")?);
    // "0.20 0.18 0.12 1/80 11206": those that run, of all that there are.
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    let used = load.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()?;
    Some(Share { total, used })
}

fn busy(text: &str) -> Option<Duration> {
    let ticks: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; what guests use is in user already.
    let [user, nice, system, _, _, irq, softirq, steal] = *ticks.get(..8)?.as_array()?;
    let sum = user + nice + system + irq + softirq + steal;
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_nanos(sum.saturating_mul(tick)))
}

fn memory(text: &str) -> Option<Share> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    let total = value("MemTotal")?;
    Some(Share { total, used: total.saturating_sub(value("MemAvailable")?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says() {
        let stat = "cpu  10 20 30 400 50 6 7 8 9 0\ncpu0 1 2 3 4\n";
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(busy(stat), Some(Duration::from_nanos(81 * (1_000_000_000 / ticks))));
        assert_eq!(busy("cpu 1 2 3\n"), None);
        let info = "MemTotal:       8000 kB\nMemFree:  10 kB\nMemAvailable:   3000 kB\n";
        assert_eq!(memory(info), Some(Share { total: 8000 << 10, used: 5000 << 10 }));
        assert_eq!(memory("MemTotal: 8000 kB\n"), None);
    }
}
