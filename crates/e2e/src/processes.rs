//! Finding processes by the file they were made from.

use std::path::Path;
use std::process::Command;

use mainstay_sys::process::{self, ProcessId};

/// The process ids of all processes made from this file that have not ended.
pub fn running(exe: &Path) -> Vec<u32> {
    if cfg!(windows) { by_task_list(exe) } else { by_proc(exe) }
}

fn by_proc(exe: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path().join("exe")).is_ok_and(|link| link == exe))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| process::identity(*pid).is_some_and(|id| process::is_alive(&id)))
        .collect()
}

/// `tasklist` gives `"name.exe","123",…` a line each; under Wine without all the columns.
fn by_task_list(exe: &Path) -> Vec<u32> {
    let name = exe.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let Ok(output) = Command::new("tasklist").args(["/FO", "CSV", "/NH"]).output() else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout)
        .to_ascii_lowercase()
        .lines()
        .filter(|line| line.contains(&name))
        .filter_map(|line| line.split(',').nth(1)?.trim_matches('"').parse().ok())
        .collect()
}

/// `kill -9` of the process that has this number now.
pub fn kill(pid: u32) {
    if let Some(id) = process::identity(pid) {
        end(&id);
    }
}

/// `kill -9` of everything made from this file.
pub fn end_all(exe: &Path) {
    running(exe).into_iter().for_each(kill);
}

fn end(id: &ProcessId) {
    process::kill(id).unwrap();
}
