//! What the files of a log are called.

use std::path::{Path, PathBuf};

/// The file that a log grows in.
pub fn active_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.log"))
}

/// A closed segment's file.
pub fn closed_path(dir: &Path, name: &str, number: u64) -> PathBuf {
    dir.join(format!("{name}.log.{number:06}"))
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

/// What a file name in a log directory means: the log's name, and the number if it is a closed segment.
pub(crate) fn parse(file_name: &str) -> Option<(&str, Option<u64>)> {
    let (name, number) = match file_name.strip_suffix(".log") {
        Some(name) => (name, None),
        None => {
            let (rest, digits) = file_name.rsplit_once('.')?;
            // Fewer digits are somebody else's file, such as logrotate's `web.log.1`.
            if digits.len() < 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let number: u64 = digits.parse().ok()?;
            // `web.log.0000001` is not how this crate writes 1, and number 0 is never used.
            if number == 0 || format!("{number:06}") != digits {
                return None;
            }
            (rest.strip_suffix(".log")?, Some(number))
        }
    };
    is_valid_name(name).then_some((name, number))
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
                assert_eq!(parse(&file(closed_path(dir, name, number))), Some((name, Some(number))));
            }
            assert_eq!(parse(&file(next_path(dir, name))), None);
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
