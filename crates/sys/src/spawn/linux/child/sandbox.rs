//! What the new process takes away from itself. The rules of `child` hold: system calls on what was prepared.

use std::ffi::{CString, c_int, c_long, c_void};
use std::ptr;

use super::{NONE, errno};

/// What happens to a path, in the process's own view of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Nothing below can be changed.
    Close,
    /// What can be changed elsewhere can be changed here.
    Open,
    /// An empty directory that nobody may enter.
    HideDirectory,
    /// A file that nobody may open.
    HideFile,
    /// An empty directory that everybody may write to.
    Temporary,
}

/// One path.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) path: CString,
    pub(crate) deed: Deed,
    /// The child's own: what was there before anything was mounted.
    pub(crate) tree: c_int,
}

/// What the child is to do, prepared.
#[repr(C)]
pub(crate) struct Orders {
    pub(crate) mounts: (*mut Mount, usize),
    pub(crate) own_ipc: bool,
    /// A bit for each capability that stays; only if there is a last one.
    pub(crate) kept: u64,
    /// The highest that the kernel has; negative: they stay as they are.
    pub(crate) last: c_int,
    pub(crate) no_new_privileges: bool,
    pub(crate) filter: *const libc::sock_fprog,
}

/// linux/mount.h.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const READ_ONLY: u64 = 0x1;
const NO_DEVICES: u64 = 0x4;
const WHOLE: c_int = libc::AT_RECURSIVE;
const EMPTY: *const libc::c_char = c"".as_ptr();

/// A view of the files of its own. `which`: the path that it failed at, counted from 1; 0 for the view itself.
///
/// # Safety
/// The pointers of `orders` are valid, and nobody else uses them meanwhile.
pub(super) unsafe fn set_mounts(orders: &Orders, which: &mut usize) -> Result<(), c_int> {
    let (mounts, count) = orders.mounts;
    if orders.own_ipc {
        // SAFETY: a number.
        unsafe { checked(libc::syscall(libc::SYS_unshare, libc::CLONE_NEWIPC))? };
    }
    if count == 0 {
        return Ok(());
    }
    // SAFETY: system calls with strings that end with a NUL, and a list of as many mounts as it says.
    unsafe {
        checked(libc::syscall(libc::SYS_unshare, libc::CLONE_NEWNS))?;
        // What the machine mounts later is seen here too, but not the other way round.
        let flags = libc::MS_REC | libc::MS_SLAVE;
        let none = ptr::null::<c_void>();
        checked(libc::syscall(libc::SYS_mount, none, c"/".as_ptr(), none, flags, none))?;
        // What stays open is taken aside before anything above it is closed.
        for place in 0..count {
            let mount = mounts.add(place);
            if (*mount).deed == Deed::Open {
                *which = place + 1;
                (*mount).tree = tree((*mount).path.as_ptr(), WHOLE)?;
            }
        }
        for place in 0..count {
            *which = place + 1;
            apply(&*mounts.add(place))?;
        }
    }
    Ok(())
}

unsafe fn apply(mount: &Mount) -> Result<(), c_int> {
    let path = mount.path.as_ptr();
    // SAFETY: the path ends with a NUL, the tree is a descriptor of this process.
    unsafe {
        match mount.deed {
            // Nothing can be mounted over the root that would be seen from below it.
            Deed::Close if mount.path.as_bytes() == b"/" => set(libc::AT_FDCWD, path, WHOLE, READ_ONLY),
            Deed::Close => {
                let tree = tree(path, WHOLE)?;
                set(tree, EMPTY, WHOLE | libc::AT_EMPTY_PATH, READ_ONLY)?;
                put(tree, path)
            }
            Deed::Open => put(mount.tree, path),
            Deed::HideFile => {
                // A device on a file system without devices: nobody may open it, not even root.
                let tree = tree(c"/dev/null".as_ptr(), 0)?;
                set(tree, EMPTY, libc::AT_EMPTY_PATH, NO_DEVICES | READ_ONLY)?;
                put(tree, path)
            }
            Deed::HideDirectory => empty(path, c"mode=000,size=4k,nr_inodes=2", libc::MS_RDONLY),
            Deed::Temporary => empty(path, c"mode=1777,size=10%,nr_inodes=1m", 0),
        }
    }
}

