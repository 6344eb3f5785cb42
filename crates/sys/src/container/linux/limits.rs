//! The limits of one container: written to its cgroup, or to directories of v1 hierarchies that its processes enter
//! beside it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};

use super::controllers::{Controller, Controllers, Place};
use crate::container::limits::{Hits, Limits, MemoryHit, NotEnforced, ProcessesHit};
use crate::linux::fd;

mod device;
mod files;

use files::{Setting, Version};

/// A tree that forks is moved in so many rounds; who is made by one that was moved is in already.
const ROUNDS: u32 = 50;

#[derive(Debug)]
pub(super) struct Bounds {
    controllers: Arc<Controllers>,
    /// The container's directory in a v1 hierarchy is `c-<name>`.
    name: String,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    limits: Limits,
    missing: Vec<NotEnforced>,
    /// Those that limits were written to.
    used: BTreeMap<Controller, Used>,
    /// The counters when the run began.
    before: Counters,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Used {
    V2,
    V1(PathBuf),
}

/// What the kernel counts of a tree.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    /// Processes killed for memory.
    killed: u64,
    /// Times that its own memory limit was in the way of something that it needed. v1 does not tell that.
    at_limit: Option<u64>,
    /// Processes refused.
    refused: u64,
}

/// The container that is limited, as far as it matters here.
pub(super) struct Tree<'a> {
    /// Its v2 cgroup, if it has one.
    pub(super) cgroup: Option<PathBuf>,
    pub(super) processes: &'a dyn Fn() -> io::Result<Vec<u32>>,
}

