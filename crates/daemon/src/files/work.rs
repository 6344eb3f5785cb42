//! What is done with files themselves, on threads where waiting harms nobody.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_core::{ConfigFile, ProbeOutcome, ProgramConfig, ServiceName};
use mainstay_link::LogPos;
use mainstay_logs::{Follower, Lines};
use mainstay_secrets::Value;
use mainstay_sys::staged::{self, Access, Staged};
use tokio::runtime::Handle;

use super::{Moved, Report, Step, Written};
use crate::secrets::{Reading, Vault, in_words};

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
    pub fn write(&self, seq: u64, files: BTreeMap<String, ConfigFile>, reading: Reading) {
        let vault = self.vault.clone();
        self.work(seq, move || {
            let filled = vault.fill_files(&files, reading).map_err(|error| in_words(&error));
            Step::Written(filled.and_then(|(contents, marks)| {
                let files = write(&files, &contents)?;
                Ok(Written { files, marks })
            }))
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

fn write(
    files: &BTreeMap<String, ConfigFile>,
    contents: &BTreeMap<String, Value>,
) -> Result<Vec<PathBuf>, String> {
    let mut written = Vec::new();
    for ((path, file), content) in files.iter().zip(contents.values()) {
        let (path, bytes, access) = (Path::new(path), content.as_bytes(), access(file));
        let there = staged::is_there(path, bytes, &access).map_err(|error| error.to_string())?;
        if !there {
            // Those before this one go if it fails.
            written.push(staged::stage(path, bytes, &access).map_err(|error| error.to_string())?);
        }
    }
    Ok(written.into_iter().map(Staged::leave).collect())
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

/// "api.json and 2 more are new".
pub(super) fn news_of(names: &[String]) -> String {
    match names {
        [] => "its files are as they were".to_owned(),
        [one] => format!("{one} is new"),
        [first, rest @ ..] => format!("{first} and {} more are new", rest.len()),
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
