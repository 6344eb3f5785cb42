//! A new process from prepared parts.

use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::account::Account;
use super::child::{Become, NONE, Orders, Step};
use super::clone::{self, Stack};
use crate::container::linux::Cgroup;

/// All that is to be known about a new process. Nothing is looked up after the clone.
pub(crate) struct Launch<'a> {
    /// Tried in this order, as execvp(3) does.
    pub(crate) programs: Vec<CString>,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) directory: Option<CString>,
    pub(crate) account: Option<&'a Account>,
    pub(crate) stdin: BorrowedFd<'a>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
    /// It is born in this one.
    pub(crate) cgroup: Option<&'a Cgroup>,
    /// If it is killed before its first instruction, see [`clone::run_entering`].
    pub(crate) insist: bool,
    /// It gets the limit of open files that the keeper found, not the one the keeper has set for itself.
    pub(crate) original_limits: bool,
}

/// How far the process came instead of running its program.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) error: io::Error,
}

/// What a keeper has changed for itself and its children are not to inherit.
#[derive(Debug, Default)]
pub(crate) struct Originals {
    pub(crate) open_files: Option<libc::rlimit>,
    pub(crate) oom_score_adj: Option<Vec<u8>>,
}

/// Set once by `become_keeper`.
pub(crate) static ORIGINALS: OnceLock<Originals> = OnceLock::new();

impl Launch<'_> {
    /// Returns the process's number when the program runs.
    pub(crate) fn run(&self) -> Result<u32, Failure> {
        static STACK: Mutex<Option<Stack>> = Mutex::new(None);
        // One at a time: the stack is shared. Held by a thread that panicked it is as good as new.
        let mut stack = STACK.lock().unwrap_or_else(PoisonError::into_inner);
        if stack.is_none() {
            *stack = Some(Stack::new().map_err(clone_failure)?);
        }
        let Some(stack) = stack.as_mut() else {
            return Err(clone_failure(io::ErrorKind::OutOfMemory.into()));
        };

        let programs = pointers(&self.programs);
        let arguments = pointers(&self.arguments);
        let environment = pointers(&self.environment);
        let originals = ORIGINALS.get();
        let account = self.account.map(|account| Become {
            uid: account.uid,
            gid: account.gid,
            groups: account.groups.as_ptr(),
            group_count: account.groups.len(),
        });
        let mut orders = Orders {
            programs: programs.as_ptr(),
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            directory: self.directory.as_ref().map_or(ptr::null(), |dir| dir.as_ptr()),
            account: account.as_ref().map_or(ptr::null(), ptr::from_ref),
            stdio: [self.stdin.as_raw_fd(), self.stdout.as_raw_fd(), self.stderr.as_raw_fd()],
            cgroup_procs: NONE,
            open_files: originals
                .and_then(|originals| originals.open_files.as_ref())
                .filter(|_| self.original_limits)
                .map_or(ptr::null(), ptr::from_ref),
            oom_score_adj: originals
                .and_then(|originals| originals.oom_score_adj.as_ref())
                .map_or((ptr::null(), 0), |text| (text.as_ptr(), text.len())),
            step: Step::Unborn,
            errno: 0,
        };
        match clone::run(stack, &mut orders, self.cgroup) {
            Err(failure) if failure.step == Step::Unborn && self.cgroup.is_some() && self.insist => {
                clone::run_entering(stack, &mut orders, self.cgroup)
            }
            outcome => outcome,
        }
    }
}

fn clone_failure(error: io::Error) -> Failure {
    Failure { step: Step::Clone, error }
}

/// As `execve` takes them: a null pointer at the end.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
