//! What was seen of one service at the last looks: how fast it uses what it uses.

use std::time::Instant;

use mainstay_api::types::Usage;
use mainstay_metrics::{FIGURES, Values};
use mainstay_sys::usage::Usage as Found;

use super::Totals;

/// What was seen of a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    /// The run and its process, and what was found of it; none: it did not run.
    found: Option<((u64, u32), Found)>,
    /// At the last look, whoever wanted it.
    looked: Option<Mark>,
    /// At the last look on the clock's tens.
    kept: Option<Mark>,
}

/// What had risen to what, and when.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    cpu: f64,
    read: f64,
    written: f64,
}

impl Watched {
    /// Whether it is another than at the last look. What is the same has done nothing.
    pub fn is_new(&mut self, found: Option<((u64, u32), Found)>) -> bool {
        let is_new = self.found != found;
        if is_new {
            self.found = found;
        }
        is_new
    }

    /// What it uses now.
    pub fn usage(&mut self, totals: &Totals, now: Instant) -> Usage {
        let found = self.found.map_or_else(Found::default, |(_, found)| found);
        let mark = Mark::new(totals, now);
        let cpu = self.looked.replace(mark).and_then(|before| mark.since(&before)).map(|rates| rates[0]);
        Usage {
            cpu_seconds: totals.cpu.total,
            cpu,
            memory_bytes: found.resident,
            private_bytes: found.private,
            processes: found.processes,
            threads: found.threads,
            handles: found.handles,
            read_bytes: found.read.map(|_| totals.read.total as u64),
            written_bytes: found.written.map(|_| totals.written.total as u64),
        }
    }

    /// What goes into the history.
    pub fn values(&mut self, totals: &Totals, now: Instant) -> Values {
        let found = self.found.map_or_else(Found::default, |(_, found)| found);
        let mark = Mark::new(totals, now);
        let rates = self.kept.replace(mark).and_then(|before| mark.since(&before));
        let rate = |nth: usize| rates.map(|rates| rates[nth]);
        let values: [Option<f64>; FIGURES] = [
            rate(0),
            Some(found.resident as f64),
            Some(found.private as f64),
            Some(f64::from(found.processes)),
            Some(f64::from(found.threads)),
            found.handles.map(|handles| handles as f64),
            found.read.and(rate(1)),
            found.written.and(rate(2)),
        ];
        values
    }
}

impl Mark {
    fn new(totals: &Totals, at: Instant) -> Mark {
        Mark { at, cpu: totals.cpu.total, read: totals.read.total, written: totals.written.total }
    }

    /// How fast it rose since then.
    fn since(&self, before: &Mark) -> Option<[f64; 3]> {
        let time = self.at.duration_since(before.at).as_secs_f64();
        let rate = |now: f64, then: f64| (now - then) / time;
        (time > 0.0).then(|| {
            [rate(self.cpu, before.cpu), rate(self.read, before.read), rate(self.written, before.written)]
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_is_over_the_time_since_the_last_look() {
        let found = |seconds| Found { cpu: Duration::from_secs(seconds), ..Found::default() };
        let run = (1, 10);
        let now = Instant::now();
        let mut totals = Totals::default();
        let mut watched = Watched::default();
        let mut look = |seconds: u64, cpu: u64| {
            if watched.is_new(Some((run, found(cpu)))) {
                totals.see(&found(cpu), run);
            }
            watched.usage(&totals, now + Duration::from_secs(seconds)).cpu
        };
        assert_eq!(look(0, 5), None);
        assert_eq!(look(10, 7), Some(0.2));
        assert_eq!(look(20, 7), Some(0.0));
        assert_eq!(look(90, 7), Some(0.0));
        assert_eq!(look(100, 8), Some(0.1), "not spread over the time in which it did nothing");
    }
}
