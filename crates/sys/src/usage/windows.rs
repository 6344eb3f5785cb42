//! From the containers' jobs, which have names for that, and from one list of all processes.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io;
use std::mem::offset_of;
use std::time::Duration;

use windows_sys::Win32::Foundation::{FILETIME, NTSTATUS, STATUS_INFO_LENGTH_MISMATCH};
use windows_sys::Win32::System::Threading::{
    GetProcessIoCounters, GetProcessTimes, IO_COUNTERS, PROCESS_QUERY_LIMITED_INFORMATION,
};
use windows_sys::Win32::System::WindowsProgramming::SYSTEM_PROCESS_INFORMATION;

use super::{Sample, Tree, Usage};
use crate::container::windows::job_name;
use crate::process::windows as process;
use crate::win::job::Job;
use crate::win::{check, raw};

#[link(name = "ntdll")]
unsafe extern "system" {
    /// The one call that tells memory, threads and handles of all processes at once; documented under winternl.h.
    fn NtQuerySystemInformation(class: i32, buffer: *mut c_void, length: u32, wanted: *mut u32) -> NTSTATUS;
}

/// `SystemProcessInformation`.
const PROCESSES: i32 = 5;
/// No machine has a longer list.
const LONGEST: usize = 256 << 20;

#[derive(Debug)]
pub(super) struct Sampler {
    stack: String,
    keeper: u32,
    /// In `u64`s, so that it is aligned for what is put into it. Kept, because it is long.
    buffer: Vec<u64>,
}

/// What the list says of a process.
#[derive(Clone, Copy, Debug)]
struct Listed {
    resident: u64,
    private: u64,
    threads: u32,
    handles: u64,
}

impl Sampler {
    pub(super) fn new(stack: &str, keeper: u32, _kind: &str) -> Sampler {
        Sampler { stack: stack.to_owned(), keeper, buffer: vec![0; 32 << 10] }
    }

    pub(super) fn sample(&mut self, trees: &[Tree<'_>], processes: &[u32]) -> Sample {
        let Ok(list) = self.list() else {
            return Sample { trees: vec![None; trees.len()], processes: vec![None; processes.len()] };
        };
        let keeper = process::identity(self.keeper);
        Sample {
            trees: trees
                .iter()
                .map(|tree| {
                    let name = job_name(&self.stack, keeper.as_ref()?, tree.name);
                    match Job::look_up(&name) {
                        Ok(job) => of_job(&job, &list),
                        // A keeper from before the jobs had names: its main process is all that can be seen.
                        Err(_) => of_process(tree.main, &list),
                    }
                })
                .collect(),
            processes: processes.iter().map(|pid| of_process(*pid, &list)).collect(),
        }
    }

    fn list(&mut self) -> io::Result<BTreeMap<u32, Listed>> {
        loop {
            let bytes = std::mem::size_of_val(self.buffer.as_slice());
            let mut wanted = 0;
            // SAFETY: the buffer is as long as said and aligned for the structure that this class fills.
            let status = unsafe {
                NtQuerySystemInformation(
                    PROCESSES,
                    self.buffer.as_mut_ptr().cast(),
                    u32::try_from(bytes).unwrap_or(u32::MAX),
                    &mut wanted,
                )
            };
            if status >= 0 {
                return Ok(self.read(bytes));
            }
            if status != STATUS_INFO_LENGTH_MISMATCH || bytes >= LONGEST {
                return Err(io::Error::other("Windows does not list its processes"));
            }
            let longer = (wanted as usize + wanted as usize / 4).max(bytes * 2);
            self.buffer.resize(longer.div_ceil(8), 0);
        }
    }

    fn read(&self, bytes: usize) -> BTreeMap<u32, Listed> {
        let mut all = BTreeMap::new();
        let base: *const u8 = self.buffer.as_ptr().cast();
        let mut at = 0;
        // What is read of each entry ends here; its threads may follow.
        const END: usize = offset_of!(SYSTEM_PROCESS_INFORMATION, PrivatePageCount) + size_of::<usize>();
        while at + END <= bytes {
            // SAFETY: the entry's fields that are read lie within the buffer, as was just checked, and any bytes are
            // valid for them. Wine does not align all entries, so nothing is taken to be aligned.
            let (next, pid, listed) = unsafe {
                let entry: *const SYSTEM_PROCESS_INFORMATION = base.add(at).cast();
                (
                    (&raw const (*entry).NextEntryOffset).read_unaligned(),
                    (&raw const (*entry).UniqueProcessId).read_unaligned().addr(),
                    Listed {
                        resident: (&raw const (*entry).WorkingSetSize).read_unaligned() as u64,
                        private: (&raw const (*entry).PrivatePageCount).read_unaligned() as u64,
                        threads: (&raw const (*entry).NumberOfThreads).read_unaligned(),
                        handles: u64::from((&raw const (*entry).HandleCount).read_unaligned()),
                    },
                )
            };
            if let Ok(pid) = u32::try_from(pid) {
                all.insert(pid, listed);
            }
            if next == 0 {
                break;
            }
            at += next as usize;
        }
        all
    }
}

fn of_job(job: &Job, list: &BTreeMap<u32, Listed>) -> Option<Usage> {
    let mut sum = Usage::default();
    for pid in job.working().ok()? {
        if let Some(listed) = list.get(&pid) {
            sum.add(&usage(listed));
        }
    }
    if sum.processes == 0 {
        return None;
    }
    if let Ok(account) = job.account() {
        sum.cpu = account.cpu;
        (sum.cpu_of_all, sum.io_of_all) = (true, true);
        (sum.read, sum.written) = (Some(account.read), Some(account.written));
    }
    Some(sum)
}

fn of_process(pid: u32, list: &BTreeMap<u32, Listed>) -> Option<Usage> {
    let mut usage = usage(list.get(&pid)?);
    let handle = process::open(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok()??;
    let mut times = [FILETIME::default(); 4];
    let [creation, exit, kernel, user] = &mut times;
    // SAFETY: the handle is open with the right to query, and the four results outlive the call.
    if check(unsafe { GetProcessTimes(raw(&handle), creation, exit, kernel, user) }).is_ok() {
        let ticks = |time: &FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
        usage.cpu = hundred_nanos(ticks(&times[2]).saturating_add(ticks(&times[3])));
    }
    let mut counters = IO_COUNTERS::default();
    // SAFETY: as above.
    if check(unsafe { GetProcessIoCounters(raw(&handle), &mut counters) }).is_ok() {
        (usage.read, usage.written) = (Some(counters.ReadTransferCount), Some(counters.WriteTransferCount));
    }
    Some(usage)
}

fn usage(listed: &Listed) -> Usage {
    Usage {
        resident: listed.resident,
        private: listed.private,
        processes: 1,
        threads: listed.threads,
        handles: Some(listed.handles),
        ..Usage::default()
    }
}

/// Windows' unit of time.
fn hundred_nanos(count: u64) -> Duration {
    Duration::from_micros(count / 10)
}
