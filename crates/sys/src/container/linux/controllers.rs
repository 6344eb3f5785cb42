//! Where the kernel's controllers are to be had: for each in the cgroup v2 hierarchy or, where it is not there, in a
//! v1 hierarchy beside it.
//!
//! v2 gives a controller to the children of a cgroup only if the cgroup itself has no processes (but for the root of
//! the machine). So where the keeper is, and nobody else, it steps aside into a leaf: `mainstay`, beside the stack's
//! cgroup. Where others are (a shell of the same login), the controller is not to be had there.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::locate;

/// The leaf that Mainstay's own processes step aside into.
const LEAF: &str = "mainstay";

/// Steps aside are tried so often: a new process of ours may come meanwhile.
const STEPS: u32 = 5;

/// A part of the kernel that limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Controller {
    Memory,
    Cpu,
    Pids,
    Io,
}

impl Controller {
    pub(super) const ALL: [Controller; 4] =
        [Controller::Memory, Controller::Cpu, Controller::Pids, Controller::Io];

    /// Its name in the v2 hierarchy.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            Controller::Pids => "pids",
            Controller::Io => "io",
        }
    }

    const fn v1_name(self) -> &'static str {
        match self {
            Controller::Io => "blkio",
            other => other.name(),
        }
    }
}

/// Where a controller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the containers' own cgroups.
    V2,
    /// In directories of their own below this one.
    V1(PathBuf),
    /// Nowhere: why, and what can be done.
    None { why: String, to_do: String },
}

/// What was found out so far. A controller is looked for when the first limit asks for it.
#[derive(Debug)]
pub(super) struct Controllers {
    stack: String,
    /// The stack's v2 cgroup, if trees are held so.
    v2: Option<PathBuf>,
    found: Mutex<BTreeMap<Controller, Place>>,
}

impl Controllers {
    pub(super) fn new(stack: &str, v2: Option<PathBuf>) -> Controllers {
        Controllers { stack: stack.to_owned(), v2, found: Mutex::default() }
    }

    pub(super) fn find(&self, controller: Controller) -> Place {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.entry(controller).or_insert_with(|| self.look(controller)).clone()
    }

    #[cfg(test)]
    pub(super) fn pretend(&self, all: impl IntoIterator<Item = Controller>, place: &Place) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(all.into_iter().map(|controller| (controller, place.clone())));
    }

    /// The directories that were made in v1 hierarchies.
    pub(super) fn v1(&self) -> Vec<PathBuf> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let v1 = |place: &Place| if let Place::V1(dir) = place { Some(dir.clone()) } else { None };
        found.values().filter_map(v1).collect()
    }

    fn look(&self, controller: Controller) -> Place {
        let mut refusal = None;
        if let Some(stack) = &self.v2 {
            match enable(stack, controller.name()) {
                Ok(true) => return Place::V2,
                Ok(false) => {}
                Err(refused) => refusal = Some(refused),
            }
        }
        match locate::own_v1(controller.v1_name()) {
            Some(own) => match make_v1(&own.join(locate::name_of(&self.stack))) {
                Ok(dir) => Place::V1(dir),
                Err(error) => Place::None {
                    why: format!("no cgroup can be made in {}: {error}", own.display()),
                    to_do: AS_ROOT.to_owned(),
                },
            },
            None => match refusal {
                Some(Refused { why, to_do }) => Place::None { why, to_do },
                None => Place::None { why: self.none(controller), to_do: String::new() },
            },
        }
    }

    fn none(&self, controller: Controller) -> String {
        let name = controller.name();
        match &self.v2 {
            Some(stack) => format!(
                "the cgroup {} is not given the {name} controller, and there is none of cgroup v1",
                stack.parent().unwrap_or(stack).display()
            ),
            None => format!("this machine offers no cgroup with the {name} controller"),
        }
    }
}

const AS_ROOT: &str = "run Mainstay as root, or as a systemd unit with Delegate=yes";
const DELEGATE: &str = "run it as a systemd unit with Delegate=yes, or by \
                        `systemd-run --user --scope -p Delegate=yes mainstay up`";

/// Why a controller that is there is not to be had.
#[derive(Debug)]
struct Refused {
    why: String,
    to_do: String,
}

fn refused(dir: &Path, error: &io::Error) -> Refused {
    let to_do = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => AS_ROOT,
        _ => "",
    };
    Refused { why: format!("{}: {error}", dir.display()), to_do: to_do.to_owned() }
}

