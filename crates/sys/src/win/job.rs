//! Job objects: made, counted, listed, ended.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_INVALID_PARAMETER, ERROR_MORE_DATA, HANDLE,
};
use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, IsProcessInJob, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
    JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS, JobObjectBasicAccountingInformation,
    JobObjectBasicAndIoAccountingInformation, JobObjectBasicProcessIdList,
    JobObjectCpuRateControlInformation, JobObjectExtendedLimitInformation, OpenJobObjectW,
    QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::SystemServices::JOB_OBJECT_QUERY;
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_INFORMATION, QueryFullProcessImageNameW,
};

use super::security::Descriptor;
use super::{check, owned, pointer, raw, size_of, wide};

/// The exit code of processes that Mainstay ends, the same that `taskkill /f` gives.
pub(crate) const KILLED: u32 = 1;

/// How often a job that ends is asked whether it is empty: Windows has no event for it that is certain to come.
const POLL: Duration = Duration::from_millis(2);

/// A job object.
#[derive(Debug)]
pub(crate) struct Job(OwnedHandle);

/// What a name turned out to be.
pub(crate) enum Named {
    /// There was none of that name.
    New(Job),
    /// Somebody made it before.
    Old(Job),
}

/// What a job's processes have used, those that are gone too.
pub(crate) struct Account {
    pub(crate) cpu: Duration,
    pub(crate) read: u64,
    pub(crate) written: u64,
}

