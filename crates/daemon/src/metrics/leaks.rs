//! Leak detection is given what the collector sees, and at first what the history has.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_api::types::Usage;
use mainstay_core::leak::{Change, Resource, Series};
use mainstay_core::{Limits, RunId};
use mainstay_metrics::{Figure, Store, Summary};

/// The series of all services. A service has about 5 KiB of them once it has been known for a week.
#[derive(Default)]
pub(super) struct Leaks(BTreeMap<String, [Series; 4]>);

/// Minutes are taken from the history for so long; before that hours do.
const MINUTES: u64 = 15 * 3_600;
/// Hours are taken for so long: what leak detection looks back to.
const HOURS: u64 = 8 * 86_400;
/// The run that the history's older samples are said to be of; no run has the number.
const EARLIER: u64 = u64::MAX;

/// A service that is looked at.
pub(super) struct Looked<'a> {
    pub name: &'a str,
    pub run: RunId,
    pub uptime: Duration,
    pub limits: &'a Limits,
    pub usage: &'a Usage,
    /// Unix time.
    pub at: u64,
}

impl Leaks {
    /// Takes in what a service uses; gives what has changed. One that was not seen before is given its history first.
    pub fn see(&mut self, it: &Looked<'_>, store: Option<&mut Store>) -> Vec<Change> {
        if let Some(series) = self.0.get_mut(it.name) {
            return sample(series, it);
        }
        let mut series = Resource::ALL.map(Series::new);
        if let Some(store) = store {
            remember(&mut series, it, store);
        }
        // What goes on growing is told by this daemon, too. What an earlier run left growing ends with this sample, and
        // concerns nobody any more.
        sample(&mut series, it);
        let told = series.iter().filter_map(|series| series.growth().copied().map(Change::Grows)).collect();
        self.0.insert(it.name.to_owned(), series);
        told
    }

    /// Forgets the services that are gone.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }
}

/// Takes in what it uses now.
fn sample(series: &mut [Series; 4], it: &Looked<'_>) -> Vec<Change> {
    let mut told = Vec::new();
    for ((series, value), resource) in series.iter_mut().zip(values(it.usage)).zip(Resource::ALL) {
        series.set_limit(limit(resource, it));
        told.extend(value.and_then(|value| series.sample(it.at, it.run.0, value)));
    }
    told
}

fn values(usage: &Usage) -> [Option<f64>; 4] {
    Resource::ALL.map(|resource| match resource {
        Resource::Memory => Some(usage.private_bytes as f64),
        Resource::Handles => usage.handles.map(|handles| handles as f64),
        Resource::Threads => Some(f64::from(usage.threads)),
        Resource::Processes => Some(f64::from(usage.processes)),
    })
}

/// Where it has to end.
fn limit(resource: Resource, it: &Looked<'_>) -> Option<f64> {
    match resource {
        Resource::Memory => it.limits.memory.map(|bytes| bytes as f64),
        // Of each process by itself: what the others have of the tree is not known.
        Resource::Handles => it.limits.open_files.filter(|_| it.usage.processes == 1).map(|most| most as f64),
        // On Linux the limit of processes counts threads.
        Resource::Threads => it.limits.processes.filter(|_| !mainstay_sys::IS_WINDOWS).map(f64::from),
        Resource::Processes => it.limits.processes.filter(|_| mainstay_sys::IS_WINDOWS).map(f64::from),
    }
}

/// Gives the series what is in the history. Where one run ended and the next began is not in it: all that was before
/// this run is taken for one.
fn remember(series: &mut [Series; 4], it: &Looked<'_>, store: &mut Store) {
    let begun = it.at.saturating_sub(it.uptime.as_secs());
    let recent = (it.at.saturating_sub(MINUTES)) / 3_600 * 3_600;
    let hours = store.hours(it.name, it.at.saturating_sub(HOURS), recent.saturating_sub(1));
    // An hour's lowest stands for each of its quarters.
    let hours = hours.iter().flat_map(|(at, summary)| (0..4).map(move |nth| (at + nth * 900, summary)));
    let minutes = store.minutes(it.name, recent, it.at.saturating_sub(60));
    for (at, summary) in hours.chain(minutes.iter().map(|(at, summary)| (*at, summary))) {
        let run = if at >= begun { it.run.0 } else { EARLIER };
        for (series, resource) in series.iter_mut().zip(Resource::ALL) {
            series.set_limit(limit(resource, it));
            if let Some(value) = lowest(summary, resource) {
                series.sample(at, run, value);
            }
        }
    }
}

