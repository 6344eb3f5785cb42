//! Asking windows to close.

use std::io;

use windows_sys::Win32::Foundation::{HWND, LPARAM};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    EnumWindows, GW_OWNER, GetWindow, GetWindowThreadProcessId, PostMessageW, WM_CLOSE,
};

use crate::win::check;

struct Search {
    pids: Vec<u32>,
    found: Vec<HWND>,
}

/// Posts `WM_CLOSE` to every top-level window of these processes on our desktop, also to hidden ones: programs without a
/// visible window often have one to be told things. Not to owned ones, dialogs: their owner decides what becomes of them.
/// The message is posted, not sent: a program that hangs does not make us hang.
pub(crate) fn close(pids: &[u32]) -> io::Result<()> {
    let mut search = Search { pids: pids.to_vec(), found: Vec::new() };
    // SAFETY: the callback gets the pointer to `search`, which outlives the call and is used by nothing else meanwhile.
    check(unsafe {
        EnumWindows(Some(look), std::ptr::from_mut(&mut search).expose_provenance().cast_signed())
    })?;
    if search.found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no window that could be closed"));
    }
    let mut result = Ok(());
    for window in search.found {
        // SAFETY: plain values are passed; a window that is gone by now gives an error.
        if let Err(e) = check(unsafe { PostMessageW(window, WM_CLOSE, 0, 0) }) {
            result = Err(e);
        }
    }
    result
}

unsafe extern "system" fn look(window: HWND, search: LPARAM) -> i32 {
    let search = std::ptr::with_exposed_provenance_mut::<Search>(search.cast_unsigned());
    let mut pid = 0;
    // SAFETY: Windows passes a window of now, and `close` passes the pointer to its search, which nothing else uses.
    unsafe {
        GetWindowThreadProcessId(window, &mut pid);
        if (*search).pids.contains(&pid) && GetWindow(window, GW_OWNER).is_null() {
            (*search).found.push(window);
        }
    }
    1
}
