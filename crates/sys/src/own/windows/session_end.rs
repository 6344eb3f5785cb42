//! The end of the session, for a process that has no console: Windows tells it to windows, also to hidden ones. The
//! same window hears a polite request to end.
//!
//! (Console events for it come only to programs that have nothing to do with windows, which we do when we close those of
//! services.)

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use windows_sys::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DispatchMessageW, ENDSESSION_LOGOFF, GetMessageW, MSG, RegisterClassW,
    WM_CLOSE, WM_ENDSESSION, WM_QUERYENDSESSION, WNDCLASSW,
};

use super::terminate::tell;
use crate::win::wide;

/// The name of the window's class.
const CLASS: &str = "MainstaySessionEnd";

/// Makes the window, on a thread of its own that answers for it.
pub(super) fn watch() -> io::Result<()> {
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new().name("session-end".to_owned()).spawn(move || answer(&sender))?;
    receiver.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for the session's end has ended")))
}

fn answer(made: &SyncSender<io::Result<()>>) {
    let result = make();
    let go_on = result.is_ok();
    // The other side waits for it.
    let _ = made.send(result);
    let mut message = MSG::default();
    // SAFETY: the structure outlives the calls; the messages are those of this thread's window.
    while go_on && unsafe { GetMessageW(&mut message, std::ptr::null_mut(), 0, 0) } > 0 {
        // SAFETY: as above.
        unsafe { DispatchMessageW(&message) };
    }
}

/// A window that is never shown. Not a message-only one: those are not told.
fn make() -> io::Result<()> {
    let name = wide(CLASS)?;
    // SAFETY: the class has a procedure of this program; the name outlives the calls, and Windows copies it.
    let window = unsafe {
        let module = GetModuleHandleW(std::ptr::null());
        let class = WNDCLASSW {
            lpfnWndProc: Some(procedure),
            hInstance: module,
            lpszClassName: name.as_ptr(),
            ..WNDCLASSW::default()
        };
        if RegisterClassW(&class) == 0 {
            return Err(io::Error::last_os_error());
        }
        CreateWindowExW(
            0,
            name.as_ptr(),
            name.as_ptr(),
            0,
            0,
            0,
            0,
            0,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            module,
            std::ptr::null(),
        )
    };
    if window.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
}

unsafe extern "system" fn procedure(window: HWND, message: u32, wide: WPARAM, long: LPARAM) -> LRESULT {
    match message {
        // We are ready to go.
        WM_QUERYENDSESSION => 1,
        // From `taskkill`, or from a Mainstay that has us as a service. The window stays: it may be said again.
        WM_CLOSE => {
            tell("window closed");
            0
        }
        WM_ENDSESSION if wide != 0 => {
            let logoff = long.cast_unsigned() & ENDSESSION_LOGOFF as usize != 0;
            tell(if logoff { "logoff" } else { "shutdown" });
            // When this returns, Windows may end the process at any moment; it waits some seconds for it.
            loop {
                std::thread::park();
            }
        }
        // SAFETY: what Windows passed is passed on.
        _ => unsafe { DefWindowProcW(window, message, wide, long) },
    }
}
