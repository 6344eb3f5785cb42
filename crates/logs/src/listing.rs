//! The last listing of a log directory, kept as long as nothing in it was made, renamed or deleted.
//!
//! A directory of a thousand logs costs the same to list for each of them. Whoever reads many, one after the other,
//! lists it once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::catalog;

/// Two changes in so short a time may leave a directory with the same time, in the coarsest of file systems. A listing
/// is kept only if the last change was longer ago.
const COARSE: Duration = Duration::from_secs(3);

struct Listing {
    dir: PathBuf,
    /// When the directory was changed last, before it was listed.
    changed: SystemTime,
    closed: BTreeMap<String, Vec<u64>>,
}

/// One for the process, which bounds what it takes; whoever reads reads from one directory mostly.
static LAST: Mutex<Option<Listing>> = Mutex::new(None);

/// The numbers of one log's closed segments, rising.
pub(crate) fn closed(dir: &Path, name: &str) -> io::Result<Vec<u64>> {
    closed_at(dir, name, SystemTime::now())
}

fn closed_at(dir: &Path, name: &str, now: SystemTime) -> io::Result<Vec<u64>> {
    // Asked before it is listed: what changes meanwhile makes the listing old.
    let Some(changed) = settled(dir, now) else { return catalog::closed(dir, name) };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let of = |listing: &Listing| listing.closed.get(name).cloned().unwrap_or_default();
    if let Some(listing) = last.as_ref().filter(|last| last.changed == changed && last.dir == dir) {
        return Ok(of(listing));
    }
    let listing = Listing { dir: dir.to_owned(), changed, closed: catalog::all_closed(dir)? };
    let numbers = of(&listing);
    *last = Some(listing);
    Ok(numbers)
}

/// When the directory was changed last, if that was long enough ago. A clock that was put back makes it the future,
/// which is not.
fn settled(dir: &Path, now: SystemTime) -> Option<SystemTime> {
    let changed = std::fs::metadata(dir).and_then(|metadata| metadata.modified()).ok()?;
    now.duration_since(changed).is_ok_and(|since| since > COARSE).then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_used_until_something_changes() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(dir.path().join(name), "x").unwrap();
        let later = || SystemTime::now() + Duration::from_secs(60);
        let used = || LAST.lock().unwrap().as_ref().is_some_and(|last| last.dir == dir.path());
        write("a.log.000002");
        write("a.log.000001");
        write("b.log.000007");
        // Changed just now: nothing is kept.
        assert_eq!(closed(dir.path(), "a").unwrap(), [1, 2]);
        assert!(!used());
        assert_eq!(closed_at(dir.path(), "a", later()).unwrap(), [1, 2]);
        assert!(used());
        assert_eq!(closed_at(dir.path(), "b", later()).unwrap(), [7]);
        assert!(closed_at(dir.path(), "c", later()).unwrap().is_empty());
        // The time of the directory tells that there is something new.
        std::thread::sleep(Duration::from_millis(20));
        write("b.log.000008");
        assert_eq!(closed_at(dir.path(), "b", later()).unwrap(), [7, 8]);
    }
}
