//! Where our own place in the cgroup v2 hierarchy is.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A machine has hundreds of cgroups, a large one thousands.
const MAX_DIRECTORIES: usize = 50_000;

/// The directory of a stack's cgroup.
pub(super) fn name_of(stack: &str) -> String {
    format!("mainstay-{stack}")
}

/// The directory of the cgroup that we are in.
pub(super) fn own() -> Option<PathBuf> {
    let cgroups = std::fs::read("/proc/self/cgroup").ok()?;
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    let found = directory(&cgroups, &mounts)?;
    found.join("cgroup.procs").exists().then_some(found)
}

/// The directory of the cgroup that a process is in.
pub(super) fn of(pid: u32) -> Option<PathBuf> {
    let cgroups = std::fs::read(format!("/proc/{pid}/cgroup")).ok()?;
    directory(&cgroups, &std::fs::read("/proc/self/mountinfo").ok()?)
}

/// The directory of the cgroup that we are in, in the v1 hierarchy that has this controller.
pub(super) fn own_v1(controller: &str) -> Option<PathBuf> {
    let cgroups = std::fs::read("/proc/self/cgroup").ok()?;
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    let found = directory_v1(&cgroups, &mounts, controller)?;
    found.join("cgroup.procs").exists().then_some(found)
}

/// All directories of this stack's name in the v1 hierarchies that have limits.
pub(super) fn everywhere_v1(stack: &str) -> Vec<PathBuf> {
    let Ok(mounts) = std::fs::read("/proc/self/mountinfo") else { return Vec::new() };
    let mut roots: Vec<PathBuf> = Vec::new();
    for controller in ["memory", "cpu", "pids", "blkio"] {
        for (_, mount) in hierarchies_v1(&mounts, controller) {
            if !roots.contains(&mount) {
                roots.push(mount);
            }
        }
    }
    below(roots, &name_of(stack))
}

/// All directories of this stack's name in the hierarchy that we see. A keeper before us may have lived in another
/// cgroup than we do: another login, another unit.
pub(super) fn everywhere(stack: &str) -> Vec<PathBuf> {
    let Ok(mounts) = std::fs::read("/proc/self/mountinfo") else { return Vec::new() };
    below(hierarchies(&mounts).map(|(_, mount)| mount).collect(), &name_of(stack))
}

/// All directories of this name below these.
fn below(mut waiting: Vec<PathBuf>, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut seen = 0;
    while let Some(dir) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.filter_map(Result::ok) {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            seen += 1;
            if entry.file_name() == name {
                found.push(entry.path());
            } else if seen < MAX_DIRECTORIES {
                waiting.push(entry.path());
            }
        }
    }
    found
}

fn directory(cgroups: &[u8], mounts: &[u8]) -> Option<PathBuf> {
    let own = cgroups.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    inside(own, hierarchies(mounts))
}

fn directory_v1(cgroups: &[u8], mounts: &[u8], controller: &str) -> Option<PathBuf> {
    let own = cgroups.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':').skip(1);
        let has = fields.next()?.split(|&byte| byte == b',').any(|name| name == controller.as_bytes());
        fields.next().filter(|_| has)
    })?;
    inside(own, hierarchies_v1(mounts, controller))
}

/// Where a path of `/proc/self/cgroup` is to be seen.
fn inside(own: &[u8], mut mounted: impl Iterator<Item = (PathBuf, PathBuf)>) -> Option<PathBuf> {
    let own = PathBuf::from(OsString::from_vec(own.to_vec()));
    // Outside of the part of the hierarchy that this namespace shows.
    if own.components().any(|part| part == std::path::Component::ParentDir) {
        return None;
    }
    mounted.find_map(|(root, mount)| {
        let below = own.strip_prefix(&root).ok()?;
        Some(if below == Path::new("") { mount } else { mount.join(below) })
    })
}

/// Of each mounted cgroup v2 hierarchy the part that is mounted, and where.
fn hierarchies(mounts: &[u8]) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    mounted(mounts, |kind, _| kind == b"cgroup2")
}

/// The same of a v1 hierarchy.
fn hierarchies_v1(mounts: &[u8], controller: &str) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    mounted(mounts, move |kind, options| {
        kind == b"cgroup" && options.split(|&byte| byte == b',').any(|name| name == controller.as_bytes())
    })
}

/// Those mounts that `wanted` takes by their type and the options of their file system.
fn mounted(mounts: &[u8], wanted: impl Fn(&[u8], &[u8]) -> bool) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    mounts.split(|&byte| byte == b'\n').filter_map(move |line| {
        let mut fields = line.split(|&byte| byte == b' ');
        let root = fields.nth(3)?;
        let mount = fields.next()?;
        let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
        let kind = rest.next()?;
        let options = rest.nth(1).unwrap_or_default();
        wanted(kind, options).then(|| (unescape(root), unescape(mount)))
    })
}

/// Spaces and the like are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let code = match (first, tail) {
            (b'\\', [a, b, c, ..]) => {
                std::str::from_utf8(&[*a, *b, *c]).ok().and_then(|digits| u8::from_str_radix(digits, 8).ok())
            }
            _ => None,
        };
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &tail[3..];
            }
            None => bytes.push(*first),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn a_hybrid_mount() {
        let cgroups = b"9:name=systemd:/\n8:pids:/x\n0::/\n";
        assert_eq!(directory(cgroups, HYBRID), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        let cgroups = b"0::/user.slice/a b\n";
        assert_eq!(directory(cgroups, HYBRID), Some(PathBuf::from("/sys/fs/cgroup/unified/user.slice/a b")));
    }

    #[test]
    fn controllers_of_v1() {
        let mounts = b"35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n\
            36 31 0:33 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n";
        let cgroups = b"5:cpu,cpuacct:/a:b\n4:memory:/x\n0::/\n";
        let find = |controller| directory_v1(cgroups, mounts, controller);
        assert_eq!(find("memory"), Some(PathBuf::from("/cg/memory/x")));
        assert_eq!(find("cpu"), Some(PathBuf::from("/cg/cpu,cpuacct/a:b")));
        assert_eq!(find("pids"), None);
        assert_eq!(find("cp"), None);
    }

    #[test]
    fn only_a_part_is_mounted() {
        let mounts = b"50 1 0:38 /box /mnt/a\\040b rw shared:7 master:1 - cgroup2 none rw\n";
        assert_eq!(directory(b"0::/box/in\n", mounts), Some(PathBuf::from("/mnt/a b/in")));
        assert_eq!(directory(b"0::/box\n", mounts), Some(PathBuf::from("/mnt/a b")));
        assert_eq!(directory(b"0::/other\n", mounts), None);
        assert_eq!(directory(b"0::/../other\n", mounts), None);
    }

    #[test]
    fn none() {
        assert_eq!(directory(b"1:cpu:/\n", HYBRID), None);
        assert_eq!(directory(b"0::/\n", b""), None);
        assert_eq!(directory(b"0::/\n", b"1 2 3\n\n - \n"), None);
    }
}
