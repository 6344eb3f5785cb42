//! What the new process does between its birth and its program.
//!
//! It runs in the memory of its parent, on a stack of its own, while the thread that made it stands still. So it may
//! only do what a signal handler may: system calls on what was prepared, no allocation, no locks, no panics. The
//! functions of the C library for changing one's account are out as well: they would change the parent's threads.

use std::ffi::{c_char, c_int, c_long, c_void};

pub(crate) mod sandbox;

/// No descriptor.
pub(crate) const NONE: c_int = -1;

/// Where it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Step {
    /// There is no process.
    Clone,
    /// It was killed before its first instruction.
    Unborn,
    /// It runs, and nothing has failed yet.
    Born,
    Session,
    Cgroup,
    Limits,
    /// The limit of the place in [`Orders::which`].
    Rlimit,
    Nice,
    Cpus,
    /// The path of the place before the one in [`Orders::which`]; at 0 the process's own view of the files.
    Mounts,
    Stdio,
    Account,
    Capabilities,
    Directory,
    /// The file for standard input.
    Stdin,
    /// It cannot be traced.
    Rehearsal,
    /// No new privileges, and the filter of system calls.
    Filter,
    Exec,
}

/// One limit of the kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Limit {
    pub(super) resource: u32,
    pub(super) value: libc::rlimit,
}

/// The account to become.
#[repr(C)]
pub(super) struct Become {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: *const u32,
    pub(super) group_count: usize,
    /// Whether the groups were asked for, and are not just those that come with the user.
    pub(super) insist: bool,
}

/// Everything it needs, and where it says what went wrong. All pointers outlive the new process's use of them,
/// because its parent stands still until it has started its program or ended.
#[repr(C)]
pub(super) struct Orders {
    /// Null at the end, as are the next two.
    pub(super) programs: *const *const c_char,
    pub(super) arguments: *const *const c_char,
    pub(super) environment: *const *const c_char,
    /// May be null, as may the next.
    pub(super) directory: *const c_char,
    pub(super) account: *const Become,
    /// None of them is 0, 1 or 2.
    pub(super) stdio: [c_int; 3],
    /// The handlers are gone already; only these signals may be ignored. A bit for each, from the lowest for signal 1.
    pub(super) ignored: u64,
    /// Nothing that is needed has a higher number.
    pub(super) highest: c_int,
    /// An open `cgroup.procs` to write itself into, or `NONE`.
    pub(super) cgroup_procs: c_int,
    /// The same of further cgroups.
    pub(super) entries: (*const c_int, usize),
    pub(super) open_files: *const libc::rlimit,
    pub(super) oom_score_adj: (*const u8, usize),
    pub(super) limits: (*const Limit, usize),
    /// Above 19: as it is.
    pub(super) nice: c_int,
    /// The mask of processors and its length in bytes; null for all.
    pub(super) cpus: (*const u64, usize),
    /// Negative: as it is.
    pub(super) umask: c_int,
    /// The path of standard input; null for what `stdio` says.
    pub(super) stdin: *const c_char,
    /// May be null.
    pub(super) sandbox: *const sandbox::Orders,
    /// It is to stop before its program's first instruction.
    pub(super) rehearsal: bool,
    /// Which of several, if `step` says that there are several.
    pub(super) which: usize,
    pub(super) step: Step,
    pub(super) errno: c_int,
}

/// The new process's whole life before its program.
///
/// # Safety
/// `orders` is valid, and nobody else uses it until this process has started its program or ended. All signals are
/// blocked.
pub(super) unsafe extern "C" fn run(orders: *mut c_void) -> c_int {
    let orders: *mut Orders = orders.cast();
    // SAFETY: the caller's promise; volatile, because another process reads it.
    unsafe {
        (&raw mut (*orders).step).write_volatile(Step::Born);
        let mut which = 0;
        let (step, errno) = prepare_and_execute(&*orders, &mut which);
        (&raw mut (*orders).which).write_volatile(which);
        (&raw mut (*orders).step).write_volatile(step);
        (&raw mut (*orders).errno).write_volatile(errno);
        libc::syscall(libc::SYS_exit_group, 127);
    }
    // Not reached; the type wants it.
    127
}

