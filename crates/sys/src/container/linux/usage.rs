//! For [`crate::usage`]: how containers are found from outside of the keeper.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{cgroup, locate, registry};

/// The directory of the cgroup of this name that a process is in, itself or below.
pub(crate) fn place_of(pid: u32, name: &str) -> Option<PathBuf> {
    let dir = locate::of(pid)?;
    dir.ancestors().find(|dir| dir.file_name().is_some_and(|last| last == name)).map(Path::to_path_buf)
}

/// The processes in a cgroup and below it.
pub(crate) fn members(dir: &Path) -> Vec<u32> {
    cgroup::processes_in(dir)
}

/// The container in a marker of this stack's.
pub(crate) fn container_of(marker: &[u8], stack: &str) -> Option<Arc<str>> {
    registry::container_of(marker, stack)
}
