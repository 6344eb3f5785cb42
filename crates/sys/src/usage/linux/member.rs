//! One process of a tree, and whether it has run since it was looked at.

use std::time::Duration;

use super::read::{Figures, Proc};
use crate::usage::Usage;

/// A process of a tree as it was when its files were read.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) start: u64,
    /// Its processor time then; none: this kernel does not tell.
    ran: Option<Duration>,
    pub(super) usage: Usage,
}

impl Member {
    /// Reads all that its files say.
    pub(super) fn look(proc: &Proc, pid: u32, figures: &Figures) -> Member {
        // Before the files: what changes meanwhile is then seen the next time.
        let ran = processor_time(pid);
        Member { pid, start: figures.start, ran, usage: proc.usage(pid, figures, ran) }
    }

    /// Whether it has not run since. Then it has not allocated, opened, read or started anything either: only the
    /// kernel may have taken memory from it.
    pub(super) fn is_still(&self) -> bool {
        self.ran.is_some() && self.ran == processor_time(self.pid)
    }
}

/// What all threads of a process have used, to the nanosecond: one cheap call, where its files need a dozen. None: it
/// is gone, or this kernel does not tell.
#[expect(unsafe_code, reason = "rustix has no clocks of other processes")]
fn processor_time(pid: u32) -> Option<Duration> {
    // As in the kernel's MAKE_PROCESS_CPUCLOCK with CPUCLOCK_SCHED, which clock_getcpuclockid(3) makes, too.
    let clock = (!i32::try_from(pid).ok()?) << 3 | 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the result outlives the call; a clock of a process that is gone is an error, and nothing is written.
    let status = unsafe { libc::clock_gettime(clock, &mut time) };
    (status == 0).then_some(())?;
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_is_not_still() {
        let proc = Proc::new();
        let own = std::process::id();
        let member = Member::look(&proc, own, &proc.figures(own).expect("we live"));
        assert!(!member.is_still(), "we just ran");
        assert_eq!(processor_time(u32::MAX), None);
        assert_eq!(processor_time(0x7FFF_FFFE), None, "there is no such process");
    }

    #[test]
    fn who_sleeps_is_still() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("it starts");
        let proc = Proc::new();
        let begin = std::time::Instant::now();
        // It takes a moment until it has come to sleep.
        let still = std::iter::from_fn(|| {
            let member = Member::look(&proc, child.id(), &proc.figures(child.id())?);
            std::thread::sleep(Duration::from_millis(20));
            Some(member.is_still())
        });
        let mut still = still.take_while(|_| begin.elapsed() < Duration::from_secs(30));
        assert!(still.any(|still| still));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
}
