//! The one place that touches a file system: reads a configuration file and what it names.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::{Loaded, Surroundings, System, parse};

/// The largest configuration file, in bytes.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Reads the configuration file at `path`, for the system this runs on. `env` gives the variables that `${…}` means.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let absolute = match std::path::absolute(path) {
        Ok(absolute) => absolute,
        Err(error) => return refuse(path.to_owned(), cannot_read(path, &error), None),
    };
    let bytes = match read_bounded(&absolute) {
        Ok(bytes) => bytes,
        Err(error) => {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => Some("write one, or name another with -f FILE"),
                io::ErrorKind::IsADirectory => Some("name the file in it"),
                _ => None,
            };
            return refuse(absolute, cannot_read(path, &error), hint);
        }
    };
    let base_dir: PathBuf = match absolute.parent() {
        Some(parent) => parent.components().collect(),
        None => PathBuf::from("/"),
    };
    if base_dir.to_str().is_none() {
        let message = format!("the directory of {} has a name that is no Unicode", path.display());
        return refuse(absolute, message, Some("move the file to another directory"));
    }
    let around =
        Surroundings { env, base_dir: &base_dir, read_file: &read_bounded, system: System::current() };
    let mut loaded = parse(&path.display().to_string(), bytes, &around);
    loaded.files.insert(0, absolute);
    loaded
}

/// Reads a file, up to [`MAX_FILE`].
///
/// # Errors
/// What the system says; `FileTooLarge` beyond that size; `InvalidInput` if it is no file (a pipe may never end).
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?;
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("it is larger than {} MiB", MAX_FILE / (1024 * 1024));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

fn refuse(path: PathBuf, message: String, hint: Option<&str>) -> Loaded {
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        message,
        place: None,
        hint: hint.map(str::to_owned),
        related: Vec::new(),
    };
    let diagnostics = Diagnostics { list: vec![diagnostic], ..Diagnostics::default() };
    Loaded { plan: None, diagnostics, files: vec![path] }
}
