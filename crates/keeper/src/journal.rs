//! `runs.journal`: which processes this keeper has made. If it is killed, the next one ends what is left of them.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mainstay_sys::process::ProcessId;
use serde::{Deserialize, Serialize};

/// Beyond this size it is written anew with what still runs.
const MAX_SIZE: u64 = 1 << 20;

/// One line of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// A run's main process was made.
    Spawn { run: u64, container: String, id: ProcessId },
    /// Nothing of a run is left.
    End { run: u64 },
    /// A daemon was made; the one before is gone.
    Daemon { id: ProcessId },
}

/// What an earlier keeper left in its journal.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Left {
    /// Main processes of runs that had not ended.
    pub(crate) runs: Vec<ProcessId>,
    /// The last daemon.
    pub(crate) daemon: Option<ProcessId>,
}

/// The journal of this keeper. It is a second line of defence (containers are the first), so that an error in
/// writing it stops nothing.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    live: BTreeMap<u64, (String, ProcessId)>,
    daemon: Option<ProcessId>,
}

impl Journal {
    /// Reads what an earlier keeper left. A line that cannot be read (torn by its death, or of a newer version)
    /// is passed over.
    pub(crate) fn read(state_dir: &Path) -> io::Result<Left> {
        let text = match std::fs::read(state_dir.join("runs.journal")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Left::default()),
            Err(error) => return Err(error),
        };
        let mut runs = BTreeMap::new();
        let mut daemon = None;
        for line in text.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Entry::Spawn { run, id, .. }) => {
                    runs.insert(run, id);
                }
                Ok(Entry::End { run }) => {
                    runs.remove(&run);
                }
                Ok(Entry::Daemon { id }) => daemon = Some(id),
                Err(_) => {}
            }
        }
        Ok(Left { runs: runs.into_values().collect(), daemon })
    }

    /// Begins a new one in its place.
    pub(crate) fn start(state_dir: &Path) -> io::Result<Journal> {
        let path = state_dir.join("runs.journal");
        let mut journal = Journal { path, file: None, size: 0, live: BTreeMap::new(), daemon: None };
        journal.compact()?;
        Ok(journal)
    }

    /// A run's main process was made.
    pub(crate) fn spawned(&mut self, run: u64, container: &str, id: &ProcessId) -> io::Result<()> {
        self.live.insert(run, (container.to_owned(), id.clone()));
        self.append(&Entry::Spawn { run, container: container.to_owned(), id: id.clone() })
    }

    /// Nothing of a run is left.
    pub(crate) fn ended(&mut self, run: u64) -> io::Result<()> {
        if self.live.remove(&run).is_none() {
            return Ok(());
        }
        self.append(&Entry::End { run })
    }

    /// A daemon was made.
    pub(crate) fn daemon(&mut self, id: &ProcessId) -> io::Result<()> {
        self.daemon = Some(id.clone());
        self.append(&Entry::Daemon { id: id.clone() })
    }

    /// Nothing is left at all.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        (self.live, self.daemon) = (BTreeMap::new(), None);
        self.compact()
    }

    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.size > MAX_SIZE || self.file.is_none() {
            // What is appended here is in `live` already.
            return self.compact();
        }
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let Some(file) = &mut self.file else { return Ok(()) };
        self.size += line.len() as u64;
        let result = file.write_all(&line);
        if result.is_err() {
            // Perhaps a part of the line is there: the next one starts anew.
            self.file = None;
        }
        result
    }

    /// Writes only what still counts, beside the old one, and puts it in its place. Not synced: after a power
    /// failure none of these processes is left.
    fn compact(&mut self) -> io::Result<()> {
        let mut text = Vec::new();
        for (run, (container, id)) in &self.live {
            let entry = Entry::Spawn { run: *run, container: container.clone(), id: id.clone() };
            serde_json::to_writer(&mut text, &entry)?;
            text.push(b'\n');
        }
        if let Some(id) = &self.daemon {
            serde_json::to_writer(&mut text, &Entry::Daemon { id: id.clone() })?;
            text.push(b'\n');
        }
        let new = self.path.with_extension("journal.new");
        // Windows neither replaces nor renames a file that somebody has open.
        self.file = None;
        std::fs::write(&new, &text)?;
        std::fs::rename(&new, &self.path)?;
        let file = OpenOptions::new().append(true).open(&self.path)?;
        // What still counts may itself be more than the limit; twice that is then the next time.
        self.size = (text.len() as u64).saturating_sub(MAX_SIZE);
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(pid: u32) -> ProcessId {
        ProcessId { pid, start: u64::from(pid) * 1000, boot: "2b6c".into() }
    }

    #[test]
    fn the_next_keeper_reads_what_is_left() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Journal::read(dir.path()).unwrap(), Left::default());
        let mut journal = Journal::start(dir.path()).unwrap();
        journal.daemon(&id(7)).unwrap();
        for run in 1..=4 {
            journal.spawned(run, "web", &id(run as u32)).unwrap();
        }
        journal.ended(2).unwrap();
        journal.ended(2).unwrap();
        journal.daemon(&id(8)).unwrap();
        let left = || Left { runs: vec![id(1), id(3), id(4)], daemon: Some(id(8)) };
        assert_eq!(Journal::read(dir.path()).unwrap(), left());

        // Torn by the keeper's death, and a word of a newer version.
        let path = dir.path().join("runs.journal");
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"greeting\":{\"run\":1}}\n{\"end\":{\"run\":");
        std::fs::write(&path, text).unwrap();
        assert_eq!(Journal::read(dir.path()).unwrap(), left());

        // The keeper before is dead, and has it open no longer.
        drop(journal);
        Journal::start(dir.path()).unwrap().clear().unwrap();
        assert_eq!(Journal::read(dir.path()).unwrap(), Left::default());
    }

    #[test]
    fn it_stays_small_however_long_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::start(dir.path()).unwrap();
        journal.spawned(1, "web", &id(1)).unwrap();
        for run in 2..30_000 {
            journal.spawned(run, "crashes", &id(2)).unwrap();
            journal.ended(run).unwrap();
        }
        let size = std::fs::metadata(dir.path().join("runs.journal")).unwrap().len();
        assert!(size < MAX_SIZE + 1000, "{size} bytes");
        assert_eq!(Journal::read(dir.path()).unwrap().runs, [id(1)]);
    }
}
