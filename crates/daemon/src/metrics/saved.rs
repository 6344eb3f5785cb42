//! What rises, on disk: `metrics/totals.jsonl`. Each line has what a look has changed; now and then, and by each new
//! daemon, it is written as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use mainstay_link::Tally;
use mainstay_metrics::{Counters, Counts, Rising};
use mainstay_sys::usage::Usage as Found;
use serde::{Deserialize, Serialize};

/// The lines of changes may be so much longer than the whole, and at least so long.
const LONGEST: u64 = 4;
const SHORTEST: u64 = 256 << 10;

/// What rises of each service; `/keeper` and `/daemon` are Mainstay's own processes.
pub(crate) type All = BTreeMap<Arc<str>, Arc<Totals>>;

/// All that is written down.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// The last event that was counted.
    pub seq: u64,
    totals: Arc<All>,
    /// Since it was written.
    changed: BTreeSet<String>,
    gone: Vec<String>,
    /// The file as this daemon writes it, its length when it was whole, and now.
    file: Option<(File, u64, u64)>,
}

/// A line.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Line<T: Default + Ord> {
    seq: u64,
    totals: BTreeMap<T, Arc<Totals>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gone: Vec<String>,
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
    /// What it wrote.
    pub output: Output,
    /// What happened.
    pub counters: Counters,
}

/// How much output of a service came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Output {
    /// When the keeper began that counted it last: another one begins at nothing.
    keeper: u64,
    /// In the log.
    pub bytes: Rising,
    pub lines: Rising,
    /// Lost.
    pub dropped_bytes: Rising,
    pub dropped_lines: Rising,
}

impl Output {
    /// Whether this is what was seen last.
    pub fn is_at(&self, tally: &Tally, keeper: u64) -> bool {
        let at = |rising: &Rising, now: u64| rising.is_at(now as f64);
        self.keeper == keeper
            && at(&self.bytes, tally.bytes)
            && at(&self.lines, tally.lines)
            && at(&self.dropped_bytes, tally.dropped_bytes)
            && at(&self.dropped_lines, tally.dropped_lines)
    }

    /// Takes in what a keeper has counted since it began.
    pub fn see(&mut self, tally: &Tally, keeper: u64) {
        let counts = if self.keeper == keeper { Counts::All } else { Counts::New };
        self.keeper = keeper;
        self.bytes.see(tally.bytes as f64, counts);
        self.lines.see(tally.lines as f64, counts);
        self.dropped_bytes.see(tally.dropped_bytes as f64, counts);
        self.dropped_lines.see(tally.dropped_lines as f64, counts);
    }
}

impl Totals {
    /// Takes in what was found of a run.
    pub fn see(&mut self, found: &Found, run: (u64, u32)) {
        let new = self.run.replace(run) != Some(run);
        let counts = |all: bool| match (all, new) {
            (true, _) => Counts::All,
            (false, true) => Counts::New,
            (false, false) => Counts::Same,
        };
        self.cpu.see(found.cpu.as_secs_f64(), counts(found.cpu_of_all));
        for (rising, seen) in [(&mut self.read, found.read), (&mut self.written, found.written)] {
            if let Some(seen) = seen {
                rising.see(seen as f64, counts(found.io_of_all));
            }
        }
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
        match parse(&bytes) {
            Ok(saved) => (saved, None),
            Err(error) => {
                let aside = path.with_extension("jsonl.damaged");
                let moved = std::fs::rename(path, &aside);
                let what = if moved.is_ok() { "was moved to" } else { "can't be moved to" };
                let (path, aside) = (path.display(), aside.display());
                let note = format!("the counters in {path} are damaged ({error}); the file {what} {aside}");
                (Saved::default(), Some(note))
            }
        }
    }

    /// As it is now.
    pub fn all(&self) -> Arc<All> {
        Arc::clone(&self.totals)
    }

    /// What rises of a service, if it is known.
    pub fn get(&self, name: &str) -> Option<&Totals> {
        self.totals.get(name).map(|totals| &**totals)
    }

    /// The same, to be changed; it begins with nothing.
    pub fn change(&mut self, name: &str) -> &mut Totals {
        if !self.changed.contains(name) {
            self.changed.insert(name.to_owned());
        }
        let all = Arc::make_mut(&mut self.totals);
        if !all.contains_key(name) {
            all.insert(name.into(), Arc::default());
        }
        #[expect(clippy::expect_used, reason = "it was put there just now")]
        Arc::make_mut(all.get_mut(name).expect("it is there"))
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.totals.len()
    }

    /// Forgets the others.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        let gone: Vec<String> =
            self.totals.keys().filter(|name| !is_there(name)).map(ToString::to_string).collect();
        for name in gone {
            Arc::make_mut(&mut self.totals).remove(name.as_str());
            self.changed.remove(&name);
            self.gone.push(name);
        }
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// It can't be written; the next one writes all of it.
    pub fn write(&mut self, path: &Path) -> io::Result<()> {
        let written = match &mut self.file {
            Some((file, whole, length)) if *length < *whole * LONGEST + SHORTEST => {
                let changed = self.changed.iter();
                let totals = changed
                    .filter_map(|name| Some((name.as_str(), Arc::clone(self.totals.get(name.as_str())?))));
                let line = Line { seq: self.seq, totals: totals.collect(), gone: self.gone.clone() };
                append(file, &line).map(|bytes| *length += bytes)
            }
            _ => self.write_whole(path),
        };
        if written.is_err() {
            self.file = None;
            return written;
        }
        self.changed.clear();
        self.gone.clear();
        Ok(())
    }

