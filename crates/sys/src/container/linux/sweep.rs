//! Stopping and ending a tree that no kernel object holds together.
//!
//! Killing one by one can be outrun: while one dies, another forks. So all are stopped first. A stopped process
//! cannot fork, and one that has the stop pending fails to; when a look around finds nobody new and all standing,
//! the tree is complete, and only then it is killed. A process is held by a pidfd from the first look on, so that
//! another one that gets its number is never hit.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::linux::proc;
use crate::process::linux::{Held, raw};

/// How long a tree may take to stand still.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A live process of the tree, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) start: u64,
    pub(super) group: u32,
    pub(super) state: u8,
}

impl Member {
    fn stands(&self) -> bool {
        is_standing(self.state)
    }
}

/// Stopped, or in the kernel in a way that it cannot leave without stopping.
fn is_standing(state: u8) -> bool {
    matches!(state, b'T' | b't' | b'D')
}

/// Looks around, and reports each live process of the tree the moment it is seen; it is told whether that is news.
/// `true`: that were all; `false`: the tree changed meanwhile, so that one may have been missed, or there was news.
pub(super) type Find<'a> = dyn FnMut(&mut dyn FnMut(Member) -> bool) -> io::Result<bool> + 'a;

/// What was stopped.
struct Stopped {
    held: Vec<Held>,
    /// Nobody is left who moves.
    complete: bool,
    /// The first that we may not signal.
    refused: Option<io::Error>,
}

/// Each one held; those that are gone meanwhile are left out.
pub(super) fn hold(members: &[Member]) -> Vec<Held> {
    members.iter().filter_map(|member| Held::open(member.pid, member.start)).collect()
}

/// Returns when the whole tree stands still.
pub(super) fn stop(find: &mut Find<'_>, until: Instant) -> io::Result<usize> {
    let stopped = stop_all(find, until)?;
    match stopped.refused {
        Some(error) => Err(error),
        None if !stopped.complete => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the processes do not stand still"))
        }
        None => Ok(stopped.held.len()),
    }
}

/// Lets all go on.
pub(super) fn go_on(members: &[Member]) -> io::Result<()> {
    let mut outcome = Ok(());
    for held in hold(members) {
        outcome = outcome.and(held.signal(Signal::CONT).map(drop));
    }
    outcome
}

/// Ends all; says how many there were. When it returns they are as good as dead, but perhaps not gone.
pub(super) fn kill(find: &mut Find<'_>, until: Instant) -> io::Result<usize> {
    let mut count = 0;
    loop {
        let stopped = stop_all(find, until)?;
        for held in &stopped.held {
            // One that we may not signal was told by `refused` already.
            let _ = held.signal(Signal::KILL);
        }
        count += stopped.held.len();
        if let Some(error) = stopped.refused {
            return Err(error);
        }
        if stopped.complete || Instant::now() >= until {
            return Ok(count);
        }
    }
}

fn stop_all(find: &mut Find<'_>, until: Instant) -> io::Result<Stopped> {
    let mut all: BTreeMap<(u32, u64), Held> = BTreeMap::new();
    let mut refused = None;
    let mut round = 0_u32;
    loop {
        let mut news = false;
        let mut members = Vec::new();
        // At once, not after the look: a moment later it may have made another one and be gone.
        let settled = find(&mut |member| {
            members.push(member);
            let key = (member.pid, member.start);
            if all.contains_key(&key) && member.stands() {
                return false;
            }
            news = true;
            // One that runs though it was stopped has been let go on by somebody: once more. One that has ended
            // since may have left children: the next look finds them.
            if let Some(held) = all.remove(&key).or_else(|| Held::open(member.pid, member.start)) {
                match held.signal(Signal::STOP) {
                    Ok(_) => drop(all.insert(key, held)),
                    Err(error) => {
                        let text = format!("process {} cannot be stopped: {error}", member.pid);
                        refused.get_or_insert(io::Error::new(error.kind(), text));
                    }
                }
            }
            true
        })?;
        let seen: BTreeSet<(u32, u64)> = members.iter().map(|member| (member.pid, member.start)).collect();
        all.retain(|key, _| seen.contains(key));
        let complete = settled && !news;
        if complete || refused.is_some() || Instant::now() >= until {
            return Ok(Stopped { held: all.into_values().collect(), complete, refused });
        }
        // Several rounds with news mean that the tree grows.
        if round > 1 {
            stop_groups(&members);
        }
        wait_standing(&all);
        round += 1;
    }
}

/// A stop takes a moment to take effect; to look around meanwhile is of no use. Not for long: others may be forking.
fn wait_standing(all: &BTreeMap<(u32, u64), Held>) {
    let stands = |pid: u32, start: u64| match proc::stat(pid) {
        Some(stat) if stat.start == start && !stat.is_dead() => is_standing(stat.state),
        _ => true,
    };
    for turn in 0..20 {
        if all.keys().all(|&(pid, start)| stands(pid, start)) {
            return;
        }
        if turn < 3 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// A chain of processes that each fork and end at once may be gone whenever it is looked at; a signal to a group is
/// one step for the kernel, which nobody in it escapes. The group's number is pinned by whoever is in it.
fn stop_groups(members: &[Member]) {
    let own = rustix::process::getpgrp();
    let mut groups: Vec<u32> = members.iter().map(|member| member.group).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups.into_iter().filter_map(raw).filter(|group| *group != own) {
        // Gone is good.
        let _ = rustix::process::kill_process_group(group, Signal::STOP);
    }
}