unsafe fn empty(path: *const libc::c_char, options: &std::ffi::CStr, flags: u64) -> Result<(), c_int> {
    let flags = flags | libc::MS_NOSUID | libc::MS_NODEV;
    let kind = c"tmpfs".as_ptr();
    // SAFETY: strings that end with a NUL.
    unsafe { checked(libc::syscall(libc::SYS_mount, kind, path, kind, flags, options.as_ptr())) }
}

/// A copy of what is at the path, that is nowhere yet.
unsafe fn tree(path: *const libc::c_char, flags: c_int) -> Result<c_int, c_int> {
    const OPEN_TREE_CLONE: c_int = 1;
    let flags = flags | OPEN_TREE_CLONE | libc::O_CLOEXEC;
    // SAFETY: a path that ends with a NUL.
    let made = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path, flags) };
    c_int::try_from(made).ok().filter(|fd| *fd >= 0).ok_or_else(errno)
}

unsafe fn set(at: c_int, path: *const libc::c_char, flags: c_int, attributes: u64) -> Result<(), c_int> {
    let wanted = MountAttributes { set: attributes, ..MountAttributes::default() };
    let size = size_of::<MountAttributes>();
    // SAFETY: a path that ends with a NUL, and a structure of the size that is said.
    unsafe { checked(libc::syscall(libc::SYS_mount_setattr, at, path, flags, &raw const wanted, size)) }
}

unsafe fn put(tree: c_int, path: *const libc::c_char) -> Result<(), c_int> {
    const MOVE_MOUNT_F_EMPTY_PATH: c_int = 4;
    if tree == NONE {
        return Err(libc::EBADF);
    }
    // SAFETY: paths that end with a NUL.
    unsafe {
        checked(libc::syscall(
            libc::SYS_move_mount,
            tree,
            EMPTY,
            libc::AT_FDCWD,
            path,
            MOVE_MOUNT_F_EMPTY_PATH,
        ))?;
        libc::syscall(libc::SYS_close, tree);
    }
    Ok(())
}

/// Before the account changes: what may never be had again.
///
/// # Safety
/// As for [`set_mounts`].
pub(super) unsafe fn bound_capabilities(orders: &Orders) -> Result<(), c_int> {
    // SAFETY: numbers only.
    unsafe {
        for number in 0..=orders.last {
            if orders.kept & (1 << number) == 0 {
                checked(libc::syscall(libc::SYS_prctl, libc::PR_CAPBSET_DROP, number, 0, 0, 0))?;
            }
        }
        if orders.last >= 0 {
            // Else they would be gone with the account of root.
            checked(libc::syscall(libc::SYS_prctl, libc::PR_SET_KEEPCAPS, 1, 0, 0, 0))?;
        }
    }
    Ok(())
}

/// After the account has changed: those that stay, and no others; also for the programs that it starts.
///
/// # Safety
/// As for [`set_mounts`].
pub(super) unsafe fn keep_capabilities(orders: &Orders) -> Result<(), c_int> {
    /// linux/capability.h.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    #[repr(C)]
    struct Half {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    if orders.last < 0 {
        return Ok(());
    }
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |bits: u32| Half { effective: bits, permitted: bits, inheritable: bits };
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
    let halves = [half(orders.kept as u32), half((orders.kept >> 32) as u32)];
    let ambient = libc::PR_CAP_AMBIENT;
    // SAFETY: structures as the kernel has them, which it only reads; and numbers.
    unsafe {
        checked(libc::syscall(libc::SYS_prctl, ambient, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))?;
        checked(libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()))?;
        for number in (0..=orders.last).filter(|number| orders.kept & (1 << number) != 0) {
            checked(libc::syscall(libc::SYS_prctl, ambient, libc::PR_CAP_AMBIENT_RAISE, number, 0, 0))?;
        }
    }
    Ok(())
}

/// Last of all, because the filter may deny what is needed until then.
///
/// # Safety
/// As for [`set_mounts`].
pub(super) unsafe fn close(orders: &Orders) -> Result<(), c_int> {
    // SAFETY: numbers, and a program that outlives the call.
    unsafe {
        if orders.no_new_privileges {
            checked(libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        }
        if !orders.filter.is_null() {
            let mode = libc::SECCOMP_MODE_FILTER;
            checked(libc::syscall(libc::SYS_prctl, libc::PR_SET_SECCOMP, mode, orders.filter, 0, 0))?;
        }
    }
    Ok(())
}

fn checked(result: c_long) -> Result<(), c_int> {
    if result < 0 { Err(errno()) } else { Ok(()) }
}
