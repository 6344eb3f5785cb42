//! All processes of the machine, and whose they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::read::{Figures, Proc};
use crate::container::linux::usage::container_of;
use crate::linux::proc;
use crate::spawn::MARKER_VARIABLE;
use crate::usage::Tree;

/// What was seen of the machine's processes. Each is read once.
#[derive(Debug)]
pub(super) struct Machine {
    stack: String,
    keeper: u32,
    all: BTreeMap<u32, Figures>,
    /// The last number that the kernel had given out when they were listed.
    newest: Option<u64>,
    /// The container of each process that was seen in a tree: it goes on belonging to it.
    known: BTreeMap<(u32, u64), Arc<str>>,
}

/// Why the machine's processes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// One that is known has run, and may have started others.
    TreeHasRun,
    /// There is a tree that was not there before.
    NewTree,
}

/// The trees that have no cgroup, by name and by main process.
pub(super) struct Owners<'a> {
    by_name: BTreeMap<&'a str, usize>,
    by_main: BTreeMap<u32, usize>,
    /// Whose the processes are that were asked for.
    seen: BTreeMap<u32, Option<usize>>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(trees: &[Tree<'a>], which: &[usize]) -> Owners<'a> {
        Owners {
            by_name: which.iter().map(|nth| (trees[*nth].name, *nth)).collect(),
            by_main: which.iter().map(|nth| (trees[*nth].main, *nth)).collect(),
            seen: BTreeMap::new(),
        }
    }
}

impl Machine {
    pub(super) fn new(stack: &str, keeper: u32) -> Machine {
        Machine {
            stack: stack.to_owned(),
            keeper,
            all: BTreeMap::new(),
            newest: None,
            known: BTreeMap::new(),
        }
    }

    /// At the next look all of them are read again.
    pub(super) fn forget(&mut self) {
        self.all.clear();
        self.newest = None;
    }

    /// Those of these trees that were not there at the last look, with their tree. Whose it is not certain are
    /// looked at again when there is a reason to list.
    pub(super) fn newcomers(
        &mut self,
        proc: &Proc,
        owners: &mut Owners<'_>,
        reason: Reason,
    ) -> Vec<(usize, u32, u64)> {
        // Read before the list: what is made meanwhile is a reason for the next look.
        let newest = proc.newest();
        match (newest, self.newest) {
            (Some(now), Some(then)) if now == then && reason == Reason::TreeHasRun => return Vec::new(),
            // The numbers begin anew, and may be those of others now.
            (Some(now), Some(then)) if now < then => self.forget(),
            _ => {}
        }
        self.newest = newest;
        let Ok(pids) = proc::all() else { return Vec::new() };
        let pids: BTreeSet<u32> = pids.into_iter().collect();
        self.all.retain(|pid, _| pids.contains(pid));
        let new: Vec<u32> = pids.into_iter().filter(|pid| !self.all.contains_key(pid)).collect();
        let new: Vec<(u32, Figures)> = new
            .into_iter()
            .filter_map(|pid| Some((pid, proc.figures(pid)?)))
            .filter(|(_, it)| !it.is_dead())
            .collect();
        self.all.extend(new.iter().copied());
        let all = &self.all;
        self.known.retain(|(pid, start), _| all.get(pid).is_some_and(|found| found.start == *start));
        let mut found = Vec::new();
        for (pid, figures) in new {
            if let Some(nth) = self.owner(pid, owners) {
                found.push((nth, pid, figures.start));
            }
        }
        found
    }

    /// A process is in this tree, and stays in it wherever it goes.
    pub(super) fn belongs(&mut self, pid: u32, start: u64, tree: &str) {
        self.known.entry((pid, start)).or_insert_with(|| tree.into());
    }

    /// Whose a process is: it is in the session of a main process, descends from one, was seen in a tree before, or
    /// is an orphan that carries a tree's marker.
    fn owner(&mut self, pid: u32, owners: &mut Owners<'_>) -> Option<usize> {
        // From the process upwards until one is known; there are fewer processes than steps, unless numbers turn in a
        // circle because they were given anew meanwhile.
        let mut way = Vec::new();
        let mut at = pid;
        let mut unsure = false;
        let owner = loop {
            if let Some(owner) = owners.seen.get(&at) {
                break *owner;
            }
            let Some(figures) = self.all.get(&at) else { break None };
            way.push(at);
            if let Some(owner) = self.own_mark(at, figures, owners) {
                break Some(owner);
            }
            // The first process, and the kernel's.
            if figures.parent == 0 {
                break None;
            }
            if figures.parent == 1 || figures.parent == self.keeper || way.len() > self.all.len() {
                let marker = proc::environment_value(at, MARKER_VARIABLE);
                let name = marker.and_then(|marker| container_of(&marker, &self.stack));
                let owner = name.as_ref().and_then(|name| owners.by_name.get(&**name).copied());
                // Of a service that is started just now; and between two programs the environment is empty.
                let is_ours = figures.parent == self.keeper || name.is_some();
                unsure = owner.is_none() && (is_ours || has_empty_environment(at));
                break owner;
            }
            at = figures.parent;
        };
        if unsure {
            for pid in &way {
                self.all.remove(pid);
            }
        }
        owners.seen.extend(way.into_iter().map(|pid| (pid, owner)));
        owner
    }

    fn own_mark(&self, pid: u32, figures: &Figures, owners: &Owners<'_>) -> Option<usize> {
        if let Some(nth) = owners.by_main.get(&pid) {
            return Some(*nth);
        }
        if let Some(name) = self.known.get(&(pid, figures.start)) {
            return owners.by_name.get(&**name).copied();
        }
        let nth = owners.by_main.get(&figures.session)?;
        // The session's leader may be gone; a younger process of its number is not it.
        self.all.get(&figures.session).is_none_or(|main| main.start <= figures.start).then_some(*nth)
    }
}

fn has_empty_environment(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|bytes| bytes.is_empty())
}
