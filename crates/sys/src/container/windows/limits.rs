//! The limits of a job object, after Microsoft's documentation of `JOBOBJECT_EXTENDED_LIMIT_INFORMATION` and
//! `JOBOBJECT_CPU_RATE_CONTROL_INFORMATION`.
//!
//! What was set is read back: a system that takes a limit and does not keep it (Wine) is told from one that does.

use std::io;

use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_CPU_RATE_CONTROL_ENABLE, JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP,
    JOB_OBJECT_CPU_RATE_CONTROL_WEIGHT_BASED, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_JOB_MEMORY,
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
};

use crate::container::limits::{Hits, Limits, MemoryHit, NotEnforced, ProcessesHit};
use crate::win::job::Job;

/// The whole machine, in the unit of `CpuRate`.
const WHOLE: u64 = 10_000;

/// What limits a job has.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    limits: Limits,
    missing: Vec<NotEnforced>,
    /// Whether it has ever had a share of the processors.
    has_rate: bool,
    /// Processes that were ended for a limit before this run.
    refused_before: u32,
}

impl Bounds {
    /// Makes these limits hold, and no others; says which do not.
    pub(super) fn set(&mut self, job: &Job, limits: &Limits) -> Vec<NotEnforced> {
        if self.limits != *limits {
            self.limits = limits.clone();
            self.missing = self.write(job);
        }
        self.missing.clone()
    }

    fn write(&mut self, job: &Job) -> Vec<NotEnforced> {
        let limits = &self.limits;
        let mut missing = Vec::new();
        let set = extended(limits);
        let kept = job.set_extended(&set).and_then(|()| job.extended());
        for (limit, flag) in
            [("memory", JOB_OBJECT_LIMIT_JOB_MEMORY), ("processes", JOB_OBJECT_LIMIT_ACTIVE_PROCESS)]
        {
            if set.BasicLimitInformation.LimitFlags & flag == 0 {
                continue;
            }
            let why = match &kept {
                Ok(kept) if kept.BasicLimitInformation.LimitFlags & flag != 0 => continue,
                Ok(_) => "the system takes the limit of the job object and does not keep it".to_owned(),
                Err(error) => format!("the job object does not take it: {error}"),
            };
            missing.push(NotEnforced::new(limit, why, ""));
        }
        if limits.cpu_millis.is_some() || limits.cpu_weight.is_some() || self.has_rate {
            self.has_rate = true;
            let asked = if limits.cpu_millis.is_some() { "cpu" } else { "cpu_weight" };
            let is_asked = limits.cpu_millis.is_some() || limits.cpu_weight.is_some();
            if let Err(error) = job.set_cpu_rate(&rate(limits, processors()))
                && is_asked
            {
                missing.push(NotEnforced::new(
                    asked,
                    format!("the job object does not take it: {error}"),
                    "",
                ));
            }
        }
        let only_one = "a job object has either a limit of processor time or a weight; `cpu` is taken";
        let on_linux = "a job object has no such limit";
        for (limit, is_asked, why) in [
            ("cpu_weight", limits.cpu_weight.is_some() && limits.cpu_millis.is_some(), only_one),
            ("memory_high", limits.memory_high.is_some(), on_linux),
            ("io_read", limits.io_read.is_some(), on_linux),
            ("io_write", limits.io_write.is_some(), on_linux),
            ("io_weight", limits.io_weight.is_some(), on_linux),
        ] {
            if is_asked {
                missing.push(NotEnforced::new(limit, why, ""));
            }
        }
        missing
    }

    /// Counts from here on are a new run's.
    pub(super) fn begin_run(&mut self, job: &Job) {
        if self.limits.processes.is_some() {
            self.refused_before = refused(job).unwrap_or(0);
        }
    }

    /// What it came up against. Windows ends nobody for memory: what counts is how near to the limit it came. A job has
    /// one peak for its whole life.
    pub(super) fn hits(&self, job: &Job) -> Hits {
        let memory = self.limits.memory.and_then(|limit| {
            let peak = job.extended().ok()?.PeakJobMemoryUsed as u64;
            let near = peak >= limit - limit / 20;
            near.then_some(MemoryHit { own: true, limit: Some(limit), peak: Some(peak), killed: 0 })
        });
        let processes = self.limits.processes.and_then(|limit| {
            let refused = u64::from(refused(job).ok()?.saturating_sub(self.refused_before));
            (refused > 0).then_some(ProcessesHit { limit: limit.into(), refused })
        });
        Hits { memory, processes }
    }
}