/// Returns only if it cannot be done.
unsafe fn prepare_and_execute(orders: &Orders, which: &mut usize) -> (Step, c_int) {
    // SAFETY: only system calls, with pointers that `Orders` promises to be valid.
    unsafe {
        if libc::syscall(libc::SYS_setsid) < 0 {
            return (Step::Session, errno());
        }
        // First of all that touches descriptors: until now they are our parent's.
        if let Err(errno) = own_descriptors(orders.highest) {
            return (Step::Stdio, errno);
        }
        if orders.cgroup_procs != NONE && write_all(orders.cgroup_procs, b"0".as_ptr(), 1) < 0 {
            return (Step::Cgroup, errno());
        }
        let (entries, count) = orders.entries;
        for place in 0..count {
            if write_all(*entries.add(place), b"0".as_ptr(), 1) < 0 {
                *which = place + 1;
                return (Step::Cgroup, errno());
            }
        }
        default_signals(orders.ignored);
        if let Err(errno) = set_limits(orders) {
            return (Step::Limits, errno);
        }
        // What needs rights that the account may not have comes before the account.
        if let Err(failure) = set_details(orders, which) {
            return failure;
        }
        let sandbox = orders.sandbox.as_ref();
        if let Some(sandbox) = sandbox {
            // Before the descriptors that it makes are closed with all others.
            if let Err(errno) = sandbox::set_mounts(sandbox, which) {
                return (Step::Mounts, errno);
            }
            if let Err(errno) = sandbox::bound_capabilities(sandbox) {
                return (Step::Capabilities, errno);
            }
        }
        if let Err(errno) = set_stdio(orders) {
            return (Step::Stdio, errno);
        }
        if let Some(account) = orders.account.as_ref()
            && let Err(errno) = set_account(account)
        {
            return (Step::Account, errno);
        }
        if let Some(sandbox) = sandbox
            && let Err(errno) = sandbox::keep_capabilities(sandbox)
        {
            return (Step::Capabilities, errno);
        }
        if !orders.directory.is_null() && libc::syscall(libc::SYS_chdir, orders.directory) < 0 {
            return (Step::Directory, errno());
        }
        if !orders.stdin.is_null()
            && let Err(errno) = set_stdin(orders.stdin)
        {
            return (Step::Stdin, errno);
        }
        // The kernel stops a traced process at its execve. A filter of system calls may forbid to ask for it.
        if orders.rehearsal && libc::syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0) < 0 {
            return (Step::Rehearsal, errno());
        }
        if let Some(sandbox) = sandbox
            && let Err(errno) = sandbox::close(sandbox)
        {
            return (Step::Filter, errno);
        }
        let nothing: u64 = 0;
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const nothing,
            std::ptr::null::<u64>(),
            size_of::<u64>(),
        );
        (Step::Exec, execute(orders))
    }
}

/// As execvp(3): what is missing or closed is passed over, and "closed" is told only if nothing better is found.
unsafe fn execute(orders: &Orders) -> c_int {
    let mut closed = false;
    let mut last = libc::ENOENT;
    let mut program = orders.programs;
    // SAFETY: the list ends with a null pointer.
    unsafe {
        while !(*program).is_null() {
            libc::syscall(libc::SYS_execve, *program, orders.arguments, orders.environment);
            last = errno();
            match last {
                libc::EACCES => closed = true,
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                _ => return last,
            }
            program = program.add(1);
        }
    }
    if closed { libc::EACCES } else { last }
}

/// Handlers would run on our parent's memory once signals are let in, and what is ignored would stay ignored.
unsafe fn default_signals(which: u64) {
    /// The kernel's `struct sigaction`; the C library's is another.
    #[repr(C)]
    struct Action {
        handler: usize,
        flags: usize,
        restorer: usize,
        mask: u64,
    }
    let default = Action { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    for signal in (1..=64_i32).filter(|signal| which & (1 << (signal - 1)) != 0) {
        // SAFETY: `default` is a valid action; SIGKILL and SIGSTOP are refused, which is right.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                std::ptr::null::<Action>(),
                size_of::<u64>(),
            );
        }
    }
}

unsafe fn set_limits(orders: &Orders) -> Result<(), c_int> {
    // SAFETY: pointers of `orders`, and a path that ends with a NUL.
    unsafe {
        if !orders.open_files.is_null()
            && libc::syscall(libc::SYS_setrlimit, libc::RLIMIT_NOFILE, orders.open_files) < 0
        {
            return Err(errno());
        }
        let (text, length) = orders.oom_score_adj;
        if !text.is_null() {
            let path = c"/proc/self/oom_score_adj".as_ptr();
            let fd = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, libc::O_WRONLY | libc::O_CLOEXEC);
            // Not worth a failed start.
            if let Ok(fd) = c_int::try_from(fd)
                && fd >= 0
            {
                write_all(fd, text, length);
                libc::syscall(libc::SYS_close, fd);
            }
        }
    }
    Ok(())
}

