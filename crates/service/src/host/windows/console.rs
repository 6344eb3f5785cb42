//! Ctrl+C and Ctrl+Break, which windows-service has nothing for.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
    SetConsoleCtrlHandler,
};
use windows_sys::core::BOOL;

static ASKED: Mutex<Option<Box<dyn Fn() + Send>>> = Mutex::new(None);

/// When the console is closed Windows ends the program as soon as the handler returns; the service gets the few seconds
/// that Windows gives it.
const CLOSING: Duration = Duration::from_secs(60);

pub(super) fn on_ctrl(asked: impl Fn() + Send + 'static) -> io::Result<()> {
    *ASKED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(asked));
    // SAFETY: the handler is a function of the program itself.
    if unsafe { SetConsoleCtrlHandler(Some(handler), 1) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Windows calls it on a thread of its own.
extern "system" fn handler(event: u32) -> BOOL {
    let known = [CTRL_C_EVENT, CTRL_BREAK_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT];
    if !known.contains(&event) {
        return 0;
    }
    // The second time nobody has patience left: taken out, so that the default handler ends the program.
    let Some(asked) = ASKED.lock().unwrap_or_else(PoisonError::into_inner).take() else { return 0 };
    asked();
    if event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT {
        std::thread::sleep(CLOSING);
    }
    1
}
