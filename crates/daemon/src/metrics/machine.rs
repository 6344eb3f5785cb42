//! What the whole machine uses, in the history: for forecasts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mainstay_metrics::{FIGURES, Values};
use mainstay_sys::{disk, machine};

/// The machine's memory and processors, as a service of the history has them.
pub(super) const MACHINE: &str = "/machine";
/// The disk that the logs are on; its bytes in use stand for memory.
pub(super) const DISK: &str = "/disk";

/// Looks at the machine.
pub(super) struct Machine {
    log_dir: PathBuf,
    before: Option<(Instant, Duration)>,
}

impl Machine {
    pub fn new(log_dir: PathBuf) -> Machine {
        Machine { log_dir, before: None }
    }

    /// What goes into the history.
    pub fn look(&mut self, now: Instant) -> Vec<(&'static str, Values)> {
        let found = machine::look();
        let mut values: Values = [None; FIGURES];
        if let Some(busy) = found.busy
            && let Some((at, before)) = self.before.replace((now, busy))
        {
            let time = now.duration_since(at).as_secs_f64();
            values[0] = (time > 0.0).then(|| busy.saturating_sub(before).as_secs_f64() / time);
        }
        values[1] = found.memory.map(|memory| memory.used as f64);
        let mut seen = vec![(MACHINE, values)];
        if let (Ok(total), Ok(free)) = (disk::total(&self.log_dir), disk::free(&self.log_dir)) {
            let mut values: Values = [None; FIGURES];
            values[1] = Some(total.saturating_sub(free) as f64);
            seen.push((DISK, values));
        }
        seen
    }
}
