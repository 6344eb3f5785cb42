//! The files of one process.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

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
    /// So many descriptors more may be held.
    left: Cell<u64>,
}

/// So many descriptors are held at the most, and no more than half of what this process may have.
const MAX_HELD: u64 = 8_192;

impl Proc {
    pub(super) fn new() -> Proc {
        let proc = Proc {
            dir: open_dir(CWD, "/proc"),
            page: rustix::param::page_size() as u64,
            ticks: rustix::param::clock_ticks_per_second().max(1),
            left: Cell::new(0),
        };
        proc.holds(0);
        proc
    }

    /// So many descriptors are held at the beginning of a look.
    pub(super) fn holds(&self, held: usize) {
        let may = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        self.left.set(MAX_HELD.min(may / 2).saturating_sub(held as u64));
    }

    /// Whether so many more may be held until the next look; they are then counted.
    pub(super) fn may_hold(&self, count: usize) -> bool {
        let left = self.left.get().checked_sub(count as u64);
        self.left.set(left.unwrap_or(self.left.get()));
        left.is_some()
    }

    /// None: there is no such process.
    pub(super) fn figures(&self, pid: u32) -> Option<Figures> {
        let mut buffer = [0_u8; 2048];
        parse(read_once(self.dir.as_ref()?, &format!("{pid}/stat"), &mut buffer)?)
    }

    /// The last number that was given to a process or thread.
    pub(super) fn newest(&self) -> Option<u64> {
        let mut buffer = [0_u8; 128];
        let text = read_once(self.dir.as_ref()?, "loadavg", &mut buffer)?;
        std::str::from_utf8(text).ok()?.split_ascii_whitespace().next_back()?.parse().ok()
    }

    /// None: there is no such process.
    pub(super) fn files(&self, pid: u32) -> Option<Files> {
        let dir = open_dir(self.dir.as_ref()?, pid.to_string())?;
        Some(Files { pid, dir, open: [const { None }; 3] })
    }
}

/// The files of one process. They are its own for as long as this is held: another process that is given the same
/// number later is not seen through them. Opening a file costs several times as much as reading it, so that they stay
/// open.
#[derive(Debug)]
pub(super) struct Files {
    pid: u32,
    dir: OwnedFd,
    open: [Option<OwnedFd>; 3],
}

#[derive(Clone, Copy)]
enum File {
    Stat,
    Statm,
    Io,
}

impl File {
    const fn name(self) -> &'static str {
        match self {
            File::Stat => "stat",
            File::Statm => "statm",
            File::Io => "io",
        }
    }
}

impl Files {
    /// How many descriptors these are.
    pub(super) fn count(&self) -> usize {
        1 + self.open.iter().flatten().count()
    }

    /// None: the process is gone.
    pub(super) fn figures(&mut self) -> Option<Figures> {
        let mut buffer = [0_u8; 2048];
        parse(self.read(File::Stat, &mut buffer)?)
    }

    /// All that the files say; its own processor time as it is known more precisely.
    pub(super) fn usage(&mut self, proc: &Proc, figures: &Figures, own: Option<Duration>) -> Usage {
        let mut buffer = [0_u8; 512];
        let ticks = |count: u64| {
            Duration::from_nanos(1_000_000_000 / proc.ticks)
                .saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
        };
        // size resident shared …, in pages. Both from here: what `stat` says is older or less exact by some hundred
        // kilobytes, which is all that a small program has for itself.
        let memory = self.read(File::Statm, &mut buffer).and_then(|text| {
            let mut pages = std::str::from_utf8(text).ok()?.split_ascii_whitespace().skip(1);
            let mut next = || pages.next()?.parse::<u64>().ok();
            Some((next()?, next()?))
        });
        let (resident, shared) = memory.unwrap_or((figures.pages, 0));
        let (resident, private) = (resident * proc.page, resident.saturating_sub(shared) * proc.page);
        let (mut read, mut written) = (None, None);
        let io = self.read(File::Io, &mut buffer).and_then(|text| std::str::from_utf8(text).ok());
        for line in io.into_iter().flat_map(str::lines) {
            let value = |name: &str| line.strip_prefix(name)?.trim().parse().ok();
            read = read.or_else(|| value("read_bytes:"));
            written = written.or_else(|| value("write_bytes:"));
        }
        Usage {
            cpu_of_all: false,
            io_of_all: false,
            cpu: own.unwrap_or_else(|| ticks(figures.ticks)) + ticks(figures.waited),
            resident,
            private,
            processes: 1,
            threads: figures.threads,
            handles: self.descriptors(),
            read,
            written,
        }
    }

    /// Since Linux 6.2 the size of the directory is their number; before they are listed.
    fn descriptors(&self) -> Option<u64> {
        let stat = rustix::fs::statat(&self.dir, "fd", AtFlags::empty()).ok()?;
        if let Ok(count @ 1..) = u64::try_from(stat.st_size) {
            // The kernel says the number to anybody; so both ways have the same answer, it is not held back.
            return Some(count);
        }
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?;
        Some(entries.count() as u64)
    }

    fn read<'b>(&mut self, file: File, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let open = &mut self.open[file as usize];
        if open.is_none() {
            *open = Some(open_file(&self.dir, file.name())?);
        }
        let length = rustix::io::pread(open.as_ref()?, &mut *buffer, 0).ok()?;
        Some(&buffer[..length])
    }
}

/// A directory by which files in it are found, and nothing else.
pub(super) fn open_dir(at: impl AsFd, path: impl rustix::path::Arg) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty()).ok()
}

pub(super) fn open_file(dir: &OwnedFd, name: &str) -> Option<OwnedFd> {
    rustix::fs::openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn read_once<'b>(dir: &OwnedFd, path: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = rustix::io::read(open_file(dir, path)?, &mut *buffer).ok()?;
    Some(&buffer[..length])
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
        let mut files = proc.files(own).expect("we live");
        let figures = files.figures().expect("we live");
        let usage = files.usage(&proc, &figures, None);
        assert!(
            usage.resident > 100_000 && usage.private > 0 && usage.private <= usage.resident,
            "{usage:?}"
        );
        assert!(usage.threads >= 1 && usage.handles.is_some_and(|count| count >= 3), "{usage:?}");
        assert_eq!(proc.figures(u32::MAX), None);
        let precise = files.usage(&proc, &figures, Some(Duration::from_nanos(7)));
        assert!(precise.cpu < usage.cpu + Duration::from_secs(1), "{precise:?}");
        assert!(proc.newest().is_some_and(|newest| newest >= 1));
    }

    #[test]
    fn open_files_are_of_one_process() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("it starts");
        let proc = Proc::new();
        let mut files = proc.files(child.id()).expect("it runs");
        let figures = files.figures().expect("it runs");
        files.usage(&proc, &figures, None);
        // Whether `io` is there depends on how the kernel was made.
        assert!(files.count() >= 3, "{files:?}");
        assert_eq!(files.figures().map(|figures| figures.start), Some(figures.start), "they are read again");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        assert_eq!(files.figures(), None);
        assert!(proc.files(child.id()).is_none());
    }

    #[test]
    fn so_many_are_held_and_no_more() {
        let proc = Proc::new();
        proc.holds(usize::try_from(MAX_HELD).expect("it fits") - 2);
        let held: Vec<bool> = [1, 4, 1, 1].into_iter().map(|count| proc.may_hold(count)).collect();
        // The tests' own limit may be lower.
        assert!(held == [true, false, true, false] || held == [false; 4], "{held:?}");
    }
}
