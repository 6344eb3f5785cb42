//! The disk that a path is on, as the kernel numbers it: whole disks only can be throttled.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `254:0`, or why there is none.
pub(super) fn of(path: &Path) -> Result<String, String> {
    let found = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let device = found.dev();
    let numbers = match major(device) {
        // Not a disk's own file system; some (btrfs) have one disk all the same.
        0 => source(device).ok_or_else(|| {
            format!(
                "{} is on no disk that can be throttled (a file system in memory, over others, or of the network)",
                path.display()
            )
        })?,
        _ => (major(device), minor(device)),
    };
    Ok(whole(numbers))
}

/// The disk that a partition is a part of.
fn whole((major, minor): (u32, u32)) -> String {
    let own = format!("{major}:{minor}");
    let dir = PathBuf::from(format!("/sys/dev/block/{own}"));
    if !dir.join("partition").exists() {
        return own;
    }
    let above = std::fs::canonicalize(&dir).ok().and_then(|dir| Some(dir.parent()?.join("dev")));
    let text = above.and_then(|file| std::fs::read_to_string(file).ok());
    text.map_or(own, |text| text.trim().to_owned())
}

/// The block device that a file system was mounted from.
fn source(device: u64) -> Option<(u32, u32)> {
    let wanted = format!("{}:{}", major(device), minor(device));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(wanted.as_str()))?;
    let path = line.split(" - ").nth(1)?.split(' ').nth(1)?;
    let found = std::fs::metadata(path).ok()?;
    let is_block = found.mode() & libc::S_IFMT == libc::S_IFBLK;
    is_block.then(|| (major(found.rdev()), minor(found.rdev())))
}

fn major(device: u64) -> u32 {
    rustix::fs::major(device)
}

fn minor(device: u64) -> u32 {
    rustix::fs::minor(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_memory_is_on_no_disk() {
        assert!(of(Path::new("/proc")).is_err_and(|why| why.contains("no disk")));
        assert!(of(Path::new("/no/such/place")).is_err());
    }
}
