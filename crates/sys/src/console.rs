//! Terminals and consoles.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Makes the terminal understand colour sequences and UTF-8, and says whether it does. On Linux every terminal does;
/// on Windows the console's modes are set. Whether colour is wanted is another question.
pub fn enable_colour() -> bool {
    platform::enable_colour()
}

/// Whether standard output takes text only: a Windows console refuses bytes that are not UTF-8.
pub fn is_stdout_text_only() -> bool {
    cfg!(windows) && is_stdout_terminal()
}

/// Whether standard output is a terminal.
pub fn is_stdout_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub fn is_stderr_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A line from the terminal that does not show it: a password. `prompt` goes to standard error. `NotConnected` if standard
/// input is no terminal.
pub fn read_hidden(prompt: &str) -> io::Result<String> {
    if !io::stdin().is_terminal() {
        return Err(io::ErrorKind::NotConnected.into());
    }
    write!(io::stderr(), "{prompt}")?;
    let _hidden = platform::hide_input()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    // The end of the line was not shown either.
    writeln!(io::stderr())?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Text in the code page that consoles have on this system unless they are told otherwise. None where there is no such
/// thing, on Linux.
pub fn decode(bytes: &[u8]) -> Option<String> {
    platform::decode(bytes)
}

/// Sends Ctrl+C to the consoles of these processes: all that `mainstay ctrl-c` does, a helper process of its own on
/// Windows because it must leave its console for another. `Unsupported` on Linux, where a signal does it.
pub fn send_ctrl_c(pids: &[u32]) -> io::Result<()> {
    platform::send_ctrl_c(pids, false)
}

/// The same for Ctrl+Break: `mainstay ctrl-c break`.
pub fn send_ctrl_break(pids: &[u32]) -> io::Result<()> {
    platform::send_ctrl_c(pids, true)
}

/// Reads the arguments of the helper, `[break|close] PID…`, and sends what they say: Ctrl+C unless there is a word before
/// the numbers. None if they say nothing.
pub fn send_as_told<S: AsRef<str>>(arguments: &[S]) -> Option<io::Result<()>> {
    let (first, rest) = arguments.split_first()?;
    let (word, pids) = match first.as_ref().parse::<u32>() {
        Ok(_) => (None, arguments),
        Err(_) => (Some(first.as_ref()), rest),
    };
    let pids: Vec<u32> = pids.iter().map(|pid| pid.as_ref().parse().ok()).collect::<Option<_>>()?;
    match word {
        _ if pids.is_empty() => None,
        None => Some(platform::send_ctrl_c(&pids, false)),
        Some(word) => platform::send_as_told(word, &pids),
    }
}

/// Sets the program, and its first arguments, that sends Ctrl+C to the processes whose numbers follow; without this
/// it is `ctrl-c` of our own program. The first call counts. On Linux nothing is needed, and this does nothing.
pub fn set_ctrl_c_helper(program: &Path, arguments: &[OsString]) {
    #[cfg(windows)]
    platform::set_ctrl_c_helper(program, arguments);
    #[cfg(not(windows))]
    let _ = (program, arguments);
}
