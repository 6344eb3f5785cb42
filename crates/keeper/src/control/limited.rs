//! Limits between the words of the link and those of `sys`, and what takes the place of one that is not to be had.

use std::path::PathBuf;

use mainstay_core::{LimitHits, Limits, MemoryHit, NotEnforced, ProcessesHit, Settings};
use mainstay_sys::IS_WINDOWS;
use mainstay_sys::container::{self, Container};
use mainstay_sys::spawn::{self, Rlimit};

/// The limits of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limited {
    limits: Limits,
    tree: container::Limits,
}

impl Limited {
    pub(crate) fn new(limits: Limits, working_dir: Option<&str>) -> Limited {
        let tree = container::Limits {
            memory: limits.memory,
            memory_high: limits.memory_high,
            cpu_millis: limits.cpu_millis,
            cpu_weight: limits.cpu_weight,
            processes: limits.processes,
            io_read: limits.io_read,
            io_write: limits.io_write,
            io_weight: limits.io_weight,
            io_path: working_dir
                .filter(|_| limits.io_read.is_some() || limits.io_write.is_some())
                .map(PathBuf::from),
        };
        Limited { limits, tree }
    }

    /// Before a run begins: what holds for the tree, and further limits for its first process, which pass to its
    /// children. Says what does not hold.
    pub(super) fn at_start(
        &self,
        container: &Container,
        settings: &Settings,
        user: Option<&str>,
    ) -> (Vec<Rlimit>, Vec<NotEnforced>) {
        let missing = container.set_limits(&self.tree);
        container.begin_run();
        let mut rlimits = Vec::new();
        let mut both = |name: &str, value: u64| {
            rlimits.push(Rlimit { name: name.to_owned(), soft: value, hard: Some(value) });
        };
        let mut told: Vec<NotEnforced> = missing.into_iter().map(told).collect();
        if let Some(files) = self.limits.open_files {
            if IS_WINDOWS {
                told.push(no_files());
            } else if !settings.rlimits.contains_key("nofile") {
                both("nofile", files);
            }
        }
        if let Some(told) = told.iter_mut().find(|told| told.limit == "processes")
            && let Some(processes) = self.limits.processes
            && !settings.rlimits.contains_key("nproc")
            && spawn::has_own_account(user)
        {
            both("nproc", processes.into());
            told.in_part = true;
            told.why.push_str(
                ", so that RLIMIT_NPROC is used, which counts all processes of its account together",
            );
        }
        (rlimits, told)
    }

    /// While a run is there.
    pub(super) fn now(&self, container: &Container) -> Vec<NotEnforced> {
        let mut told: Vec<NotEnforced> = container.set_limits(&self.tree).into_iter().map(told).collect();
        if self.limits.open_files.is_some() {
            told.push(match IS_WINDOWS {
                true => no_files(),
                false => NotEnforced {
                    limit: "open_files".to_owned(),
                    why: "a process gets it when it is started".to_owned(),
                    to_do: Some("it holds from the next start on".to_owned()),
                    in_part: true,
                },
            });
        }
        told
    }
}

fn no_files() -> NotEnforced {
    NotEnforced {
        limit: "open_files".to_owned(),
        why: "Windows has no such limit".to_owned(),
        ..NotEnforced::default()
    }
}

fn told(missing: container::NotEnforced) -> NotEnforced {
    let container::NotEnforced { limit, why, to_do } = missing;
    NotEnforced { limit: limit.to_owned(), why, to_do: (!to_do.is_empty()).then_some(to_do), in_part: false }
}

/// What a run came up against.
pub(super) fn hits(container: &Container) -> LimitHits {
    let hits = container.hits();
    LimitHits {
        memory: hits.memory.map(|hit| MemoryHit {
            own: hit.own,
            limit: hit.limit,
            peak: hit.peak,
            killed: hit.killed,
        }),
        processes: hits.processes.map(|hit| ProcessesHit { limit: hit.limit, refused: hit.refused }),
    }
}
