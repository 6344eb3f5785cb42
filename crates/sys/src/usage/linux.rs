//! From `/proc`, and from the cgroups where there are some.
//!
//! A process that has not run since the last look uses what it used then, and has started nothing: its processor
//! clock, one cheap call, tells. Files are read of those only that have run, and of each tree at every
//! [`ROUND`]th look, because the kernel takes memory also from those that sleep. Files of what runs are held open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Sample, Tree, Usage};
use crate::container::Kind;
use crate::container::linux::usage::place_of;

mod group;
mod machine;
mod member;
mod read;

use group::Group;
use machine::{Machine, Owners, Reason};
use member::Member;
use read::Proc;

/// After so many looks the files of every process were read again: in ten minutes, with a look every 10 s.
const ROUND: usize = 60;

#[derive(Debug)]
pub(super) struct Sampler {
    /// Whether there are cgroups.
    cgroups: bool,
    /// The directory of the containers' cgroups, once one was found.
    base: Option<PathBuf>,
    proc: Proc,
    machine: Machine,
    /// What was found of each tree, by name.
    found: BTreeMap<String, Found>,
    looks: usize,
}

/// What was found of a tree.
#[derive(Debug)]
struct Found {
    main: u32,
    group: Option<Group>,
    members: Vec<Member>,
    usage: Usage,
    /// The look that it was last asked for in.
    look: usize,
}

impl Found {
    /// Whether there is nothing to look at again.
    fn rests(&mut self, is_due: bool) -> bool {
        let mut rests = true;
        for member in &mut self.members {
            rests &= member.rests(is_due);
        }
        if rests && let Some(group) = &mut self.group {
            group.close();
        }
        rests
    }

    /// How many descriptors it holds.
    fn count(&self) -> usize {
        let members: usize = self.members.iter().map(Member::count).sum();
        members + self.group.as_ref().map_or(0, Group::count)
    }
}

impl Sampler {
    pub(super) fn new(stack: &str, keeper: u32, kind: &str) -> Sampler {
        Sampler {
            cgroups: kind == Kind::Cgroup.as_str(),
            base: None,
            proc: Proc::new(),
            machine: Machine::new(stack, keeper),
            found: BTreeMap::new(),
            looks: 0,
        }
    }

