//! The Event Log. Messages without a file of texts are shown through `EventCreate.exe`, a part of Windows whose text of each
//! number from 1 to 1000 is "%1": nothing of ours has to be on the disk to read them.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::io;
use std::path::Path;

use windows_sys::Win32::Foundation::FreeLibrary;
use windows_sys::Win32::System::Diagnostics::Debug::{
    FORMAT_MESSAGE_FROM_HMODULE, FORMAT_MESSAGE_IGNORE_INSERTS, FormatMessageW,
};
use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE,
    RegisterEventSourceW, ReportEventW,
};
use windows_sys::Win32::System::LibraryLoader::{LOAD_LIBRARY_AS_DATAFILE, LoadLibraryExW};
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, REG_DWORD, REG_EXPAND_SZ};

use super::{Entry, Level};
use crate::registry::{self, wide};

pub(super) fn write(name: &str, level: Level, text: &str, _fields: &[(&str, &str)]) -> bool {
    let number = match level {
        Level::Info => 1,
        Level::Warning => 2,
        Level::Error => 3,
    };
    write_entry(name, &Entry { level, number, text, inserts: &[text], fields: &[] })
}

/// What `ReportEventW` is given.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    source: Vec<u16>,
    kind: u16,
    id: u32,
    texts: Vec<Vec<u16>>,
}

impl Report {
    fn new(name: &str, entry: &Entry<'_>) -> Report {
        Report {
            source: wide(name),
            kind: match entry.level {
                Level::Info => EVENTLOG_INFORMATION_TYPE,
                Level::Warning => EVENTLOG_WARNING_TYPE,
                Level::Error => EVENTLOG_ERROR_TYPE,
            },
            id: entry.number,
            texts: entry.inserts.iter().map(|text| wide(&shown(text))).collect(),
        }
    }
}

/// The Event Viewer takes `%1` inside of an insert for a place of another one; Microsoft's advice is a space. Lines end
/// with CR LF.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = '\0';
    for c in text.chars() {
        match (before, c) {
            ('%', c) if c.is_ascii_digit() => shown.push(' '),
            (before, '\n') if before != '\r' => shown.push('\r'),
            _ => {}
        }
        shown.push(c);
        before = c;
    }
    shown
}

pub(super) fn write_entry(name: &str, entry: &Entry<'_>) -> bool {
    let report = Report::new(name, entry);
    let texts: Vec<*const u16> = report.texts.iter().map(Vec::as_ptr).collect();
    let Ok(count) = u16::try_from(texts.len()) else { return false };
    // SAFETY: the source and all texts end with a NUL and outlive the calls; there are as many texts as said; the handle is
    // closed once, after use.
    unsafe {
        let source = RegisterEventSourceW(std::ptr::null(), report.source.as_ptr());
        if source.is_null() {
            return false;
        }
        let (nobody, nothing) = (std::ptr::null_mut(), std::ptr::null());
        let done = ReportEventW(source, report.kind, 0, report.id, nobody, count, 0, texts.as_ptr(), nothing);
        DeregisterEventSource(source);
        done != 0
    }
}

/// The text of a number as the Event Viewer finds it in this file, with its places `%1` … as they are.
///
/// # Errors
/// The file cannot be read, or has no such text.
pub fn message_text(file: &Path, number: u32) -> io::Result<String> {
    /// A longer text is none of ours.
    const MOST: u32 = 16 << 10;
    let path = wide(&file.to_string_lossy());
    let mut buffer = vec![0_u16; MOST as usize];
    // SAFETY: the path ends with a NUL; the buffer is as long as said; the module is freed once, after use.
    let length = unsafe {
        let module = LoadLibraryExW(path.as_ptr(), std::ptr::null_mut(), LOAD_LIBRARY_AS_DATAFILE);
        if module.is_null() {
            return Err(io::Error::last_os_error());
        }
        let how = FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_IGNORE_INSERTS;
        let length = FormatMessageW(how, module, number, 0, buffer.as_mut_ptr(), MOST, std::ptr::null());
        let error = io::Error::last_os_error();
        FreeLibrary(module);
        if length == 0 {
            return Err(error);
        }
        length
    };
    Ok(String::from_utf16_lossy(&buffer[..length as usize]))
}

fn key(name: &str) -> String {
    format!(r"SYSTEM\CurrentControlSet\Services\EventLog\Application\{name}")
}

/// Where the texts of messages are.
pub(crate) fn source(messages: Option<&Path>) -> String {
    messages.map_or_else(
        || r"%SystemRoot%\System32\EventCreate.exe".to_owned(),
        |path| path.to_string_lossy().into_owned(),
    )
}

/// Where they are said to be.
pub(crate) fn registered(name: &str) -> Option<String> {
    let key = registry::open(HKEY_LOCAL_MACHINE, &key(name)).ok()?;
    key.text("EventMessageFile")
}

/// All three types of messages.
const TYPES: u32 = 7;

pub(super) fn register(name: &str, messages: Option<&Path>) -> io::Result<()> {
    let key = registry::create(HKEY_LOCAL_MACHINE, &key(name))?;
    key.set_text("EventMessageFile", REG_EXPAND_SZ, &source(messages))?;
    key.set("TypesSupported", REG_DWORD, &TYPES.to_le_bytes())
}

pub(super) fn unregister(name: &str) -> io::Result<()> {
    registry::delete(HKEY_LOCAL_MACHINE, &key(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_event_log_is_given() {
        let inserts = ["shop", "fe80::1%3 is 100% of it", "two\nlines"];
        let entry = Entry { level: Level::Error, number: 110, text: "", inserts: &inserts, fields: &[] };
        let report = Report::new("shop", &entry);
        let text = |units: &[u16]| String::from_utf16_lossy(units);
        assert_eq!((report.kind, report.id, text(&report.source)), (1, 110, "shop\0".to_owned()));
        let texts: Vec<String> = report.texts.iter().map(|units| text(units)).collect();
        assert_eq!(texts, ["shop\0", "fe80::1% 3 is 100% of it\0", "two\r\nlines\0"]);
        assert!(write_entry("shop", &entry), "Windows takes it");
    }

    #[test]
    fn a_text_is_found_in_a_file_of_windows() {
        let error = message_text(Path::new(r"C:\windows\system32\none.dll"), 1);
        assert!(error.is_err());
        // The system's own messages are such a resource; Wine has them in another file than Windows.
        let files =
            ["kernel32.dll", "kernelbase.dll"].map(|name| Path::new(r"C:\windows\system32").join(name));
        let texts: Vec<_> = files.iter().map(|file| message_text(file, 5)).collect();
        let found = |text: &String| !text.is_empty();
        assert!(texts.iter().any(|text| text.as_ref().is_ok_and(found)), "ERROR_ACCESS_DENIED: {texts:?}");
    }
}
