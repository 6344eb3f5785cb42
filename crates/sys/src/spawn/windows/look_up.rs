//! Which file a program's name means.

use std::path::{Path, PathBuf};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DIRECTORY, GetFileAttributesW, INVALID_FILE_ATTRIBUTES,
};

use super::environment::Environment;
use crate::spawn::{SpawnError, SpawnErrorKind};

/// The endings of what `CreateProcessW` and cmd.exe can run; others in PATHEXT need a program of their own.
const RUNNABLE: [&str; 4] = ["COM", "EXE", "BAT", "CMD"];

/// A program that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Its file, absolute.
    pub(super) path: PathBuf,
    /// Whether cmd.exe has to run it.
    pub(super) batch: bool,
}

/// Finds the program as cmd.exe would, but for one thing: a bare name is looked for in the PATH alone and not in the
/// working directory, where somebody could have left another program of that name. With a slash or backslash it is
/// relative to the working directory.
pub(super) fn look_up(
    name: &str,
    working_dir: &Path,
    environment: &Environment,
) -> Result<Program, SpawnError> {
    let endings = endings(environment);
    if name.contains(['/', '\\', ':']) {
        let path = absolute(&working_dir.join(name))?;
        return match candidates(&path, &endings).find(|path| is_file(path)) {
            Some(path) => Ok(found(path)),
            None => Err(missing(&path, &endings)),
        };
    }
    let searched = environment.get("PATH").unwrap_or_default();
    // Quotation marks around a directory are allowed by cmd.exe; an empty entry means nothing.
    let directories = std::env::split_paths(&searched).filter(|dir| !dir.as_os_str().is_empty());
    // Windows finds its own programs also where the PATH does not name their directory.
    for directory in directories.chain(crate::win::system_directory()) {
        let path = absolute(&working_dir.join(directory).join(name))?;
        if let Some(path) = candidates(&path, &endings).find(|path| is_file(path)) {
            return Ok(found(path));
        }
    }
    let mut message = format!("program not found: {name} (looked in PATH: {searched}; and in Windows' own)");
    if candidates(&working_dir.join(name), &endings).any(|path| is_file(&path)) {
        message += &format!(r"; there is one in the working directory: write .\{name}");
    }
    Err(SpawnError::new(SpawnErrorKind::NotFound, message))
}

/// The name itself if it has an ending, then with each ending put to it, then the name without any.
fn candidates<'a>(path: &'a Path, endings: &'a [String]) -> impl Iterator<Item = PathBuf> + 'a {
    let bare = path.extension().is_none();
    let with_endings = endings.iter().map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    });
    let first = (!bare).then(|| path.to_owned());
    let last = bare.then(|| path.to_owned());
    first.into_iter().chain(with_endings).chain(last)
}

/// Those of PATHEXT that can be run, in its order.
fn endings(environment: &Environment) -> Vec<String> {
    let text = environment.get("PATHEXT").unwrap_or_default();
    let mut endings: Vec<String> = text
        .split(';')
        .map(|ending| ending.trim().trim_start_matches('.').to_ascii_lowercase())
        .filter(|ending| RUNNABLE.iter().any(|known| known.eq_ignore_ascii_case(ending)))
        .collect();
    if endings.is_empty() {
        endings = RUNNABLE.iter().map(|ending| ending.to_ascii_lowercase()).collect();
    }
    endings
}

fn found(path: PathBuf) -> Program {
    let ending = path.extension().unwrap_or_default();
    let batch = ending.eq_ignore_ascii_case("bat") || ending.eq_ignore_ascii_case("cmd");
    Program { path, batch }
}

fn missing(path: &Path, endings: &[String]) -> SpawnError {
    if attributes(path).is_some_and(|bits| bits & FILE_ATTRIBUTE_DIRECTORY != 0) {
        let message = format!("not a program but a directory: {}", path.display());
        return SpawnError::new(SpawnErrorKind::NotExecutable, message);
    }
    let mut message = format!("program not found: {}", path.display());
    if path.extension().is_none() {
        message += &format!(" (nor with .{})", endings.join(", ."));
    }
    if let Some(parent) = path.parent().filter(|parent| attributes(parent).is_none()) {
        message += &format!("; there is no directory {}", parent.display());
    }
    SpawnError::new(SpawnErrorKind::NotFound, message)
}

fn absolute(path: &Path) -> Result<PathBuf, SpawnError> {
    std::path::absolute(path).map_err(|e| {
        SpawnError::new(SpawnErrorKind::Invalid, format!("no valid path: {}: {e}", path.display()))
    })
}

fn is_file(path: &Path) -> bool {
    attributes(path).is_some_and(|bits| bits & FILE_ATTRIBUTE_DIRECTORY == 0)
}

/// By attributes alone and not by opening: the programs of the Store are links that only `CreateProcessW` can follow.
fn attributes(path: &Path) -> Option<u32> {
    let wide = crate::win::long_path(path).ok()?;
    // SAFETY: the path ends with a NUL and outlives the call.
    let bits = unsafe { GetFileAttributesW(wide.as_ptr()) };
    (bits != INVALID_FILE_ATTRIBUTES).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(path: &str) -> Environment {
        let mut environment = Environment::default();
        environment.set("PATH", path).expect("valid");
        environment.set("PATHEXT", ".COM;.EXE;.BAT;.CMD;.VBS").expect("valid");
        environment
    }

    fn touch(dir: &Path, name: &str) {
        std::fs::write(dir.join(name), "").expect("a file");
    }

    #[test]
    fn a_bare_name_is_found_in_the_path_with_its_ending() {
        let dir = tempfile::tempdir().expect("a directory");
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        std::fs::create_dir_all(&one).expect("a directory");
        std::fs::create_dir_all(&two).expect("a directory");
        touch(&two, "tool.exe");
        touch(&two, "tool.bat");
        touch(&two, "other.cmd");
        touch(&one, "note.txt");
        let path = format!("{};;\"{}\"", one.display(), two.display());
        let environment = environment(&path);
        let found = look_up("tool", dir.path(), &environment).expect("found");
        assert_eq!(found, Program { path: two.join("tool.exe"), batch: false });
        let found = look_up("tool.bat", dir.path(), &environment).expect("found");
        assert_eq!(found, Program { path: two.join("tool.bat"), batch: true });
        assert!(look_up("OTHER", dir.path(), &environment).expect("found").batch);
        let error = look_up("nowhere", dir.path(), &environment).expect_err("not there");
        assert_eq!(error.kind, SpawnErrorKind::NotFound);
        assert!(error.message.contains("nowhere") && error.message.contains(&path), "{error}");
    }

    #[test]
    fn the_working_directory_is_not_searched_but_named() {
        let dir = tempfile::tempdir().expect("a directory");
        touch(dir.path(), "api.exe");
        let error = look_up("api", dir.path(), &environment("")).expect_err("not in PATH");
        assert!(error.message.ends_with(r"write .\api"), "{error}");
        for name in [r".\api", "./api", r".\api.exe"] {
            let found = look_up(name, dir.path(), &environment("")).expect("found");
            assert_eq!(found.path, dir.path().join("api.exe"), "{name}");
        }
    }

    #[test]
    fn directories_and_missing_places_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("sub")).expect("a directory");
        let error = look_up(r".\sub", dir.path(), &environment("")).expect_err("a directory");
        assert_eq!(error.kind, SpawnErrorKind::NotExecutable);
        let error = look_up(r"no\such\place.exe", dir.path(), &environment("")).expect_err("missing");
        assert!(error.message.contains("there is no directory"), "{error}");
    }
}
