//! The files of one process.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::micros;
use crate::usage::Usage;

/// What `/proc/<pid>/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    state: u8,
    pub(super) parent: u32,
    pub(super) session: u32,
    pub(super) start: u64,
    ticks: u64,
    /// Those of the children that it has waited for.
    waited: u64,
    threads: u32,
    pages: u64,
}

impl Figures {
    /// Ended, and only waiting to be reaped.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// `/proc`, held open.
#[derive(Debug)]
pub(super) struct Proc {
    dir: Option<OwnedFd>,
    page: u64,
    ticks: u64,
}

impl Proc {
    pub(super) fn new() -> Proc {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Proc {
            dir: rustix::fs::open("/proc", flags, Mode::empty()).ok(),
            page: rustix::param::page_size() as u64,
            ticks: rustix::param::clock_ticks_per_second().max(1),
        }
    }

    /// None: there is no such process.
    pub(super) fn figures(&self, pid: u32) -> Option<Figures> {
        let mut buffer = [0_u8; 2048];
        parse(self.read(pid, "stat", &mut buffer)?)
    }

    /// The last number that was given to a process or thread.
    pub(super) fn newest(&self) -> Option<u64> {
        let mut buffer = [0_u8; 128];
        let text = self.read_at("loadavg", &mut buffer)?;
        std::str::from_utf8(text).ok()?.split_ascii_whitespace().next_back()?.parse().ok()
    }

    /// All that its files say; its own processor time as it is known more precisely.
    pub(super) fn usage(&self, pid: u32, figures: &Figures, own: Option<Duration>) -> Usage {
        let mut buffer = [0_u8; 512];
        let ticks = |count: u64| {
            Duration::from_nanos(1_000_000_000 / self.ticks)
                .saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
        };
        // size resident shared …, in pages. Both from here: what `stat` says is older or less exact by some hundred
        // kilobytes, which is all that a small program has for itself.
        let memory = self.read(pid, "statm", &mut buffer).and_then(|text| {
            let mut pages = std::str::from_utf8(text).ok()?.split_ascii_whitespace().skip(1);
            let mut next = || pages.next()?.parse::<u64>().ok();
            Some((next()?, next()?))
        });
        let (resident, shared) = memory.unwrap_or((figures.pages, 0));
        let (resident, private) = (resident * self.page, resident.saturating_sub(shared) * self.page);
        let (mut read, mut written) = (None, None);
        if let Some(text) = self.read(pid, "io", &mut buffer).and_then(|text| std::str::from_utf8(text).ok())
        {
            for line in text.lines() {
                let value = |name: &str| line.strip_prefix(name)?.trim().parse().ok();
                read = read.or_else(|| value("read_bytes:"));
                written = written.or_else(|| value("write_bytes:"));
            }
        }
        Usage {
            cpu_of_all: false,
            io_of_all: false,
            cpu: own.unwrap_or_else(|| ticks(figures.ticks)) + ticks(figures.waited),
            resident,
            private,
            processes: 1,
            threads: figures.threads,
            handles: self.descriptors(pid),
            read,
            written,
        }
    }

    /// Since Linux 6.2 the size of the directory is their number; before they are listed.
    fn descriptors(&self, pid: u32) -> Option<u64> {
        let dir = self.dir.as_ref()?;
        let stat = rustix::fs::statat(dir, format!("{pid}/fd"), AtFlags::empty()).ok()?;
        if let Ok(count @ 1..) = u64::try_from(stat.st_size) {
            // The kernel says the number to anybody; so both ways have the same answer, it is not held back.
            return Some(count);
        }
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        Some(entries.count() as u64)
    }

    /// The processor time of everything that ever ran in this cgroup.
    pub(super) fn cpu_of_cgroup(&self, dir: &Path) -> Option<Duration> {
        let text = std::fs::read_to_string(dir.join("cpu.stat")).ok()?;
        micros(text.lines().find_map(|line| line.strip_prefix("usage_usec "))?)
    }

    fn read<'b>(&self, pid: u32, name: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.read_at(&format!("{pid}/{name}"), buffer)
    }

    fn read_at<'b>(&self, path: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.dir.as_ref()?, path, flags, Mode::empty()).ok()?;
        let length = rustix::io::read(&file, &mut *buffer).ok()?;
        Some(&buffer[..length])
    }
}

/// The program's name is in parentheses and may hold anything.
fn parse(line: &[u8]) -> Option<Figures> {
    let after = line.iter().rposition(|&byte| byte == b')')? + 1;
    // Field 3, the state, is the first of these.
    let mut fields = [""; 22];
    let text = std::str::from_utf8(&line[after..]).ok()?;
    let mut count = 0;
    for (slot, field) in fields.iter_mut().zip(text.split_ascii_whitespace()) {
        *slot = field;
        count += 1;
    }
    let number = |nth: usize| fields[nth - 3].parse::<u64>().ok();
    // 14 and 15: its own time, user and kernel; 16 and 17: that of children that it has waited for.
    let ticks = |from: usize| Some(number(from)? + number(from + 1)?);
    (count == 22).then_some(())?;
    Some(Figures {
        state: *fields[0].as_bytes().first()?,
        parent: fields[1].parse().ok()?,
        session: fields[3].parse().ok()?,
        start: number(22)?,
        ticks: ticks(14)?,
        waited: ticks(16)?,
        threads: u32::try_from(number(20)?).ok()?,
        pages: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel() {
        let line = "77 (a) S 1 (b) S 10 20 30 0 -1 4194560 107 0 0 0 11 22 33 44 20 0 5 0 987654 2711552 200 \
                    18446744073709551615 1 1\n";
        let found = parse(line.as_bytes()).expect("it parses");
        let wanted = Figures {
            state: b'S',
            parent: 10,
            session: 30,
            start: 987_654,
            ticks: 33,
            waited: 77,
            threads: 5,
            pages: 200,
        };
        assert_eq!(found, wanted);
        for cut in
            ["", "77 (x", "77 (x) S 1 2", "77 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"]
        {
            assert_eq!(parse(cut.as_bytes()), None, "{cut}");
        }
    }

    #[test]
    fn we_use_something() {
        let proc = Proc::new();
        let own = std::process::id();
        let figures = proc.figures(own).expect("we live");
        let usage = proc.usage(own, &figures, None);
        assert!(
            usage.resident > 100_000 && usage.private > 0 && usage.private <= usage.resident,
            "{usage:?}"
        );
        assert!(usage.threads >= 1 && usage.handles.is_some_and(|count| count >= 3), "{usage:?}");
        assert_eq!(proc.figures(u32::MAX), None);
        let precise = proc.usage(own, &figures, Some(Duration::from_nanos(7)));
        assert!(precise.cpu < usage.cpu + Duration::from_secs(1), "{precise:?}");
        assert!(proc.newest().is_some_and(|newest| newest >= 1));
    }
}
