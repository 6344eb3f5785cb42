//! `down.request`: the wish of `mainstay down` when no daemon answers that could take it.
//!
//! A keeper looks for it only while its daemons fail to come up, so that it costs nothing otherwise.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_sys::file;

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("down.request")
}

/// Asks the keeper that has this state directory to end everything if its daemons go on failing. One with a daemon that
/// works does not look.
///
/// # Errors
/// The file can't be written.
pub fn ask_down(state_dir: &Path) -> io::Result<()> {
    file::write_atomic(&path(state_dir), b"", true)
}

/// Whether somebody has asked.
pub(crate) fn is_asked(state_dir: &Path) -> bool {
    path(state_dir).exists()
}

/// Forgets a wish, which was fulfilled or meant for another keeper.
pub(crate) fn clear(state_dir: &Path) {
    let _ = std::fs::remove_file(path(state_dir));
}
