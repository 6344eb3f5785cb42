//! Files that hold what nobody else may read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Who besides our account, root or SYSTEM and administrators, can read a file, and what changes that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// In words, a clause: "its group can read it (mode 0640)".
    pub who: String,
    /// The command that mends it.
    pub mend: String,
}

/// Why a private file was not read.
#[derive(Debug)]
pub enum PrivateError {
    /// Others can read it.
    Exposed(Exposed),
    /// It cannot be read.
    Io(io::Error),
}

impl From<io::Error> for PrivateError {
    fn from(error: io::Error) -> Self {
        PrivateError::Io(error)
    }
}

/// Reads a file of at most `most` bytes, if nobody else can. What it is and whose is asked of the open file, so that
/// nobody can put another one in its place meanwhile.
///
/// # Errors
/// See [`PrivateError`].
pub fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
    let mut file = platform::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file").into());
    }
    if let Some(exposed) = platform::exposed(&file, path)? {
        return Err(PrivateError::Exposed(exposed));
    }
    if metadata.len() > most as u64 {
        return Err(too_long(most).into());
    }
    read_all(&mut file, most).map_err(PrivateError::Io)
}

/// Who else can read an open file; none if nobody can.
///
/// # Errors
/// The system does not say.
pub fn exposed(file: &File, path: &Path) -> io::Result<Option<Exposed>> {
    platform::exposed(file, path)
}

/// Reads to the end, at most so much, into memory that is zeroed, and never moved while it grows.
pub(crate) fn read_all(from: &mut impl Read, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; most + 1]);
    let mut length = 0;
    while length < bytes.len() {
        match from.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if length > most {
        return Err(too_long(most));
    }
    // Shorter, but in its place: what was there before stays in the capacity, which is zeroed too.
    bytes.truncate(length);
    Ok(bytes)
}

fn too_long(most: usize) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {most} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::write_atomic;

    #[test]
    fn a_private_file_is_read_and_one_for_all_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        write_atomic(&path, b"value", true).expect("written");
        assert_eq!(read(&path, 5).expect("private").as_slice(), b"value");
        assert!(matches!(read(&path, 4), Err(PrivateError::Io(_))), "too long");
        assert!(matches!(read(dir.path(), 4), Err(PrivateError::Io(_))), "a directory");
        let missing = read(&dir.path().join("none"), 4);
        assert!(matches!(missing, Err(PrivateError::Io(error)) if error.kind() == io::ErrorKind::NotFound));

        let open = dir.path().join("open");
        platform::tests::write_for_all(&open);
        match read(&open, 100) {
            Err(PrivateError::Exposed(exposed)) => {
                assert!(!exposed.who.is_empty() && exposed.mend.contains("open"), "{exposed:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}
