//! The one place that touches a file system: reads configuration files and what they name.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::syntax::ENDINGS;
use crate::{Asked, FileText, Loaded, Surroundings, System, parse_all};

/// The largest configuration file, in bytes.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;
/// So many files make one configuration.
const MAX_FILES: usize = 100;

/// Which configuration is meant.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its files, each over the ones before it. At least one.
    pub files: Vec<PathBuf>,
    /// The environment whose overlays go over the files: `prod` means `mainstay.prod.toml` beside `mainstay.toml`.
    pub environment: Option<String>,
    /// What goes over the files.
    pub asked: Asked,
    /// Texts that are taken for those of files, as if they had been saved: to try a change.
    pub unsaved: Vec<(PathBuf, Vec<u8>)>,
}

/// Reads the configuration file at `path`, for the system this runs on. `env` gives the variables that `${…}` means.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    load_all(&Request { files: vec![path.to_owned()], ..Request::default() }, env)
}

/// Reads the configuration that `request` means, for the system this runs on.
pub fn load_all(request: &Request, env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    match read(request) {
        Ok(files) => make(request, &files, env),
        Err((path, message, hint)) => refuse(path, message, hint),
    }
}

/// The configuration file in a directory: `mainstay.toml`, `.yaml`, `.yml` or `.json`. None if there is none.
///
/// # Errors
/// The names of the files, if there are several.
pub fn file_in(directory: &Path) -> Result<Option<PathBuf>, Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = ENDINGS
        .iter()
        .map(|ending| directory.join(format!("mainstay.{ending}")))
        .filter(|p| p.is_file())
        .collect();
    match found.len() {
        0 => Ok(None),
        1 => Ok(found.pop()),
        _ => Err(found),
    }
}

/// A file as it was found.
struct Found {
    /// As the person who asked called it.
    name: String,
    absolute: PathBuf,
    base_dir: PathBuf,
    bytes: Vec<u8>,
    overlay: bool,
}

/// Which file, what is wrong with it, and what to do.
type Refusal = (PathBuf, String, Option<String>);

fn read(request: &Request) -> Result<Vec<Found>, Refusal> {
    let first = request.files.first().cloned().unwrap_or_default();
    if request.files.len() > MAX_FILES {
        let hint = format!("at most {MAX_FILES} are accepted");
        return Err((first, format!("too many configuration files: {}", request.files.len()), Some(hint)));
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for path in &request.files {
        match path.is_dir() {
            true => files.extend(files_in(path)?),
            false => files.push(path.clone()),
        }
    }
    let mut found: Vec<Found> = Vec::new();
    for path in &files {
        let file = one(path, false, &request.unsaved)?;
        if let Some(other) = found.iter().find(|other| other.absolute == file.absolute) {
            let message = format!("{} is named twice", other.name);
            return Err((file.absolute, message, Some("name each file once".to_owned())));
        }
        found.push(file);
    }
    let Some(environment) = &request.environment else { return Ok(found) };
    let bad = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if environment.is_empty() || environment.contains(bad) || environment.starts_with('.') {
        let hint = "write a name like prod; it comes from --env or MAINSTAY_ENV";
        return Err((first, format!("`{environment}` cannot name an environment"), Some(hint.to_owned())));
    }
    let mut looked_for: Vec<String> = Vec::new();
    let mut overlays: Vec<Found> = Vec::new();
    for path in &files {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let candidates: Vec<PathBuf> = ENDINGS
            .iter()
            .map(|ending| path.with_file_name(format!("{stem}.{environment}.{ending}")))
            .collect();
        let there: Vec<&PathBuf> = candidates.iter().filter(|candidate| candidate.is_file()).collect();
        match there.as_slice() {
            [] => looked_for.push(candidates[0].display().to_string()),
            [only] => overlays.push(one(only, true, &request.unsaved)?),
            [one, other, ..] => {
                let message = format!("both {} and {} are there", one.display(), other.display());
                return Err((first, message, Some("keep one of them".to_owned())));
            }
        }
    }
    if overlays.is_empty() {
        let message =
            format!("there is no overlay for the environment {environment}: {}", looked_for.join(", "));
        let hint = "write one (.toml, .yaml, .yml or .json), or leave out --env and MAINSTAY_ENV";
        return Err((first, message, Some(hint.to_owned())));
    }
    found.extend(overlays);
    Ok(found)
}

/// The configuration files of a directory, each over the ones before it: all that end like one, in the order of their
/// names. Not those of an environment (`api.prod.toml`), nor hidden ones.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let failed = |error: io::Error| (directory.to_owned(), cannot_read(directory, &error), None);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
        let plain = path.file_stem().is_some_and(|stem| !stem.as_encoded_bytes().contains(&b'.'));
        if ending && plain && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let most = files.len() <= MAX_FILES;
    match files.is_empty() {
        false if most => Ok(files),
        false => Err((directory.to_owned(), format!("more than {MAX_FILES} files of configuration"), None)),
        true => {
            let message = format!("there is no configuration in {}", directory.display());
            let hint = format!("files that end in {} are read", ENDINGS.join(", "));
            Err((directory.to_owned(), message, Some(hint)))
        }
    }
}

fn one(path: &Path, overlay: bool, unsaved: &[(PathBuf, Vec<u8>)]) -> Result<Found, Refusal> {
    let absolute =
        std::path::absolute(path).map_err(|error| (path.to_owned(), cannot_read(path, &error), None))?;
    let unsaved = unsaved.iter().find(|(name, _)| name == path || *name == absolute);
    let bytes = unsaved.map_or_else(|| read_bounded(&absolute), |(_, bytes)| Ok(bytes.clone()));
    let bytes = bytes.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => Some("write one, or name another with -f FILE".to_owned()),
            io::ErrorKind::IsADirectory => Some("name the file in it".to_owned()),
            _ => None,
        };
        (absolute.clone(), cannot_read(path, &error), hint)
    })?;
    let base_dir: PathBuf = match absolute.parent() {
        Some(parent) => parent.components().collect(),
        None => PathBuf::from("/"),
    };
    if base_dir.to_str().is_none() {
        let message = format!("the directory of {} has a name that is no Unicode", path.display());
        return Err((absolute, message, Some("move the file to another directory".to_owned())));
    }
    Ok(Found { name: path.display().to_string(), absolute, base_dir, bytes, overlay })
}

fn make(request: &Request, found: &[Found], env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let Some(first) = found.first() else {
        return refuse(PathBuf::new(), "no configuration file is named".to_owned(), None);
    };
    let around =
        Surroundings { env, base_dir: &first.base_dir, read_file: &read_bounded, system: System::current() };
    let texts: Vec<FileText<'_>> = found
        .iter()
        .map(|file| FileText {
            name: &file.name,
            base_dir: &file.base_dir,
            bytes: &file.bytes,
            overlay: file.overlay,
        })
        .collect();
    let mut loaded = parse_all(&texts, &request.asked, &around);
    loaded.files.splice(0..0, found.iter().map(|file| file.absolute.clone()));
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

fn refuse(path: PathBuf, message: String, hint: Option<String>) -> Loaded {
    let diagnostic =
        Diagnostic { severity: Severity::Error, message, place: None, hint, related: Vec::new() };
    let diagnostics = Diagnostics { list: vec![diagnostic], ..Diagnostics::default() };
    Loaded { plan: None, diagnostics, files: vec![path], effective: None }
}
