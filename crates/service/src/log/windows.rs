//! The Event Log. Messages are shown through `EventCreate.exe`, a part of Windows whose message of each number from 1 to
//! 1000 is "%1", the text itself: nothing of ours has to be on the disk to read them.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::io;

use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE,
    RegisterEventSourceW, ReportEventW,
};
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, REG_DWORD, REG_EXPAND_SZ};

use super::Level;
use crate::registry::{self, wide};

pub(super) fn write(name: &str, level: Level, text: &str, _fields: &[(&str, &str)]) -> bool {
    let (kind, id) = match level {
        Level::Info => (EVENTLOG_INFORMATION_TYPE, 1),
        Level::Warning => (EVENTLOG_WARNING_TYPE, 2),
        Level::Error => (EVENTLOG_ERROR_TYPE, 3),
    };
    let name = wide(name);
    let text = wide(text);
    let texts = [text.as_ptr()];
    // SAFETY: the name and the one text end with a NUL and outlive the calls; the handle is closed once, after use.
    unsafe {
        let source = RegisterEventSourceW(std::ptr::null(), name.as_ptr());
        if source.is_null() {
            return false;
        }
        let done =
            ReportEventW(source, kind, 0, id, std::ptr::null_mut(), 1, 0, texts.as_ptr(), std::ptr::null());
        DeregisterEventSource(source);
        done != 0
    }
}

fn key(name: &str) -> String {
    format!(r"SYSTEM\CurrentControlSet\Services\EventLog\Application\{name}")
}

/// Where the texts of its messages are.
pub(crate) fn source(_name: &str) -> String {
    r"%SystemRoot%\System32\EventCreate.exe".to_owned()
}

/// Where they are said to be.
pub(crate) fn registered(name: &str) -> Option<String> {
    let key = registry::open(HKEY_LOCAL_MACHINE, &key(name)).ok()?;
    key.texts("EventMessageFile").map(|lines| lines.concat())
}

/// All three types of messages.
const TYPES: u32 = 7;

pub(super) fn register(name: &str) -> io::Result<()> {
    let key = registry::create(HKEY_LOCAL_MACHINE, &key(name))?;
    let file: Vec<u8> = wide(&source(name)).into_iter().flat_map(u16::to_le_bytes).collect();
    key.set("EventMessageFile", REG_EXPAND_SZ, &file)?;
    key.set("TypesSupported", REG_DWORD, &TYPES.to_le_bytes())
}

pub(super) fn unregister(name: &str) -> io::Result<()> {
    registry::delete(HKEY_LOCAL_MACHINE, &key(name))
}
