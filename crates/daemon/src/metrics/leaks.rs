//! Leak detection is given what the collector sees.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use mainstay_api::types::Usage;
use mainstay_core::RunId;
use mainstay_core::leak::{Change, Resource, Series};

/// The series of all services. A service has about 4 KiB of them once it has been known for a week.
#[derive(Default)]
pub(super) struct Leaks(BTreeMap<String, [Series; 4]>);

impl Leaks {
    /// Takes in what a service uses; gives what has changed.
    pub fn see(&mut self, name: &str, run: RunId, usage: &Usage, at: SystemTime) -> Vec<Change> {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Resource::ALL.map(Series::new));
        }
        let Some(series) = self.0.get_mut(name) else { return Vec::new() };
        let at = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let values = Resource::ALL.map(|resource| match resource {
            Resource::Memory => Some(usage.private_bytes as f64),
            Resource::Handles => usage.handles.map(|handles| handles as f64),
            Resource::Threads => Some(f64::from(usage.threads)),
            Resource::Processes => Some(f64::from(usage.processes)),
        });
        let pairs = series.iter_mut().zip(values);
        pairs.filter_map(|(series, value)| series.sample(at, run.0, value?)).collect()
    }

    /// Forgets the services that are gone.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn usage(handles: u64) -> Usage {
        Usage {
            cpu_seconds: 0.0,
            cpu: None,
            memory_bytes: 80_000_000,
            private_bytes: 60_000_000,
            processes: 1,
            threads: 9,
            handles: Some(handles),
            read_bytes: None,
            written_bytes: None,
        }
    }

    #[test]
    fn a_service_that_loses_handles_is_told_once() {
        let mut leaks = Leaks::default();
        let mut told = Vec::new();
        for minute in 0..36 * 60_u64 {
            let at = UNIX_EPOCH + Duration::from_secs(1_767_571_200 + minute * 60);
            told.extend(leaks.see("api", RunId(3), &usage(200 + minute / 10), at));
            assert_eq!(leaks.see("web", RunId(4), &usage(200 + minute % 7), at), [], "{minute}");
        }
        assert!(
            matches!(told[..], [Change::Grows(growth)] if growth.resource == Resource::Handles),
            "{told:?}"
        );
        leaks.retain(|name| name == "web");
        assert_eq!(leaks.0.len(), 1);
    }
}
