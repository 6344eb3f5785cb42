//! Ending what a keeper that was killed has left behind, or what it leaves behind now.
//!
//! Both kinds are looked for, whichever we use ourselves: the keeper before us may have had another.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cgroup::Cgroup;
use super::limits;
use super::locate;
use super::registry::{self, session_is_of};
use super::sweep::{self, Member};
use crate::linux::proc::{self, Stat};
use crate::process::ProcessId;
use crate::spawn::MARKER_VARIABLE;

/// Ends all processes of a stack, and waits until they are gone; says how many there were.
pub(super) fn end(stack: &str, recorded: &[ProcessId], deadline: Duration) -> io::Result<u32> {
    let until = Instant::now() + deadline;
    let boot = crate::clock::boot_id();
    let recorded: Vec<&ProcessId> = recorded.iter().filter(|id| id.boot == boot).collect();
    let own = locate::own();
    let (around_us, mut roots): (Vec<PathBuf>, Vec<PathBuf>) = locate::everywhere(stack)
        .into_iter()
        .partition(|root| own.as_ref().is_some_and(|own| own.starts_with(root)));
    // Directories of v1 hierarchies hold limits, and who is in them is of the stack as well.
    let v1 = locate::everywhere_v1(stack);
    let mut ended = BTreeSet::new();
    let mut pause = Duration::from_millis(1);
    loop {
        let mut find = |report: &mut dyn FnMut(Member) -> bool| {
            let mut caught = processes_in(&around_us);
            caught.extend(processes_in(&v1));
            registry::walk(|pid, stat| is_left(stack, &recorded, &caught, pid, stat), report)
        };
        // What the kernel holds together first.
        roots.retain(|root| !kill_cgroup(root, &mut ended).unwrap_or(false));
        let mut left = Vec::new();
        find(&mut |member| {
            left.push(member);
            true
        })?;
        ended.extend(left.iter().map(|member| (member.pid, member.start)));
        if !left.is_empty() {
            sweep::kill(&mut find, until.min(Instant::now() + sweep::PATIENCE))?;
        }
        if left.is_empty() && roots.is_empty() {
            // Those that somebody is in, such as we, stay; an empty one that stays does no harm.
            for dir in &v1 {
                let _ = limits::remove_empty(dir);
            }
            return Ok(u32::try_from(ended.len()).unwrap_or(u32::MAX));
        }
        if Instant::now() >= until {
            return Err(still_there(&left, &roots));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// `true`: nothing is in it any more; what could be taken away of it is.
fn kill_cgroup(root: &Path, ended: &mut BTreeSet<(u32, u64)>) -> io::Result<bool> {
    let cgroup = match Cgroup::existing(root.to_owned()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    if !cgroup.is_empty()? {
        for pid in cgroup.processes()? {
            ended.extend(proc::stat(pid).map(|stat| (pid, stat.start)));
        }
        cgroup.kill()?;
        return Ok(false);
    }
    // The root may be in use by the one who asks; an empty directory does no harm in any case.
    cgroup.remove_children()?;
    Ok(true)
}

fn processes_in(roots: &[PathBuf]) -> BTreeSet<u32> {
    let in_one = |root: &PathBuf| Cgroup::existing(root.clone()).and_then(|cgroup| cgroup.processes());
    roots.iter().filter_map(|root| in_one(root).ok()).flatten().collect()
}

fn is_left(stack: &str, recorded: &[&ProcessId], caught: &BTreeSet<u32>, pid: u32, stat: &Stat) -> bool {
    let is_recorded =
        |id: &&ProcessId| (id.pid == pid && id.start == stat.start) || session_is_of(stat, id.pid, id.start);
    caught.contains(&pid)
        || recorded.iter().any(is_recorded)
        || proc::environment_value(pid, MARKER_VARIABLE).is_some_and(|marker| {
            marker.strip_prefix(stack.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
        })
}

fn still_there(left: &[Member], roots: &[PathBuf]) -> io::Error {
    let mut pids: BTreeSet<u32> = left.iter().map(|member| member.pid).collect();
    pids.extend(processes_in(roots));
    let pids: Vec<String> = pids.iter().take(20).map(u32::to_string).collect();
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("processes of an earlier keeper do not end: {} (held up in the kernel?)", pids.join(", ")),
    )
}