    pub(super) fn sample(&mut self, trees: &[Tree<'_>], processes: &[u32]) -> Sample {
        self.looks += 1;
        self.proc.holds(self.found.values().map(Found::count).sum());
        let mut found: Vec<Option<Usage>> = vec![None; trees.len()];
        // Those without a cgroup, and those among them that have run.
        let (mut bare, mut moved) = (Vec::new(), Vec::new());
        for (nth, tree) in trees.iter().enumerate() {
            let is_due = (nth + self.looks).is_multiple_of(ROUND);
            let mut before = self.found.get_mut(tree.name).filter(|before| before.main == tree.main);
            if let Some(before) = &mut before
                && before.rests(is_due)
            {
                before.look = self.looks;
                found[nth] = Some(before.usage);
                if before.group.is_none() {
                    bare.push(nth);
                }
                continue;
            }
            let group = before.and_then(|before| before.group.take());
            match group.or_else(|| self.cgroup(tree)) {
                Some(group) => found[nth] = self.of_cgroup(tree, group),
                None => {
                    bare.push(nth);
                    moved.push(nth);
                }
            }
        }
        if !moved.is_empty() {
            self.of_bare(trees, &bare, &moved, &mut found);
        }
        let looks = self.looks;
        self.found.retain(|_, found| found.look == looks);
        let processes = processes
            .iter()
            .map(|pid| {
                let mut files = self.proc.files(*pid)?;
                let figures = files.figures().filter(|figures| !figures.is_dead())?;
                Some(files.usage(&self.proc, &figures, None))
            })
            .collect();
        Sample { trees: found, processes }
    }

    /// The directory of its cgroup, if it has one of its own.
    fn cgroup(&mut self, tree: &Tree<'_>) -> Option<Group> {
        if !self.cgroups {
            return None;
        }
        let name = format!("c-{}", tree.name);
        if let Some(dir) = self.base.as_ref().map(|base| base.join(&name))
            && dir.is_dir()
        {
            return Some(Group::new(dir));
        }
        let dir = place_of(tree.main, &name)?;
        self.base = dir.parent().map(Path::to_path_buf);
        Some(Group::new(dir))
    }

    fn of_cgroup(&mut self, tree: &Tree<'_>, mut group: Group) -> Option<Usage> {
        let mut before = self.take(tree);
        let mut found = Vec::with_capacity(before.len());
        let was_open = group.count() > 0;
        for pid in group.members() {
            let known = before.iter().position(|member| member.pid == pid).map(|nth| before.swap_remove(nth));
            found.extend(match known {
                Some(known) => known.look_again(&self.proc),
                None => Member::look(&self.proc, pid),
            });
        }
        // With that of the processes that are gone. Last, so that it has all that the members' clocks have.
        let cpu = group.cpu();
        if !was_open && !self.proc.may_hold(group.count()) {
            group.close();
        }
        self.keep(tree, found, Some((group, cpu)))
    }

    /// One look for all trees that have no cgroup: at those of `moved`, and at the processes that are new.
    fn of_bare(&mut self, trees: &[Tree<'_>], bare: &[usize], moved: &[usize], found: &mut [Option<Usage>]) {
        if self.looks.is_multiple_of(ROUND) {
            self.machine.forget();
        }
        let mut owners = Owners::new(trees, bare);
        let mut new: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
        let is_known = |nth: &usize| {
            self.found.get(trees[*nth].name).is_some_and(|found| found.main == trees[*nth].main)
        };
        let reason = if moved.iter().all(is_known) { Reason::TreeHasRun } else { Reason::NewTree };
        for (nth, pid, start) in self.machine.newcomers(&self.proc, &mut owners, reason) {
            self.machine.belongs(pid, start, trees[nth].name);
            let member = Member::look(&self.proc, pid).filter(|member| member.start == start);
            new.entry(nth).or_default().extend(member);
        }
        for nth in moved {
            let mut members = new.remove(nth).unwrap_or_default();
            for member in self.take(&trees[*nth]) {
                if members.iter().all(|new| new.pid != member.pid) {
                    members.extend(member.look_again(&self.proc));
                }
            }
            found[*nth] = self.keep(&trees[*nth], members, None);
        }
        // A child of somebody who has not run since: it was made while the tree was looked at.
        for (nth, new) in new {
            let mut members = self.take(&trees[nth]);
            members.retain(|member| new.iter().all(|new| new.pid != member.pid));
            members.extend(new);
            found[nth] = self.keep(&trees[nth], members, None);
        }
    }

    /// What was found of a tree before.
    fn take(&mut self, tree: &Tree<'_>) -> Vec<Member> {
        let before = self.found.remove(tree.name).filter(|before| before.main == tree.main);
        before.map(|before| before.members).unwrap_or_default()
    }

    /// Adds up, and keeps it for the next look. None: nothing of it is left.
    fn keep(
        &mut self,
        tree: &Tree<'_>,
        members: Vec<Member>,
        group: Option<(Group, Option<Duration>)>,
    ) -> Option<Usage> {
        let mut usage = Usage::default();
        members.iter().for_each(|member| usage.add(&member.usage));
        if usage.processes == 0 {
            return None;
        }
        let (group, cpu) = group.unzip();
        if let Some(cpu) = cpu.flatten() {
            (usage.cpu, usage.cpu_of_all) = (cpu, true);
        }
        let found = Found { main: tree.main, group, members, usage, look: self.looks };
        self.found.insert(tree.name.to_owned(), found);
        Some(usage)
    }
}
