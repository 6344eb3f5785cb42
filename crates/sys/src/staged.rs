//! Files that somebody else reads: written beside their places, looked at, and then put there.
//!
//! A reader sees the old file or the new one, whole, now or after a power cut. The old one stays beside it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Who may do what with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access<'a> {
    /// As bits of `chmod`. On Windows the owner may read and, if the bits say so, write; the group counts for nothing.
    pub mode: u32,
    /// Whose it is: a name or a number, with `:group` if one is meant; ours if absent. On Windows an account that may use
    /// it beside ours.
    pub owner: Option<&'a str>,
    /// Its group (Linux).
    pub group: Option<&'a str>,
}

/// A file beside its place. It goes if it is not put there.
#[derive(Debug)]
pub struct Staged {
    beside: PathBuf,
    place: PathBuf,
    waits: bool,
}

/// Where the version before is kept: `api.json.previous`.
pub fn previous(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".previous");
    path.with_file_name(name)
}

/// Whether a file has this content already; then it is given these rights, if it has others.
///
/// # Errors
/// It cannot be given them.
pub fn is_there(path: &Path, bytes: &[u8], access: &Access<'_>) -> io::Result<bool> {
    if !has(path, bytes) {
        return Ok(false);
    }
    platform::set_access(path, access).map_err(|error| in_words("give its rights to", path, &error))?;
    Ok(true)
}

/// What is in a plain file that has at most so many bytes; none if it is not there, is longer, or cannot be read.
pub fn content(path: &Path, most: u64) -> Option<Zeroizing<Vec<u8>>> {
    let length = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)?.len();
    let mut found = Zeroizing::new(Vec::with_capacity(usize::try_from(length.min(most)).ok()? + 64));
    std::fs::File::open(path).ok()?.take(most + 1).read_to_end(&mut found).ok()?;
    (found.len() as u64 <= most).then_some(found)
}

/// Whether it is a plain file with this content.
fn has(path: &Path, bytes: &[u8]) -> bool {
    let plain = std::fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64);
    let read = || {
        // Secrets may be in it. With room to find its end, so that nothing is moved and left behind.
        let mut found = Zeroizing::new(Vec::with_capacity(bytes.len() + 64));
        std::fs::File::open(path)?.take(bytes.len() as u64 + 1).read_to_end(&mut found)?;
        Ok::<_, io::Error>(found)
    };
    plain && read().is_ok_and(|found| found.as_slice() == bytes)
}

/// Writes a file beside its place, under a name that begins with a dot and ends as its own does. There is one writer of
/// a place: what is left of an earlier one is written over.
///
/// # Errors
/// With what, and why.
pub fn stage(path: &Path, bytes: &[u8], access: &Access<'_>) -> io::Result<Staged> {
    if path.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no file", path.display())));
    }
    if path.is_dir() {
        let message = format!("cannot write {}: it is a directory", path.display());
        return Err(io::Error::new(io::ErrorKind::IsADirectory, message));
    }
    let staged = Staged::again(path);
    write(&staged.beside, bytes, access).map_err(|error| in_words("write", path, &error))?;
    Ok(staged)
}

/// Where a new one waits.
fn beside(place: &Path) -> PathBuf {
    let mut name = OsString::from(".new.");
    name.push(place.file_name().unwrap_or_default());
    place.with_file_name(name)
}

fn write(path: &Path, bytes: &[u8], access: &Access<'_>) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => platform::write_new(path, bytes, access),
    }
}

fn in_words(what: &str, path: &Path, error: &io::Error) -> io::Error {
    let missing =
        error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(|parent| !parent.is_dir());
    let why = if missing { "its directory is not there".to_owned() } else { error.to_string() };
    io::Error::new(error.kind(), format!("cannot {what} {}: {why}", path.display()))
}

impl Staged {
    /// Where it is now.
    pub fn path(&self) -> &Path {
        &self.beside
    }

    /// Where it belongs.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// It stays, and somebody takes it up [again](Self::again). Its place.
    pub fn leave(mut self) -> PathBuf {
        self.waits = false;
        std::mem::take(&mut self.place)
    }

    /// One that was left, by its place.
    pub fn again(place: &Path) -> Staged {
        Staged { beside: beside(place), place: place.to_owned(), waits: true }
    }

