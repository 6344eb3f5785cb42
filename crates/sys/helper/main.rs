//! What the tests of this crate start.
#![expect(unsafe_code, reason = "it forks, and makes a window, which nothing safe does")]

#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(windows)]
    windows::main();
}
