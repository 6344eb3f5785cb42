//! The configurations that were applied, numbered: what runs, what became of the newest, and the last ten to go back to.
//!
//! The list is part of the state that the keeper holds, so that it changes in one transaction with what is done. It is
//! also in a file, for the next time that the stack is started; and the plan of each revision is in a file of its own,
//! written before it is applied.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_api::types::{Configuration, Outcome, Revision};
use mainstay_core::{Plan, ReloadStage, Supervisor};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::plan_store::{StoredPlan, read_plan_from, write_plan_to};
use crate::secrets::without_marks;

/// So many are kept.
const KEPT: usize = 10;
/// The longest words kept with one.
const MAX_WORDS: usize = 500;

/// The revisions of a stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Revisions {
    /// The highest number given.
    last: u64,
    /// The one that runs.
    running: u64,
    /// Oldest first.
    list: Vec<Revision>,
    /// One that does not run, and why.
    trouble: Option<String>,
    /// The digest of what was last read by itself; 0: nothing was.
    pub tried: u64,
}

impl Revisions {
    /// The revisions of a stack that is just being started with a plan. What is wrong with their files is told to the log.
    pub fn begin(state: &Path, stored: &StoredPlan) -> Revisions {
        let mut revisions: Revisions = std::fs::read(index(state))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        revisions.trouble = None;
        for revision in &mut revisions.list {
            if revision.outcome == Outcome::Applying {
                revision.outcome = Outcome::Abandoned;
            }
        }
        let same = |number| {
            read_plan_from(path(state, number))
                .is_ok_and(|old| without_marks(&old.plan) == without_marks(&stored.plan))
        };
        if revisions.running == 0 || !same(revisions.running) {
            let number = revisions.next();
            if let Err(error) = store(state, number, stored) {
                warn!("the configuration can't be kept, to be gone back to: {error}");
            }
            revisions.add(number, "mainstay up".to_owned(), None);
            revisions.stage(number, ReloadStage::Applied, "");
        }
        if let Err(error) = revisions.write(state) {
            warn!("the list of configurations can't be written: {error}");
        }
        revisions
    }

    /// A number that was never given.
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// One is asked for.
    /// With `same_as` it is the configuration of that one, with other values of secrets.
    pub fn add(&mut self, revision: u64, by: String, same_as: Option<u64>) {
        self.last = self.last.max(revision);
        let at = format!("{:.0}", jiff::Timestamp::now());
        let same_as = same_as.map(|other| self.root(other));
        let (outcome, detail) = (Outcome::Applying, String::new());
        self.list.push(Revision { revision, at, by, outcome, detail, same_as });
        self.list.drain(..self.list.len().saturating_sub(KEPT));
    }

    /// One got so far.
    pub fn stage(&mut self, number: u64, stage: ReloadStage, detail: &str) {
        let outcome = match stage {
            ReloadStage::Applied => {
                self.running = number;
                self.trouble = None;
                Outcome::Applied
            }
            ReloadStage::TakenBack => {
                self.trouble = Some(short(format!("revision {number} taken back: {detail}")));
                Outcome::TakenBack
            }
            ReloadStage::Abandoned => Outcome::Abandoned,
            ReloadStage::Refused | ReloadStage::Begun | ReloadStage::Failed => return,
        };
        if let Some(revision) = self.list.iter_mut().rev().find(|revision| revision.revision == number) {
            (revision.outcome, revision.detail) = (outcome, short(detail.to_owned()));
        }
    }

    /// A configuration was read that cannot be applied. The event's words.
    pub fn refused(&mut self, reason: &str) -> u64 {
        let number = self.next();
        self.trouble = Some(short(format!("revision {number} refused: {reason}")));
        number
    }

    /// The list, oldest first.
    pub fn list(&self) -> Vec<Revision> {
        self.list.clone()
    }

    /// The one to go back to if nobody says which: the last that worked before the one that runs.
    pub fn before(&self) -> Option<u64> {
        let running = self.root(self.running);
        let worked = |revision: &&Revision| {
            revision.outcome == Outcome::Applied && self.root(revision.revision) < running
        };
        self.list.iter().rev().find(worked).map(|revision| revision.revision)
    }

    /// The first revision with the same configuration: later ones have other values of secrets.
    fn root(&self, number: u64) -> u64 {
        let found = self.list.iter().find(|revision| revision.revision == number);
        found.and_then(|revision| revision.same_as).unwrap_or(number)
    }

