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
    /// Seen in a tree, by number and start.
    known: BTreeMap<(u32, u64), Arc<str>>,
    /// Children of ours that belong to no container.
    strangers: BTreeSet<(u32, u64)>,
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
        inner.strangers.remove(&(id.pid, id.start));
        inner.pipes.extend(pipe.map(|pipe| (pipe, Arc::clone(&container))));
        inner.mains.insert(id.pid, Main { start: id.start, container, alive: true });
    }

    pub(super) fn forget(&self, container: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.forget_mains(container);
        inner.known.retain(|_, of| **of != *container);
    }

    /// All live processes of a container.
    pub(super) fn members(&self, container: &str) -> io::Result<Vec<Member>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match self.below_us(&mut inner, container) {
            Some(found) => found,
            None => self.everywhere(&inner, container)?,
        };
        inner.known.retain(|_, of| **of != *container);
        let name: Arc<str> = container.into();
        inner.known.extend(found.iter().map(|member| ((member.pid, member.start), Arc::clone(&name))));
        Ok(found)
    }

    /// Looks only below our own children. `None`: that is not enough here, because we do not adopt orphans, or
    /// because the kernel does not list children.
    fn below_us(&self, inner: &mut Inner, container: &str) -> Option<Vec<Member>> {
        if !is_subreaper() {
            return None;
        }
        let own = std::process::id();
        let mut children = proc::stable_children(own)?;
        for _ in 0..16 {
            let found = self.below(inner, container, &children);
            if !found.is_empty() {
                return Some(found);
            }
            // One that ended between the list and the look has left its children to us: they are in a new list.
            let now = proc::stable_children(own)?;
            if now == children {
                return Some(found);
            }
            children = now;
        }
        None
    }

    fn below(&self, inner: &mut Inner, container: &str, children: &[u32]) -> Vec<Member> {
        let mut waiting: Vec<(u32, Stat)> = Vec::new();
        for &pid in children {
            // The common case, a thousand times: another one's main process.
            if inner.mains.get(&pid).is_some_and(|main| main.alive && *main.container != *container) {
                continue;
            }
            let Some(stat) = proc::stat(pid) else { continue };
            if stat.is_dead() {
                if let Some(main) = inner.mains.get_mut(&pid) {
                    main.alive = false;
                }
            } else if self.owner(inner, pid, &stat).is_some_and(|of| *of == *container) {
                waiting.push((pid, stat));
            }
        }
        inner.strangers.retain(|(pid, _)| children.binary_search(pid).is_ok());
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some((pid, stat)) = waiting.pop() {
            if !seen.insert(pid) {
                continue;
            }
            found.push(member(pid, &stat));
            let below = proc::stable_children(pid).unwrap_or_default();
            let live = |pid: u32| proc::stat(pid).filter(|stat| !stat.is_dead()).map(|stat| (pid, stat));
            waiting.extend(below.into_iter().filter_map(live));
        }
        found
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

    /// Looks at all processes of the machine. One that moves from one parent to another meanwhile can be missed, so
    /// that "none" counts only when it was seen twice.
    fn everywhere(&self, inner: &Inner, container: &str) -> io::Result<Vec<Member>> {
        let found = self.walk(inner, container)?;
        if found.is_empty() { self.walk(inner, container) } else { Ok(found) }
    }

    fn walk(&self, inner: &Inner, container: &str) -> io::Result<Vec<Member>> {
        walk(|pid, stat| {
            inner.known.get(&(pid, stat.start)).is_some_and(|of| **of == *container)
                || inner.by_session(stat).is_some_and(|of| *of == *container)
                || proc::environment_value(pid, MARKER_VARIABLE)
                    .and_then(|marker| container_of(&marker, &self.stack))
                    .is_some_and(|of| *of == *container)
                || inner.by_pipe(pid).is_some_and(|of| *of == *container)
        })
    }
}

impl Inner {
    fn forget_mains(&mut self, container: &str) {
        self.mains.retain(|_, main| *main.container != *container);
        self.pipes.retain(|_, of| **of != *container);
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

/// Whether a process is in the session that this main process made, not in another one that got its number since.
pub(super) fn session_is_of(stat: &Stat, main: u32, main_start: u64) -> bool {
    stat.session == main
        && stat.start >= main_start
        && proc::stat(main).is_none_or(|leader| leader.start == main_start)
}

/// All live processes of the machine but us for which `is_one` holds, and what descends from them.
pub(super) fn walk(mut is_one: impl FnMut(u32, &Stat) -> bool) -> io::Result<Vec<Member>> {
    let own = std::process::id();
    let all: BTreeMap<u32, Stat> = proc::all()?
        .into_iter()
        .filter(|&pid| pid != own)
        .filter_map(|pid| Some((pid, proc::stat(pid).filter(|stat| !stat.is_dead())?)))
        .collect();
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (&pid, stat) in &all {
        below.entry(stat.parent).or_default().push(pid);
    }
    let mut waiting: Vec<u32> =
        all.iter().filter(|(pid, stat)| is_one(**pid, stat)).map(|(&pid, _)| pid).collect();
    let mut found: BTreeMap<u32, Member> = BTreeMap::new();
    while let Some(pid) = waiting.pop() {
        if let Some(stat) = all.get(&pid)
            && found.insert(pid, member(pid, stat)).is_none()
        {
            waiting.extend(below.get(&pid).into_iter().flatten());
        }
    }
    Ok(found.into_values().collect())
}

fn member(pid: u32, stat: &Stat) -> Member {
    Member { pid, start: stat.start, group: stat.group, state: stat.state }
}

/// The container in a marker of this stack's: `<stack>/<container>/<run>`.
fn container_of(marker: &[u8], stack: &str) -> Option<Arc<str>> {
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
