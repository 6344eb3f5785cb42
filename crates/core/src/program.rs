//! The configuration of the programs themselves: files that are made for them, and what they are told when these change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::show_command;
use crate::{HttpCall, SecretMarks, SecretText, StopAction, names_in};

/// The files that a service's program reads, and how it takes others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProgramConfig {
    /// By their absolute paths. They are there before its process is made.
    pub files: BTreeMap<String, ConfigFile>,
    /// What follows when they change while it runs.
    pub on_change: OnChange,
    /// The longest that a check takes, and that telling the program takes.
    pub timeout: Duration,
    /// With which values of secrets the files were written.
    #[serde(skip_serializing_if = "SecretMarks::is_empty")]
    pub secrets: SecretMarks,
    /// What is noted of the files as they are written.
    #[serde(skip_serializing_if = "FileNotes::is_empty")]
    pub notes: FileNotes,
}

/// What is noted of the files with secrets, so that they can go back to what they were although a value from before is
/// nowhere but in them. Nothing that anybody has configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FileNotes {
    /// By the path of each, what tells of the content that was put into its place.
    #[serde(skip_serializing_if = "SecretMarks::is_empty")]
    pub contents: SecretMarks,
    /// By the name of a secret, the mark of a value with which it did not work. As long as it has that one the files
    /// keep their content.
    #[serde(skip_serializing_if = "SecretMarks::is_empty")]
    pub refused: SecretMarks,
}

impl FileNotes {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.refused.is_empty()
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfigFile {
    /// All that is in it. The values of secrets are read when it is written, and are in no plan.
    pub content: SecretText,
    /// Who may do what, as bits of `chmod`. On Windows those of the owner and of others count.
    pub mode: u32,
    /// Whose it is; on Windows, who else than Mainstay's account may read it. The service's account if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its group (Linux); the owner's own if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// This command has to accept a new one before it takes the place of the old one. `{file}` in it is where the
    /// new one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Vec<String>>,
}

/// What follows when a program's files change while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// It gets a new process.
    #[default]
    Restart,
    /// Nothing: it looks at its files itself.
    Nothing,
    /// This is sent to its main process.
    Signal(StopAction),
    /// This command is run beside it.
    Command(Vec<String>),
    /// A request is made; an answer other than 200 to 399 is a failure.
    Http(HttpCall),
    /// This code is sent to a Windows service.
    Control {
        /// The service's name.
        service: String,
        /// 128 to 255.
        code: u8,
    },
    /// The named event of Windows is set.
    Event(String),
}

impl OnChange {
    /// Whether the program is told of a change, and goes on.
    pub const fn tells(&self) -> bool {
        !matches!(self, OnChange::Restart | OnChange::Nothing)
    }
}

impl fmt::Display for OnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OnChange::Restart => f.write_str("restart"),
            OnChange::Nothing => f.write_str("nothing"),
            OnChange::Signal(action) => action.fmt(f),
            OnChange::Command(words) => show_command(f, words),
            OnChange::Http(request) => request.fmt(f),
            OnChange::Control { service, code } => write!(f, "control {code} to {service}"),
            OnChange::Event(name) => write!(f, "event {name}"),
        }
    }
}

impl Default for ProgramConfig {
    fn default() -> Self {
        ProgramConfig {
            files: BTreeMap::new(),
            on_change: OnChange::default(),
            timeout: Duration::from_secs(30),
            secrets: SecretMarks::new(),
            notes: FileNotes::default(),
        }
    }
}

impl Default for ConfigFile {
    fn default() -> Self {
        ConfigFile { content: SecretText::default(), mode: 0o600, owner: None, group: None, check: None }
    }
}

impl ProgramConfig {
    /// Whether nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == ProgramConfig::default()
    }

    /// The secrets that its files are written with.
    pub fn secret_names(&self) -> BTreeSet<String> {
        names_in(self.files.values().map(|file| &file.content))
    }

    /// Whether a file has to be written to get here from `before`.
    pub fn writes_over(&self, before: &ProgramConfig) -> bool {
        let same = |old: &ConfigFile, new: &ConfigFile| {
            // A check says nothing of a file that is there.
            old == &ConfigFile { check: old.check.clone(), ..new.clone() }
        };
        self.files.iter().any(|(path, new)| !before.files.get(path).is_some_and(|old| same(old, new)))
            || self.secret_names().iter().any(|name| self.secrets.get(name) != before.secrets.get(name))
    }

    /// The longest that it takes to put all files in their places and to tell the program.
    pub fn longest(&self) -> Duration {
        let checks = self.files.values().filter(|file| file.check.is_some()).count();
        let steps = u32::try_from(checks).unwrap_or(u32::MAX).saturating_add(2);
        self.timeout.saturating_mul(steps)
    }
}
