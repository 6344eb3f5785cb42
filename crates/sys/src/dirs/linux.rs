//! The system's directories for root, the XDG ones for everybody else.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Dirs, names_in};
use crate::linux::users;

pub(super) fn stack(name: &str) -> io::Result<Dirs> {
    if is_root() {
        let below = |base: &str| Path::new(base).join("mainstay").join(name);
        return Ok(Dirs { run: below("/run"), state: below("/var/lib"), log: below("/var/log") });
    }
    let state = user_state()?.join(name);
    let run = match variable("XDG_RUNTIME_DIR") {
        Some(dir) => dir.join("mainstay").join(name),
        None => state.join("run"),
    };
    Ok(Dirs { run, log: state.join("log"), state })
}

pub(super) fn config(name: &str) -> io::Result<PathBuf> {
    let base = if is_root() {
        PathBuf::from("/etc")
    } else {
        match variable("XDG_CONFIG_HOME") {
            Some(dir) => dir,
            None => match variable("HOME") {
                Some(home) => home,
                None => home_of_account()?,
            }
            .join(".config"),
        }
    };
    Ok(base.join("mainstay").join(format!("{name}.toml")))
}

pub(super) fn stacks() -> Vec<String> {
    let base = if is_root() { Ok(PathBuf::from("/var/lib/mainstay")) } else { user_state() };
    base.map(|base| names_in(&base, None)).unwrap_or_default()
}

#[expect(clippy::unnecessary_wraps, reason = "Windows has something to do here")]
pub(super) fn give_to(_dirs: &super::Dirs, _accounts: &[super::Given]) -> io::Result<()> {
    Ok(())
}

pub(super) fn give(path: &Path, owner: &str) -> io::Result<()> {
    let account = crate::spawn::linux::account::look_up(owner).map_err(io::Error::other)?;
    std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid))
}

pub(super) fn create_private(path: &Path) -> io::Result<()> {
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot make {}: {error}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(told)?;
    let found = std::fs::symlink_metadata(path).map_err(told)?;
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own || !found.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{} must be a directory of {}, but is {} of {}",
                path.display(),
                users::name_of(own),
                if found.is_dir() { "one" } else { "something else" },
                users::name_of(found.uid()),
            ),
        ));
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(told)?;
    }
    Ok(())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn user_state() -> io::Result<PathBuf> {
    if let Some(dir) = variable("XDG_STATE_HOME") {
        return Ok(dir.join("mainstay"));
    }
    let home = match variable("HOME") {
        Some(home) => home,
        None => home_of_account()?,
    };
    Ok(home.join(".local/state/mainstay"))
}

fn home_of_account() -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let uid = rustix::process::geteuid().as_raw();
    let account = users::by_uid(uid)?.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("user {uid} has no home directory; set HOME, XDG_STATE_HOME or MAINSTAY_HOME"),
        )
    })?;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(account.home.as_bytes())))
}

/// A directory from the environment; the specification says that a relative one is to be ignored.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute())
}
