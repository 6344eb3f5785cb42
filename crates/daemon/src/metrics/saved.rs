//! What rises, on disk: `metrics/totals.json`, written as a whole after each look.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Instant;

use mainstay_api::types::Usage;
use mainstay_metrics::{Counters, Counts, FIGURES, Rising, Values};
use mainstay_sys::usage::Usage as Found;
use serde::{Deserialize, Serialize};

use super::logs::LogBytes;

/// All that is written down.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Saved {
    /// The last event that was counted.
    pub seq: u64,
    /// By service; `/keeper` and `/daemon` are Mainstay's own processes.
    pub totals: BTreeMap<String, Totals>,
}

/// What rises, of one service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    /// The run and its process that were seen last.
    run: Option<(u64, u32)>,
    /// Processor seconds.
    pub cpu: Rising,
    /// Bytes read.
    pub read: Rising,
    /// Bytes written.
    pub written: Rising,
    /// Bytes of output that were lost.
    pub dropped: Rising,
    /// Bytes of output in the log.
    pub log: LogBytes,
    /// What happened.
    pub counters: Counters,
    /// At the last look, whoever wanted it.
    #[serde(skip)]
    looked: Option<Mark>,
    /// At the last look on the clock's tens.
    #[serde(skip)]
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

impl Totals {
    /// Takes in what was found of a run.
    pub fn see(&mut self, found: &Found, run: (u64, u32), now: Instant) -> Usage {
        let new = self.run.replace(run) != Some(run);
        let counts = |all: bool| match (all, new) {
            (true, _) => Counts::All,
            (false, true) => Counts::New,
            (false, false) => Counts::Same,
        };
        self.cpu.see(found.cpu.as_secs_f64(), counts(found.cpu_of_all));
        let bytes = |rising: &mut Rising, seen: Option<u64>| {
            seen.map(|seen| {
                rising.see(seen as f64, counts(found.io_of_all));
                rising.total as u64
            })
        };
        let (read_bytes, written_bytes) =
            (bytes(&mut self.read, found.read), bytes(&mut self.written, found.written));
        let mark = self.mark(now);
        let cpu = self.looked.replace(mark).and_then(|before| mark.since(&before)).map(|rates| rates[0]);
        Usage {
            cpu_seconds: self.cpu.total,
            cpu,
            memory_bytes: found.resident,
            private_bytes: found.private,
            processes: found.processes,
            threads: found.threads,
            handles: found.handles,
            read_bytes,
            written_bytes,
        }
    }

    /// What goes into the history.
    pub fn values(&mut self, found: &Found, now: Instant) -> Values {
        let mark = self.mark(now);
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

    fn mark(&self, at: Instant) -> Mark {
        Mark { at, cpu: self.cpu.total, read: self.read.total, written: self.written.total }
    }
}

impl Mark {
    /// How fast it rose since then.
    fn since(&self, before: &Mark) -> Option<[f64; 3]> {
        let time = self.at.duration_since(before.at).as_secs_f64();
        let rate = |now: f64, then: f64| (now - then) / time;
        (time > 0.0).then(|| {
            [rate(self.cpu, before.cpu), rate(self.read, before.read), rate(self.written, before.written)]
        })
    }
}

impl Saved {
    /// As it was written; gives also what a person should know of. One that is damaged is moved aside.
    pub fn read(path: &Path) -> (Saved, Option<String>) {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (Saved::default(), None),
            Err(error) => {
                return (Saved::default(), Some(format!("can't read {}: {error}", path.display())));
            }
        };
        match serde_json::from_slice(&bytes) {
            Ok(saved) => (saved, None),
            Err(error) => {
                let aside = path.with_extension("json.damaged");
                let moved = std::fs::rename(path, &aside);
                let what = if moved.is_ok() { "was moved to" } else { "can't be moved to" };
                let (path, aside) = (path.display(), aside.display());
                let note = format!("the counters in {path} are damaged ({error}); the file {what} {aside}");
                (Saved::default(), Some(note))
            }
        }
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("json.new");
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::rename(new, path)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_damaged_file_is_moved_aside_and_said_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("totals.json");
        assert!(Saved::read(&path).1.is_none(), "none is there at first");
        let mut saved = Saved { seq: 7, ..Saved::default() };
        saved.totals.entry("web".into()).or_default().counters.starts = 3;
        saved.write(&path).expect("it is written");
        let (again, note) = Saved::read(&path);
        assert_eq!((again.seq, again.totals["web"].counters.starts, note), (7, 3, None));
        std::fs::write(&path, b"{\"seq\":7,").expect("it is written");
        let (empty, note) = Saved::read(&path);
        assert!(empty.totals.is_empty() && note.is_some_and(|note| note.contains("damaged")));
        assert!(path.with_extension("json.damaged").exists() && !path.exists());
    }

    #[test]
    fn no_counter_falls_over_runs_and_daemons() {
        let found = |seconds| Found { cpu: Duration::from_secs(seconds), ..Found::default() };
        let now = Instant::now();
        let mut totals = Totals::default();
        assert_eq!(totals.see(&found(5), (1, 10), now).cpu, None);
        let later = now + Duration::from_secs(10);
        let usage = totals.see(&found(7), (1, 10), later);
        assert_eq!((usage.cpu_seconds, usage.cpu), (7.0, Some(0.2)));
        // Another daemon.
        let text = serde_json::to_string(&totals).expect("it is written");
        let mut totals: Totals = serde_json::from_str(&text).expect("it is read");
        assert_eq!(totals.see(&found(8), (1, 10), later).cpu_seconds, 8.0);
        // Another run.
        assert_eq!(totals.see(&found(2), (2, 11), later).cpu_seconds, 10.0);
    }
}
