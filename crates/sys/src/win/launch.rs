//! `CreateProcessW` and `CreateProcessAsUserW`: the one place that calls them.
//!
//! A new process gets exactly the handles that are listed for it, whatever else in this process is inheritable, and is
//! in its jobs before its first instruction: there is no moment in which it could start something outside of them.

use std::io;
use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{
    CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessAsUserW, CreateProcessW,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, GetCurrentProcess, GetProcessAffinityMask,
    InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROC_THREAD_ATTRIBUTE_JOB_LIST, PROCESS_INFORMATION, ResumeThread, STARTF_USESTDHANDLES, STARTUPINFOEXW,
    SetProcessAffinityMask, TerminateProcess, UpdateProcThreadAttribute,
};

use super::{check, owned, raw, size_of};

/// What to make.
pub(crate) struct Launch<'a> {
    /// The program's path, with a NUL.
    pub(crate) application: &'a [u16],
    /// The whole command line, with a NUL.
    pub(crate) command_line: Vec<u16>,
    /// The environment block; ours if absent.
    pub(crate) environment: Option<&'a [u16]>,
    /// The working directory, with a NUL; ours if absent.
    pub(crate) working_dir: Option<&'a [u16]>,
    /// Standard input, output and error. Inheritable.
    pub(crate) stdio: [&'a OwnedHandle; 3],
    /// Other handles that it gets. Inheritable.
    pub(crate) handles: &'a [&'a OwnedHandle],
    /// The jobs that it is in from the start: outer ones first.
    pub(crate) jobs: &'a [HANDLE],
    /// Creation flags beside those that are always set.
    pub(crate) flags: u32,
    /// A bit for each processor that it may run on, of the first 64; all of ours if absent.
    pub(crate) affinity: Option<usize>,
    /// What it may do; what we may if absent.
    pub(crate) token: Option<&'a OwnedHandle>,
    /// Its window station and desktop; ours if absent. An empty one lets Windows give it one that its account may use.
    pub(crate) desktop: Option<&'a str>,
}

/// A process that was made. The handle is valid however fast the process ends.
pub(crate) struct Launched {
    pub(crate) pid: u32,
    pub(crate) process: OwnedHandle,
}

/// Makes the process.
pub(crate) fn launch(mut launch: Launch<'_>) -> io::Result<Launched> {
    let mut handles: Vec<HANDLE> =
        launch.stdio.iter().chain(launch.handles).map(|handle| raw(handle)).collect();
    // Windows refuses a list that names a handle twice.
    handles.sort_unstable();
    handles.dedup();
    let mut attributes = Attributes::new(2)?;
    attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &handles)?;
    if !launch.jobs.is_empty() {
        attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, launch.jobs)?;
    }

    let mut startup = STARTUPINFOEXW::default();
    startup.StartupInfo.cb = size_of::<STARTUPINFOEXW>();
    startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    startup.StartupInfo.hStdInput = raw(launch.stdio[0]);
    startup.StartupInfo.hStdOutput = raw(launch.stdio[1]);
    startup.StartupInfo.hStdError = raw(launch.stdio[2]);
    let mut desktop = launch.desktop.map(super::wide).transpose()?;
    startup.StartupInfo.lpDesktop = desktop.as_mut().map_or(std::ptr::null_mut(), |text| text.as_mut_ptr());
    startup.lpAttributeList = attributes.list();

    // The processors are set before its first instruction.
    let suspended = if launch.affinity.is_some() { CREATE_SUSPENDED } else { 0 };
    let mut made = PROCESS_INFORMATION::default();
    // SAFETY: the token, if any, is open; all texts end with a NUL (the environment with two) and outlive the call; the
    // command line is ours to be written to; the start-up information is the extended one that the flag announces, and
    // its list, with the two arrays that it points at, lives until after the call.
    check(unsafe {
        let application = launch.application.as_ptr();
        let command_line = launch.command_line.as_mut_ptr();
        let none = std::ptr::null();
        let flags = launch.flags | suspended | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
        let environment = launch.environment.map_or(std::ptr::null(), |block| block.as_ptr().cast());
        let directory = launch.working_dir.map_or(std::ptr::null(), <[u16]>::as_ptr);
        let startup = &raw const startup.StartupInfo;
        let made = &raw mut made;
        match launch.token.map(raw) {
            None => CreateProcessW(
                application,
                command_line,
                none,
                none,
                1,
                flags,
                environment,
                directory,
                startup,
                made,
            ),
            Some(token) => CreateProcessAsUserW(
                token,
                application,
                command_line,
                none,
                none,
                1,
                flags,
                environment,
                directory,
                startup,
                made,
            ),
        }
    })?;
    let (thread, process) = (owned(made.hThread)?, owned(made.hProcess)?);
    if let Some(mask) = launch.affinity
        && let Err(error) = set_going(&process, &thread, mask)
    {
        // SAFETY: the handle is open and has all rights. It has run nothing yet.
        unsafe { TerminateProcess(raw(&process), super::job::KILLED) };
        return Err(error);
    }
    Ok(Launched { pid: made.dwProcessId, process })
}

fn set_going(process: &OwnedHandle, thread: &OwnedHandle, mask: usize) -> io::Result<()> {
    // SAFETY: the handle is open and has all rights.
    check(unsafe { SetProcessAffinityMask(raw(process), mask) })?;
    // SAFETY: as before.
    if unsafe { ResumeThread(raw(thread)) } == u32::MAX {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The processors that we may use, of the first 64, a bit for each.
pub(crate) fn own_affinity() -> io::Result<usize> {
    let (mut own, mut all) = (0, 0);
    // SAFETY: the pseudo handle is always valid, and both numbers outlive the call.
    check(unsafe { GetProcessAffinityMask(GetCurrentProcess(), &mut own, &mut all) })?;
    Ok(own)
}

/// An attribute list. What it is set to must outlive its use.
struct Attributes(Vec<usize>);

impl Attributes {
    fn new(count: u32) -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: without a list the call only says how long one is; it fails by design.
        unsafe { InitializeProcThreadAttributeList(std::ptr::null_mut(), count, 0, &mut size) };
        let mut list = Self(vec![0; size.div_ceil(size_of::<usize>() as usize).max(1)]);
        // SAFETY: the memory is as long as the first call asked for.
        check(unsafe { InitializeProcThreadAttributeList(list.list(), count, 0, &mut size) })?;
        Ok(list)
    }

    fn list(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.0.as_mut_ptr().cast()
    }

    fn set(&mut self, attribute: u32, handles: &[HANDLE]) -> io::Result<()> {
        // SAFETY: the list was initialised for as many attributes as are set; the array's length in bytes is passed,
        // and every caller keeps the array until the list is dropped.
        check(unsafe {
            UpdateProcThreadAttribute(
                self.list(),
                0,
                attribute as usize,
                handles.as_ptr().cast(),
                std::mem::size_of_val(handles),
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        })
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: `new` initialised it.
        unsafe { DeleteProcThreadAttributeList(self.list()) };
    }
}
