//! What `/proc` tells about processes.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

/// The part of `/proc/<pid>/stat` that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    pub(crate) start: u64,
}

impl Stat {
    /// Ended, and only waiting to be reaped.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// `None`: there is no such process.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    // The whole line has at most 52 numbers and a name of 64 bytes.
    let mut buffer = [0_u8; 2048];
    let mut file = std::fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut buffer).ok()?;
    parse_stat(&buffer[..length])
}

/// The name of the program that a process runs; not its arguments, which may hold secrets.
pub(crate) fn command(pid: u32) -> Option<String> {
    let name = match std::fs::read(format!("/proc/{pid}/comm")) {
        Ok(name) => String::from_utf8_lossy(&name).trim_end().to_owned(),
        // Sandboxes may lack the one or the other.
        Err(_) => {
            let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            path.file_name()?.to_string_lossy().into_owned()
        }
    };
    Some(name)
}

/// The name of the program is in parentheses and may hold anything, also spaces, parentheses and line ends: what
/// follows the last closing one is certain.
fn parse_stat(line: &[u8]) -> Option<Stat> {
    let after = line.iter().rposition(|&byte| byte == b')')? + 1;
    let mut fields = line[after..].split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let mut next = || std::str::from_utf8(fields.next()?).ok();
    let state = *next()?.as_bytes().first()?;
    let parent = next()?.parse().ok()?;
    let group = next()?.parse().ok()?;
    let session = next()?.parse().ok()?;
    // These were fields 3 to 6; the start time is number 22.
    let start =
        (7..22).try_fold((), |(), _| next().map(|_| ())).and_then(|()| next())?.trim_end().parse().ok()?;
    Some(Stat { state, parent, group, session, start })
}

/// The numbers of all processes.
pub(crate) fn all() -> io::Result<Vec<u32>> {
    let entries = std::fs::read_dir("/proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// The children of a process, of all its threads, sorted. `None`: the kernel does not list them, or there is no such
/// process. Whoever concludes from the list that nobody is there has to read it twice: it may change meanwhile.
pub(crate) fn children(pid: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    // Each read lets the kernel count through the list again, so they should be few.
    let mut text = vec![0; 32 << 10];
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = thread.ok()?.path().join("children");
        match std::fs::File::open(&path).and_then(|mut file| read_numbers(&mut file, &mut text, &mut found)) {
            Ok(()) => {}
            // The thread may have ended meanwhile; its children are then another thread's.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.parent()?.exists() => {}
            Err(_) => return None,
        }
    }
    found.sort_unstable();
    Some(found)
}

/// Numbers with a space behind each; one may be cut in two by the buffer's end.
fn read_numbers(file: &mut std::fs::File, buffer: &mut [u8], found: &mut Vec<u32>) -> io::Result<()> {
    let mut number: Option<u32> = None;
    loop {
        let length = file.read(buffer)?;
        if length == 0 {
            found.extend(number);
            return Ok(());
        }
        for &byte in &buffer[..length] {
            if byte.is_ascii_digit() {
                number = Some(number.unwrap_or(0).wrapping_mul(10).wrapping_add(u32::from(byte - b'0')));
            } else {
                found.extend(number.take());
            }
        }
    }
}

/// The value of a variable in the environment a process was started with. `None` also if we may not look.
pub(crate) fn environment_value(pid: u32, name: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    bytes
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec))
}

/// Whether there is an environment to look at.
pub(crate) fn has_environment(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|bytes| !bytes.is_empty())
}

/// The inodes of the pipes that a process can write to.
pub(crate) fn written_pipes(pid: u32) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let target = std::fs::read_link(&path).ok()?;
            let inode = target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()?;
            // The link's own mode says how the descriptor was opened.
            (path.symlink_metadata().ok()?.mode() & 0o200 != 0).then_some(inode)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_and_spaces() {
        let tail =
            "S 10 20 30 0 -1 4194560 107 0 0 0 0 0 0 0 20 0 1 0 987654 2711552 200 18446744073709551615\n";
        for name in ["sh", "a b", "a) S 1 2 3 (b", ")", "x\n)", ""] {
            let line = format!("77 ({name}) {tail}");
            let stat = parse_stat(line.as_bytes()).expect("it parses");
            assert_eq!(
                stat,
                Stat { state: b'S', parent: 10, group: 20, session: 30, start: 987_654 },
                "name {name:?}"
            );
        }
    }

    #[test]
    fn a_broken_line_is_no_process() {
        for line in ["", "77", "77 (sh", "77 (sh)", "77 (sh) S", "77 (sh) S 1 2 x", "77 (sh) S 1 2 3 0 0 0"] {
            assert_eq!(parse_stat(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn own_process() {
        let own = std::process::id();
        let stat = stat(own).expect("we run");
        assert!(!stat.is_dead());
        assert!(all().expect("there is a /proc").contains(&own));
        assert!(environment_value(own, "PATH").is_some());
        assert!(environment_value(own, "PAT").is_none());
    }

    #[test]
    fn a_child_is_among_the_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let found = children(std::process::id());
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        if let Some(found) = found {
            assert!(found.contains(&child.id()), "{found:?}");
        }
    }
}
