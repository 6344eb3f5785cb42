//! Which process belongs to which container, where no cgroup says so.
//!
//! A process belongs to the container of a main process if it is in its session, descends from it, carries its
//! marker in the environment or holds its output pipe open; and it goes on belonging to it once that was seen,
//! whatever it does then. As the keeper adopts all orphans of its trees (it is their subreaper), everything that is
//! left of a tree is below one of the keeper's own children, and nothing else has to be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::sweep::Member;
use crate::linux::proc::{self, Stat};
use crate::process::ProcessId;
use crate::spawn::MARKER_VARIABLE;

#[derive(Debug)]
pub(super) struct Registry {
    stack: String,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The last main process of each container, by number, which is also its session's.
    mains: BTreeMap<u32, Main>,
    /// The last output pipe of each container.
    pipes: BTreeMap<u64, Arc<str>>,
    /// The keys of these two, by container.
    last: BTreeMap<Arc<str>, (u32, Option<u64>)>,
    /// Seen in a tree, by number and start.
    known: BTreeMap<(u32, u64), Arc<str>>,
    /// Children of ours that belong to no container.
    strangers: BTreeSet<(u32, u64)>,
    /// Children of ours that have ended and wait to be reaped.
    dead: BTreeSet<u32>,
}

#[derive(Debug)]
struct Main {
    start: u64,
    container: Arc<str>,
    /// Not seen dead yet.
    alive: bool,
}

impl Registry {
    pub(super) fn new(stack: &str) -> Registry {
        Registry { stack: stack.to_owned(), inner: Mutex::default() }
    }

    pub(super) fn started(&self, container: &str, id: &ProcessId, pipe: Option<u64>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.forget_mains(container);
        let container: Arc<str> = container.into();
        inner.dead.remove(&id.pid);
        inner.strangers.remove(&(id.pid, id.start));
        inner.pipes.extend(pipe.map(|pipe| (pipe, Arc::clone(&container))));
        inner.last.insert(Arc::clone(&container), (id.pid, pipe));
        inner.mains.insert(id.pid, Main { start: id.start, container, alive: true });
    }

    pub(super) fn forget(&self, container: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.forget_mains(container);
        inner.known.retain(|_, of| **of != *container);
    }

