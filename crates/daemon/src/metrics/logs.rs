//! How much output went into a log: from the sizes of its files. Nothing is read for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// How far a log was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LogBytes {
    /// Bytes so far; it never falls.
    pub total: u64,
    /// The number of the segment that was being written.
    segment: u64,
    /// Its size.
    size: u64,
}

/// The numbers of the newest closed segments, looked up again only when the directory has changed.
#[derive(Debug)]
pub(super) struct Logs {
    dir: PathBuf,
    changed: Option<SystemTime>,
    closed: BTreeMap<String, u64>,
}

impl Logs {
    pub fn new(dir: PathBuf) -> Logs {
        Logs { dir, changed: None, closed: BTreeMap::new() }
    }

    /// Before a round of looks.
    pub fn look(&mut self) {
        let changed = std::fs::metadata(&self.dir).and_then(|metadata| metadata.modified()).ok();
        if changed.is_some() && changed == self.changed {
            return;
        }
        self.changed = changed;
        if let Ok(all) = mainstay_logs::list(&self.dir) {
            let newest =
                |(name, closed): (String, Vec<mainstay_logs::Closed>)| Some((name, closed.last()?.number));
            self.closed = all.into_iter().filter_map(newest).collect();
        }
    }

    /// How much was written since the last look.
    pub fn see(&self, name: &str, bytes: &mut LogBytes) {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let segment = self.closed.get(name).map_or(1, |number| number + 1);
        let now = size(&mainstay_logs::active_path(&self.dir, name));
        if bytes.segment == 0 {
            bytes.total += now;
        } else if segment == bytes.segment {
            // Smaller: it was rotated just now, which the next look finds.
            if now < bytes.size {
                return;
            }
            bytes.total += now - bytes.size;
        } else {
            // What was closed since. One that is compressed or deleted already was closed long ago, as by a time
            // without a daemon: it is not counted.
            let rest = size(&mainstay_logs::closed_path(&self.dir, name, bytes.segment));
            bytes.total += rest.saturating_sub(bytes.size);
            // More at once than a disk can hold are not looked at.
            for number in (bytes.segment + 1..segment).rev().take(1_000) {
                bytes.total += size(&mainstay_logs::closed_path(&self.dir, name, number));
            }
            bytes.total += now;
        }
        (bytes.segment, bytes.size) = (segment, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_over_rotations() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |path: PathBuf, size: usize| std::fs::write(path, vec![b'x'; size]).expect("written");
        let active = mainstay_logs::active_path(dir.path(), "web");
        let mut bytes = LogBytes::default();
        let mut see = || {
            let mut logs = Logs::new(dir.path().to_owned());
            logs.look();
            logs.see("web", &mut bytes);
            bytes.total
        };
        assert_eq!(see(), 0);
        write(active.clone(), 100);
        assert_eq!(see(), 100);
        // Three rotations between two looks.
        let first = see();
        assert_eq!(first, 100);
        write(mainstay_logs::closed_path(dir.path(), "web", 1), 150);
        write(mainstay_logs::closed_path(dir.path(), "web", 2), 30);
        write(mainstay_logs::closed_path(dir.path(), "web", 3), 40);
        write(active, 5);
        assert_eq!(see(), 150 + 30 + 40 + 5);
        assert_eq!(see(), 225);
    }
}
