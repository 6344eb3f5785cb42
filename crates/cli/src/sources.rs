//! Where the configuration of a stack that is up comes from: files, or directories full of them.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use mainstay_config::Plan;
use mainstay_daemon::{ConfigSource, Source};
use mainstay_sys::dirs::Dirs;

use crate::failure::Failure;
use crate::own_file::OwnFile;
use crate::reload;
use crate::stack::Place;

/// What is in a file counts up to this size; of a larger one its size and its times.
const MAX_READ: u64 = 256 << 10;
/// So many files of a directory are looked at.
const MAX_ENTRIES: usize = 1_000;

/// What the stack's configuration is read from; none if it was made without one.
pub fn of(stack: &str, dirs: &Dirs) -> Option<Box<dyn ConfigSource>> {
    let place = Place { name: stack.to_owned(), dirs: dirs.clone() };
    let source = place.plan().ok()?.source?;
    let files = Files::new(place, &source);
    let directories: Vec<PathBuf> = files.named.iter().filter(|path| path.is_dir()).cloned().collect();
    Some(match directories.is_empty() {
        true => Box::new(files),
        false => Box::new(Directories { directories, files }),
    })
}

/// Certain files.
#[derive(Debug)]
struct Files {
    place: Place,
    /// Those that were named.
    named: Vec<PathBuf>,
    /// All that were read, or looked for.
    read: BTreeSet<PathBuf>,
}

impl Files {
    fn new(place: Place, source: &Source) -> Files {
        let paths = |list: &[String]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        let named = paths(&source.files);
        let read = paths(&source.read).into_iter().chain(named.iter().cloned()).collect();
        Files { place, named, read }
    }
}

impl ConfigSource for Files {
    fn mark(&mut self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.read.iter().for_each(|path| mark_file(path, &mut hasher));
        hasher.finish()
    }

    fn read(&mut self) -> Result<Plan, String> {
        let loaded =
            OwnFile::of(&self.place).and_then(|own| own.load()).map_err(|failure| words(&failure))?;
        if loaded.plan.stack != self.place.name {
            return Err(format!("the configuration is now one of stack {}", loaded.plan.stack));
        }
        // One that is wrong may name others than before: those of the last that was right are watched until it is.
        self.read = loaded.source.read.iter().map(PathBuf::from).chain(self.named.clone()).collect();
        Ok(loaded.plan)
    }
}

/// Directories in which all files are configuration, and files beside them.
#[derive(Debug)]
struct Directories {
    directories: Vec<PathBuf>,
    files: Files,
}

impl ConfigSource for Directories {
    fn mark(&mut self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.files.mark().hash(&mut hasher);
        for directory in &self.directories {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            let names: BTreeSet<_> = entries.take(MAX_ENTRIES).map(|entry| entry.file_name()).collect();
            names.hash(&mut hasher);
        }
        hasher.finish()
    }

    fn read(&mut self) -> Result<Plan, String> {
        self.files.read()
    }
}

/// What is there: a file that was renamed into its place or that a link leads to now is another one by its content.
fn mark_file(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= MAX_READ => std::fs::read(path).ok().hash(hasher),
        Ok(found) if found.is_file() => (found.len(), found.modified().ok()).hash(hasher),
        Ok(_) => true.hash(hasher),
        Err(_) => false.hash(hasher),
    }
}

/// The first error with its place, or what else is wrong.
fn words(failure: &Failure) -> String {
    let first = failure.diagnostics.as_ref().and_then(|diagnostics| reload::first_error(diagnostics));
    first.unwrap_or_else(|| failure.message.clone())
}
