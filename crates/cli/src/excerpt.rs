//! The last lines of a service's log, to go with a message about it.

use std::time::Duration;

use mainstay_logs::{LogPos, end, last_lines as read_last, stderr_name};

use crate::stack::Place;

const LINES: u64 = 5;
const BYTES: usize = 2_000;
const DRAIN: Duration = Duration::from_millis(50);

/// What an explanation shows, and looks at.
const EXPLAINED: u64 = 10;

/// The last lines that `service` wrote, as they are.
pub fn plain(place: &Place, service: &str) -> Vec<String> {
    read(place, service, EXPLAINED, 2 * BYTES)
}

/// What a service has just ended with, for a log of the system.
pub fn last_output(place: &Place, service: &str) -> Vec<String> {
    // As below.
    std::thread::sleep(DRAIN);
    read(place, service, LINES, BYTES)
}

/// The last few lines that `service` wrote, marked as such; nothing if there are none.
pub fn last_lines(place: &Place, service: &str) -> Vec<String> {
    // The end of a process is told before the last of its output is in the file.
    std::thread::sleep(DRAIN);
    let lines: Vec<String> =
        read(place, service, LINES, BYTES).iter().map(|line| format!("  | {line}")).collect();
    if lines.is_empty() {
        return lines;
    }
    let mut all = vec!["its last output:".to_owned()];
    all.extend(lines);
    all
}

/// Standard error says more, where it is kept apart.
fn read(place: &Place, service: &str, lines: u64, bytes: usize) -> Vec<String> {
    let apart = |stored: mainstay_daemon::StoredPlan| {
        stored.plan.services.get(service).is_some_and(|plan| plan.log.separate_stderr)
    };
    if place.plan().is_ok_and(apart) {
        let errors = read_log(place, &stderr_name(service), lines, bytes);
        if !errors.is_empty() {
            return errors;
        }
    }
    read_log(place, service, lines, bytes)
}

fn read_log(place: &Place, service: &str, lines: u64, bytes: usize) -> Vec<String> {
    let dir = &place.dirs.log;
    let text = end(dir, service)
        .and_then(|end| read_last(dir, service, (LogPos::default(), end), lines, bytes))
        .unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(|line| line.trim_end().to_owned()).collect()
}
