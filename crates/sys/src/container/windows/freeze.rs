//! Freezing: every process of a job is suspended, until a look finds no new one.

use std::collections::BTreeMap;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::time::{Duration, Instant};

use windows_sys::Win32::System::Threading::PROCESS_SUSPEND_RESUME;

use crate::win::job::Job;
use crate::win::suspend::{resume, suspend};

/// A tree that makes processes faster than they are suspended is let go after this time.
const DEADLINE: Duration = Duration::from_secs(2);

/// The processes that we suspended, each once. Windows counts: each is to be resumed once, too.
#[derive(Debug, Default)]
pub(super) struct Frozen(BTreeMap<u32, OwnedHandle>);

impl Frozen {
    pub(super) fn freeze(&mut self, job: &Job) -> io::Result<()> {
        let start = Instant::now();
        loop {
            match self.suspend_new(job) {
                Ok(0) => return Ok(()),
                Ok(_) if start.elapsed() < DEADLINE => {}
                Ok(_) => {
                    self.thaw()?;
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the tree could not be frozen: it makes new processes all the time",
                    ));
                }
                Err(e) => {
                    self.thaw()?;
                    return Err(e);
                }
            }
        }
    }

    /// One look. How many it found that were not suspended yet. The console's host goes on: whoever sends Ctrl+C to a
    /// frozen service would wait for it.
    fn suspend_new(&mut self, job: &Job) -> io::Result<u32> {
        let pids = job.working()?;
        // A number that is listed and held here is the same process still: our handle keeps it from being reused.
        self.0.retain(|pid, _| pids.contains(pid));
        let mut found = 0;
        for pid in pids {
            if self.0.contains_key(&pid) {
                continue;
            }
            let Some(process) = job.open(pid, PROCESS_SUSPEND_RESUME)? else { continue };
            let status = suspend(&process);
            if status < 0 {
                // It is ending: the next look does not find it.
                if still_there(job, pid) {
                    return Err(io::Error::other(format!(
                        "process {pid} cannot be suspended (status {:#010x})",
                        status.cast_unsigned()
                    )));
                }
                continue;
            }
            self.0.insert(pid, process);
            found += 1;
        }
        Ok(found)
    }

    pub(super) fn thaw(&mut self) -> io::Result<()> {
        for process in std::mem::take(&mut self.0).into_values() {
            // One that has ended meanwhile refuses.
            resume(&process);
        }
        Ok(())
    }
}

/// Whether the process is still in the job after a moment in which one that is ending would be gone.
fn still_there(job: &Job, pid: u32) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(200) {
        if !job.pids().is_ok_and(|pids| pids.contains(&pid)) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
