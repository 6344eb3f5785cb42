//! One process of a tree, and whether it has run since it was looked at.

use std::time::Duration;

use super::read::{Figures, Files, Proc};
use crate::usage::Usage;

/// A process of a tree as it was when its files were read.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) start: u64,
    /// Its processor time then; none: this kernel does not tell.
    ran: Option<Duration>,
    /// Whether there is nothing new to be seen of it.
    rests: bool,
    /// Held open while it runs between any two looks.
    files: Option<Files>,
    pub(super) usage: Usage,
}

impl Member {
    /// Reads all that its files say. None: it is gone.
    pub(super) fn look(proc: &Proc, pid: u32) -> Option<Member> {
        let mut files = proc.files(pid)?;
        let figures = files.figures().filter(|figures| !figures.is_dead())?;
        let mut member = Member {
            pid,
            start: figures.start,
            ran: None,
            rests: false,
            files: None,
            usage: Usage::default(),
        };
        member.read(proc, &mut files, &figures);
        member.files = proc.may_hold(files.count()).then_some(files);
        Some(member)
    }

    /// The same of one that is known, unless it [rests](Member::rests). None: it is gone, and its number may be
    /// another's.
    pub(super) fn look_again(mut self, proc: &Proc) -> Option<Member> {
        if self.rests {
            return Some(self);
        }
        let Some(mut files) = self.files.take() else {
            return Member::look(proc, self.pid).filter(|member| member.start == self.start);
        };
        let figures = files.figures().filter(|figures| !figures.is_dead())?;
        self.read(proc, &mut files, &figures);
        self.files = Some(files);
        Some(self)
    }

    fn read(&mut self, proc: &Proc, files: &mut Files, figures: &Figures) {
        // Before the files: what changes meanwhile is then seen the next time.
        self.ran = processor_time(self.pid);
        self.usage = files.usage(proc, figures, self.ran);
    }

    /// Whether it has not run since, and is not due all the same. Who has not run has not allocated, opened, read or
    /// started anything either: only the kernel may have taken memory from it. Its files are closed.
    pub(super) fn rests(&mut self, is_due: bool) -> bool {
        let is_still = self.ran.is_some() && self.ran == processor_time(self.pid);
        if is_still {
            self.files = None;
        }
        self.rests = is_still && !is_due;
        self.rests
    }

    /// How many descriptors it holds.
    pub(super) fn count(&self) -> usize {
        self.files.as_ref().map_or(0, Files::count)
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
        let mut member = Member::look(&proc, own).expect("we live");
        assert!(!member.rests(false), "we just ran");
        let member = member.look_again(&proc).expect("we live");
        assert_eq!((member.pid, member.usage.processes), (own, 1));
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
            let mut member = Member::look(&proc, child.id())?;
            std::thread::sleep(Duration::from_millis(20));
            Some(member.rests(false) && member.count() == 0)
        });
        let mut still = still.take_while(|_| begin.elapsed() < Duration::from_secs(30));
        assert!(still.any(|still| still));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
}