impl Job {
    /// A job without a name.
    pub(crate) fn anonymous(limits: u32) -> io::Result<Self> {
        // SAFETY: neither a descriptor nor a name is passed.
        let job = Self(owned(unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) })?);
        job.limit(limits)?;
        Ok(job)
    }

    /// A job that others can find by its name, if the descriptor lets them; or the one that is there already.
    /// Limits are set on a new one only.
    pub(crate) fn named(name: &str, limits: u32, descriptor: &Descriptor) -> io::Result<Named> {
        let name = wide(name)?;
        let attributes = descriptor.attributes(false);
        // SAFETY: `attributes` and `name` outlive the call.
        let handle = unsafe { CreateJobObjectW(&attributes, name.as_ptr()) };
        let error = io::Error::last_os_error();
        let job = Self(owned(handle)?);
        if error.raw_os_error() == Some(ERROR_ALREADY_EXISTS.cast_signed()) {
            return Ok(Named::Old(job));
        }
        job.limit(limits)?;
        Ok(Named::New(job))
    }

    /// One that somebody else made, to look into it.
    pub(crate) fn look_up(name: &str) -> io::Result<Self> {
        let name = wide(name)?;
        // SAFETY: `name` outlives the call.
        owned(unsafe { OpenJobObjectW(JOB_OBJECT_QUERY, 0, name.as_ptr()) }).map(Self)
    }

    /// What all processes that ever were in it have used.
    pub(crate) fn account(&self) -> io::Result<Account> {
        // SAFETY: the structure is the one of this class.
        let information: JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION =
            unsafe { self.query(JobObjectBasicAndIoAccountingInformation)? };
        let basic = &information.BasicInfo;
        let ticks = basic.TotalUserTime.saturating_add(basic.TotalKernelTime);
        Ok(Account {
            // In 100 ns.
            cpu: Duration::from_micros(u64::try_from(ticks).unwrap_or(0) / 10),
            read: information.IoInfo.ReadTransferCount,
            written: information.IoInfo.WriteTransferCount,
        })
    }

    /// Takes over a handle, and makes sure that it is a job's.
    pub(crate) fn from_handle(handle: OwnedHandle) -> io::Result<Self> {
        let job = Self(handle);
        job.active()?;
        Ok(job)
    }

    fn limit(&self, limits: u32) -> io::Result<()> {
        let mut information = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        information.BasicLimitInformation.LimitFlags = limits;
        self.set_extended(&information)
    }

    /// Sets its limits anew; those that are not in `information` are gone.
    pub(crate) fn set_extended(&self, information: &JOBOBJECT_EXTENDED_LIMIT_INFORMATION) -> io::Result<()> {
        // SAFETY: the structure is the one of this class.
        unsafe { self.set(JobObjectExtendedLimitInformation, information) }
    }

    /// Its limits as the system has them, and the most that it has used.
    pub(crate) fn extended(&self) -> io::Result<JOBOBJECT_EXTENDED_LIMIT_INFORMATION> {
        // SAFETY: the structure is the one of this class.
        unsafe { self.query(JobObjectExtendedLimitInformation) }
    }

    /// Sets its share of the processors.
    pub(crate) fn set_cpu_rate(
        &self,
        information: &JOBOBJECT_CPU_RATE_CONTROL_INFORMATION,
    ) -> io::Result<()> {
        // SAFETY: the structure is the one of this class.
        unsafe { self.set(JobObjectCpuRateControlInformation, information) }
    }

    /// The raw handle.
    pub(crate) fn handle(&self) -> HANDLE {
        raw(&self.0)
    }

    /// How many processes live in it.
    pub(crate) fn active(&self) -> io::Result<u32> {
        Ok(self.accounting()?.ActiveProcesses)
    }

    /// What the system counts of it.
    pub(crate) fn accounting(&self) -> io::Result<JOBOBJECT_BASIC_ACCOUNTING_INFORMATION> {
        // SAFETY: the structure is the one of this class.
        unsafe { self.query(JobObjectBasicAccountingInformation) }
    }

    /// What the system says of it in `class`.
    ///
    /// # Safety
    ///
    /// `T` is the structure of `class`.
    unsafe fn query<T: Default>(&self, class: JOBOBJECTINFOCLASS) -> io::Result<T> {
        let mut information = T::default();
        // SAFETY: the caller's promise; the structure is ours to write, and its size is passed.
        check(unsafe {
            QueryInformationJobObject(
                self.handle(),
                class,
                std::ptr::from_mut(&mut information).cast(),
                size_of::<T>(),
                std::ptr::null_mut(),
            )
        })?;
        Ok(information)
    }

    /// Sets what the structure of `class` says.
    ///
    /// # Safety
    ///
    /// `T` is the structure of `class`.
    unsafe fn set<T>(&self, class: JOBOBJECTINFOCLASS, information: &T) -> io::Result<()> {
        // SAFETY: the caller's promise; the structure outlives the call, and its size is passed.
        check(unsafe { SetInformationJobObject(self.handle(), class, pointer(information), size_of::<T>()) })
    }

    /// The ids of all processes in it.
    pub(crate) fn pids(&self) -> io::Result<Vec<u32>> {
        // Two counts (u32), then the ids (usize each): so the buffer is made of usize.
        let mut buffer = vec![0_usize; 1 + 62];
        // Bound: it doubles each time; 24 doublings are a thousand million processes.
        for _ in 0..24 {
            let bytes = u32::try_from(std::mem::size_of_val(buffer.as_slice())).unwrap_or(u32::MAX);
            // SAFETY: the buffer is as long as said and aligned for the structure that this class fills.
            let result = check(unsafe {
                QueryInformationJobObject(
                    self.handle(),
                    JobObjectBasicProcessIdList,
                    buffer.as_mut_ptr().cast(),
                    bytes,
                    std::ptr::null_mut(),
                )
            });
            let listed = buffer[0] >> 32;
            let assigned = buffer[0] & 0xFFFF_FFFF;
            match result {
                Ok(()) if listed >= assigned => {
                    let ids = buffer.iter().skip(1).take(listed);
                    return Ok(ids.filter_map(|id| u32::try_from(*id).ok()).collect());
                }
                Err(e) if e.raw_os_error() != Some(ERROR_MORE_DATA.cast_signed()) => return Err(e),
                _ => buffer.resize(buffer.len() * 2 + assigned, 0),
            }
        }
        Err(io::Error::other("more processes in a job than can be listed"))
    }

    /// Opens a process of this job. `None` if it is gone, or if its number is another process's by now.
    pub(crate) fn open(&self, pid: u32, access: u32) -> io::Result<Option<OwnedHandle>> {
        // The limited right would do for Windows; Wine wants the full one to say whether a process is in a job.
        // SAFETY: plain values are passed.
        let handle = match owned(unsafe { OpenProcess(access | PROCESS_QUERY_INFORMATION, 0, pid) }) {
            Ok(handle) => handle,
            // What Windows says of a number that no process has.
            Err(e) if e.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed()) => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut inside = 0;
        // SAFETY: both handles are open, and `inside` outlives the call.
        check(unsafe { IsProcessInJob(raw(&handle), self.handle(), &mut inside) })?;
        Ok((inside != 0).then_some(handle))
    }

    /// The processes that do the service's work: all but the console hosts. One of these belongs to every console
    /// and ends by itself with the last program on it. (Wine counts it in the job; Windows may.)
    pub(crate) fn working(&self) -> io::Result<Vec<u32>> {
        if self.active()? == 0 {
            return Ok(Vec::new());
        }
        let host = console_host();
        let mut pids = self.pids()?;
        pids.retain(|pid| self.is_working(*pid, &host));
        Ok(pids)
    }

    /// Whether there is any such process.
    pub(crate) fn is_at_work(&self) -> io::Result<bool> {
        if self.active()? == 0 {
            return Ok(false);
        }
        let host = console_host();
        Ok(self.pids()?.into_iter().any(|pid| self.is_working(pid, &host)))
    }

    fn is_working(&self, pid: u32, host: &OsStr) -> bool {
        match self.open(pid, 0) {
            Ok(Some(process)) => image(&process).is_none_or(|path| !path.eq_ignore_ascii_case(host)),
            Ok(None) => false,
            // One that may not be opened, of another account, is there all the same.
            Err(_) => true,
        }
    }

    /// Ends every process in it.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { TerminateJobObject(self.handle(), KILLED) })
    }

    /// Ends every process in it and waits until none is left. Returns how many there were.
    pub(crate) fn end(&self, deadline: Duration) -> io::Result<u32> {
        let count = u32::try_from(self.working()?.len()).unwrap_or(u32::MAX);
        let start = Instant::now();
        loop {
            self.terminate()?;
            let left = self.active()?;
            if left == 0 {
                return Ok(count);
            }
            if start.elapsed() >= deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!(
                        "{left} processes are still there {} ms after they were ended",
                        deadline.as_millis()
                    ),
                ));
            }
            std::thread::sleep(POLL);
        }
    }

    /// A second handle to it.
    pub(crate) fn duplicate(&self, inheritable: bool) -> io::Result<OwnedHandle> {
        super::duplicate(self.handle(), inheritable)
    }
}

/// The path of a process's program.
pub(crate) fn image(process: &OwnedHandle) -> Option<OsString> {
    let mut buffer = [0_u16; 1024];
    let mut length = 1024;
    // SAFETY: the buffer is as long as `length` says, and both outlive the call.
    let ok = unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            buffer.as_mut_ptr(),
            &mut length,
        )
    };
    (ok != 0).then(|| super::text_until_nul(&buffer[..(length as usize).min(buffer.len())]))
}

fn console_host() -> OsString {
    super::system_directory()
        .unwrap_or_else(|_| PathBuf::from(r"C:\Windows\System32"))
        .join("conhost.exe")
        .into()
}

/// Takes a handle that this process inherited under a known number.
///
/// # Safety
/// Nobody else in this process owns the handle of that number.
pub(crate) unsafe fn inherited(number: usize) -> OwnedHandle {
    let handle = std::ptr::with_exposed_provenance_mut::<std::ffi::c_void>(number);
    // SAFETY: the caller promises that it is nobody else's.
    unsafe { OwnedHandle::from_raw_handle(handle) }
}
