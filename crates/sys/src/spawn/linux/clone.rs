//! The clone itself.
//!
//! `clone3` with the parent's memory and a stop of the parent (as vfork(2) and posix_spawn(3) do) costs the same for
//! a large parent as for a small one, and puts the child into its cgroup before its first instruction. Where it is
//! refused (sandboxes do), the older `clone` does the same but for the cgroup, which the child then enters by itself.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use super::child::{self, Orders, Step};
use super::launch::{Failure, Workplace};
use crate::container::linux::Cgroup;

/// The child needs a few hundred bytes.
const STACK: usize = 64 << 10;

/// Below the stack: running over it ends the child and not the keeper's memory.
const GUARD: usize = 4 << 10;

/// The memory, until the program starts, and for that time the parent stands still. The descriptors, until the child
/// has made a table of its own; see `slots`.
const SHARED: c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;

/// Set once `clone3` was refused.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// The child's stack.
pub(super) struct Stack {
    base: *mut c_void,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Stack {}

impl Stack {
    pub(super) fn new() -> io::Result<Stack> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::STACK;
        // SAFETY: a new mapping at a place of the kernel's choice; its first page is then closed.
        let base = unsafe {
            let base = rustix::mm::mmap_anonymous(ptr::null_mut(), GUARD + STACK, protection, flags)?;
            rustix::mm::mprotect(base, GUARD, MprotectFlags::empty())?;
            base
        };
        Ok(Stack { base })
    }

    fn bottom(&self) -> *mut c_void {
        self.base.wrapping_byte_add(GUARD)
    }

    fn top(&self) -> *mut c_void {
        self.base.wrapping_byte_add(GUARD + STACK)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and no child runs on it: a launch holds the lock until its child is off it.
        // An error would only leave it mapped.
        let _ = unsafe { rustix::mm::munmap(self.base, GUARD + STACK) };
    }
}

/// Makes the child and returns when it runs its program, or has failed and is gone.
pub(super) fn run(
    place: &mut Workplace,
    orders: &mut Orders,
    cgroup: Option<&Cgroup>,
) -> Result<u32, Failure> {
    let blocked = SignalsBlocked::new();
    let made = make(place, orders, cgroup);
    drop(blocked);
    outcome(made?, orders)
}

/// As [`run`], but the child enters the cgroup by itself.
///
/// Linux 6.14 and later count the kills of a cgroup. For a new process they compare the count of its cgroup with
/// what they remember of its parent's instead, and kill the process at birth if the two differ. One that was moved
/// there is left alone.
pub(super) fn run_entering(
    place: &mut Workplace,
    orders: &mut Orders,
    cgroup: Option<&Cgroup>,
) -> Result<u32, Failure> {
    let blocked = SignalsBlocked::new();
    let made = by_clone(place, orders, cgroup);
    drop(blocked);
    let pid = outcome(made?, orders)?;
    // It is our own cgroup that was killed once, so all that are born elsewhere would die.
    REFUSED.store(true, Ordering::Relaxed);
    Ok(pid)
}

fn outcome(pid: i32, orders: &Orders) -> Result<u32, Failure> {
    // SAFETY: `orders` is ours; volatile, because another process wrote it.
    let (step, errno, which) = unsafe {
        (
            (&raw const orders.step).read_volatile(),
            (&raw const orders.errno).read_volatile(),
            (&raw const orders.which).read_volatile(),
        )
    };
    if step == Step::Born {
        return Ok(pid.cast_unsigned());
    }
    // It is ending or has ended. ECHILD: somebody else has reaped it, which is as good.
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
        {}
    }
    Err(Failure { step, error: io::Error::from_raw_os_error(errno), which })
}

fn make(place: &mut Workplace, orders: &mut Orders, cgroup: Option<&Cgroup>) -> Result<i32, Failure> {
    #[cfg(target_arch = "x86_64")]
    if !REFUSED.load(Ordering::Relaxed) {
        match by_clone3(&place.stack, orders, cgroup) {
            Ok(made) => return Ok(made),
            Err(error) => match error.raw_os_error() {
                // A sandbox's way of saying no, or a kernel without it.
                Some(libc::ENOSYS | libc::EPERM) => REFUSED.store(true, Ordering::Relaxed),
                // The cgroup did not want it this way; the other way has the better error.
                Some(libc::EBUSY | libc::EOPNOTSUPP | libc::EACCES | libc::EBADF | libc::EINVAL)
                    if cgroup.is_some() => {}
                _ => return Err(Failure { step: Step::Clone, error, which: 0 }),
            },
        }
    }
    by_clone(place, orders, cgroup)
}

/// The kernel's `struct clone_args`, as of Linux 5.7.
#[cfg(target_arch = "x86_64")]
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

#[cfg(target_arch = "x86_64")]
fn by_clone3(stack: &Stack, orders: &mut Orders, cgroup: Option<&Cgroup>) -> io::Result<i32> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    /// Handlers are gone in the child; what is ignored stays so.
    const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    orders.ignored = ignored();
    let mut arguments = CloneArguments {
        flags: u64::from(SHARED.cast_unsigned()) | CLONE_CLEAR_SIGHAND,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: stack.bottom().addr() as u64,
        stack_size: STACK as u64,
        ..CloneArguments::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.dir().as_raw_fd().cast_unsigned());
    }
    let (result, errno): (i64, c_int);
    // SAFETY: the child gets a stack of its own, which nobody else uses, and never returns from `child::run`: it
    // becomes another program or ends. Until then this thread stands still, so that `orders`, which the child writes
    // to, is used by one at a time. The registers named are those that a system call and the preserved ones that we
    // use change; the child's call finds its stack aligned, because its top is and `call` pushes the return address.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            // The child. The frame pointer of another stack would mislead whoever walks this one.
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") &raw mut arguments,
            in("rsi") size_of::<CloneArguments>(),
            in("r12") ptr::from_mut(orders),
            in("r13") child::run as unsafe extern "C" fn(*mut c_void) -> c_int,
            lateout("rcx") _,
            lateout("r11") _,
        );
        errno = c_int::try_from(-result).unwrap_or(0);
    }
    if result < 0 {
        return Err(io::Error::from_raw_os_error(errno));
    }
    i32::try_from(result).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The child enters its cgroup by itself, before anything else.
