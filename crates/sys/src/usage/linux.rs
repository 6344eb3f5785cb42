//! From `/proc`, and from the cgroups where there are some.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Sample, Tree, Usage};
use crate::container::Kind;
use crate::container::linux::usage::{container_of, members, place_of};
use crate::linux::proc;
use crate::spawn::MARKER_VARIABLE;

mod read;

use read::{Figures, Proc};

#[derive(Debug)]
pub(super) struct Sampler {
    stack: String,
    keeper: u32,
    /// Whether there are cgroups.
    cgroups: bool,
    /// The directory of the containers' cgroups, once one was found.
    base: Option<PathBuf>,
    proc: Proc,
    /// The container of orphans that were looked at, by number and start; none: of no container.
    orphans: BTreeMap<(u32, u64), Option<Arc<str>>>,
    /// The container of each process that was seen in a tree: it goes on belonging to it.
    known: BTreeMap<(u32, u64), Arc<str>>,
}

impl Sampler {
    pub(super) fn new(stack: &str, keeper: u32, kind: &str) -> Sampler {
        Sampler {
            stack: stack.to_owned(),
            keeper,
            cgroups: kind == Kind::Cgroup.as_str(),
            base: None,
            proc: Proc::new(),
            orphans: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    pub(super) fn sample(&mut self, trees: &[Tree<'_>], processes: &[u32]) -> Sample {
        let mut found: Vec<Option<Usage>> = vec![None; trees.len()];
        let mut rest = Vec::new();
        for (nth, tree) in trees.iter().enumerate() {
            match self.cgroup(tree) {
                Some(dir) => found[nth] = self.of_cgroup(&dir),
                None => rest.push(nth),
            }
        }
        if !rest.is_empty() {
            self.walk(trees, &rest, &mut found);
        }
        let processes = processes
            .iter()
            .map(|pid| {
                let figures = self.proc.figures(*pid).filter(|figures| !figures.is_dead())?;
                Some(self.proc.usage(*pid, &figures))
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

    fn of_cgroup(&self, dir: &Path) -> Option<Usage> {
        let mut sum = Usage::default();
        for pid in members(dir) {
            if let Some(figures) = self.proc.figures(pid).filter(|figures| !figures.is_dead()) {
                sum.add(&self.proc.usage(pid, &figures));
            }
        }
        if sum.processes == 0 {
            return None;
        }
        // With that of the processes that are gone.
        if let Some(cpu) = self.proc.cpu_of_cgroup(dir) {
            (sum.cpu, sum.cpu_of_all) = (cpu, true);
        }
        Some(sum)
    }

    /// One look at all processes, for all trees that have no cgroup.
    fn walk(&mut self, trees: &[Tree<'_>], wanted: &[usize], found: &mut [Option<Usage>]) {
        let Ok(pids) = proc::all() else { return };
        let all: BTreeMap<u32, Figures> = pids
            .into_iter()
            .filter_map(|pid| Some((pid, self.proc.figures(pid).filter(|figures| !figures.is_dead())?)))
            .collect();
        let mut owners = Owners {
            by_name: wanted.iter().map(|nth| (trees[*nth].name, *nth)).collect(),
            by_main: wanted.iter().map(|nth| (trees[*nth].main, *nth)).collect(),
            seen: BTreeMap::new(),
        };
        self.orphans.retain(|(pid, start), _| all.get(pid).is_some_and(|found| found.start == *start));
        self.known.retain(|(pid, start), _| all.get(pid).is_some_and(|found| found.start == *start));
        for (pid, figures) in &all {
            let Some(nth) = self.owner(*pid, &all, &mut owners) else { continue };
            self.known.entry((*pid, figures.start)).or_insert_with(|| trees[nth].name.into());
            let usage = self.proc.usage(*pid, figures);
            found[nth].get_or_insert_default().add(&usage);
        }
    }

    /// Whose a process is: it is in the session of a main process, descends from one, was seen in a tree before, or
    /// is an orphan that carries a tree's marker.
    fn owner(&mut self, pid: u32, all: &BTreeMap<u32, Figures>, owners: &mut Owners<'_>) -> Option<usize> {
        // From the process upwards until one is known; there are fewer processes than steps, unless numbers turn in a
        // circle because they were given anew meanwhile.
        let mut way = Vec::new();
        let mut at = pid;
        let owner = loop {
            if let Some(owner) = owners.seen.get(&at) {
                break *owner;
            }
            let Some(figures) = all.get(&at) else { break None };
            way.push(at);
            if let Some(owner) = self.own_mark(at, figures, all, owners) {
                break Some(owner);
            }
            if figures.parent <= 1 || figures.parent == self.keeper || way.len() > all.len() {
                break self.marked(at, figures).and_then(|name| owners.by_name.get(&*name).copied());
            }
            at = figures.parent;
        };
        owners.seen.extend(way.into_iter().map(|pid| (pid, owner)));
        owner
    }

    fn own_mark(
        &self,
        pid: u32,
        figures: &Figures,
        all: &BTreeMap<u32, Figures>,
        owners: &Owners<'_>,
    ) -> Option<usize> {
        if let Some(nth) = owners.by_main.get(&pid) {
            return Some(*nth);
        }
        if let Some(name) = self.known.get(&(pid, figures.start)) {
            return owners.by_name.get(&**name).copied();
        }
        let nth = owners.by_main.get(&figures.session)?;
        // The session's leader may be gone; a younger process of its number is not it.
        all.get(&figures.session).is_none_or(|main| main.start <= figures.start).then_some(*nth)
    }

    /// The container in an orphan's marker. Each is looked at once.
    fn marked(&mut self, pid: u32, figures: &Figures) -> Option<Arc<str>> {
        let key = (pid, figures.start);
        if let Some(known) = self.orphans.get(&key) {
            return known.clone();
        }
        let marker = proc::environment_value(pid, MARKER_VARIABLE);
        let name = marker.and_then(|marker| container_of(&marker, &self.stack));
        // Between two programs the environment is empty for a moment.
        if name.is_some() || proc::has_environment(pid) {
            self.orphans.insert(key, name.clone());
        }
        name
    }
}

/// Who owns what, in one walk.
struct Owners<'a> {
    by_name: BTreeMap<&'a str, usize>,
    by_main: BTreeMap<u32, usize>,
    seen: BTreeMap<u32, Option<usize>>,
}

/// Microseconds as in `cpu.stat`.
fn micros(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_micros)
}