    /// Reports each live process of a container, the moment it is seen. `report` says whether that is news, and then
    /// this need not find out whether it were all. `true`: that were all.
    pub(super) fn find(&self, container: &str, report: &mut dyn FnMut(Member) -> bool) -> io::Result<bool> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        let mut both = |member: Member| {
            found.push((member.pid, member.start));
            report(member)
        };
        let settled = match self.below_us(&mut inner, container, &mut both) {
            Some(settled) => settled,
            None => self.walk(&inner, container, &mut both)?,
        };
        if settled {
            inner.known.retain(|_, of| **of != *container);
        }
        let name: Arc<str> = container.into();
        inner.known.extend(found.into_iter().map(|key| (key, Arc::clone(&name))));
        Ok(settled)
    }

    /// All live processes of a container.
    pub(super) fn members(&self, container: &str) -> io::Result<Vec<Member>> {
        let mut members = Vec::new();
        self.find(container, &mut |member| {
            members.push(member);
            true
        })?;
        Ok(members)
    }

    /// Looks only below our own children. `None`: that is not enough here, because we do not adopt orphans, or
    /// because the kernel does not list children.
    fn below_us(
        &self,
        inner: &mut Inner,
        container: &str,
        report: &mut dyn FnMut(Member) -> bool,
    ) -> Option<bool> {
        if !is_subreaper() {
            return None;
        }
        let own = std::process::id();
        let mut children = proc::children(own)?;
        for _ in 0..8 {
            let seen = self.below(inner, container, &children, report);
            if seen.news {
                return Some(false);
            }
            if seen.calm {
                return Some(true);
            }
            // One that ended between the list and the look has left its children to us: they are in a new list.
            let now = proc::children(own)?;
            if !seen.vanished && now == children {
                return Some(true);
            }
            if seen.found {
                return Some(false);
            }
            children = now;
        }
        Some(false)
    }

    fn below(
        &self,
        inner: &mut Inner,
        container: &str,
        children: &[u32],
        report: &mut dyn FnMut(Member) -> bool,
    ) -> Seen {
        let (mut calm, mut vanished, mut news) = (true, false, false);
        let mut waiting: Vec<u32> = Vec::new();
        inner.strangers.retain(|(pid, _)| children.binary_search(pid).is_ok());
        inner.dead.retain(|pid| children.binary_search(pid).is_ok());
        // The youngest first: they are what a fork storm consists of.
        for &pid in children.iter().rev() {
            // The common case, a thousand times: another one's main process.
            let others =
                inner.mains.get(&pid).is_some_and(|main| main.alive && *main.container != *container);
            if others || inner.dead.contains(&pid) {
                continue;
            }
            let Some(stat) = proc::stat(pid) else {
                vanished = true;
                continue;
            };
            if stat.is_dead() {
                calm = false;
                inner.dead.insert(pid);
                if let Some(main) = inner.mains.get_mut(&pid) {
                    main.alive = false;
                }
            } else if self.owner(inner, pid, &stat).is_some_and(|of| *of == *container) {
                news |= report(member(pid, &stat));
                waiting.push(pid);
            }
        }
        let found = !waiting.is_empty();
        let mut seen: BTreeSet<u32> = waiting.iter().copied().collect();
        while let Some(pid) = waiting.pop() {
            let Some(below) = proc::children(pid) else {
                vanished = true;
                continue;
            };
            for pid in below.into_iter().filter(|pid| seen.insert(*pid)) {
                match proc::stat(pid) {
                    Some(stat) if !stat.is_dead() => {
                        news |= report(member(pid, &stat));
                        waiting.push(pid);
                    }
                    Some(_) => calm = false,
                    None => vanished = true,
                }
            }
        }
        Seen { found, news, vanished, calm: calm && !vanished }
    }

    /// Whose this child of ours is.
    fn owner(&self, inner: &mut Inner, pid: u32, stat: &Stat) -> Option<Arc<str>> {
        let key = (pid, stat.start);
        if let Some(of) = inner.known.get(&key) {
            return Some(Arc::clone(of));
        }
        if inner.strangers.contains(&key) {
            return None;
        }
        if let Some(of) = inner.by_session(stat) {
            return Some(of);
        }
        let marker = proc::environment_value(pid, MARKER_VARIABLE);
        let of = match marker.as_deref().map(|marker| container_of(marker, &self.stack)) {
            Some(Some(of)) => Some(of),
            _ => inner.by_pipe(pid),
        };
        match &of {
            Some(of) => drop(inner.known.insert(key, Arc::clone(of))),
            // Between two programs the environment is empty for a moment; what then has one has none of ours.
            None if proc::has_environment(pid) && marker.is_none() => drop(inner.strangers.insert(key)),
            None => {}
        }
        of
    }

    /// Looks at all processes of the machine.
    fn walk(
        &self,
        inner: &Inner,
        container: &str,
        report: &mut dyn FnMut(Member) -> bool,
    ) -> io::Result<bool> {
        let is_one = |pid: u32, stat: &Stat| {
            inner.known.get(&(pid, stat.start)).is_some_and(|of| **of == *container)
                || inner.by_session(stat).is_some_and(|of| *of == *container)
                || proc::environment_value(pid, MARKER_VARIABLE)
                    .and_then(|marker| container_of(&marker, &self.stack))
                    .is_some_and(|of| *of == *container)
                || inner.by_pipe(pid).is_some_and(|of| *of == *container)
        };
        walk(is_one, report)
    }
}

impl Inner {
    fn forget_mains(&mut self, container: &str) {
        let Some((pid, pipe)) = self.last.remove(container) else { return };
        if self.mains.get(&pid).is_some_and(|main| *main.container == *container) {
            self.mains.remove(&pid);
        }
        if let Some(pipe) = pipe.filter(|pipe| self.pipes.get(pipe).is_some_and(|of| **of == *container)) {
            self.pipes.remove(&pipe);
        }
    }

