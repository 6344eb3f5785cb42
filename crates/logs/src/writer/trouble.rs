//! What can go wrong with a write.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Something that went wrong; the writer goes on by itself with the next write.
#[derive(Debug)]
pub struct Trouble {
    /// Bytes of this write that are not in the log. 0: all are, but a segment could not be closed or deleted.
    pub dropped: u64,
    /// So many bytes at the end of this write were not taken, and are to be written again ([`OnFull::Wait`](super::OnFull::Wait)).
    pub waiting: usize,
    /// What could not be done.
    pub what: &'static str,
    /// To which file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl Trouble {
    /// Whether there is no space.
    pub fn is_full(&self) -> bool {
        matches!(self.error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.what, self.path.display(), self.error)
    }
}

impl std::error::Error for Trouble {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
