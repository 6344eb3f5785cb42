//! What the files of a log are called.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How the file of a closed segment is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it was written.
    Plain,
    /// Compressed with zstd, `.zst`.
    Zstd,
    /// Compressed with gzip, `.gz`.
    Gzip,
}

impl Form {
    /// All of them. A segment that is there in several has the same content in each; the plain one is put away last.
    pub(crate) const ALL: [Form; 3] = [Form::Plain, Form::Zstd, Form::Gzip];

    /// What its files' names end with.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Form::Plain => "",
            Form::Zstd => ".zst",
            Form::Gzip => ".gz",
        }
    }
}

/// The name of the log that a service's standard error has if it has one of its own.
pub fn stderr_name(service: &str) -> String {
    format!("{service}.err")
}

/// The service whose standard error has a log of this name: [`stderr_name`] the other way round.
pub fn stderr_of(log: &str) -> Option<&str> {
    log.strip_suffix(".err")
}

/// The file that a log grows in.
pub fn active_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.log"))
}

/// A closed segment's file, as long as it is not compressed.
pub fn closed_path(dir: &Path, name: &str, number: u64) -> PathBuf {
    dir.join(format!("{name}.log.{number:06}"))
}

/// A closed segment's file, in the form that is there. Gone: where it would be.
pub fn closed_file(dir: &Path, name: &str, number: u64) -> PathBuf {
    let there = |path: &PathBuf| path.exists();
    let forms = Form::ALL.map(|form| form_path(dir, name, number, form));
    forms.into_iter().find(there).unwrap_or_else(|| closed_path(dir, name, number))
}

/// A closed segment's file in this form.
pub(crate) fn form_path(dir: &Path, name: &str, number: u64, form: Form) -> PathBuf {
    dir.join(format!("{name}.log.{number:06}{}", form.suffix()))
}

/// The times of a segment, active or closed.
pub(crate) fn index_path(dir: &Path, name: &str, number: u64) -> PathBuf {
    dir.join(format!("{name}.log.{number:06}.idx"))
}

/// Opens a closed segment, in whichever form it is there.
pub(crate) fn open_closed(dir: &Path, name: &str, number: u64) -> io::Result<Option<(File, Form)>> {
    let mut refused = None;
    for form in Form::ALL {
        match File::open(form_path(dir, name, number, form)) {
            Ok(file) => return Ok(Some((file, form))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // On Windows a deleted file that somebody still reads keeps its name for so long, and cannot be opened.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Whether a segment is closed, in whichever form.
pub(crate) fn is_closed(dir: &Path, name: &str, number: u64) -> io::Result<bool> {
    for form in Form::ALL {
        match std::fs::metadata(form_path(dir, name, number, form)) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// The file that will be the active one a moment later, during a rotation. Always empty under this name.
pub(crate) fn next_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.log.next"))
}

/// Whether a log can have this name: one part of a path, on every platform.
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !name.starts_with('.')
}

/// The log and the number of a segment, if this is the name of its index.
pub(crate) fn parse_index(file_name: &str) -> Option<(&str, u64)> {
    match parse(file_name.strip_suffix(".idx")?)? {
        (name, Some((number, Form::Plain))) => Some((name, number)),
        _ => None,
    }
}

/// What a file name in a log directory means: the log's name, and number and form if it is a closed segment.
pub(crate) fn parse(file_name: &str) -> Option<(&str, Option<(u64, Form)>)> {
    let (name, closed) = match file_name.strip_suffix(".log") {
        Some(name) => (name, None),
        None => {
            let plain = |form: Form| file_name.strip_suffix(form.suffix()).map(|rest| (rest, form));
            let (rest, form) =
                plain(Form::Zstd).or_else(|| plain(Form::Gzip)).unwrap_or((file_name, Form::Plain));
            let (rest, digits) = rest.rsplit_once('.')?;
            // Fewer digits are somebody else's file, such as logrotate's `web.log.1`.
            if digits.len() < 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let number: u64 = digits.parse().ok()?;
            // `web.log.0000001` is not how this crate writes 1, and number 0 is never used.
            if number == 0 || format!("{number:06}") != digits {
                return None;
            }
            (rest.strip_suffix(".log")?, Some((number, form)))
        }
    };
    is_valid_name(name).then_some((name, closed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["web", "a.log", "a.log.000001", "x-1_2.3"] {
            let dir = Path::new("d");
            let file = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(parse(&file(active_path(dir, name))), Some((name, None)));
            for number in [1, 999_999, 1_000_000, 123_456_789] {
                assert_eq!(closed_path(dir, name, number), form_path(dir, name, number, Form::Plain));
                for form in Form::ALL {
                    let path = file(form_path(dir, name, number, form));
                    assert_eq!(parse(&path), Some((name, Some((number, form)))));
                }
            }
            assert_eq!(parse(&file(next_path(dir, name))), None);
            assert_eq!(parse_index(&file(index_path(dir, name, 7))), Some((name, 7)));
            assert_eq!(parse_index(&file(closed_path(dir, name, 7))), None);
        }
    }

    #[test]
    fn files_of_others_are_not_taken_for_segments() {
        for file in [
            "web.log.1",
            "web.log.000000",
            "web.log.0000001",
            "web.log.00001a",
            "web.txt",
            ".log",
            "x.log.gz",
            "web.log.1.gz",
            "web.log.000001.zst.tmp",
            "web.log.000001.gz.zst",
            "web.log.000001.idx",
        ] {
            assert_eq!(parse(file), None, "{file}");
        }
        assert_eq!(parse("web.log.99999999999999999999999"), None, "a number that does not fit");
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        for bad in ["", "..", "a/b", "a\\b", ".hidden", "a b", "ü", "C:"] {
            assert!(!is_valid_name(bad), "{bad}");
        }
        assert!(is_valid_name("web.probe-live"));
    }
}
