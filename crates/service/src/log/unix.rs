//! journald's own protocol: a datagram of fields.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::{Entry, Level};

const JOURNAL: &str = "/run/systemd/journal/socket";

pub(super) fn write(name: &str, level: Level, text: &str, fields: &[(&str, &str)]) -> bool {
    send(Path::new(JOURNAL), &entry(name, level, text, fields)).is_ok()
}

pub(super) fn write_entry(name: &str, entry: &Entry<'_>) -> bool {
    write(name, entry.level, entry.text, entry.fields)
}

fn send(path: &Path, entry: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    // A journal that hangs must not hang the service.
    socket.set_write_timeout(Some(std::time::Duration::from_secs(1)))?;
    socket.send_to(entry, path).map(drop)
}

fn entry(name: &str, level: Level, text: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut entry = Vec::new();
    let priority = level.priority().to_string();
    let own = [("MESSAGE", text), ("PRIORITY", &priority), ("SYSLOG_IDENTIFIER", name)];
    for (field, value) in own.iter().chain(fields) {
        add(&mut entry, field, value);
    }
    entry
}

/// `NAME=value`, or with a length where the value has several lines.
fn add(entry: &mut Vec<u8>, field: &str, value: &str) {
    let valid = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if field.is_empty() || field.starts_with('_') || !field.chars().all(valid) {
        return;
    }
    // Writes into memory cannot fail.
    let _ = if value.contains('\n') {
        entry.extend_from_slice(field.as_bytes());
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
        entry.write_all(value.as_bytes())
    } else {
        write!(entry, "{field}={value}")
    };
    entry.push(b'\n');
}

#[expect(clippy::unnecessary_wraps, reason = "Windows has something to do here")]
pub(super) fn register(_name: &str, _messages: Option<&Path>) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "Windows has something to do here")]
pub(super) fn unregister(_name: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_as_the_journal_reads_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let journal = UnixDatagram::bind(&path).expect("a socket");
        let bytes =
            entry("api", Level::Warning, "two\nlines", &[("MAINSTAY_SERVICE", "db"), ("bad name", "x")]);
        send(&path, &bytes).expect("sent");
        let mut buffer = [0; 1024];
        let size = journal.recv(&mut buffer).expect("received");
        let expected: &[u8] =
            b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nPRIORITY=4\nSYSLOG_IDENTIFIER=api\nMAINSTAY_SERVICE=db\n";
        assert_eq!(&buffer[..size], expected);
    }
}
