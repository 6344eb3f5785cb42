//! Console modes, and Ctrl+C to other consoles.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use windows_sys::Win32::Foundation::{
    ERROR_GEN_FAILURE, ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Globalization::{CP_OEMCP, CP_UTF8, MultiByteToWideChar};
use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_BREAK_EVENT, CTRL_C_EVENT, ENABLE_ECHO_INPUT, ENABLE_PROCESSED_OUTPUT,
    ENABLE_VIRTUAL_TERMINAL_PROCESSING, FreeConsole, GenerateConsoleCtrlEvent, GetConsoleMode,
    GetConsoleProcessList, GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
    SetConsoleCtrlHandler, SetConsoleMode, SetConsoleOutputCP,
};

use crate::container::windows::Way;
use crate::win::check;

pub(super) fn enable_colour() -> bool {
    // SAFETY: plain values are passed. Without a console it fails, and nothing is lost.
    unsafe { SetConsoleOutputCP(CP_UTF8) };
    // Both, so that colours on standard error do not depend on where standard output goes.
    let output = understands_colour(STD_OUTPUT_HANDLE);
    let error = understands_colour(STD_ERROR_HANDLE);
    output || error
}

fn understands_colour(which: u32) -> bool {
    // SAFETY: the handle is the process's own; what is no console is refused by the first call.
    unsafe {
        let handle: HANDLE = GetStdHandle(which);
        let mut mode = 0;
        if handle.is_null() || handle == INVALID_HANDLE_VALUE || GetConsoleMode(handle, &mut mode) == 0 {
            return false;
        }
        let wanted = mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING;
        mode == wanted || SetConsoleMode(handle, wanted) != 0
    }
}

/// What is typed is not shown while this lives. The console's mode before.
pub(super) struct Hidden(u32);

pub(super) fn hide_input() -> io::Result<Hidden> {
    let mut mode = 0;
    // SAFETY: the handle is the process's own; what is no console is refused.
    unsafe {
        check(GetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), &mut mode))?;
        check(SetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), mode & !ENABLE_ECHO_INPUT))?;
    }
    Ok(Hidden(mode))
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // SAFETY: as above; a mode that was there can be set again.
        unsafe { SetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), self.0) };
    }
}

pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let length = i32::try_from(bytes.len()).ok()?;
    if length == 0 {
        return Some(String::new());
    }
    // No code page has more units than bytes.
    let mut units = vec![0_u16; bytes.len()];
    // SAFETY: both buffers are as long as is said.
    let written =
        unsafe { MultiByteToWideChar(CP_OEMCP, 0, bytes.as_ptr(), length, units.as_mut_ptr(), length) };
    let written = usize::try_from(written).ok().filter(|written| *written > 0)?;
    Some(String::from_utf16_lossy(units.get(..written)?))
}

pub(super) fn set_ctrl_c_helper(program: &Path, arguments: &[OsString]) {
    crate::container::windows::set_helper(program.to_owned(), arguments.to_vec());
}

pub(super) fn send_as_told(word: &str, pids: &[u32]) -> Option<io::Result<()>> {
    Some(match Way::of(word)? {
        Way::CtrlC => send_ctrl_c(pids, false),
        Way::CtrlBreak => send_ctrl_c(pids, true),
        Way::CloseWindow => crate::container::windows::close(pids),
    })
}

pub(super) fn send_ctrl_c(pids: &[u32], brk: bool) -> io::Result<()> {
    // First of all, and never taken back: it arrives here too, later, on a thread of its own.
    // SAFETY: plain values are passed.
    check(unsafe { SetConsoleCtrlHandler(None, 1) })?;
    // Ctrl+Break cannot be ignored that way.
    // SAFETY: the handler is a function of ours, there as long as we are.
    check(unsafe { SetConsoleCtrlHandler(Some(taken), 1) })?;
    // SAFETY: it fails if there is no console to leave, as it should be.
    unsafe { FreeConsole() };
    let mut served = BTreeSet::new();
    let mut failures = Vec::new();
    for pid in pids {
        // Ctrl+C twice means "at once" to many programs: each console hears it once.
        if served.contains(pid) {
            continue;
        }
        match send_to_console_of(*pid, if brk { CTRL_BREAK_EVENT } else { CTRL_C_EVENT }) {
            Ok(heard) => served.extend(heard),
            Err(e) => failures.push(format!("process {pid}: {}", in_words(&e))),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(io::Error::other(failures.join("; "))) }
}

/// Who is on that console, now that it was sent.
fn send_to_console_of(pid: u32, event: u32) -> io::Result<Vec<u32>> {
    // SAFETY: plain values are passed.
    check(unsafe { AttachConsole(pid) })?;
    let heard = on_this_console();
    // SAFETY: plain values are passed. Group 0 is everybody on the console, and it is not ours.
    let result = check(unsafe { GenerateConsoleCtrlEvent(event, 0) });
    // SAFETY: we are on a console and leave it.
    unsafe { FreeConsole() };
    result.map(|()| heard)
}

/// Whatever comes has been taken care of.
unsafe extern "system" fn taken(_event: u32) -> i32 {
    1
}

fn on_this_console() -> Vec<u32> {
    let mut pids = vec![0_u32; 64];
    // Bound: it grows until all fit; a console with more than that is not ours.
    for _ in 0..8 {
        let room = u32::try_from(pids.len()).unwrap_or(u32::MAX);
        // SAFETY: the buffer is as long as said.
        let count = unsafe { GetConsoleProcessList(pids.as_mut_ptr(), room) } as usize;
        if count <= pids.len() {
            pids.truncate(count);
            return pids;
        }
        pids.resize(count * 2, 0);
    }
    Vec::new()
}

fn in_words(error: &io::Error) -> String {
    match error.raw_os_error().map_or(0, i32::cast_unsigned) {
        ERROR_INVALID_HANDLE => "it has no console".to_owned(),
        ERROR_INVALID_PARAMETER | ERROR_GEN_FAILURE => "it is gone".to_owned(),
        _ => error.to_string(),
    }
}