fn by_clone(place: &mut Workplace, orders: &mut Orders, cgroup: Option<&Cgroup>) -> Result<i32, Failure> {
    let told = |step| move |error| Failure { step, error, which: 0 };
    orders.ignored = u64::MAX;
    let procs = cgroup.map(Cgroup::open_procs).transpose().map_err(told(Step::Cgroup))?;
    if let Some(procs) = &procs {
        orders.cgroup_procs = place.slots.put(procs.as_fd()).map_err(told(Step::Cgroup))?;
    }
    // SAFETY: as in `by_clone3`; the C library's wrapper does the same as the assembly there.
    let pid = unsafe {
        libc::clone(as_callback, place.stack.top(), SHARED | libc::SIGCHLD, ptr::from_mut(orders).cast())
    };
    if pid < 0 {
        return Err(told(Step::Clone)(io::Error::last_os_error()));
    }
    Ok(pid)
}

/// The signals that may be ignored here: those that shells, `nohup` and runtimes use to ignore, and what was ignored
/// when this process made its first.
fn ignored() -> u64 {
    const USUAL: [c_int; 9] = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGPIPE,
        libc::SIGTERM,
        libc::SIGCHLD,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
    ];
    static FIRST: OnceLock<u64> = OnceLock::new();
    *FIRST.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let first = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        USUAL.iter().fold(first.unwrap_or(u64::MAX), |mask, signal| mask | 1 << (signal - 1))
    })
}

/// What the C library calls in the child.
extern "C" fn as_callback(orders: *mut c_void) -> c_int {
    // SAFETY: `by_clone` passes its orders and stands still.
    unsafe { child::run(orders) }
}

/// While this lives no signal is delivered to this thread: a handler of ours must not run in the child.
struct SignalsBlocked {
    before: u64,
}

impl SignalsBlocked {
    fn new() -> SignalsBlocked {
        SignalsBlocked { before: set_mask(u64::MAX) }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        set_mask(self.before);
    }
}

/// The C library leaves out the signals that it uses itself, so the kernel is asked directly.
fn set_mask(mask: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both masks have the size given; the call cannot fail with these arguments.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            size_of::<u64>(),
        );
    }
    before
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::capture::{Chunk, Set, pipe};
    use crate::container::{Kind, Root};
    use crate::spawn::{Request, SpawnErrorKind, spawn};

    /// As in a sandbox that refuses `clone3`: everything works the other way too. It holds for the whole process, so
    /// that other tests beside this one may go that way.
    #[test]
    fn without_clone3() {
        REFUSED.store(true, Ordering::Relaxed);
        for kind in [Kind::Cgroup, Kind::Session] {
            let root = match Root::open(&format!("clone{}", std::process::id()), Some(kind)) {
                Ok(root) => root,
                Err(error) => {
                    eprintln!("without_clone3 skipped for cgroups: {error}");
                    continue;
                }
            };
            let container = root.container("x").expect("it can be made");
            let environment = BTreeMap::new();
            let (reader, writer) = pipe().expect("a pipe can be had");
            let mut request = Request {
                command: &["cat", "/proc/self/cgroup", "/proc/self/status"].map(str::to_owned),
                working_dir: None,
                environment: &environment,
                remove: &[],
                user: None,
                password: None,
                settings: None,
                container: &container,
                run: 1,
                output: Some(&writer),
                errors: None,
            };
            spawn(&request).expect("it starts");
            let missing = ["/no/such/program".to_owned()];
            request.command = &missing;
            assert_eq!(spawn(&request).expect_err("it cannot").kind, SpawnErrorKind::NotFound);
            drop(writer);
            let text = read_all(reader);
            if kind == Kind::Cgroup {
                assert!(text.contains("/c-x\n"), "{text}");
            }
            assert!(text.contains("SigBlk:\t0000000000000000\n"), "{text}");
            assert!(text.contains("SigIgn:\t0000000000000000\n"), "{text}");
            let end = Instant::now() + Duration::from_secs(60);
            while !container.is_empty().expect("it can be asked") {
                assert!(Instant::now() < end, "it does not end");
                std::thread::sleep(Duration::from_millis(2));
            }
            container.remove().expect("it can be removed");
            root.remove().expect("it can be removed");
        }
        REFUSED.store(false, Ordering::Relaxed);
    }

    fn read_all(reader: crate::capture::OutputReader) -> String {
        let mut set = Set::new().expect("a set can be had");
        set.add(1, reader).expect("it can be added");
        let mut text = Vec::new();
        let mut open = true;
        while open {
            set.wait(Some(Duration::from_secs(60)), &mut |_, chunk| match chunk {
                Chunk::Data(data, _) => text.extend_from_slice(data),
                _ => open = false,
            })
            .expect("it can be waited");
        }
        String::from_utf8(text).expect("it is text")
    }
}
