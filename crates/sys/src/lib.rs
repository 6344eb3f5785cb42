//! Every call that Mainstay makes to an operating system, and the only crate with `unsafe`.
//!
//! Each module is one idea with the same functions on Linux and Windows: `foo.rs` has the types, the words and the
//! signatures; `foo/linux.rs` and `foo/windows.rs` do it. Nobody outside of this crate asks which platform it is.
#![expect(unsafe_code, reason = "this crate is where system calls live; each block says why it is sound")]

pub mod access;
pub mod capture;
pub mod clock;
pub mod console;
pub mod container;
pub mod dirs;
pub mod disk;
pub mod dynamic;
pub mod endpoint;
pub mod file;
pub mod link;
#[cfg(target_os = "linux")]
mod linux;
pub mod local;
pub mod machine;
pub mod memory;
pub mod mux;
pub mod notify;
pub mod own;
pub mod private;
pub mod process;
pub mod protect;
pub mod run;
pub mod session;
pub mod spawn;
pub mod staged;
pub mod tell;
pub mod usage;
#[cfg(windows)]
mod win;

/// Whether this is the Windows side, for the few who must know: what does nothing on a platform is left out of its
/// plans.
pub const IS_WINDOWS: bool = cfg!(windows);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It ended itself with this code (on Windows the unsigned 32-bit exit code).
    Code(i64),
    /// A signal ended it (Linux).
    Signal(i32),
    /// Nobody saw how.
    Unknown,
}
