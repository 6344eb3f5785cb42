//! A new process from prepared parts.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::account::Account;
use super::child::{self, Become, NONE, Orders, Step};
use super::clone::{self, Stack};
use super::details::Details;
use super::sandbox::Sandbox;
use super::slots::Slots;
use crate::container::linux::Cgroup;

/// All that is to be known about a new process. Nothing is looked up after the clone.
pub(crate) struct Launch<'a> {
    /// Tried in this order, as execvp(3) does.
    pub(crate) programs: Vec<CString>,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<Cow<'static, CStr>>,
    pub(crate) directory: Option<CString>,
    pub(crate) account: Option<&'a Account>,
    pub(crate) stdin: BorrowedFd<'a>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
    /// It is born in this one.
    pub(crate) cgroup: Option<&'a Cgroup>,
    /// `cgroup.procs` of further ones that it enters.
    pub(crate) entries: &'a [OwnedFd],
    /// If it is killed before its first instruction, see [`clone::run_entering`].
    pub(crate) insist: bool,
    /// It gets the limit of open files that the keeper found, not the one the keeper has set for itself.
    pub(crate) original_limits: bool,
    pub(crate) details: Details,
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) purpose: Purpose,
}

/// What a process is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Run,
    /// It stops, traced by us, before its program's first instruction.
    Rehearsal,
}

/// How far the process came instead of running its program.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) error: io::Error,
    /// Which of several, if the step has several parts.
    pub(crate) which: usize,
}

/// What a keeper has changed for itself and its children are not to inherit.
#[derive(Debug, Default)]
pub(crate) struct Originals {
    pub(crate) open_files: Option<libc::rlimit>,
    pub(crate) oom_score_adj: Option<Vec<u8>>,
}

/// What the making of processes needs besides; there is one.
pub(super) struct Workplace {
    pub(super) stack: Stack,
    pub(super) slots: Slots,
}

static WORKPLACE: Mutex<Option<Workplace>> = Mutex::new(None);

/// Best done early in the life of a process, see [`Slots`]; the first launch does it otherwise.
pub(crate) fn prepare() -> io::Result<()> {
    workplace(&mut WORKPLACE.lock().unwrap_or_else(PoisonError::into_inner)).map(drop)
}

fn workplace(place: &mut Option<Workplace>) -> io::Result<&mut Workplace> {
    match place {
        Some(place) => Ok(place),
        None => Ok(place.insert(Workplace { stack: Stack::new()?, slots: Slots::new()? })),
    }
}

/// Set once by `become_keeper`.
pub(crate) static ORIGINALS: OnceLock<Originals> = OnceLock::new();

impl Launch<'_> {
    /// Returns the process's number when the program runs.
    pub(crate) fn run(&mut self) -> Result<u32, Failure> {
        // One at a time. What a thread that panicked has left is as good as new.
        let mut place = WORKPLACE.lock().unwrap_or_else(PoisonError::into_inner);
        let place = workplace(&mut place).map_err(clone_failure)?;
        let outcome = self.run_at(place);
        place.slots.clear();
        outcome
    }

    fn run_at(&mut self, place: &mut Workplace) -> Result<u32, Failure> {
        let stdio = self.put_stdio(&mut place.slots).map_err(clone_failure)?;
        let entries = self.entries.iter().map(|entry| place.slots.put(entry.as_fd()));
        let entries: Vec<RawFd> = entries.collect::<io::Result<_>>().map_err(clone_failure)?;
        let programs = pointers(&self.programs);
        let arguments = pointers(&self.arguments);
        let environment = pointers(&self.environment);
        let originals = ORIGINALS.get();
        let details = &self.details;
        let account = self.account.map(|account| Become {
            uid: account.uid,
            gid: account.gid,
            groups: account.groups.as_ptr(),
            group_count: account.groups.len(),
            insist: account.insist,
        });
        let filter = self.sandbox.as_ref().and_then(|sandbox| filter(&sandbox.filter));
        let sandbox = self.sandbox.as_mut().map(|sandbox| sandbox_orders(sandbox, filter.as_ref()));
        let mut orders = Orders {
            programs: programs.as_ptr(),
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            directory: self.directory.as_ref().map_or(ptr::null(), |dir| dir.as_ptr()),
            account: account.as_ref().map_or(ptr::null(), ptr::from_ref),
            stdio,
            ignored: u64::MAX,
            highest: place.slots.highest(),
            cgroup_procs: NONE,
            entries: (entries.as_ptr(), entries.len()),
            open_files: originals
                .and_then(|originals| originals.open_files.as_ref())
                .filter(|_| self.original_limits && !details.limits_open_files())
                .map_or(ptr::null(), ptr::from_ref),
            oom_score_adj: originals
                .and_then(|originals| originals.oom_score_adj.as_ref())
                .map_or((ptr::null(), 0), |text| (text.as_ptr(), text.len())),
            limits: (details.limits.as_ptr(), details.limits.len()),
            nice: details.nice.unwrap_or(i32::MAX),
            cpus: if details.cpus.is_empty() {
                (ptr::null(), 0)
            } else {
                (details.cpus.as_ptr(), size_of_val(details.cpus.as_slice()))
            },
            umask: details.umask.and_then(|umask| i32::try_from(umask).ok()).unwrap_or(-1),
            stdin: details.stdin.as_ref().map_or(ptr::null(), |path| path.as_ptr()),
            sandbox: sandbox.as_ref().map_or(ptr::null(), ptr::from_ref),
            rehearsal: self.purpose == Purpose::Rehearsal,
            which: 0,
            step: Step::Unborn,
            errno: 0,
        };
        match clone::run(place, &mut orders, self.cgroup) {
            Err(failure) if failure.step == Step::Unborn && self.cgroup.is_some() && self.insist => {
                clone::run_entering(place, &mut orders, self.cgroup)
            }
            outcome => outcome,
        }
    }

    /// Error and output are often the same.
    fn put_stdio(&self, slots: &mut Slots) -> io::Result<[RawFd; 3]> {
        let stdin = slots.put(self.stdin)?;
        let stdout = slots.put(self.stdout)?;
        let same = self.stderr.as_raw_fd() == self.stdout.as_raw_fd();
        let stderr = if same { stdout } else { slots.put(self.stderr)? };
        Ok([stdin, stdout, stderr])
    }
}

fn sandbox_orders(sandbox: &mut Sandbox, filter: Option<&libc::sock_fprog>) -> child::sandbox::Orders {
    let capabilities = sandbox.capabilities;
    child::sandbox::Orders {
        mounts: (sandbox.mounts.as_mut_ptr(), sandbox.mounts.len()),
        own_ipc: sandbox.own_ipc,
        kept: capabilities.map_or(0, |capabilities| capabilities.kept),
        last: capabilities.and_then(|capabilities| i32::try_from(capabilities.last).ok()).unwrap_or(-1),
        no_new_privileges: sandbox.no_new_privileges,
        filter: filter.map_or(ptr::null(), ptr::from_ref),
    }
}

/// As `prctl` takes it, which only reads it; none for an empty one.
fn filter(program: &[libc::sock_filter]) -> Option<libc::sock_fprog> {
    let len = libc::c_ushort::try_from(program.len()).ok().filter(|len| *len > 0)?;
    Some(libc::sock_fprog { len, filter: program.as_ptr().cast_mut() })
}

fn clone_failure(error: io::Error) -> Failure {
    Failure { step: Step::Clone, error, which: 0 }
}

/// As `execve` takes them: a null pointer at the end.
fn pointers<S: AsRef<CStr>>(strings: &[S]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ref().as_ptr()).chain([ptr::null()]).collect()
}
