//! Which segments there are: one listing of the directory for all its logs.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::segment::{self, Form};
use crate::writer::Rotated;

/// The numbers of a log's segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Closed ones, rising.
    pub(crate) closed: VecDeque<u64>,
    /// The active one's, if it is known to be higher than what `closed` says.
    pub(crate) at_least: u64,
    /// Bytes missing at its end that the log itself does not tell yet.
    pub(crate) untold: u64,
    /// What was closed and not told of.
    pub(crate) rotated: Option<Rotated>,
}

impl Numbers {
    /// The active segment's number.
    pub(crate) fn active(&self) -> u64 {
        self.closed.back().map_or(1, |highest| highest + 1).max(self.at_least)
    }
}

/// The segments of all logs in a directory, as they were when it was listed.
///
/// Listing a directory costs in proportion to what is in it; whoever opens many logs lists once.
#[derive(Debug)]
pub struct Catalog {
    dir: Arc<Path>,
    logs: BTreeMap<String, Numbers>,
}

impl Catalog {
    /// Lists `dir`. A directory that does not exist has no logs.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn scan(dir: &Path) -> io::Result<Catalog> {
        let mut logs: BTreeMap<String, Numbers> = BTreeMap::new();
        for_each_file(dir, |name, number| {
            let log = logs.entry(name.to_owned()).or_default();
            log.closed.extend(number.map(|(number, _)| number));
        })?;
        for log in logs.values_mut() {
            let mut numbers: Vec<u64> = std::mem::take(&mut log.closed).into();
            numbers.sort_unstable();
            // One that is being compressed may be there twice.
            numbers.dedup();
            log.closed = numbers.into();
        }
        Ok(Catalog { dir: Arc::from(dir), logs })
    }

    /// A catalog that knows of no logs: for a directory that cannot be listed now. Numbers already used there would
    /// be used again; a writer never overwrites a closed segment, though.
    pub fn unknown(dir: &Path) -> Catalog {
        Catalog { dir: Arc::from(dir), logs: BTreeMap::new() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn shared_dir(&self) -> Arc<Path> {
        Arc::clone(&self.dir)
    }

    /// The names of all logs, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.logs.keys().map(String::as_str)
    }

    /// Takes a log's numbers out, for a writer.
    pub(crate) fn take(&mut self, name: &str) -> Numbers {
        self.logs.remove(name).unwrap_or_default()
    }

    /// Puts them back.
    pub(crate) fn put(&mut self, name: String, numbers: Numbers) {
        self.logs.insert(name, numbers);
    }
}

/// The numbers of one log's closed segments, rising.
pub(crate) fn closed(dir: &Path, name: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for_each_file(dir, |of, number| {
        if of == name {
            numbers.extend(number.map(|(number, _)| number));
        }
    })?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// The same for all logs of the directory.
pub(crate) fn all_closed(dir: &Path) -> io::Result<BTreeMap<String, Vec<u64>>> {
    let logs = Catalog::scan(dir)?.logs.into_iter();
    Ok(logs.map(|(name, numbers)| (name, numbers.closed.into())).collect())
}

pub(crate) fn for_each_file(dir: &Path, mut take: impl FnMut(&str, Option<(u64, Form)>)) -> io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let file_name = entry?.file_name();
        if let Some((name, number)) = file_name.to_str().and_then(segment::parse) {
            take(name, number);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_knows_every_log_and_its_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "a.log",
            "a.log.000002",
            "a.log.000010",
            "a.log.000009",
            "b.log.000001.zst",
            "c.log",
            "note.txt",
            "a.log.000009.gz",
            "a.log.000011.gz.tmp",
        ] {
            std::fs::write(dir.path().join(file), "x").unwrap();
        }
        let mut catalog = Catalog::scan(dir.path()).unwrap();
        assert_eq!(catalog.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        let a = catalog.take("a");
        assert_eq!((a.closed.iter().copied().collect::<Vec<_>>(), a.active()), (vec![2, 9, 10], 11));
        assert_eq!(catalog.take("b").active(), 2);
        assert_eq!(catalog.take("c").active(), 1);
        assert_eq!(catalog.take("new").active(), 1);
        assert_eq!(closed(dir.path(), "a").unwrap(), [2, 9, 10]);
        assert!(Catalog::scan(&dir.path().join("none")).unwrap().names().next().is_none());
    }
}
