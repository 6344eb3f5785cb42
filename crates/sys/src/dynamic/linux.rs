//! `BASE/STACK/SERVICE/{state,logs}`: all but the last belong to root, so that nobody can move what is not his.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use super::Given;
use crate::linux::users;

/// Where systemd notes the numbers that it has given to services.
const OF_SYSTEMD: &str = "/run/systemd/dynamic-uid";

#[derive(Debug)]
pub(super) struct Directories {
    base: PathBuf,
    /// `base` itself, locked as long as this lives.
    _lock: File,
}

impl Directories {
    pub(super) fn hold(base: &Path) -> io::Result<Directories> {
        if !rustix::process::geteuid().is_root() {
            return Err(refused("only root can give a service an account of its own".to_owned()));
        }
        loop {
            let lock = match make_open(base).and_then(|()| File::open(base)) {
                Err(error) if was_removed(base, &error) => continue,
                opened => opened?,
            };
            lock.lock()?;
            // Whoever held it before may have removed it, and the next have made another.
            let (held, there) = (lock.metadata()?, fs::symlink_metadata(base));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
                return Ok(Directories { base: base.to_owned(), _lock: lock });
            }
        }
    }

    pub(super) fn owner(&self, owner: &str) -> io::Result<Option<u32>> {
        owner_of(&self.base.join(owner).join("state"))
    }

    pub(super) fn used(&self) -> io::Result<Vec<u32>> {
        let mut used = Vec::new();
        for stack in directories(&self.base)? {
            for service in directories(&stack)? {
                for part in directories(&service)? {
                    used.extend(owner_of(&part)?);
                }
            }
        }
        for process in fs::read_dir("/proc")?.flatten() {
            let is_process = process.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
            // One may end meanwhile.
            used.extend(process.metadata().ok().filter(|_| is_process).map(|found| found.uid()));
        }
        Ok(used)
    }

    pub(super) fn give(&self, owner: &str, number: u32) -> io::Result<Given> {
        let mut place = self.base.clone();
        for part in owner.split('/') {
            place.push(plain(part)?);
            make_open(&place)?;
        }
        let given = Given { state: place.join("state"), logs: place.join("logs") };
        // The first one says whose both are: if this ends in between, the next one goes on.
        give_one(&given.state, number)?;
        give_one(&given.logs, number)?;
        Ok(given)
    }

    pub(super) fn remove(self, stack: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.base.join(plain(stack)?)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // It goes with the last stack; while there are others it is not empty.
        let _ = fs::remove_dir(&self.base);
        Ok(())
    }
}

/// Whether it failed because somebody removed the directory in between.
fn was_removed(base: &Path, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound => true,
        // It was there when it was to be made, and not any more when it was looked at.
        io::ErrorKind::AlreadyExists => fs::symlink_metadata(base).map_or(true, |found| found.is_dir()),
        _ => false,
    }
}

/// A part of a path that leads nowhere else.
fn plain(part: &str) -> io::Result<&str> {
    if part.is_empty() || part.starts_with('.') || part.contains('/') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{part:?} is no owner")));
    }
    Ok(part)
}

/// One of root's that everybody may go through.
fn make_open(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)?;
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != 0 {
        return Err(refused(format!("{} is no directory of root", path.display())));
    }
    if found.mode() & 0o777 != 0o755 {
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn give_one(path: &Path, number: u32) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    match owner_of(path)? {
        Some(owner) if owner == number => Ok(()),
        Some(0) => lchown(path, Some(number), Some(number)),
        _ => Err(refused(format!("{} belongs to somebody else", path.display()))),
    }
}

/// Whose a directory is.
fn owner_of(path: &Path) -> io::Result<Option<u32>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(Some(found.uid())),
        Ok(_) => Err(refused(format!("{} is no directory", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn directories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn refused(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

pub(super) fn has_account(number: u32) -> bool {
    // A database that cannot be asked may have it.
    users::by_uid(number).map_or(true, |account| account.is_some())
        || users::has_group(number).unwrap_or(true)
        || Path::new(OF_SYSTEMD).join(number.to_string()).exists()
}