unsafe fn set_details(orders: &Orders, which: &mut usize) -> Result<(), (Step, c_int)> {
    // SAFETY: numbers, and pointers of `orders` with the lengths that stand beside them.
    unsafe {
        let (limits, count) = orders.limits;
        for place in 0..count {
            let limit = limits.add(place);
            if libc::syscall(libc::SYS_setrlimit, (*limit).resource, &raw const (*limit).value) < 0 {
                *which = place;
                return Err((Step::Rlimit, errno()));
            }
        }
        if orders.nice < 20 && libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, orders.nice) < 0 {
            return Err((Step::Nice, errno()));
        }
        let (cpus, length) = orders.cpus;
        if !cpus.is_null() && libc::syscall(libc::SYS_sched_setaffinity, 0, length, cpus) < 0 {
            return Err((Step::Cpus, errno()));
        }
        if orders.umask >= 0 {
            libc::syscall(libc::SYS_umask, orders.umask);
        }
    }
    Ok(())
}

/// Opened without waiting: a named pipe whose other end nobody has would hold up the keeper for ever.
unsafe fn set_stdin(path: *const c_char) -> Result<(), c_int> {
    // SAFETY: a path that ends with a NUL, and a structure to be written to.
    unsafe {
        let open = |access: c_int| {
            let flags = access | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
            let fd = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags);
            c_int::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(errno)
        };
        let mut fd = open(libc::O_RDONLY)?;
        let mut found = std::mem::MaybeUninit::<libc::stat>::uninit();
        if libc::fstat(fd, found.as_mut_ptr()) < 0 {
            return Err(errno());
        }
        match found.assume_init_ref().st_mode & libc::S_IFMT {
            libc::S_IFDIR => return Err(libc::EISDIR),
            // With a writer of its own it does not end when another one closes it.
            libc::S_IFIFO => {
                if let Ok(both) = open(libc::O_RDWR) {
                    libc::syscall(libc::SYS_close, fd);
                    fd = both;
                }
            }
            _ => {}
        }
        // The flag belongs to the opened file; the program expects to wait.
        if libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFL, 0) < 0
            || libc::syscall(libc::SYS_dup3, fd, 0, 0) < 0
        {
            return Err(errno());
        }
        libc::syscall(libc::SYS_close, fd);
    }
    Ok(())
}

/// A table of our own, of the lowest part only: the rest need be neither copied nor closed.
unsafe fn own_descriptors(highest: c_int) -> Result<(), c_int> {
    // SAFETY: numbers only.
    unsafe {
        let unshare = libc::CLOSE_RANGE_UNSHARE;
        if libc::syscall(libc::SYS_close_range, highest + 1, u32::MAX, unshare) < 0
            && libc::syscall(libc::SYS_unshare, libc::CLONE_FILES) < 0
        {
            return Err(errno());
        }
    }
    Ok(())
}

unsafe fn set_stdio(orders: &Orders) -> Result<(), c_int> {
    // SAFETY: numbers only.
    unsafe {
        if let Some(account) = orders.account.as_ref() {
            // A pipe belongs to who made it; a service that opens /dev/stderr anew must be allowed to. Where it is
            // refused (not root, or the null device) nothing is lost.
            for &fd in &orders.stdio[1..] {
                let mut found = std::mem::MaybeUninit::<libc::stat>::uninit();
                let known = libc::fstat(fd, found.as_mut_ptr()) == 0;
                if known && found.assume_init_ref().st_mode & libc::S_IFMT == libc::S_IFIFO {
                    libc::syscall(libc::SYS_fchown, fd, account.uid, u32::MAX);
                }
            }
        }
        for (place, &fd) in (0_i32..).zip(&orders.stdio) {
            if libc::syscall(libc::SYS_dup3, fd, place, 0) < 0 {
                return Err(errno());
            }
        }
        // Whatever else this process has open, also what came without the flag from who started us.
        if libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) < 0 {
            // A sandbox refuses it. A keeper has a few descriptors for each service.
            for fd in 3..65_536 {
                libc::syscall(libc::SYS_close, fd);
            }
        }
    }
    Ok(())
}

unsafe fn set_account(account: &Become) -> Result<(), c_int> {
    // SAFETY: numbers, and a list of as many groups as it says.
    unsafe {
        // Where it is ours already, an ordinary user may name it too.
        let same = libc::geteuid() == account.uid && libc::getegid() == account.gid;
        if same && account.uid != 0 && !account.insist {
            return Ok(());
        }
        if libc::syscall(libc::SYS_setgroups, account.group_count, account.groups) < 0
            || libc::syscall(libc::SYS_setresgid, account.gid, account.gid, account.gid) < 0
            || libc::syscall(libc::SYS_setresuid, account.uid, account.uid, account.uid) < 0
        {
            return Err(errno());
        }
    }
    Ok(())
}

unsafe fn write_all(fd: c_int, bytes: *const u8, length: usize) -> c_long {
    // SAFETY: the caller's `bytes` has this length.
    unsafe { libc::syscall(libc::SYS_write, fd, bytes, length) }
}

fn errno() -> c_int {
    // SAFETY: the address is always valid; the thread it belongs to stands still.
    unsafe { *libc::__errno_location() }
}
