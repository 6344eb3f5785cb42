//! What a new process must not be able to do, ready for the system calls that take it away.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::child::NONE;
use super::child::sandbox::{Deed, Mount};
use crate::spawn::{Sandbox as Wanted, SpawnError, SpawnErrorKind};

mod capability;
mod filter;

/// Nothing is absent that the child would have to look up.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(super) no_new_privileges: bool,
    pub(super) capabilities: Option<Capabilities>,
    /// From the root to the leaves.
    pub(super) mounts: Vec<Mount>,
    /// Shared memory and the like of its own.
    pub(super) own_ipc: bool,
    pub(super) filter: Vec<libc::sock_filter>,
}

/// The capabilities that stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capabilities {
    /// A bit for each.
    pub(super) kept: u64,
    /// The highest that the kernel has.
    pub(super) last: u32,
}

/// Two mounts of one process, at most, for each of so many paths.
const MAX_PATHS: usize = 256;

fn refused(message: String) -> SpawnError {
    SpawnError::new(SpawnErrorKind::Setting, message)
}

impl Sandbox {
    pub(super) fn of(wanted: &Wanted) -> Result<Sandbox, SpawnError> {
        let filter = if wanted.filter_system_calls {
            filter::program().map_err(|error| refused(format!("sandbox.system_call_filter: {error}")))?
        } else {
            Vec::new()
        };
        Ok(Sandbox {
            // The kernel takes a filter of an ordinary account only with it.
            no_new_privileges: wanted.no_new_privileges || wanted.filter_system_calls,
            capabilities: wanted.capabilities.as_deref().map(capabilities).transpose()?,
            mounts: mounts(wanted)?,
            own_ipc: wanted.private_ipc,
            filter,
        })
    }
}

fn capabilities(names: &[String]) -> Result<Capabilities, SpawnError> {
    let last = capability::last();
    let mut kept = 0;
    for name in names {
        let number = capability::number(name)
            .ok_or_else(|| refused(format!("sandbox.capabilities: there is no capability {name:?}")))?;
        if number > last {
            return Err(refused(format!("sandbox.capabilities: this kernel has no {name}")));
        }
        kept |= 1 << number;
    }
    Ok(Capabilities { kept, last })
}

/// One path of the settings, as it is on this machine.
struct Found {
    path: PathBuf,
    deed: Deed,
    /// Which key it comes from.
    key: &'static str,
}

/// What is mounted, in the order in which it is.
fn mounts(wanted: &Wanted) -> Result<Vec<Mount>, SpawnError> {
    let mut all: Vec<Found> = Vec::new();
    let own_tmp =
        if wanted.private_tmp { vec!["-/tmp".to_owned(), "-/var/tmp".to_owned()] } else { Vec::new() };
    let of_ipc = |path: &str| if wanted.private_ipc { vec![path.to_owned()] } else { Vec::new() };
    // The strictest first.
    let lists = [
        ("inaccessible_paths", &wanted.inaccessible_paths, Deed::HideDirectory),
        // What is mounted there shows the names of all others.
        ("private_ipc", &of_ipc("-/dev/mqueue"), Deed::HideDirectory),
        ("private_ipc", &of_ipc("-/dev/shm"), Deed::Temporary),
        ("private_tmp", &own_tmp, Deed::Temporary),
        ("read_only_paths", &wanted.read_only_paths, Deed::Close),
        ("read_write_paths", &wanted.read_write_paths, Deed::Open),
    ];
    if lists.iter().map(|(_, paths, _)| paths.len()).sum::<usize>() > MAX_PATHS {
        return Err(refused(format!("sandbox: more than {MAX_PATHS} paths")));
    }
    for (key, paths, deed) in lists {
        for written in paths {
            let Some(path) = resolved(key, written)? else { continue };
            let deed = if deed == Deed::HideDirectory && !path.is_dir() { Deed::HideFile } else { deed };
            all.push(Found { path, deed, key });
        }
    }
    // Of a path that is named twice the first word stays.
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|later, earlier| later.path == earlier.path);
    check_nesting(&all)?;
    all.iter()
        .map(|found| {
            let path = CString::new(found.path.as_os_str().as_bytes())
                .map_err(|_| refused(format!("sandbox.{}: a NUL inside a path", found.key)))?;
            Ok(Mount { path, deed: found.deed, tree: NONE })
        })
        .collect()
}

/// `None`: it is not there, and need not be.
fn resolved(key: &str, written: &str) -> Result<Option<PathBuf>, SpawnError> {
    let (optional, path) = match written.strip_prefix('-') {
        Some(path) => (true, path),
        None => (false, written),
    };
    match Path::new(path).canonicalize() {
        Ok(path) => Ok(Some(path)),
        Err(error) if optional && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(refused(format!(
            "sandbox.{key}: {path} is not there; make it, or write \"-{path}\" to pass over it then"
        ))),
        Err(error) => Err(refused(format!("sandbox.{key}: {path} cannot be looked at: {error}"))),
    }
}

/// Below what is hidden there is nothing to mount on.
fn check_nesting(sorted: &[Found]) -> Result<(), SpawnError> {
    let hides = |found: &&Found| matches!(found.deed, Deed::HideDirectory | Deed::Temporary);
    for above in sorted.iter().filter(hides) {
        let below = |found: &&Found| found.path != above.path && found.path.starts_with(&above.path);
        if let Some(below) = sorted.iter().find(below) {
            return Err(refused(format!(
                "sandbox.{}: {} lies below {}, which {} hides from it; name one of them only",
                below.key,
                below.path.display(),
                above.path.display(),
                above.key
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(inaccessible: &[&str], read_only: &[&str], read_write: &[&str]) -> Wanted {
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        Wanted {
            inaccessible_paths: owned(inaccessible),
            read_only_paths: owned(read_only),
            read_write_paths: owned(read_write),
            ..Wanted::default()
        }
    }

    #[test]
    fn mounts_go_from_the_root_to_the_leaves() {
        let all =
            mounts(&wanted(&["/etc/passwd"], &["/", "-/none"], &["/usr", "/dev"])).expect("they are there");
        let all: Vec<_> = all.iter().map(|mount| (mount.path.to_str().expect("ASCII"), mount.deed)).collect();
        assert_eq!(
            all,
            [("/", Deed::Close), ("/dev", Deed::Open), ("/etc/passwd", Deed::HideFile), ("/usr", Deed::Open)]
        );
    }

    #[test]
    fn the_stricter_word_counts() {
        let all = mounts(&wanted(&["/usr"], &["/usr"], &["/usr"])).expect("it is there");
        assert_eq!(all.iter().map(|mount| mount.deed).collect::<Vec<_>>(), [Deed::HideDirectory]);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let error = mounts(&wanted(&["/usr"], &[], &["/usr/bin"])).expect_err("below what is hidden");
        assert!(
            error.message.contains("/usr/bin lies below /usr") || error.message.contains("/usr"),
            "{error}"
        );
        let error = mounts(&wanted(&[], &["/none"], &[])).expect_err("it is not there");
        assert!(error.message.contains("sandbox.read_only_paths: /none is not there"), "{error}");
        let error = capabilities(&["CAP_FLY".to_owned()]).expect_err("there is none");
        assert!(error.message.contains("CAP_FLY"), "{error}");
    }
}