/// Gives a controller to the children of `stack`. `false`: it is not in this hierarchy.
fn enable(stack: &Path, name: &str) -> Result<bool, Refused> {
    let Some(own) = stack.parent() else { return Ok(false) };
    let has = |dir: &Path, file: &str| {
        std::fs::read_to_string(dir.join(file))
            .is_ok_and(|text| text.split_whitespace().any(|word| word == name))
    };
    if !has(own, "cgroup.controllers") {
        return Ok(false);
    }
    for dir in [own, stack] {
        if has(dir, "cgroup.subtree_control") {
            continue;
        }
        let file = dir.join("cgroup.subtree_control");
        let write = || std::fs::write(&file, format!("+{name}"));
        let mut outcome = write();
        for _ in 0..STEPS {
            match &outcome {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && dir == own => {
                    step_aside(own)?;
                    outcome = write();
                }
                _ => break,
            }
        }
        outcome.map_err(|error| refused(&file, &error))?;
    }
    Ok(true)
}

/// Moves Mainstay's own processes out of this cgroup, if there is nobody else.
fn step_aside(own: &Path) -> Result<(), Refused> {
    let procs = own.join("cgroup.procs");
    let text = std::fs::read_to_string(&procs).map_err(|error| refused(&procs, &error))?;
    let program = |pid: &str| {
        std::fs::metadata(format!("/proc/{pid}/exe")).ok().map(|found| (found.dev(), found.ino()))
    };
    let ours = program("self");
    // One that is gone meanwhile is in nobody's way.
    let stranger = |pid: &&str| program(pid).is_some_and(|theirs| Some(theirs) != ours);
    if let Some(pid) = text.split_whitespace().find(stranger) {
        return Err(Refused {
            why: format!(
                "other processes than Mainstay's are in the cgroup {} (such as {pid}), so that the kernel gives no \
                 controllers to those below it",
                own.display()
            ),
            to_do: DELEGATE.to_owned(),
        });
    }
    let leaf = own.join(LEAF);
    match std::fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(refused(&leaf, &error)),
        _ => {}
    }
    let procs = leaf.join("cgroup.procs");
    for pid in text.split_whitespace() {
        match std::fs::write(&procs, pid) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(refused(&procs, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// Made, or reused if it is there.
fn make_v1(dir: &Path) -> io::Result<PathBuf> {
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    Ok(dir.to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::container::linux::cgroup_for;

    /// For another test, which runs it in a process of its own.
    #[test]
    #[ignore = "a process that stays, for another test"]
    fn stays() {
        let _ = io::stdin().read_line(&mut String::new());
    }

    fn put(child: &Child, dir: &Path) {
        std::fs::write(dir.join("cgroup.procs"), child.id().to_string()).expect("it can be moved");
    }

    fn inside(dir: &Path) -> String {
        std::fs::read_to_string(dir.join("cgroup.procs")).expect("it can be read")
    }

    #[test]
    fn our_own_step_aside_and_others_are_left_alone() {
        let stack = format!("unit{}-aside", std::process::id());
        let root = match cgroup_for(&stack) {
            Ok(root) => root,
            Err(error) => {
                eprintln!("our_own_step_aside skipped: no cgroups here: {error}");
                return;
            }
        };
        let own = root.path().join("own");
        std::fs::create_dir(&own).expect("it can be made");
        let program = std::env::current_exe().expect("it is known");
        let mut ours = Command::new(program)
            .args(["--ignored", "--exact", "container::linux::controllers::tests::stays"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        put(&ours, &own);
        let mut other = Command::new("sleep").arg("600").spawn().expect("it starts");
        put(&other, &own);
        let refused = step_aside(&own).expect_err("somebody else is there");
        assert!(refused.why.contains(&format!("(such as {})", other.id())), "{refused:?}");
        assert!(inside(&own).contains(&ours.id().to_string()), "nobody was moved");
        other.kill().expect("it can be killed");
        other.wait().expect("it ends");

        step_aside(&own).expect("only ours are there");
        assert_eq!(inside(&own), "");
        assert_eq!(inside(&own.join(LEAF)), format!("{}\n", ours.id()));
        drop(ours.stdin.take());
        ours.wait().expect("it ends");
        root.remove().expect("it can be removed");
    }

    #[test]
    fn a_controller_that_is_nowhere_is_told_with_the_place() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let stack = dir.path().join("stack");
        std::fs::create_dir(&stack).expect("it can be made");
        std::fs::write(dir.path().join("cgroup.controllers"), "cpu io\n").expect("it can be written");
        assert_eq!(enable(&stack, "pids").ok(), Some(false));
        // As an ordinary file takes it; the kernel's answers are tested with real ones.
        assert_eq!(enable(&stack, "io").ok(), Some(true));
        let written = std::fs::read_to_string(dir.path().join("cgroup.subtree_control"));
        assert_eq!(written.expect("it is there"), "+io");
        let controllers = Controllers::new("x", Some(stack));
        assert!(controllers.none(Controller::Pids).contains("the pids controller"));
    }
}
