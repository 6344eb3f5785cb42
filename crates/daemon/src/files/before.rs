//! Files that keep what they have, or get it back, though a secret in them has another value by now: one with which it
//! did not work. The value from before is nowhere but in the file, or in the one that is kept beside it.
//!
//! What is looked for is told by its mark, so nothing comes of doing it twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mainstay_core::{ProgramConfig, SecretMarks, names_in};
use mainstay_sys::staged;
use zeroize::Zeroizing;

use crate::secrets::Vault;

/// No file is longer: its content is in the plan, but for values of secrets.
const LONGEST: u64 = 64 << 20;

/// What becomes of the files of a program.
pub(super) struct Before<'a> {
    config: &'a ProgramConfig,
    vault: &'a Vault,
    /// The secrets that have a value with which it did not work.
    refused: BTreeSet<String>,
    /// These keep their content.
    kept: BTreeMap<&'a str, Zeroizing<Vec<u8>>>,
    /// These were to keep it, but it is not there any more.
    pub lost: BTreeSet<&'a str>,
}

impl<'a> Before<'a> {
    /// Of files whose secrets have values with these marks by now.
    pub fn of(config: &'a ProgramConfig, present: &SecretMarks, vault: &'a Vault) -> Before<'a> {
        let refused = config.notes.refused.iter().filter(|(name, mark)| present.get(*name) == Some(*mark));
        let refused = refused.map(|(name, _)| name.clone()).collect();
        let (kept, lost) = (BTreeMap::new(), BTreeSet::new());
        let mut before = Before { config, vault, refused, kept, lost };
        for (path, file) in &config.files {
            if file.content.names().any(|name| before.refused.contains(&name)) {
                match before.find(path) {
                    Some(content) => drop(before.kept.insert(path, content)),
                    None => drop(before.lost.insert(path)),
                }
            }
        }
        before
    }

    fn find(&self, path: &str) -> Option<Zeroizing<Vec<u8>>> {
        let wanted = self.config.notes.contents.get(path)?;
        let is_it =
            |content: &Zeroizing<Vec<u8>>| self.vault.mark_of_file(path, content).as_ref() == Some(wanted);
        let place = Path::new(path);
        let at = |place: &Path| staged::content(place, LONGEST).filter(is_it);
        at(place).or_else(|| at(&staged::previous(place)))
    }

    /// What a file keeps, if it does.
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        self.kept.get(path).map(|content| content.as_slice())
    }

    /// The marks of the values that are in the files then, which are these in those that are made anew.
    pub fn secrets(&self, mut present: SecretMarks) -> SecretMarks {
        let lost = self.lost.iter().filter_map(|path| self.config.files.get(*path));
        let lost = names_in(lost.map(|file| &file.content));
        for name in self.refused.difference(&lost) {
            present.extend(self.config.secrets.get(name).map(|mark| (name.clone(), mark.clone())));
        }
        present
    }
}
