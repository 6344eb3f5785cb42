//! Mode and owner. An access list needs no look of its own: with one the group's bits are the most that it grants to
//! anybody.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::process::geteuid;

use super::Exposed;
use crate::linux::users;

pub(super) fn open(path: &Path) -> io::Result<File> {
    // A pipe in its place would not let us go.
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

pub(super) fn exposed(file: &File, path: &Path) -> io::Result<Option<Exposed>> {
    let metadata = file.metadata()?;
    let (mode, owner, own) = (metadata.mode() & 0o777, metadata.uid(), geteuid().as_raw());
    let path = path.display();
    let exposed = |who: String, mend: String| Ok(Some(Exposed { who, mend }));
    if owner != own && owner != 0 {
        let name = users::name_of(owner);
        return exposed(format!("it belongs to {name}"), format!("chown {own} {path}"));
    }
    match (mode & 0o007 != 0, mode & 0o070 != 0) {
        (true, _) => {
            exposed(format!("everybody has access to it (mode {mode:04o})"), format!("chmod 600 {path}"))
        }
        (_, true) => {
            exposed(format!("its group has access to it (mode {mode:04o})"), format!("chmod 600 {path}"))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    pub(in super::super) fn write_for_all(path: &Path) {
        std::fs::write(path, "x").expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("ours");
    }

    #[test]
    fn a_group_counts_as_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        for (mode, private) in [(0o600, true), (0o400, true), (0o700, true), (0o640, false), (0o604, false)] {
            std::fs::write(&path, "x").expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
            let file = File::open(&path).expect("opened");
            assert_eq!(exposed(&file, &path).expect("known").is_none(), private, "{mode:o}");
            std::fs::remove_file(&path).expect("removed");
        }
    }

    #[test]
    fn a_pipe_does_not_hold_us() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a pipe");
        assert!(super::super::read(&path, 10).is_err());
    }
}
