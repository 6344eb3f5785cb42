//! One cgroup v2 directory.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use super::sweep::PATIENCE;
use crate::linux::{fd, proc};
use crate::process::linux::Held;
use crate::spawn::linux::child::Step;
use crate::spawn::linux::details::Details;
use crate::spawn::linux::launch::{Launch, Purpose};

/// How deep cgroups that a service made itself are followed.
pub(super) const MAX_DEPTH: usize = 32;

#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: OwnedFd,
    path: PathBuf,
    /// `cgroup.events`, once it was asked for: it is read at each end of a process.
    events: OnceLock<OwnedFd>,
}

impl Cgroup {
    /// Made, or reused if it is there.
    pub(super) fn make(path: PathBuf) -> io::Result<Cgroup> {
        let told = |error: Errno| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("cannot make the cgroup {}: {error}", path.display()))
        };
        let reused = match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)) {
            Ok(()) => false,
            Err(Errno::EXIST) => true,
            Err(error) => return Err(told(error)),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty()).map_err(told)?;
        let cgroup = Cgroup { dir, path, events: OnceLock::new() };
        if reused {
            // A keeper that was killed may have left it frozen.
            cgroup.write("cgroup.freeze", "0")?;
        }
        Ok(cgroup)
    }

    /// One that is there.
    pub(super) fn existing(path: PathBuf) -> io::Result<Cgroup> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Cgroup { dir, path, events: OnceLock::new() })
    }

    pub(super) fn child(&self, name: &str) -> io::Result<Cgroup> {
        Cgroup::make(self.path.join(name))
    }

    /// Removed, and made again.
    pub(super) fn made_anew(&self) -> io::Result<Cgroup> {
        self.remove()?;
        Cgroup::make(self.path.clone())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// For a process that is to enter by itself.
    pub(crate) fn open_procs(&self) -> io::Result<OwnedFd> {
        fd::above_stdio(self.open("cgroup.procs", OFlags::WRONLY)?)
    }

    /// Puts a process into a cgroup below this one, as a service is put, and sees whether that works.
    pub(super) fn probe(&self) -> io::Result<()> {
        let inner = self.child("probe")?;
        // Without these a tree can be neither ended nor frozen.
        let usable =
            inner.open("cgroup.events", OFlags::RDONLY).and(inner.open("cgroup.freeze", OFlags::WRONLY));
        // "/" is no program: the process comes as far as to try, and ends.
        let mut launch = Launch {
            programs: vec![c"/".to_owned()],
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            account: None,
            stdin: fd::null()?,
            stdout: fd::null()?,
            stderr: fd::null()?,
            cgroup: Some(&inner),
            entries: &[],
            insist: true,
            original_limits: false,
            details: Details::default(),
            sandbox: None,
            purpose: Purpose::Run,
        };
        let outcome = match launch.run() {
            Err(failure) if failure.step == Step::Exec => Ok(()),
            Err(failure) => Err(failure.error),
            Ok(_) => Err(io::Error::other("a directory could be executed")),
        };
        // An empty directory left over does no harm.
        let _ = inner.remove();
        usable.map(drop).and(outcome).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("the cgroup {} cannot be used: {error}", self.path.display()),
            )
        })
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        if !self.event("populated")? {
            return Ok(true);
        }
        // The kernel counts one that has ended for a moment longer than it lists it.
        Ok(self.processes()?.is_empty())
    }

    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        let mut all = Vec::new();
        collect(&self.path, MAX_DEPTH, &mut all)?;
        Ok(all)
    }

    /// All processes, each held, and seen here while it was held: then it is the one that is meant.
    pub(super) fn hold_all(&self) -> io::Result<Vec<Held>> {
        let mut held: Vec<Held> =
            self.processes()?.into_iter().filter_map(|pid| Held::open(pid, proc::stat(pid)?.start)).collect();
        let here: BTreeSet<u32> = self.processes()?.into_iter().collect();
        held.retain(|held| here.contains(&held.pid));
        Ok(held)
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        match self.write("cgroup.kill", "1") {
            // A frozen one dies too, but what is started next would stand still.
            Ok(()) => self.write("cgroup.freeze", "0"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.kill_one_by_one(),
            Err(error) => Err(error),
        }
    }

    /// Before Linux 5.14: nobody forks in a frozen cgroup, and whatever forked before it stood still is found by
    /// looking again.
    fn kill_one_by_one(&self) -> io::Result<()> {
        self.write("cgroup.freeze", "1")?;
        let until = Instant::now() + PATIENCE;
        let outcome = loop {
            match self.hold_all() {
                Ok(held) if held.is_empty() => break Ok(()),
                Ok(held) => {
                    for held in held {
                        held.signal(Signal::KILL)?;
                    }
                }
                Err(error) => break Err(error),
            }
            if Instant::now() >= until {
                // What is left is held up in the kernel, and dies when it comes out.
                break Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        outcome.and(self.write("cgroup.freeze", "0"))
    }

    pub(super) fn freeze(&self) -> io::Result<()> {
        self.write("cgroup.freeze", "1")?;
        self.wait_frozen(true)
    }

    pub(super) fn thaw(&self) -> io::Result<()> {
        self.write("cgroup.freeze", "0")?;
        self.wait_frozen(false)
    }

    fn wait_frozen(&self, wanted: bool) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            if self.event("frozen")? == wanted {
                return Ok(());
            }
            // The kernel tells of a change since the last read.
            if !fd::wait_for(self.events()?.as_fd(), PollFlags::PRI, Some(until))? {
                let text = format!("the processes of {} do not stand still", self.path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    }

    /// With those that a service made below it.
    pub(super) fn remove(&self) -> io::Result<()> {
        let mut tries = 0;
        loop {
            match remove_tree(&self.path, MAX_DEPTH) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                // The last process is gone, but the kernel has not finished with it.
                Err(error)
                    if error.raw_os_error() == Some(libc::EBUSY) && tries < 50 && self.is_empty()? =>
                {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                other => return other,
            }
        }
    }

    /// What is below it; itself it stays.
    pub(super) fn remove_children(&self) -> io::Result<()> {
        directories(&self.path)?.iter().try_for_each(|child| remove_tree(child, MAX_DEPTH))
    }

    fn open(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        Ok(rustix::fs::openat(&self.dir, name, flags | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Whether `cgroup.events` says 1 for this.
    fn event(&self, name: &str) -> io::Result<bool> {
        let mut text = [0_u8; 256];
        let length = rustix::io::pread(self.events()?, &mut text, 0)?;
        let lines = text[..length].split(|&byte| byte == b'\n');
        Ok(lines.map(|line| line.strip_prefix(name.as_bytes())).any(|rest| rest == Some(b" 1")))
    }

    fn events(&self) -> io::Result<&OwnedFd> {
        if let Some(events) = self.events.get() {
            return Ok(events);
        }
        let events = self.open("cgroup.events", OFlags::RDONLY)?;
        Ok(self.events.get_or_init(|| events))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let file = self.open(name, OFlags::WRONLY)?;
        rustix::io::retry_on_intr(|| rustix::io::write(&file, text.as_bytes()))?;
        Ok(())
    }
}

/// The processes in a cgroup and below it, as far as they can be listed.
pub(super) fn processes_in(dir: &Path) -> Vec<u32> {
    let mut all = Vec::new();
    let _ = collect(dir, MAX_DEPTH, &mut all);
    all
}

fn collect(dir: &Path, depth: usize, all: &mut Vec<u32>) -> io::Result<()> {
    match std::fs::read_to_string(dir.join("cgroup.procs")) {
        Ok(text) => {
            all.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|&pid| pid > 0))
        }
        Err(error) if is_gone(&error) => return Ok(()),
        // A threaded cgroup: its processes are listed by the one above.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) => return Err(error),
    }
    for child in directories(dir)? {
        if depth > 0 {
            collect(&child, depth - 1, all)?;
        }
    }
    Ok(())
}

pub(super) fn remove_tree(dir: &Path, depth: usize) -> io::Result<()> {
    match rustix::fs::rmdir(dir) {
        Ok(()) => return Ok(()),
        Err(Errno::BUSY | Errno::NOTEMPTY) if depth > 0 => {}
        Err(error) => return Err(error.into()),
    }
    for child in directories(dir)? {
        remove_tree(&child, depth - 1)?;
    }
    Ok(rustix::fs::rmdir(dir)?)
}

fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect())
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::container::linux::{cgroup_for, locate};

    /// `None`, with the reason on standard error, where there are none.
    fn cgroup(name: &str) -> Option<Cgroup> {
        let stack = format!("unit{}-{name}", std::process::id());
        match cgroup_for(&stack) {
            Ok(cgroup) => {
                assert!(cgroup.path.ends_with(locate::name_of(&stack)));
                Some(cgroup)
            }
            Err(error) => {
                eprintln!("{name} skipped: no cgroups here: {error}");
                None
            }
        }
    }

    /// A shell with a child in a session of its own.
    fn tree_in(cgroup: &Cgroup) -> Child {
        let procs = cgroup.path.join("cgroup.procs");
        let script = format!("echo $$ > '{}'; setsid sleep 600 & exec sleep 600", procs.display());
        Command::new("sh").args(["-c", &script]).spawn().expect("it starts")
    }

    fn until(what: &str, mut is: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !is() {
            assert!(Instant::now() < end, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// As on kernels without `cgroup.kill`.
    #[test]
    fn killed_one_by_one() {
        let Some(root) = cgroup("one-by-one") else { return };
        for frozen in [false, true] {
            let cgroup = root.child("c-x").expect("it can be made");
            let mut child = tree_in(&cgroup);
            until("both are there", || cgroup.processes().is_ok_and(|all| all.len() == 2));
            if frozen {
                cgroup.freeze().expect("it can be frozen");
            }
            cgroup.kill_one_by_one().expect("it can be killed");
            until("it is empty", || cgroup.is_empty().expect("it can be asked"));
            child.wait().expect("it ends");
            assert!(!cgroup.event("frozen").expect("it can be asked"), "it can be used again");
            cgroup.remove().expect("it can be removed");
        }
        root.remove().expect("it can be removed");
    }

    /// A service may make cgroups of its own.
    #[test]
    fn those_below_count_too() {
        let Some(root) = cgroup("below") else { return };
        let cgroup = root.child("c-x").expect("it can be made");
        let inner = cgroup.child("a").and_then(|a| a.child("b")).expect("it can be made");
        let mut child = tree_in(&inner);
        until("both are there", || cgroup.processes().is_ok_and(|all| all.len() == 2));
        assert!(!cgroup.is_empty().expect("it can be asked"));
        assert_eq!(cgroup.hold_all().expect("they can be held").len(), 2);
        assert!(cgroup.remove().is_err(), "it is in use");
        cgroup.kill().expect("it can be killed");
        until("it is empty", || cgroup.is_empty().expect("it can be asked"));
        child.wait().expect("it ends");
        root.remove().expect("it can be removed with all below it");
    }
}
