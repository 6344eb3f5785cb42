//! Files that are whole or not there.

use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Replaces a file so that whoever reads it, now or after a power cut, sees the old content or the new one, never a
/// part. `private`: for the owner only.
pub fn write_atomic(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    platform::write_atomic(path, bytes, private)
}

/// Reads a file that says what is to be done: refused, if somebody else could have put it there. Its owner has to be
/// this account, the system or its administrators.
pub fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut file = std::fs::File::open(path)?;
    platform::check_owner(&file).map_err(|error| {
        io::Error::new(error.kind(), format!("{} is not to be trusted: {error}", path.display()))
    })?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Gives a file that is there another content, as [`write_atomic`] does, and leaves it to its owner with the rights that it
/// has. A link stays one: the file that it leads to is changed.
pub fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    platform::rewrite(path, bytes)
}

/// The names in the directory of a file are on the disk.
#[cfg(target_os = "linux")]
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    platform::sync_parent(path)
}

/// Puts a file into the place of another one, whoever has that open.
#[cfg(windows)]
pub(crate) fn put(from: &Path, to: &Path) -> io::Result<()> {
    platform::put(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_file_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("installed.json");
        write_atomic(&path, b"{}", true).expect("written");
        assert_eq!(read_own(&path).expect("ours"), b"{}");
        let none = read_own(&dir.path().join("none")).expect_err("not there");
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_rewritten_file_stays_as_it_was_but_for_its_content() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mainstay.toml");
        std::fs::write(&path, "old").expect("a file");
        let mut rights = std::fs::metadata(&path).expect("there").permissions();
        platform::tests::unusual(&mut rights);
        std::fs::set_permissions(&path, rights.clone()).expect("ours");
        rewrite(&path, b"new, longer").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "new, longer");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions(), rights);
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1);
        let error = rewrite(&dir.path().join("none"), b"x").expect_err("it is not there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("none"), "{error}");
    }
}
