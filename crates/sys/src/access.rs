//! What an account may do with a file or a directory, as the system itself judges, without being that account.

use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
#[path = "access/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "access/windows.rs"]
mod os;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Start a program's file.
    Run,
    /// Have a directory as working directory.
    Enter,
    /// Read a file.
    Read,
    /// Make files and directories in a directory.
    Write,
}

/// The rights of an account.
#[derive(Debug)]
pub struct Rights(os::Rights);

impl Rights {
    /// Those of the account with this SID, as a service has them that runs under it. None where this cannot be asked: on Linux,
    /// where root becomes the account to find out, and under Wine.
    ///
    /// `also`: the SIDs of groups that its process is in, too.
    ///
    /// # Errors
    /// The groups of the account cannot be found out.
    pub fn of(sid: &str, also: &[&str]) -> io::Result<Option<Rights>> {
        os::Rights::of(sid, also).map(|rights| rights.map(Rights))
    }

    /// Whether it is the account of this SID, or in the group.
    ///
    /// # Errors
    /// That is no SID.
    pub fn include(&self, sid: &str) -> io::Result<bool> {
        self.0.include(sid)
    }

    /// Whether it may. A link is followed.
    ///
    /// # Errors
    /// There is no such file, or its access list is closed to us.
    pub fn allow(&self, path: &Path, wish: Wish) -> io::Result<bool> {
        self.0.allow(path, wish)
    }
}

/// `DOMAIN\name` of a SID; itself if it has no name.
pub fn name_of(sid: &str) -> String {
    os::name_of(sid)
}

/// Grants an account what the wish takes, on this file or directory alone and not on what is in it.
///
/// # Errors
/// Only its owner and administrators may; Linux has no such accounts.
pub fn grant(sid: &str, path: &Path, wish: Wish) -> io::Result<()> {
    os::grant(sid, path, wish)
}

/// The file, or the first directory on the way to it, that any account may write to or replace something in. Linux: by modes,
/// without access lists.
pub fn open_to_all(path: &Path) -> Option<std::path::PathBuf> {
    os::open_to_all(path)
}
