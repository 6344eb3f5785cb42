//! Being asked to end: Ctrl+C, the console's window closed, the session's end.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
    SetConsoleCtrlHandler,
};

use super::session_end;
use crate::win::check;

/// So many can wait for a listener; who presses Ctrl+C more often than that has been heard.
const WAITING: usize = 16;

/// All that want to be told.
static LISTENERS: Mutex<Vec<SyncSender<&'static str>>> = Mutex::new(Vec::new());

/// Calls `f` from a thread of its own from now on.
pub(super) fn add(f: Box<dyn Fn(&'static str) + Send>) -> io::Result<()> {
    let (sender, receiver) = sync_channel(WAITING);
    std::thread::Builder::new().name("terminate".to_owned()).spawn(move || listen(&receiver, &*f))?;
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    if listeners.is_empty() {
        // SAFETY: the handler is a function of this program and is never taken away.
        check(unsafe { SetConsoleCtrlHandler(Some(on_console_event), 1) })?;
        // Where there are no windows at all there is no session whose end they could tell.
        let _ = session_end::watch();
    }
    listeners.push(sender);
    Ok(())
}

fn listen(receiver: &Receiver<&'static str>, f: &dyn Fn(&'static str)) {
    while let Ok(name) = receiver.recv() {
        f(name);
    }
}

/// Tells everybody.
pub(super) fn tell(name: &'static str) {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.retain(|listener| !matches!(listener.try_send(name), Err(TrySendError::Disconnected(_))));
}

/// Windows calls it on a new thread each time.
unsafe extern "system" fn on_console_event(event: u32) -> i32 {
    match event {
        CTRL_C_EVENT => tell("Ctrl+C"),
        CTRL_BREAK_EVENT => tell("Ctrl+Break"),
        CTRL_CLOSE_EVENT => last_words("console closed"),
        CTRL_LOGOFF_EVENT => last_words("logoff"),
        CTRL_SHUTDOWN_EVENT => last_words("shutdown"),
        _ => return 0,
    }
    1
}

/// Windows ends the process as soon as the handler returns, and after some seconds in any case. So it does not return:
/// the process ends when it is ready.
fn last_words(name: &'static str) {
    tell(name);
    loop {
        std::thread::park();
    }
}
