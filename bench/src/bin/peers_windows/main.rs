//! Mainstay beside NSSM and Shawl, in one run under the same service control manager:
//! `cargo xtask bench peers-windows --nssm nssm.exe --shawl shawl.exe`.
//!
//! Each figure is of the same program with the same arguments, as somebody would set it up who has read each tool's
//! documentation once. Absolute times depend on the machine and on Wine; what counts is how they stand to each other.
#![cfg_attr(windows, expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal"))]

#[cfg(windows)]
mod app;
#[cfg(windows)]
mod figures;
#[cfg(windows)]
mod memory;
#[cfg(windows)]
mod wrapper;

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    let words: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    if words.first().is_some_and(|word| word == "app") {
        return app::run(&words[1..]);
    }
    match figures::run(&words) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(windows))]
fn main() {}
