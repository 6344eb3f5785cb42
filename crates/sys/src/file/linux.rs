//! A new file beside the old one, on the disk, then its name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) fn write_atomic(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let mode = if private { 0o600 } else { 0o644 };
    replace(path, |new| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(new)?;
        file.write_all(bytes)?;
        file.sync_all()
    })
}

pub(super) fn check_owner(file: &File) -> io::Result<()> {
    trusts(rustix::process::geteuid().as_raw(), file.metadata()?.uid())
}

fn trusts(own: u32, owner: u32) -> io::Result<()> {
    if owner == own || owner == 0 {
        return Ok(());
    }
    let text = format!("it belongs to the user with the number {owner}");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

pub(super) fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot change {}: {error}", path.display()));
    let path = std::fs::canonicalize(path).map_err(told)?;
    let old = std::fs::metadata(&path).map_err(told)?;
    replace(&path, |new| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
        if (old.uid(), old.gid()) != (file.metadata()?.uid(), file.metadata()?.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())?;
        file.write_all(bytes)?;
        file.sync_all()
    })
}

/// Puts what `write` makes under another name in the place of `path`.
fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no file", path.display()))
    })?;
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = std::ffi::OsString::from(".");
    new.push(name);
    new.push(format!(".{}.{}.new", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let new = parent.join(new);
    let outcome =
        write(&new).and_then(|()| std::fs::rename(&new, path)).and_then(|()| sync_directory(parent));
    if outcome.is_err() {
        // Nobody misses it; the error that matters is the first.
        let _ = std::fs::remove_file(&new);
    }
    outcome.map_err(|error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())))
}

pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    sync_directory(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// The name is in the directory, so that one must be on the disk too.
fn sync_directory(dir: &Path) -> io::Result<()> {
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        // Some file systems cannot; then it is as good as it gets.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    pub(in super::super) fn unusual(rights: &mut Permissions) {
        rights.set_mode(0o100_664);
    }
}