    fn by_session(&self, stat: &Stat) -> Option<Arc<str>> {
        let main = self.mains.get(&stat.session)?;
        session_is_of(stat, stat.session, main.start).then(|| Arc::clone(&main.container))
    }

    fn by_pipe(&self, pid: u32) -> Option<Arc<str>> {
        if self.pipes.is_empty() {
            return None;
        }
        proc::written_pipes(pid).into_iter().find_map(|pipe| self.pipes.get(&pipe).cloned())
    }
}

/// What a look below us has shown.
struct Seen {
    /// There was one.
    found: bool,
    /// There was one that is not known to stand still, so that another look is needed in any case.
    news: bool,
    /// One was listed, and is no more: not even dead.
    vanished: bool,
    /// Nobody who was listed has died, just now or before.
    calm: bool,
}

/// Whether a process is in the session that this main process made, not in another one that got its number since.
pub(super) fn session_is_of(stat: &Stat, main: u32, main_start: u64) -> bool {
    stat.session == main
        && stat.start >= main_start
        && proc::stat(main).is_none_or(|leader| leader.start == main_start)
}

/// Reports all live processes of the machine but us for which `is_one` holds, and what descends from them. `true`:
/// that were all; `false`: processes come and go so fast that some were never looked at.
pub(super) fn walk(
    mut is_one: impl FnMut(u32, &Stat) -> bool,
    report: &mut dyn FnMut(Member) -> bool,
) -> io::Result<bool> {
    let own = std::process::id();
    let mut all: BTreeMap<u32, Stat> = BTreeMap::new();
    let mut dead: BTreeSet<u32> = BTreeSet::from([own]);
    let mut found: BTreeSet<u32> = BTreeSet::new();
    let mut settled = false;
    for round in 0..16 {
        let mut calm = true;
        // The youngest first: they are what a fork storm consists of.
        for pid in proc::all()?.into_iter().rev() {
            if all.contains_key(&pid) || dead.contains(&pid) {
                continue;
            }
            let Some(stat) = proc::stat(pid) else {
                calm = false;
                continue;
            };
            calm &= round == 0;
            if stat.is_dead() {
                dead.insert(pid);
                continue;
            }
            if is_one(pid, &stat) {
                report(member(pid, &stat));
                found.insert(pid);
            }
            all.insert(pid, stat);
        }
        // The first round has looked at nobody twice.
        if calm && round > 0 {
            settled = true;
            break;
        }
    }
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (&pid, stat) in &all {
        below.entry(stat.parent).or_default().push(pid);
    }
    let mut waiting: Vec<u32> = found.iter().copied().collect();
    while let Some(pid) = waiting.pop() {
        for child in below.get(&pid).into_iter().flatten() {
            if let (true, Some(stat)) = (found.insert(*child), all.get(child)) {
                report(member(*child, stat));
                waiting.push(*child);
            }
        }
    }
    Ok(settled)
}

fn member(pid: u32, stat: &Stat) -> Member {
    Member { pid, start: stat.start, group: stat.group, state: stat.state }
}

/// The container in a marker of this stack's: `<stack>/<container>/<run>`.
pub(super) fn container_of(marker: &[u8], stack: &str) -> Option<Arc<str>> {
    let rest = marker.strip_prefix(stack.as_bytes())?.strip_prefix(b"/")?;
    let end = rest.iter().rposition(|&byte| byte == b'/')?;
    Some(std::str::from_utf8(&rest[..end]).ok()?.into())
}

fn is_subreaper() -> bool {
    let mut is: libc::c_int = 0;
    // SAFETY: the call writes one int to a valid place.
    let code = unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is) };
    code == 0 && is != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers() {
        assert_eq!(container_of(b"ab12/web/7", "ab12").as_deref(), Some("web"));
        assert_eq!(container_of(b"ab12/web.probe-live/7", "ab12").as_deref(), Some("web.probe-live"));
        assert_eq!(container_of(b"ab123/web/7", "ab12"), None);
        assert_eq!(container_of(b"ab12", "ab12"), None);
        assert_eq!(container_of(b"ab12/web", "ab12"), None);
    }
}