fn lowest(summary: &Summary, resource: Resource) -> Option<f64> {
    let figure = match resource {
        Resource::Memory => Figure::Private,
        Resource::Handles => Figure::Handles,
        Resource::Threads => Figure::Threads,
        Resource::Processes => Figure::Processes,
    };
    let place = Figure::ALL.iter().position(|known| *known == figure)?;
    summary[place].map(|stretch| stretch.min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_metrics::Values;

    const BEGIN: u64 = 1_767_571_200;

    fn usage(private_bytes: u64, handles: u64) -> Usage {
        Usage { private_bytes, processes: 1, threads: 9, handles: Some(handles), ..Usage::default() }
    }

    fn looked<'a>(name: &'a str, usage: &'a Usage, limits: &'a Limits, minute: u64) -> Looked<'a> {
        let uptime = Duration::from_secs(minute * 60);
        Looked { name, run: RunId(3), uptime, limits, usage, at: BEGIN + minute * 60 }
    }

    #[test]
    fn a_service_that_loses_handles_is_told_once() {
        let mut leaks = Leaks::default();
        let mut told = Vec::new();
        let limits = Limits { open_files: Some(1_024), ..Limits::default() };
        for minute in 0..36 * 60_u64 {
            told.extend(
                leaks.see(&looked("api", &usage(60_000_000, 200 + minute / 10), &limits, minute), None),
            );
            let web = usage(60_000_000, 200 + minute % 7);
            assert_eq!(leaks.see(&looked("web", &web, &limits, minute), None), [], "{minute}");
        }
        let [Change::Grows(growth)] = told[..] else { panic!("{told:?}") };
        assert_eq!((growth.resource, growth.limit), (Resource::Handles, Some(1_024.0)));
        let truly = BEGIN + (1_024 - 200) * 600;
        let reach = growth.reach().expect("it has a limit");
        assert!(reach.at.abs_diff(truly) < 6 * 3_600, "{reach:?} {truly}");
        leaks.retain(|name| name == "web");
        assert_eq!(leaks.0.len(), 1);
    }

    /// What a daemon kept that is gone.
    fn history(store: &mut Store, bytes: impl Fn(u64) -> f64, minutes: u64) {
        for minute in 0..minutes {
            let mut values: Values = [Some(1.0); 8];
            values[2] = Some(bytes(minute));
            let seen = [("api", values), (mainstay_metrics::store::HEARTBEAT, [Some(1.0); 8])];
            for part in 0..6 {
                store.put(BEGIN + minute * 60 + part * 10, &seen).expect("it is kept");
            }
        }
    }

    #[test]
    fn another_daemon_goes_on_with_what_is_in_the_history() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path().to_owned()).expect("it opens");
        let limits = Limits { memory: Some(512 << 20), ..Limits::default() };
        // As ever, then it leaks so fast that its limit is near.
        let bytes = |minute: u64| 200e6 + minute.saturating_sub(540) as f64 * 0.9e6;
        let minutes = 900;
        history(&mut store, bytes, minutes);
        // One that has seen all of it, and has just told.
        let mut told = None;
        let mut old = Leaks::default();
        for minute in 0..minutes {
            let usage = usage(bytes(minute) as u64, 1);
            told = told.or(old.see(&looked("api", &usage, &limits, minute), None).first().copied());
        }
        let Some(Change::Grows(told)) = told else { panic!("the leak is found") };
        // Another one, with the same history: it tells as soon as it has looked.
        let mut new = Leaks::default();
        let now = usage(bytes(minutes) as u64, 1);
        let again = new.see(&looked("api", &now, &limits, minutes), Some(&mut store));
        let [Change::Grows(again)] = again[..] else { panic!("{again:?}") };
        assert!((again.per_hour / told.per_hour - 1.0).abs() < 0.2, "{again:?}\n{told:?}");
        assert!(again.reach().is_some());
        // The same history, and a run that has just begun: it is not restarted for what another one did.
        let young = Looked { uptime: Duration::from_secs(5), ..looked("api", &now, &limits, minutes) };
        assert_eq!(Leaks::default().see(&young, Some(&mut store)), []);
    }
}