    /// As people see it.
    pub fn configuration(&self, core: &Supervisor) -> Configuration {
        Configuration { revision: self.running, applying: core.applying(), trouble: self.trouble.clone() }
    }

    /// Writes the list, and deletes plans that are not kept any more.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        mainstay_sys::dirs::create_private(&directory(state))?;
        let bytes = serde_json::to_vec(self)?;
        mainstay_sys::file::write_atomic(&index(state), &bytes, true)?;
        let Some(oldest) = self.list.first().map(|revision| revision.revision) else { return Ok(()) };
        for entry in std::fs::read_dir(directory(state))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_suffix(".json").and_then(|number| number.parse::<u64>().ok());
            // One above that is not in the list is written already, and about to be asked for.
            if number.is_some_and(|number| number < oldest) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn short(mut text: String) -> String {
    if text.len() > MAX_WORDS {
        let end = (0..=MAX_WORDS).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

fn directory(state: &Path) -> PathBuf {
    state.join("revisions")
}

fn index(state: &Path) -> PathBuf {
    directory(state).join("list.json")
}

fn path(state: &Path, number: u64) -> PathBuf {
    directory(state).join(format!("{number}.json"))
}

/// Keeps a revision's plan, whole or not at all, readable by its owner alone.
pub(crate) fn store(state: &Path, number: u64, stored: &StoredPlan) -> io::Result<()> {
    mainstay_sys::dirs::create_private(&directory(state))?;
    write_plan_to(path(state, number), stored).map_err(io::Error::other)
}

/// Forgets one that was kept, and then refused.
pub(crate) fn forget(state: &Path, number: u64) {
    if let Err(error) = std::fs::remove_file(path(state, number)) {
        warn!("the refused configuration {number} stays in its file: {error}");
    }
}

/// A revision's plan.
pub(crate) fn load(state: &Path, number: u64) -> Result<Plan, crate::PlanError> {
    read_plan_from(path(state, number)).map(|stored| stored.plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(name: &str) -> StoredPlan {
        StoredPlan { plan: Plan { stack: name.into(), ..Plan::default() }, ..StoredPlan::default() }
    }

    #[test]
    fn numbers_go_on_over_starts_and_ten_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = Revisions::begin(dir.path(), &stored("a"));
        assert_eq!((first.running, first.list.len()), (1, 1));
        assert_eq!(Revisions::begin(dir.path(), &stored("a")).running, 1, "it is the same one");
        let mut revisions = Revisions::begin(dir.path(), &stored("b"));
        assert_eq!((revisions.running, revisions.before()), (2, Some(1)));
        for _ in 0..12 {
            let number = revisions.next();
            store(dir.path(), number, &stored("c")).unwrap();
            revisions.add(number, "somebody".into(), None);
            revisions.stage(number, ReloadStage::Applied, "");
        }
        revisions.write(dir.path()).unwrap();
        assert_eq!((revisions.list.len(), revisions.running, revisions.before()), (10, 14, Some(13)));
        assert!(load(dir.path(), 4).is_err() && load(dir.path(), 5).is_ok());
        assert_eq!(Revisions::begin(dir.path(), &stored("c")), revisions);
    }

    #[test]
    fn one_that_is_about_to_be_asked_for_is_not_taken_for_an_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut revisions = Revisions::begin(dir.path(), &stored("a"));
        let number = revisions.next();
        store(dir.path(), number, &stored("b")).unwrap();
        revisions.write(dir.path()).unwrap();
        assert!(load(dir.path(), number).is_ok(), "it has a number and is not in the list yet");
    }

    #[test]
    fn what_does_not_run_is_told_until_something_works() {
        let mut revisions = Revisions { last: 7, running: 7, ..Revisions::default() };
        revisions.refused("mainstay.toml:14:9: unknown key `comand`");
        let trouble = "revision 8 refused: mainstay.toml:14:9: unknown key `comand`";
        assert_eq!(revisions.trouble.as_deref(), Some(trouble));
        revisions.add(9, "root".into(), None);
        revisions.stage(9, ReloadStage::TakenBack, "api did not come up within 1 min");
        assert_eq!(
            revisions.trouble.as_deref(),
            Some("revision 9 taken back: api did not come up within 1 min")
        );
        assert_eq!((revisions.running, revisions.list[0].outcome), (7, Outcome::TakenBack));
        revisions.add(10, "root".into(), None);
        revisions.stage(10, ReloadStage::Applied, "");
        assert_eq!((revisions.running, revisions.trouble), (10, None));
    }
}
