//! Where a service's own messages go: the Event Log, the journal, or standard error.

use std::io::{self, Write};
use std::path::Path;

use crate::service::Host;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the record.
    Info,
    /// Somebody should look at it some day.
    Warning,
    /// Something went wrong.
    Error,
}

impl Level {
    /// syslog's number.
    #[cfg_attr(windows, expect(dead_code, reason = "the journal's"))]
    pub(crate) fn priority(self) -> u8 {
        match self {
            Level::Info => 6,
            Level::Warning => 4,
            Level::Error => 3,
        }
    }
}

/// A longer message is cut: more than 31,839 characters do not go into the Event Log, and a datagram has an end too.
const MOST: usize = 30_000;

/// Writes a message of the service `name` to where messages go under `host`. One that cannot be written is lost.
pub fn write(name: &str, host: Host, level: Level, text: &str) {
    let end = (0..=text.len().min(MOST)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let text = &text[..end];
    if matches!(host, Host::Terminal | Host::Mainstay) || !platform::write(name, level, text, &[]) {
        let _ = writeln!(io::stderr(), "{name}: {text}");
    }
}

/// The same with named values beside it, where there is a place for them: in the journal. Names are of upper-case
/// letters, digits and `_`.
pub fn write_with(name: &str, host: Host, level: Level, text: &str, fields: &[(&str, &str)]) {
    if matches!(host, Host::Terminal | Host::Mainstay) || !platform::write(name, level, text, fields) {
        write(name, Host::Terminal, level, text);
    }
}

/// A message of a kind of its own.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// How much it matters.
    pub level: Level,
    /// Its number: the Event Log's event ID, whose text [`Definition::event_messages`](crate::Definition::event_messages)
    /// has.
    pub number: u32,
    /// The whole message, for where there are no texts of numbers.
    pub text: &'a str,
    /// What the Event Log puts into the places `%1`, `%2` … of the text of this number.
    pub inserts: &'a [&'a str],
    /// Named values for the journal, as in [`write_with`].
    pub fields: &'a [(&'a str, &'a str)],
}

/// Writes a message of the service `name` that has a number. One that cannot be written is lost.
pub fn write_entry(name: &str, host: Host, entry: &Entry<'_>) {
    if matches!(host, Host::Terminal | Host::Mainstay) || !platform::write_entry(name, entry) {
        write(name, Host::Terminal, entry.level, entry.text);
    }
}

/// Makes the Event Log show the messages of the service `name`; on Unix there is nothing to do. Part of
/// [`manager::install`](crate::manager::Manager::install). `messages` is the program or library that has the texts of its
/// numbers as a resource; without it each of the numbers 1 to 3, which [`write`] uses, is shown as it was written.
///
/// # Errors
/// It takes an administrator.
pub fn register(name: &str, messages: Option<&Path>) -> io::Result<()> {
    platform::register(name, messages)
}

#[cfg(windows)]
pub use windows::message_text;
/// Where the Event Log is to find the texts of messages.
#[cfg(windows)]
pub(crate) use windows::{registered, source};

/// Takes it back.
///
/// # Errors
/// It takes an administrator.
pub fn unregister(name: &str) -> io::Result<()> {
    platform::unregister(name)
}