impl Bounds {
    pub(super) fn new(controllers: Arc<Controllers>, name: &str) -> Bounds {
        Bounds { controllers, name: name.to_owned(), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes these limits hold, and no others; says which do not.
    pub(super) fn set(&self, limits: &Limits, tree: &Tree<'_>) -> Vec<NotEnforced> {
        let mut inner = self.lock();
        let there = |used: &Used| !matches!(used, Used::V1(dir) if !dir.exists());
        if inner.limits == *limits && inner.used.values().all(there) {
            return inner.missing.clone();
        }
        inner.limits = limits.clone();
        self.write(&mut inner, tree);
        inner.missing.clone()
    }

    /// Once more, because the cgroup was made anew.
    pub(super) fn renew(&self, tree: &Tree<'_>) {
        let mut inner = self.lock();
        if !inner.used.is_empty() {
            self.write(&mut inner, tree);
        }
    }

    fn write(&self, inner: &mut Inner, tree: &Tree<'_>) {
        inner.missing.clear();
        for controller in Controller::ALL {
            let asked = files::asked(controller, &inner.limits);
            if asked.is_empty() && !inner.used.contains_key(&controller) {
                continue;
            }
            let none = |why: &str, to_do: &str| {
                asked.iter().map(|limit| NotEnforced::new(limit, why, to_do)).collect::<Vec<_>>()
            };
            let (used, dir) = match (self.controllers.find(controller), &tree.cgroup) {
                (Place::None { why, to_do }, _) => {
                    inner.missing.extend(none(&why, &to_do));
                    continue;
                }
                (Place::V2, Some(cgroup)) => (Used::V2, cgroup.clone()),
                (Place::V2, None) => {
                    inner.missing.extend(none("its processes are not held by a cgroup", ""));
                    continue;
                }
                (Place::V1(stack), _) => {
                    let dir = stack.join(format!("c-{}", self.name));
                    (Used::V1(dir.clone()), dir)
                }
            };
            let version = if used == Used::V2 { Version::V2 } else { Version::V1 };
            if version == Version::V1
                && let Err(error) = make(&dir)
            {
                inner.missing.extend(none(&format!("no cgroup {}: {error}", dir.display()), ""));
                continue;
            }
            for setting in files::settings(controller, version, &inner.limits) {
                inner.missing.extend(put(&dir, &setting));
            }
            // Only when the limits hold already: nobody gets away meanwhile.
            if version == Version::V1
                && let Err(error) = move_in(&dir, tree.processes)
            {
                let why = format!("its processes cannot be moved to the cgroup {}: {error}", dir.display());
                inner.missing.extend(none(&why, "it holds from its next start on"));
            }
            inner.used.insert(controller, used);
        }
    }

    /// For a process that is to enter by itself: `cgroup.procs` of each v1 directory.
    pub(super) fn entries(&self) -> io::Result<Vec<OwnedFd>> {
        let inner = self.lock();
        let mut dirs: Vec<&PathBuf> = inner.used.values().filter_map(Used::v1).collect();
        // One hierarchy may have several controllers.
        dirs.sort_unstable();
        dirs.dedup();
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        dirs.into_iter()
            .map(|dir| {
                let procs = dir.join("cgroup.procs");
                let told = |error: io::Error| {
                    io::Error::new(error.kind(), format!("cannot open {}: {error}", procs.display()))
                };
                let file = rustix::fs::open(&procs, flags, Mode::empty()).map_err(|e| told(e.into()))?;
                fd::above_stdio(file)
            })
            .collect()
    }

    /// A run is about to begin: counts from here on are its own.
    pub(super) fn begin_run(&self, tree: &Tree<'_>) {
        let mut inner = self.lock();
        if inner.used.is_empty() {
            return;
        }
        if let Some(Used::V1(dir)) = inner.used.get(&Controller::Memory) {
            // The highest use starts anew with this. v2 has nothing like it.
            let _ = std::fs::write(dir.join("memory.max_usage_in_bytes"), "0");
        }
        inner.before = inner.counters(tree);
    }

    /// What has happened since the run began.
    pub(super) fn hits(&self, tree: &Tree<'_>) -> Hits {
        let inner = self.lock();
        if inner.used.is_empty() {
            return Hits::default();
        }
        let now = inner.counters(tree);
        let since = |after: u64, before: u64| after.saturating_sub(before);
        let killed = since(now.killed, inner.before.killed);
        let memory = (killed > 0).then(|| {
            let peak = inner.peak(tree);
            let limit = inner.limits.memory;
            let own = match (now.at_limit, inner.before.at_limit) {
                (Some(now), before) => since(now, before.unwrap_or(0)) > 0,
                (None, _) => limit.zip(peak).is_some_and(|(limit, peak)| peak >= limit - limit / 20),
            };
            MemoryHit { own, limit, peak, killed }
        });
        let refused = since(now.refused, inner.before.refused);
        let limit = u64::from(inner.limits.processes.unwrap_or(0));
        Hits { memory, processes: (refused > 0).then_some(ProcessesHit { limit, refused }) }
    }

    /// The directories in v1 hierarchies go; nobody is in them any more.
    pub(super) fn remove(&self) -> io::Result<()> {
        let mut inner = self.lock();
        let used = std::mem::take(&mut inner.used);
        inner.limits = Limits::default();
        used.values().filter_map(Used::v1).try_for_each(|dir| remove_empty(dir))
    }
}

impl Used {
    fn v1(&self) -> Option<&PathBuf> {
        match self {
            Used::V1(dir) => Some(dir),
            Used::V2 => None,
        }
    }
}

impl Inner {
    fn dir(&self, controller: Controller, tree: &Tree<'_>) -> Option<(Version, PathBuf)> {
        match self.used.get(&controller)? {
            Used::V1(dir) => Some((Version::V1, dir.clone())),
            Used::V2 => Some((Version::V2, tree.cgroup.clone()?)),
        }
    }

    fn counters(&self, tree: &Tree<'_>) -> Counters {
        let mut counters = Counters::default();
        if let Some((version, dir)) = self.dir(Controller::Memory, tree) {
            match version {
                Version::V2 => {
                    let events = std::fs::read_to_string(dir.join("memory.events")).unwrap_or_default();
                    counters.killed = field(&events, "oom_kill");
                    counters.at_limit = Some(field(&events, "oom"));
                }
                Version::V1 => {
                    let control = std::fs::read_to_string(dir.join("memory.oom_control")).unwrap_or_default();
                    counters.killed = field(&control, "oom_kill");
                }
            }
        }
        if let Some((_, dir)) = self.dir(Controller::Pids, tree) {
            let events = std::fs::read_to_string(dir.join("pids.events")).unwrap_or_default();
            counters.refused = field(&events, "max");
        }
        counters
    }

    fn peak(&self, tree: &Tree<'_>) -> Option<u64> {
        let (version, dir) = self.dir(Controller::Memory, tree)?;
        number(&dir.join(match version {
            // Since Linux 5.19.
            Version::V2 => "memory.peak",
            Version::V1 => "memory.max_usage_in_bytes",
        }))
    }
}

/// The number behind this name, on a line of its own; 0 if it is not there.
fn field(text: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name).and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn make(dir: &Path) -> io::Result<()> {
    match std::fs::create_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Writes one setting; says so if somebody asked for it and it does not hold.
fn put(dir: &Path, setting: &Setting) -> Option<NotEnforced> {
    let limit = setting.limit?;
    let file = dir.join(setting.file);
    let error = match &setting.text {
        Ok(text) => std::fs::write(&file, text).err()?,
        Err(why) => return Some(NotEnforced::new(limit, why.clone(), "")),
    };
    if !setting.counts {
        return None;
    }
    let why = match error.raw_os_error() {
        Some(libc::ENOENT) => format!("this kernel has no {}", setting.file),
        Some(libc::EBUSY) => format!("{}: more is in use and cannot be taken back", file.display()),
        _ => format!("{}: {error}", file.display()),
    };
    Some(NotEnforced::new(limit, why, ""))
}

/// Moves a tree that runs already. What one of them makes after it was moved is in it as well.
fn move_in(dir: &Path, processes: &dyn Fn() -> io::Result<Vec<u32>>) -> io::Result<()> {
    let procs = dir.join("cgroup.procs");
    for _ in 0..ROUNDS {
        let text = std::fs::read_to_string(&procs)?;
        let inside: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let outside: Vec<u32> = processes()?.into_iter().filter(|pid| !inside.contains(pid)).collect();
        if outside.is_empty() {
            return Ok(());
        }
        for pid in outside {
            match std::fs::write(&procs, pid.to_string()) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                _ => {}
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "new ones come faster than they are moved"))
}

/// Removes a directory of a v1 hierarchy that has no processes, with those below it.
pub(super) fn remove_empty(dir: &Path) -> io::Result<()> {
    for tries in 0.. {
        match super::cgroup::remove_tree(dir, super::cgroup::MAX_DEPTH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // The last process is gone, but the kernel has not finished with it.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < 50 => {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            other => return other,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_whole_name() {
        let events = "low 0\nhigh 3\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!((field(events, "oom"), field(events, "oom_kill"), field(events, "kill")), (2, 1, 0));
        assert_eq!(field("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", "oom_kill"), 7);
        assert_eq!(field("max x\n", "max"), 0);
    }

    /// As on a machine with all of cgroup v2: the files are ordinary ones here.
    #[test]
    fn v2_files_are_written_and_counted() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path();
        for file in ["memory.max", "memory.high", "cpu.max", "pids.max", "cpu.weight"] {
            std::fs::write(path.join(file), "").expect("it can be written");
        }
        let events = |killed| format!("low 0\nhigh 0\nmax 9\noom {killed}\noom_kill {killed}\n");
        std::fs::write(path.join("memory.events"), events(4)).expect("it can be written");
        std::fs::write(path.join("memory.peak"), "99999744\n").expect("it can be written");
        std::fs::write(path.join("pids.events"), "max 2\n").expect("it can be written");
        let controllers = Arc::new(Controllers::new("x", None));
        let bounds = Bounds::new(Arc::clone(&controllers), "web");
        controllers.pretend([Controller::Memory, Controller::Cpu, Controller::Pids], &Place::V2);
        let nobody = || Ok(Vec::new());
        let tree = Tree { cgroup: Some(path.to_owned()), processes: &nobody };
        let limits = Limits {
            memory: Some(100_000_000),
            cpu_millis: Some(1500),
            processes: Some(7),
            ..Limits::default()
        };
        assert_eq!(bounds.set(&limits, &tree), []);
        let read = |file: &str| std::fs::read_to_string(path.join(file)).expect("it is there");
        assert_eq!((read("memory.max"), read("memory.high")), ("100000000".into(), "max".into()));
        assert_eq!((read("cpu.max"), read("pids.max")), ("150000 100000".into(), "7".into()));
        bounds.begin_run(&tree);
        assert_eq!(bounds.hits(&tree), Hits::default(), "what was before does not count");
        std::fs::write(path.join("memory.events"), events(6)).expect("it can be written");
        std::fs::write(path.join("pids.events"), "max 5\n").expect("it can be written");
        let hits = bounds.hits(&tree);
        let memory = MemoryHit { own: true, limit: limits.memory, peak: Some(99_999_744), killed: 2 };
        let processes = ProcessesHit { limit: 7, refused: 3 };
        assert_eq!(hits, Hits { memory: Some(memory), processes: Some(processes) });
        // Without limits everything is as it was.
        assert_eq!(bounds.set(&Limits::default(), &tree), []);
        assert_eq!((read("memory.max"), read("cpu.max")), ("max".into(), "max 100000".into()));
        assert_eq!(read("pids.max"), "max");
    }
}
