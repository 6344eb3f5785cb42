//! What came of the services' output, by log: how much, how much of it was lost, and when that was told last.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::{ServiceName, Time};
use mainstay_link::Tally;

/// Losses of a log are told at most so often: a disk may be full for days, and the events are to have something else
/// in them, too.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The names of a service's logs: with stderr, should that have one of its own.
pub(crate) fn logs_of(service: &ServiceName) -> [String; 2] {
    [service.as_str().to_owned(), mainstay_logs::stderr_name(service.as_str())]
}

/// Whose log it is, by a way to find a service of a name; none if its service is gone. `web.err` is the other stream of
/// `web`, unless it is a service itself.
pub(crate) fn service_of_log<T>(log: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
    [Some(log), mainstay_logs::stderr_of(log)].into_iter().flatten().find_map(find)
}

/// The books of the logs.
#[derive(Default)]
pub(crate) struct Outputs {
    /// Bytes lost.
    dropped: BTreeMap<String, u64>,
    /// When losses were told last.
    told: BTreeMap<String, Time>,
    /// What came since the keeper's start.
    tallies: BTreeMap<String, Tally>,
}

impl Outputs {
    /// The books of the daemon before, as far as they are kept.
    pub fn resume(dropped: BTreeMap<String, u64>) -> Outputs {
        Outputs { dropped, ..Outputs::default() }
    }

    /// The keeper has counted.
    pub fn count(&mut self, tallies: BTreeMap<String, Tally>) {
        self.tallies.extend(tallies);
    }

    /// So much of a log is lost by now. What to tell, if it is time to.
    pub fn lost(&mut self, now: Time, log: &str, bytes: u64, error: &str) -> Option<String> {
        self.dropped.insert(log.to_owned(), bytes);
        if self.told.get(log).is_some_and(|told| now.since(*told) < TELL_EVERY) {
            return None;
        }
        self.told.insert(log.to_owned(), now);
        let lost = mainstay_core::bytes(bytes, false);
        Some(format!("{lost} of {log}'s output are lost so far: {error}"))
    }

    /// Bytes lost, by log.
    pub fn dropped(&self) -> &BTreeMap<String, u64> {
        &self.dropped
    }

    /// Bytes that a service has lost.
    pub fn dropped_of(&self, service: &ServiceName) -> u64 {
        logs_of(service).iter().filter_map(|log| self.dropped.get(log)).sum()
    }

    /// What came of a service.
    pub fn of(&self, service: &ServiceName) -> Tally {
        let logs = logs_of(service);
        logs.iter().filter_map(|log| self.tallies.get(log)).fold(Tally::default(), |sum, tally| sum + *tally)
    }

    /// The service is gone.
    pub fn forget(&mut self, service: &ServiceName) {
        for log in logs_of(service) {
            self.dropped.remove(&log);
            self.told.remove(&log);
            self.tallies.remove(&log);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once_a_minute_for_each_log_and_counted_always() {
        let mut outputs = Outputs::default();
        let at = |seconds: u64| Time::from_nanos(seconds * 1_000_000_000);
        let told = outputs.lost(at(1), "web", 2048, "no space").expect("the first");
        assert_eq!(told, "2 kB of web's output are lost so far: no space");
        assert_eq!(outputs.lost(at(60), "web", 4096, "no space"), None);
        assert!(outputs.lost(at(2), "db", 1, "no space").is_some(), "another log");
        assert!(outputs.lost(at(61), "web", 5000, "no space").is_some());
        let web = ServiceName::new("web").expect("a name");
        assert_eq!(outputs.dropped_of(&web), 5000);
        outputs.forget(&web);
        assert_eq!(outputs.dropped_of(&web), 0);
        assert!(outputs.lost(at(62), "web", 1, "no space").is_some(), "a new service of the name");
    }
}
