//! The kernel's ring of messages, `/dev/kmsg`: a record for each read, from the oldest that is kept.

use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Killed;
use crate::clock;

/// A record is never longer.
const LONGEST: usize = 8 << 10;
/// More records are not looked at; a ring has fewer.
const MOST: usize = 200_000;

pub(super) fn killed(pid: u32) -> Option<Killed> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let ring = rustix::fs::open("/dev/kmsg", flags, Mode::empty()).ok()?;
    let mut buffer = vec![0; LONGEST];
    let mut last = None;
    for _ in 0..MOST {
        match rustix::io::read(&ring, buffer.as_mut_slice()) {
            Ok(0) => break,
            Ok(length) => last = about(&String::from_utf8_lossy(&buffer[..length]), pid).or(last),
            // The ring went on under us: the next read is of the oldest that is left.
            Err(Errno::PIPE | Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let (micros, message) = last?;
    let now = Duration::from_nanos(clock::monotonic_nanos());
    Some(Killed { message, ago: now.saturating_sub(Duration::from_micros(micros)) })
}

/// The time and the words of a record if it says that this process was killed for memory. A record is
/// `6,1234,5678901,-;Out of memory: Killed process 42 (api) total-vm:…`, with lines of properties behind it.
fn about(record: &str, pid: u32) -> Option<(u64, String)> {
    let (head, rest) = record.split_once(';')?;
    let message = rest.lines().next()?;
    let (before, after) = message.split_once(&format!("illed process {pid} "))?;
    if !before.to_ascii_lowercase().contains("out of memory") {
        return None;
    }
    // The figures behind the name help nobody here.
    let name = after.split_once(')').map_or(after, |(name, _)| name);
    let micros = head.split(',').nth(2)?.parse().ok()?;
    Some((micros, format!("{before}illed process {pid} {name})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_kernels() {
        let record = "6,900,123456789,-;Memory cgroup out of memory: Killed process 42 (a b) total-vm:1kB, \
                      anon-rss:2kB\n SUBSYSTEM=x\n";
        let words = "Memory cgroup out of memory: Killed process 42 (a b)".to_owned();
        assert_eq!(about(record, 42), Some((123_456_789, words)));
        assert_eq!(about(record, 4), None);
        assert_eq!(about("3,1,5,-;Out of memory: Killed process 7 (x), UID 0", 7).map(|(at, _)| at), Some(5));
        assert_eq!(about("6,1,5,-;Killed process 7 (x) by hand", 7), None);
        assert_eq!(about("garbage", 7), None);
    }

    #[test]
    fn asking_is_harmless_where_it_is_forbidden() {
        assert_eq!(killed(u32::MAX), None);
    }
}
