use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use super::Access;
use crate::file;
use crate::spawn::linux::account;

pub(super) fn write_new(path: &Path, bytes: &[u8], access: &Access<'_>) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = set(&new, access).and_then(|()| new.write_all(bytes)).and_then(|()| new.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

pub(super) fn set_access(path: &Path, access: &Access<'_>) -> io::Result<()> {
    // A link is not followed: whoever made it may not choose what is given away.
    set(&OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?, access)
}

fn set(file: &File, access: &Access<'_>) -> io::Result<()> {
    let found = file.metadata()?;
    let wanted = account::of_file(access.owner, access.group).map_err(io::Error::other)?;
    if let Some((uid, gid)) = wanted.filter(|wanted| *wanted != (found.uid(), found.gid())) {
        fchown(file, Some(uid), Some(gid)).map_err(|error| {
            let owner = access.owner.or(access.group).unwrap_or_default();
            io::Error::new(error.kind(), format!("it cannot be given to {owner}: {error}"))
        })?;
    }
    if found.mode() & 0o7777 != access.mode {
        file.set_permissions(Permissions::from_mode(access.mode))?;
    }
    Ok(())
}

pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::copy(from, to).map(drop)
}

pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    file::sync_parent(to)
}

#[cfg(test)]
mod tests {
    use super::super::{Access, is_there, stage};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn rights_are_as_said_whatever_the_umask_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x");
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        for wanted in [0o600, 0o666, 0o640] {
            let access = Access { mode: wanted, ..Access::default() };
            stage(&path, wanted.to_string().as_bytes(), &access).expect("written").put().expect("put");
            assert_eq!(mode(&path), wanted);
        }
        let open = Access { mode: 0o644, ..Access::default() };
        assert!(is_there(&path, 0o640.to_string().as_bytes(), &open).expect("ours"));
        assert_eq!(mode(&path), 0o644, "it is given the rights");
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "s").expect("written");
        std::fs::remove_file(&path).expect("there");
        std::os::unix::fs::symlink(&secret, &path).expect("a link");
        assert!(!is_there(&path, b"s", &open).expect("another one"));
        stage(&path, b"s", &open).expect("written").put().expect("put");
        assert!(!path.is_symlink() && secret.is_file());
        if rustix::process::geteuid().is_root() {
            let theirs = Access { mode: 0o600, owner: Some("1234:99"), group: None };
            stage(&path, b"theirs", &theirs).expect("written").put().expect("put");
            let found = std::fs::metadata(&path).expect("there");
            assert_eq!((found.uid(), found.gid()), (1234, 99));
        }
    }
}
