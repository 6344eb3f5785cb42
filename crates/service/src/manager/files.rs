//! A change made of files and commands, which is made wholly or taken back.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Done, Error, ErrorKind, commands};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Writes a file, and the directories above it.
    Write { path: PathBuf, text: String, executable: bool },
    /// Removes a file.
    Remove { path: PathBuf },
    /// Only says something that a person has to do.
    Tell(String),
    /// Runs a command; `undo` takes it back.
    Run { words: Vec<String>, undo: Option<Vec<String>> },
}

/// A command has so long.
const COMMAND: Duration = Duration::from_secs(90);

impl Step {
    pub(super) fn run(words: &[&str], undo: Option<&[&str]>) -> Step {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Step::Run { words: owned(words), undo: undo.map(owned) }
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        match self {
            Step::Write { path, text, .. } => match fs::read_to_string(path) {
                Ok(old) => format!("change {}:\n{}", path.display(), difference(&old, text)),
                Err(_) => format!("write {}:\n{}", path.display(), indented(text)),
            },
            Step::Remove { path } => format!("remove {}", path.display()),
            Step::Tell(text) => text.clone(),
            Step::Run { words, .. } => format!("run {}", words.join(" ")),
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  + {line}\n")).collect::<String>().trim_end().to_owned()
}

/// The lines that go and those that come; enough for files of a page.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("  - {line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("  + {line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}

/// What a step replaced.
enum Undo {
    File { path: PathBuf, before: Option<(Vec<u8>, u32)> },
    Run(Vec<String>),
}

/// Does all steps, or none; says what was done.
pub(super) fn perform(steps: &[Step], dry_run: bool) -> Done<Vec<String>> {
    let texts: Vec<String> = steps.iter().map(Step::text).collect();
    if dry_run {
        return Ok(texts);
    }
    let mut undo = Vec::new();
    for step in steps {
        if let Err(error) = one(step, &mut undo) {
            let left = take_back(undo);
            let text = match left.as_slice() {
                [] => format!("{}; nothing was changed", error.text),
                left => format!("{}; could not be taken back: {}", error.text, left.join(", ")),
            };
            return Err(Error::new(error.kind, text));
        }
    }
    Ok(texts)
}

fn one(step: &Step, undo: &mut Vec<Undo>) -> Done {
    match step {
        Step::Write { path, text, executable } => {
            let before = content(path)?;
            undo.push(Undo::File { path: path.clone(), before });
            let mode = if *executable { 0o755 } else { 0o644 };
            write(path, text.as_bytes(), mode).map_err(|error| failed("write", path, &error))
        }
        Step::Remove { path } => {
            let before = content(path)?;
            undo.push(Undo::File { path: path.clone(), before });
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, &error)),
                _ => Ok(()),
            }
        }
        Step::Tell(_) => Ok(()),
        Step::Run { words, undo: back } => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            commands::succeed(&words, COMMAND)?;
            undo.extend(back.clone().map(Undo::Run));
            Ok(())
        }
    }
}

fn content(path: &Path) -> Done<Option<(Vec<u8>, u32)>> {
    match fs::read(path) {
        Ok(bytes) => {
            let mode = fs::metadata(path).map_or(0o644, |metadata| metadata.permissions().mode());
            Ok(Some((bytes, mode)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Under another name first, so that nobody sees half a file.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new{}", std::process::id()));
    let new = path.with_file_name(name);
    let done = fs::write(&new, bytes)
        .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(mode)))
        .and_then(|()| fs::rename(&new, path));
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

/// Backwards; what could not be taken back.
fn take_back(undo: Vec<Undo>) -> Vec<String> {
    let mut left = Vec::new();
    for undo in undo.into_iter().rev() {
        match undo {
            Undo::File { path, before } => {
                let done = match before {
                    Some((bytes, mode)) => write(&path, &bytes, mode),
                    None => fs::remove_file(&path),
                };
                if done.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                    left.push(path.display().to_string());
                }
            }
            Undo::Run(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                if commands::succeed(&words, COMMAND).is_err() {
                    left.push(words.join(" "));
                }
            }
        }
    }
    left
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_change_is_taken_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let [old, new, gone] = ["old", "sub/new", "gone"].map(|name| dir.path().join(name));
        fs::write(&old, "before").expect("a file");
        fs::write(&gone, "there").expect("a file");
        let write = |path: &Path| Step::Write { path: path.into(), text: "x".into(), executable: false };
        let mark = dir.path().join("undone");
        let steps = [
            write(&old),
            write(&new),
            Step::Remove { path: gone.clone() },
            Step::run(&["true"], Some(&["touch", &mark.to_string_lossy()])),
            Step::run(&["false"], None),
        ];
        let error = perform(&steps, false).expect_err("the last step fails");
        assert!(error.text.contains("`false` failed with 1") && error.text.contains("nothing was changed"));
        assert_eq!(fs::read_to_string(&old).expect("it is back"), "before");
        assert!(!new.exists() && gone.exists() && mark.exists());

        assert!(perform(&steps, true).expect("nothing is done")[4].contains("run false"));
        assert_eq!(fs::read_to_string(&old).expect("untouched"), "before");
        assert_eq!(perform(&steps[..4], false).expect("all can be done").len(), 4);
        assert_eq!(fs::read_to_string(&new).expect("made"), "x");
    }
}
