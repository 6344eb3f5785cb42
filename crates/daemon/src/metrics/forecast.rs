//! When something will be short, from the history.

use std::path::Path;

use mainstay_api::types::{Forecasts, ResourceForecast, Scarce};
use mainstay_core::forecast::{MOST_DAYS, forecast};
use mainstay_core::{Limits, ServiceName};
use mainstay_metrics::{Figure, Store};
use mainstay_sys::{disk, machine};

use super::machine::{DISK, MACHINE};

/// Of the machine, of the disk that `log_dir` is on, and of the services that have limits.
pub(super) fn of_all(
    store: &mut Store,
    log_dir: &Path,
    limits: &[(ServiceName, Limits)],
    now: u64,
) -> Forecasts {
    let mut of = |series: &str, service: Option<&ServiceName>, what: Scarce, capacity: Option<f64>| {
        let capacity = capacity?;
        let figure = if what == Scarce::Cpu { Figure::Cpu } else { Figure::Memory };
        let place = Figure::ALL.iter().position(|known| *known == figure)?;
        let hours = store.hours(series, now.saturating_sub(MOST_DAYS * 86_400), now);
        let hours: Vec<(u64, f64)> =
            hours.iter().filter_map(|(at, summary)| Some((*at, summary[place]?.mean))).collect();
        let forecast = forecast(&hours, capacity, now);
        Some(ResourceForecast { service: service.cloned(), what, capacity, forecast })
    };
    let bytes = |count: u64| count as f64;
    let memory = machine::look().memory.map(|memory| bytes(memory.total));
    let mut resources = vec![
        of(MACHINE, None, Scarce::Memory, memory),
        of(MACHINE, None, Scarce::Cpu, Some(machine::processors() as f64)),
        of(DISK, None, Scarce::Disk, disk::total(log_dir).ok().map(bytes)),
    ];
    for (name, limits) in limits {
        let cpu = limits.cpu_millis.map(|millis| f64::from(millis) / 1_000.0);
        resources.push(of(name.as_str(), Some(name), Scarce::Memory, limits.memory.map(bytes)));
        resources.push(of(name.as_str(), Some(name), Scarce::Cpu, cpu));
    }
    Forecasts { resources: resources.into_iter().flatten().collect() }
}
