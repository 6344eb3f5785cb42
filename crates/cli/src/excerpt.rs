//! The last lines of a service's log, to go with a message about it.

use std::time::Duration;

use mainstay_logs::{LogPos, end, last_lines as read_last};

use crate::stack::Place;

const LINES: u64 = 5;
const BYTES: usize = 2_000;
const DRAIN: Duration = Duration::from_millis(50);

/// The last few lines that `service` wrote, marked as such; nothing if there are none.
pub fn last_lines(place: &Place, service: &str) -> Vec<String> {
    // The end of a process is told before the last of its output is in the file.
    std::thread::sleep(DRAIN);
    let dir = &place.dirs.log;
    let text = end(dir, service)
        .and_then(|end| read_last(dir, service, (LogPos::default(), end), LINES, BYTES))
        .unwrap_or_default();
    let lines: Vec<String> =
        String::from_utf8_lossy(&text).lines().map(|line| format!("  | {}", line.trim_end())).collect();
    if lines.is_empty() {
        return lines;
    }
    let mut all = vec!["its last output:".to_owned()];
    all.extend(lines);
    all
}