/// Processes that were ended because there would have been too many.
fn refused(job: &Job) -> io::Result<u32> {
    Ok(job.accounting()?.TotalTerminatedProcesses)
}

fn extended(limits: &Limits) -> JOBOBJECT_EXTENDED_LIMIT_INFORMATION {
    let mut information = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    let basic = &mut information.BasicLimitInformation;
    if let Some(processes) = limits.processes {
        basic.LimitFlags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
        // The host of its console is in the job, too, and is none of its own.
        basic.ActiveProcessLimit = processes.saturating_add(1);
    }
    if let Some(memory) = limits.memory {
        basic.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
        information.JobMemoryLimit = usize::try_from(memory).unwrap_or(usize::MAX);
    }
    information
}

/// Neither: no control at all.
fn rate(limits: &Limits, processors: u32) -> JOBOBJECT_CPU_RATE_CONTROL_INFORMATION {
    let mut information = JOBOBJECT_CPU_RATE_CONTROL_INFORMATION::default();
    if let Some(millis) = limits.cpu_millis {
        let share = u64::from(millis) * WHOLE / (u64::from(processors.max(1)) * 1_000);
        // 0 is refused, and more than all there is needs no limit.
        let share = u32::try_from(share.clamp(1, WHOLE)).unwrap_or(1);
        information.ControlFlags = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
        information.Anonymous = JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0 { CpuRate: share };
    } else if let Some(weight) = limits.cpu_weight {
        information.ControlFlags =
            JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_WEIGHT_BASED;
        information.Anonymous = JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0 { Weight: windows_weight(weight) };
    }
    information
}

/// Weights of a job are 1 to 9, and others have 5; each step is taken for a doubling or so.
fn windows_weight(weight: u32) -> u32 {
    match weight {
        0..=6 => 1,
        7..=12 => 2,
        13..=25 => 3,
        26..=70 => 4,
        71..=140 => 5,
        141..=300 => 6,
        301..=700 => 7,
        701..=1_500 => 8,
        _ => 9,
    }
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_processors() {
        let share = |millis, processors| {
            let limits = Limits { cpu_millis: Some(millis), ..Limits::default() };
            let rate = rate(&limits, processors);
            assert_eq!(
                rate.ControlFlags,
                JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP
            );
            // SAFETY: the flags say that this is the member that was set.
            unsafe { rate.Anonymous.CpuRate }
        };
        assert_eq!((share(500, 1), share(500, 4), share(1_500, 2)), (5_000, 1_250, 7_500));
        assert_eq!((share(1, 64), share(9_000, 2)), (1, 10_000));
        assert_eq!(rate(&Limits::default(), 4).ControlFlags, 0);
        assert_eq!((windows_weight(1), windows_weight(100), windows_weight(10_000)), (1, 5, 9));
    }

    #[test]
    fn processes_and_memory() {
        let limits = Limits { memory: Some(64 << 20), processes: Some(10), ..Limits::default() };
        let set = extended(&limits);
        assert_eq!((set.JobMemoryLimit, set.BasicLimitInformation.ActiveProcessLimit), (64 << 20, 11));
        assert_eq!(extended(&Limits::default()).BasicLimitInformation.LimitFlags, 0);
    }

    /// What is not kept is told; what is kept is not.
    #[test]
    fn what_does_not_hold_is_told() {
        let job = Job::anonymous(0).expect("a job can be made");
        let mut bounds = Bounds::default();
        let limits = Limits {
            memory: Some(64 << 20),
            processes: Some(10),
            io_read: Some(1),
            cpu_millis: Some(500),
            cpu_weight: Some(10),
            ..Limits::default()
        };
        let missing = bounds.set(&job, &limits);
        let told = |limit: &str| missing.iter().any(|missing| missing.limit == limit);
        assert!(told("io_read") && told("cpu_weight"), "{missing:?}");
        let flags = job.extended().map_or(0, |kept| kept.BasicLimitInformation.LimitFlags);
        assert_eq!(told("memory"), flags & JOB_OBJECT_LIMIT_JOB_MEMORY == 0, "{missing:?}");
        assert_eq!(told("processes"), flags & JOB_OBJECT_LIMIT_ACTIVE_PROCESS == 0, "{missing:?}");
        assert_eq!(bounds.set(&job, &Limits::default()), []);
        bounds.begin_run(&job);
        assert_eq!(bounds.hits(&job), Hits::default());
    }
}
