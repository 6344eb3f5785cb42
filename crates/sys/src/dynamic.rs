//! Directories that belong to services whose accounts are nobody's. Whose they are says which numbers are taken.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
#[path = "dynamic/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "dynamic/windows.rs"]
mod os;

/// Where they are on this machine. Not below a stack's own directories, which are closed to all other accounts.
pub const BASE: &str = "/var/lib/mainstay-services";

/// All of them. While it is held nobody else changes them.
#[derive(Debug)]
pub struct Directories(os::Directories);

/// What a service is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// For what it keeps.
    pub state: PathBuf,
    /// For logs that it writes itself.
    pub logs: PathBuf,
}

impl Directories {
    /// Waits until nobody else holds them, and makes them if they are not there.
    ///
    /// # Errors
    /// Only root can; others may write to `base`; Windows has no such accounts.
    pub fn hold(base: &Path) -> io::Result<Directories> {
        os::Directories::hold(base).map(Directories)
    }

    /// The number of the account that the directories of `owner`, such as `shop/web`, belong to.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub fn owner(&self, owner: &str) -> io::Result<Option<u32>> {
        self.0.owner(owner)
    }

    /// The numbers that any directory here, or any process of this machine, belongs to.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub fn used(&self) -> io::Result<Vec<u32>> {
        self.0.used()
    }

    /// Makes the directories of `owner` and gives them to the account of this number. Nobody else can look into them.
    ///
    /// # Errors
    /// They belong to another account, or cannot be made.
    pub fn give(&self, owner: &str, number: u32) -> io::Result<Given> {
        self.0.give(owner, number)
    }

    /// Removes everything of a stack, so that the numbers of its services are free again, and all if it was the last one.
    ///
    /// # Errors
    /// Something of it cannot be removed.
    pub fn remove(self, stack: &str) -> io::Result<()> {
        self.0.remove(stack)
    }
}

/// Whether an account or a group of this machine, or a service of systemd, has this number.
pub fn has_account(number: u32) -> bool {
    os::has_account(number)
}