    /// Whole or not at all.
    fn write_whole(&mut self, path: &Path) -> io::Result<()> {
        self.file = None;
        let new = path.with_extension("jsonl.new");
        let totals = self.totals.iter().map(|(name, totals)| (&**name, Arc::clone(totals)));
        let line = Line { seq: self.seq, totals: totals.collect(), gone: Vec::new() };
        let length = append(&mut File::create(&new)?, &line)?;
        std::fs::rename(new, path)?;
        self.file = Some((OpenOptions::new().append(true).open(path)?, length, length));
        Ok(())
    }
}

fn append<T: Default + Ord + Serialize>(file: &mut File, line: &Line<T>) -> io::Result<u64> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    Ok(bytes.len() as u64)
}

fn parse(bytes: &[u8]) -> Result<Saved, serde_json::Error> {
    let mut saved = Saved::default();
    let mut all = All::new();
    for (nth, bytes) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let line: Line<String> = match serde_json::from_slice(bytes) {
            Ok(line) => line,
            // The daemon was ended while it wrote this line; nothing of it was shown to anybody.
            Err(_) if nth > 0 && !bytes.ends_with(b"\n") => break,
            Err(error) => return Err(error),
        };
        saved.seq = line.seq;
        line.gone.iter().for_each(|name| drop(all.remove(name.as_str())));
        all.extend(line.totals.into_iter().map(|(name, totals)| (name.into(), totals)));
    }
    saved.totals = Arc::new(all);
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn path() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("totals.jsonl");
        (dir, path)
    }

    #[test]
    fn a_damaged_file_is_moved_aside_and_said_so() {
        let (_dir, path) = path();
        assert!(Saved::read(&path).1.is_none(), "none is there at first");
        let mut saved = Saved { seq: 7, ..Saved::default() };
        saved.change("web").counters.starts = 3;
        saved.write(&path).expect("it is written");
        let (again, note) = Saved::read(&path);
        assert_eq!((again.seq, again.totals["web"].counters.starts, note), (7, 3, None));
        // On Windows an open file cannot be replaced; the daemon reads before it opens it.
        drop(saved);
        for damage in [&b"{\"seq\":7,"[..], b"{\"seq\":7}\nnonsense\n{\"seq\":8}\n", b"\0\0\0\0"] {
            std::fs::write(&path, damage).expect("it is written");
            let (empty, note) = Saved::read(&path);
            assert!(empty.totals.is_empty() && note.is_some_and(|note| note.contains("damaged")));
            assert!(path.with_extension("jsonl.damaged").exists() && !path.exists());
        }
    }

    #[test]
    fn only_what_changes_is_written_and_a_cut_line_is_as_never_written() {
        let (_dir, path) = path();
        let mut saved = Saved::default();
        for nth in 0..100 {
            saved.change(&format!("s{nth}")).counters.starts = 1;
        }
        saved.write(&path).expect("it is written");
        let whole = std::fs::metadata(&path).expect("it is there").len();
        for starts in 2..5 {
            saved.change("s7").counters.starts = starts;
            saved.seq = starts;
            saved.retain(|name| name != "s9");
            saved.write(&path).expect("it is written");
        }
        let bytes = std::fs::read(&path).expect("it is there");
        assert!((bytes.len() as u64) < whole + whole / 10, "{whole} {}", bytes.len());
        for cut in bytes.len() - 40..=bytes.len() {
            let again = parse(&bytes[..cut]).expect("it is read");
            let all = cut >= bytes.len() - 1;
            assert_eq!(again.totals["s7"].counters.starts, if all { 4 } else { 3 }, "{cut}");
            assert_eq!((again.len(), again.seq), (99, if all { 4 } else { 3 }));
        }
        // It does not grow for ever.
        for nth in 0..4_000 {
            saved.change("s7").counters.starts = nth;
            saved.write(&path).expect("it is written");
        }
        let length = std::fs::metadata(&path).expect("it is there").len();
        assert!(length < whole * 5 + SHORTEST + 1_000, "{length}");
        assert_eq!(Saved::read(&path).0.totals["s7"].counters.starts, 3_999);
    }

    #[test]
    fn output_is_counted_over_keepers() {
        let tally = |bytes, lines| Tally { bytes, lines, ..Tally::default() };
        let mut output = Output::default();
        output.see(&tally(100, 4), 1);
        assert!(output.is_at(&tally(100, 4), 1) && !output.is_at(&tally(100, 5), 1));
        output.see(&tally(150, 6), 1);
        // Another keeper, seen first when it has as much as the one before ever had.
        assert!(!output.is_at(&tally(150, 6), 2));
        output.see(&tally(150, 6), 2);
        assert_eq!((output.bytes.total, output.lines.total), (300.0, 12.0));
    }

    #[test]
    fn no_counter_falls_over_runs_and_daemons() {
        let found = |seconds| Found { cpu: Duration::from_secs(seconds), ..Found::default() };
        let mut totals = Totals::default();
        totals.see(&found(5), (1, 10));
        totals.see(&found(7), (1, 10));
        assert_eq!(totals.cpu.total, 7.0);
        // Another daemon.
        let text = serde_json::to_string(&totals).expect("it is written");
        let mut totals: Totals = serde_json::from_str(&text).expect("it is read");
        totals.see(&found(8), (1, 10));
        assert_eq!(totals.cpu.total, 8.0);
        // Another run.
        totals.see(&found(2), (2, 11));
        assert_eq!(totals.cpu.total, 10.0);
    }
}
