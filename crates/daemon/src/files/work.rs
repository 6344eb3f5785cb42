//! What is done with files themselves, on threads where waiting harms nobody.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_core::{ConfigFile, ProbeOutcome, ProgramConfig, ServiceName};
use mainstay_link::LogPos;
use mainstay_logs::{Follower, Lines};
use mainstay_sys::staged::{self, Access, Staged};
use tokio::runtime::Handle;

use super::before::Before;
use super::{Moved, Report, Step, Written};
use crate::secrets::{Filled, Reading, Vault, in_words};

/// A report for which there is no room is made again after this.
const AGAIN: Duration = Duration::from_millis(50);
/// So many lines of a check that refused are told …
const LAST_LINES: usize = 8;
/// … of the first so many.
const MAX_LINES: usize = 10_000;
/// So much of them, in bytes.
const MAX_WORDS: usize = 300;

/// Works for one job.
pub(super) struct Worker<'a> {
    pub runtime: &'a Handle,
    pub report: &'a Report,
    pub service: &'a ServiceName,
    pub vault: &'a Vault,
}

impl Worker<'_> {
    /// Writes those that are not as they should be beside their places.
    pub fn write(&self, seq: u64, config: ProgramConfig, reading: Reading) {
        let vault = self.vault.clone();
        self.work(seq, move || {
            let filled = vault.fill_files(&config.files, reading).map_err(|error| in_words(&error));
            Step::Written(filled.and_then(|filled| write(&config, filled, &vault)))
        });
    }

    /// Puts them into their places, all or none.
    pub fn put(&self, seq: u64, files: Vec<Staged>) {
        self.work(seq, move || Step::Put(put(files)));
    }

    /// Tells a program in a way that may take its time.
    pub fn tell(&self, seq: u64, tell: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
        self.work(seq, move || {
            let told = tell();
            let (ok, detail) = (told.is_ok(), told.err().map(|error| error.to_string()).unwrap_or_default());
            Step::Told(ProbeOutcome { ok, detail })
        });
    }

    fn work(&self, seq: u64, work: impl FnOnce() -> Step + Send + 'static) {
        let (report, service) = (self.report.clone(), self.service.clone());
        self.runtime.spawn_blocking(move || {
            let moved = Moved { service, seq, what: work() };
            while !report(moved.clone()) {
                std::thread::sleep(AGAIN);
            }
        });
    }

    /// Tells a program by asking it something.
    pub fn ask(&self, seq: u64, asking: impl Future<Output = ProbeOutcome> + Send + 'static) {
        let (report, service) = (self.report.clone(), self.service.clone());
        self.runtime.spawn(async move {
            let moved = Moved { service, seq, what: Step::Told(asking.await) };
            while !report(moved.clone()) {
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
}

fn access(file: &ConfigFile) -> Access<'_> {
    Access { mode: file.mode, owner: file.owner.as_deref(), group: file.group.as_deref() }
}

fn write(config: &ProgramConfig, filled: Filled, vault: &Vault) -> Result<Written, String> {
    let before = Before::of(config, &filled.secrets, vault);
    let (mut staged, mut written) = (Vec::new(), Written::default());
    for ((name, file), content) in config.files.iter().zip(filled.contents.values()) {
        let (path, access, kept) = (Path::new(name), access(file), before.content(name));
        let bytes = kept.unwrap_or(content.as_bytes());
        let there = staged::is_there(path, bytes, &access).map_err(|error| error.to_string())?;
        if !there {
            // Those before this one go if it fails.
            staged.push(staged::stage(path, bytes, &access).map_err(|error| error.to_string())?);
        }
        if kept.is_some() {
            written.again.insert(path.to_owned());
        }
        if file.content.names().next().is_some() {
            written.contents.extend(vault.mark_of_file(name, bytes).map(|mark| (name.clone(), mark)));
        }
    }
    written.lost = before.lost.iter().map(|path| name(Path::new(path))).collect();
    written.secrets = before.secrets(filled.secrets);
    written.files = staged.into_iter().map(Staged::leave).collect();
    Ok(written)
}

fn put(files: Vec<Staged>) -> Result<(), String> {
    let mut done = Vec::new();
    for file in files {
        match file.put() {
            Ok(put) => done.push(put),
            Err(error) => {
                let mut why = error.to_string();
                for earlier in done.into_iter().rev() {
                    if let Err(error) = earlier.take_back() {
                        why.push_str(&format!("; and {error}"));
                    }
                }
                return Err(why);
            }
        }
    }
    Ok(())
}

/// The command that checks a new file, with where it is.
pub(super) fn check_of(staged: &Staged, config: &ProgramConfig) -> Option<Vec<String>> {
    let file = config.files.iter().find(|(path, _)| Path::new(path) == staged.place())?.1;
    let beside = staged.path().to_string_lossy();
    Some(file.check.as_ref()?.iter().map(|word| word.replace("{file}", &beside)).collect())
}

/// What people call a file.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// "api.json and 2 more are new; app.json is as before".
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (again, new): (Vec<_>, Vec<_>) = self.files.iter().partition(|path| self.again.contains(*path));
        match (new.as_slice(), again.as_slice()) {
            ([], []) => f.write_str("its files are as they were")?,
            ([], again) => are(f, again, "as before")?,
            (new, []) => are(f, new, "new")?,
            (new, again) => {
                are(f, new, "new")?;
                f.write_str("; ")?;
                are(f, again, "as before")?;
            }
        }
        match self.lost.as_slice() {
            [] => Ok(()),
            lost => write!(f, "; what was in {} before is not kept any more", lost.join(", ")),
        }
    }
}

fn are(f: &mut fmt::Formatter<'_>, files: &[&PathBuf], what: &str) -> fmt::Result {
    match files {
        [] => Ok(()),
        [one] => write!(f, "{} is {what}", name(one)),
        [first, rest @ ..] => write!(f, "{} and {} more are {what}", name(first), rest.len()),
    }
}

/// The last lines that a command wrote, on one line, without the values of secrets: it has read the file, and may have
/// said what is in it.
pub(super) fn last_words(logs: &Path, log: &str, from: LogPos, vault: &Vault) -> String {
    let pos = mainstay_logs::LogPos { segment: from.segment, offset: from.offset };
    let mut lines = Lines::new(Follower::new(logs, log, pos));
    let mut last: VecDeque<String> = VecDeque::new();
    let mut note = |line: &[u8]| {
        let text = String::from_utf8_lossy(line);
        if !text.trim().is_empty() {
            last.push_back(text.trim().to_owned());
        }
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    };
    for _ in 0..MAX_LINES {
        let Ok(Some(line)) = lines.next_line() else { break };
        note(line.text);
    }
    // Nothing more is expected: it has ended.
    if let Some(rest) = lines.take_rest() {
        note(rest.text);
    }
    // Before it is cut: a part of a value would not be known for one.
    let words = vault.mask(last.make_contiguous().join(" / "));
    match words.len().checked_sub(MAX_WORDS) {
        Some(over @ 1..) => format!("…{}", &words[words.ceil_char_boundary(over)..]),
        _ => words,
    }
}