    /// Puts it into its place. What was there is kept beside it, with its rights.
    ///
    /// # Errors
    /// With what, and why; then the old one is in its place.
    pub fn put(mut self) -> io::Result<Put> {
        let was_there = std::fs::symlink_metadata(&self.place).is_ok();
        let keep = || {
            if !was_there {
                return Ok(());
            }
            let mut kept = OsString::from(".");
            kept.push(previous(&self.place).file_name().unwrap_or_default());
            let kept = self.place.with_file_name(kept);
            let _ = std::fs::remove_file(&kept);
            // A link: so there is no moment without a file in the place.
            std::fs::hard_link(&self.place, &kept).or_else(|_| platform::copy(&self.place, &kept))?;
            platform::replace(&kept, &previous(&self.place))
        };
        let put = keep().and_then(|()| platform::replace(&self.beside, &self.place));
        put.map_err(|error| in_words("replace", &self.place, &error))?;
        self.waits = false;
        Ok(Put { place: std::mem::take(&mut self.place), was_there })
    }
}

/// A file that was put into its place.
#[derive(Debug)]
pub struct Put {
    place: PathBuf,
    was_there: bool,
}

impl Put {
    /// The one before comes back, or none if there was none.
    ///
    /// # Errors
    /// With what, and why; then the new one stays.
    pub fn take_back(self) -> io::Result<()> {
        let back = match self.was_there {
            true => platform::replace(&previous(&self.place), &self.place),
            false => std::fs::remove_file(&self.place),
        };
        back.map_err(|error| in_words("take back", &self.place, &error))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.waits {
            // What cannot be removed is written over the next time.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Access<'static> = Access { mode: 0o600, owner: None, group: None };

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_one_stays_until_the_new_one_is_put_and_beside_it_after_that() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api.json");
        stage(&path, b"one", &OURS).expect("written").put().expect("put");
        assert_eq!(names(dir.path()), ["api.json"]);
        assert!(
            is_there(&path, b"one", &OURS).expect("ours") && !is_there(&path, b"two", &OURS).expect("ours")
        );
        let staged = stage(&path, b"two", &OURS).expect("written");
        assert_eq!(staged.path(), dir.path().join(".new.api.json"));
        assert_eq!(std::fs::read(&path).expect("there"), b"one");
        staged.put().expect("put");
        stage(&path, b"three", &OURS).expect("written").put().expect("put");
        assert_eq!(std::fs::read(&path).expect("there"), b"three");
        assert_eq!(std::fs::read(previous(&path)).expect("kept"), b"two");
        assert_eq!(names(dir.path()), ["api.json", "api.json.previous"]);
    }

    #[test]
    fn one_that_was_put_is_taken_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api.json");
        stage(&path, b"one", &OURS).expect("written").put().expect("put").take_back().expect("back");
        assert_eq!(names(dir.path()), [""; 0]);
        std::fs::write(&path, "old").expect("written");
        let left = stage(&path, b"new", &OURS).expect("written").leave();
        Staged::again(&left).put().expect("put").take_back().expect("back");
        assert_eq!(std::fs::read(&path).expect("there"), b"old");
    }

    #[test]
    fn one_that_is_not_put_goes_and_one_that_was_left_is_written_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api.json");
        drop(stage(&path, b"one", &OURS).expect("written"));
        assert_eq!(names(dir.path()), [""; 0]);
        std::fs::write(dir.path().join(".new.api.json"), "left by a dead one").expect("written");
        stage(&path, b"two", &OURS).expect("written").put().expect("put");
        assert_eq!(std::fs::read(&path).expect("there"), b"two");
    }

    #[test]
    fn what_cannot_be_written_is_said_with_its_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = stage(&dir.path().join("none").join("x"), b"", &OURS).expect_err("no directory");
        assert!(error.to_string().contains("its directory is not there"), "{error}");
        let error = stage(dir.path(), b"", &OURS).expect_err("a directory is in the way");
        assert!(error.to_string().contains("it is a directory"), "{error}");
        let nobody = Access { owner: Some("no-such-account-here"), ..OURS };
        let error = stage(&dir.path().join("x"), b"", &nobody).expect_err("nobody");
        assert!(error.to_string().contains("no-such-account-here"), "{error}");
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
