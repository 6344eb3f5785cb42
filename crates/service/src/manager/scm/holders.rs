//! Who keeps a deleted service alive: each open handle does, and Windows does not tell whose.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use windows_sys::Win32::Foundation::{CloseHandle, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};

/// Programs that have services open as long as they show them.
const KNOWN: [(&str, &str); 8] = [
    ("mmc.exe", "services.msc or the Event Viewer"),
    ("taskmgr.exe", "the Task Manager"),
    ("eventvwr.exe", "the Event Viewer"),
    ("perfmon.exe", "the Performance Monitor"),
    ("resmon.exe", "the Resource Monitor"),
    ("procexp.exe", "Process Explorer"),
    ("procexp64.exe", "Process Explorer"),
    ("systeminformer.exe", "System Informer"),
];

/// So many processes are looked at.
const MOST: usize = 100_000;

/// Those that run and are known to hold services, in words.
pub(super) fn suspects(service_pid: Option<u32>) -> String {
    let mut found: Vec<String> = Vec::new();
    if let Some(pid) = service_pid {
        found.push(format!("its own process {pid}, which has not ended"));
    }
    for (pid, name) in processes() {
        if let Some((_, what)) = KNOWN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
            found.push(format!("{what} ({name}, process {pid})"));
        }
    }
    if found.is_empty() {
        return "no program that is known for it runs here: a script, an agent or another session may hold it; a restart of \
                the machine removes it"
            .to_owned();
    }
    format!("close {}", found.join(", "))
}

fn processes() -> Vec<(u32, String)> {
    let mut found = Vec::new();
    // SAFETY: the handle is closed once, after use; the entry says its own size, as it has to.
    unsafe {
        let snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        if snapshot == INVALID_HANDLE_VALUE {
            return found;
        }
        let mut entry = PROCESSENTRY32W {
            dwSize: u32::try_from(size_of::<PROCESSENTRY32W>()).unwrap_or_default(),
            ..std::mem::zeroed()
        };
        let mut there = Process32FirstW(snapshot, &mut entry);
        while there != 0 && found.len() < MOST {
            let end = entry.szExeFile.iter().position(|unit| *unit == 0).unwrap_or(entry.szExeFile.len());
            found.push((entry.th32ProcessID, String::from_utf16_lossy(&entry.szExeFile[..end])));
            there = Process32NextW(snapshot, &mut entry);
        }
        CloseHandle(snapshot);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_those_that_run() {
        assert!(processes().iter().any(|(pid, name)| *pid == std::process::id() && name.ends_with(".exe")));
        assert!(suspects(Some(7)).contains("its own process 7"));
    }
}
