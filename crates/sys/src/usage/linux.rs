//! From `/proc`, and from the cgroups where there are some.
//!
//! A process that has not run since the last look uses what it used then, and has started nothing: its processor
//! clock, one cheap call, tells. Files are read of those only that have run, and of each tree at every
//! [`ROUND`]th look, because the kernel takes memory also from those that sleep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Sample, Tree, Usage};
use crate::container::Kind;
use crate::container::linux::usage::{members, place_of};

mod machine;
mod member;
mod read;

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
    cgroup: bool,
    members: Vec<Member>,
    usage: Usage,
    /// The look that it was last asked for in.
    look: usize,
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
        let mut found: Vec<Option<Usage>> = vec![None; trees.len()];
        // Those without a cgroup, and those among them that have run.
        let (mut bare, mut moved) = (Vec::new(), Vec::new());
        for (nth, tree) in trees.iter().enumerate() {
            let is_due = (nth + self.looks).is_multiple_of(ROUND);
            let before = self.found.get_mut(tree.name).filter(|before| before.main == tree.main);
            if let Some(before) = before
                && !is_due
                && before.members.iter().all(Member::is_still)
            {
                before.look = self.looks;
                found[nth] = Some(before.usage);
                if !before.cgroup {
                    bare.push(nth);
                }
                continue;
            }
            match self.cgroup(tree) {
                Some(dir) => found[nth] = self.of_cgroup(tree, &dir, is_due),
                None => {
                    bare.push(nth);
                    moved.push((nth, is_due));
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
                let figures = self.proc.figures(*pid).filter(|figures| !figures.is_dead())?;
                Some(self.proc.usage(*pid, &figures, None))
            })
            .collect();
        Sample { trees: found, processes }
    }

    /// The directory of its cgroup, if it has one of its own.
    fn cgroup(&mut self, tree: &Tree<'_>) -> Option<PathBuf> {
        if !self.cgroups {
            return None;
        }
        let name = format!("c-{}", tree.name);
        if let Some(dir) = self.base.as_ref().map(|base| base.join(&name))
            && dir.is_dir()
        {
            return Some(dir);
        }
        let dir = place_of(tree.main, &name)?;
        self.base = dir.parent().map(Path::to_path_buf);
        Some(dir)
    }

    fn of_cgroup(&mut self, tree: &Tree<'_>, dir: &Path, is_due: bool) -> Option<Usage> {
        let mut before = self.take(tree);
        let mut found = Vec::new();
        for pid in members(dir) {
            let known = before.iter().position(|member| member.pid == pid).map(|nth| before.swap_remove(nth));
            found.extend(self.look_again(pid, known, is_due));
        }
        // With that of the processes that are gone.
        let cpu = self.proc.cpu_of_cgroup(dir);
        self.keep(tree, found, cpu, true)
    }

    /// One look for all trees that have no cgroup: at those of `moved`, and at the processes that are new.
    fn of_bare(
        &mut self,
        trees: &[Tree<'_>],
        bare: &[usize],
        moved: &[(usize, bool)],
        found: &mut [Option<Usage>],
    ) {
        if self.looks.is_multiple_of(ROUND) {
            self.machine.forget();
        }
        let mut owners = Owners::new(trees, bare);
        let mut new: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
        let is_known = |(nth, _): &(usize, bool)| {
            self.found.get(trees[*nth].name).is_some_and(|found| found.main == trees[*nth].main)
        };
        let reason = if moved.iter().all(is_known) { Reason::TreeHasRun } else { Reason::NewTree };
        for (nth, pid, figures) in self.machine.newcomers(&self.proc, &mut owners, reason) {
            self.machine.belongs(pid, figures.start, trees[nth].name);
            new.entry(nth).or_default().push(Member::look(&self.proc, pid, &figures));
        }
        for (nth, is_due) in moved {
            let mut members = new.remove(nth).unwrap_or_default();
            for member in self.take(&trees[*nth]) {
                if members.iter().all(|new| new.pid != member.pid) {
                    members.extend(self.look_again(member.pid, Some(member), *is_due));
                }
            }
            found[*nth] = self.keep(&trees[*nth], members, None, false);
        }
        // A child of somebody who has not run since: it was made while the tree was looked at.
        for (nth, new) in new {
            let mut members = self.take(&trees[nth]);
            members.retain(|member| new.iter().all(|new| new.pid != member.pid));
            members.extend(new);
            found[nth] = self.keep(&trees[nth], members, None, false);
        }
    }

    /// A process that may have been looked at before; none: it is gone.
    fn look_again(&self, pid: u32, known: Option<Member>, is_due: bool) -> Option<Member> {
        let known = match known {
            Some(known) if !is_due && known.is_still() => return Some(known),
            known => known,
        };
        let figures = self.proc.figures(pid).filter(|figures| !figures.is_dead())?;
        if known.is_some_and(|known| known.start != figures.start) {
            return None;
        }
        Some(Member::look(&self.proc, pid, &figures))
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
        cpu: Option<Duration>,
        cgroup: bool,
    ) -> Option<Usage> {
        let mut usage = Usage::default();
        members.iter().for_each(|member| usage.add(&member.usage));
        if usage.processes == 0 {
            return None;
        }
        if let Some(cpu) = cpu {
            (usage.cpu, usage.cpu_of_all) = (cpu, true);
        }
        let found = Found { main: tree.main, cgroup, members, usage, look: self.looks };
        self.found.insert(tree.name.to_owned(), found);
        Some(usage)
    }
}

/// Microseconds as in `cpu.stat`.
fn micros(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_micros)
}
