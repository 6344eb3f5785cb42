//! Recordings: everything that a [`Supervisor`] was told, so that what it did can be seen again.
//!
//! A recording is JSON lines. The first line is a [`Header`], each further one a [`Recorded`] input. Because the
//! core is a function of its inputs, [`replay`] does again exactly what was done. The simulation's failures and
//! `mainstay debug record` have the same form.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Effect, Input, Plan, Supervisor, Time};

/// The version of the form. It rises when an older reader would misunderstand a newer recording.
pub const VERSION: u32 = 1;

/// The first line: what the supervisor was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the form.
    pub version: u32,
    /// The plan at the time.
    pub plan: Plan,
    /// The seed of its chance.
    pub seed: u64,
    /// When it was made or restored.
    pub start: Time,
    /// What was passed to [`Supervisor::reserve_runs`] right after; 0 if nothing was.
    #[serde(default)]
    pub last_run: u64,
    /// What it was restored from; none if it was made new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<BTreeMap<String, String>>,
}

/// A line after the first: one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// When it was handled.
    pub at: Time,
    /// What was handled.
    pub input: Input,
}

/// A whole recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Its first line.
    pub header: Header,
    /// The others, in order.
    pub inputs: Vec<Recorded>,
    /// Whether the last line was cut off, as happens when the recorder is killed while it writes. The line is
    /// left out then.
    pub torn: bool,
}

/// Why a text is not a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for RecordError {}

impl Header {
    /// The header for a supervisor made new at `start`.
    pub fn new(plan: Plan, seed: u64, start: Time) -> Self {
        Header { version: VERSION, plan, seed, start, last_run: 0, snapshots: None }
    }

    /// The header for a recording that begins at `now`, in the middle of a supervisor's life.
    pub fn of(supervisor: &Supervisor, now: Time) -> Self {
        Header {
            version: VERSION,
            plan: supervisor.plan().clone(),
            seed: supervisor.seed(),
            start: now,
            last_run: 0,
            snapshots: Some(supervisor.snapshots()),
        }
    }

    /// The header as its line, with the line end.
    pub fn to_line(&self) -> String {
        line(self)
    }

    /// Makes the supervisor that the recording began with.
    pub fn supervisor(&self) -> Supervisor {
        let plan = self.plan.clone();
        let mut supervisor = match &self.snapshots {
            Some(snapshots) => Supervisor::restore(plan, self.seed, snapshots, self.start),
            None => Supervisor::new(plan, self.seed, self.start),
        };
        supervisor.reserve_runs(self.last_run);
        supervisor
    }
}

impl Recorded {
    /// The input as its line, with the line end.
    pub fn to_line(&self) -> String {
        line(self)
    }
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// The first line that is none, and why. A last line without its line end may be anything: see
    /// [`Recording::torn`].
    pub fn parse(text: &str) -> Result<Recording, RecordError> {
        let mut lines = text.split_inclusive('\n').zip(1..);
        let Some((first, _)) = lines.next() else {
            return Err(RecordError { line: 1, message: "empty; a recording starts with its header".into() });
        };
        let header = parse_header(first)?;
        let (mut inputs, mut torn) = (Vec::new(), false);
        for (text, number) in lines {
            if text.trim().is_empty() {
                continue;
            }
            match serde_json::from_str::<Recorded>(text) {
                Ok(input) => inputs.push(input),
                Err(_) if !text.ends_with('\n') => torn = true,
                Err(error) => {
                    let message = format!("not a recorded input: {}", at_column(&error));
                    return Err(RecordError { line: number, message });
                }
            }
        }
        Ok(Recording { header, inputs, torn })
    }

    /// The recording as text that [`Recording::parse`] reads.
    pub fn to_text(&self) -> String {
        let mut text = self.header.to_line();
        text.extend(self.inputs.iter().map(Recorded::to_line));
        text
    }
}

/// Does again what was recorded: an iterator over each input with its time and the effects that it had.
///
/// The effects of a restored supervisor's first moment come with the first input.
pub fn replay(recording: &Recording) -> Replay<'_> {
    Replay { supervisor: recording.header.supervisor(), rest: recording.inputs.iter() }
}

/// The iterator of [`replay`].
pub struct Replay<'a> {
    supervisor: Supervisor,
    rest: std::slice::Iter<'a, Recorded>,
}

impl Replay<'_> {
    /// The supervisor as it is after the last item.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }
}

impl Iterator for Replay<'_> {
    type Item = (Time, Input, Vec<Effect>);

    fn next(&mut self) -> Option<Self::Item> {
        let Recorded { at, input } = self.rest.next()?;
        self.supervisor.handle(*at, input.clone());
        let effects = std::iter::from_fn(|| self.supervisor.poll_effect()).collect();
        Some((*at, input.clone(), effects))
    }
}

fn parse_header(text: &str) -> Result<Header, RecordError> {
    #[derive(Deserialize)]
    struct OnlyVersion {
        version: u32,
    }
    let error = |message: String| RecordError { line: 1, message };
    let found = serde_json::from_str::<OnlyVersion>(text)
        .map_err(|e| error(format!("not a recording's header: {}", at_column(&e))))?;
    if found.version != VERSION {
        return Err(error(format!("recorded in form {}; this program reads form {VERSION}", found.version)));
    }
    serde_json::from_str(text).map_err(|e| error(format!("not a recording's header: {}", at_column(&e))))
}

/// serde_json counts lines within what it was given, which is one line here; only its column is of use.
fn at_column(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what} (column {})", error.column())
}

fn line<T: Serialize>(value: &T) -> String {
    let mut text = crate::json::to_string(value);
    text.push('\n');
    text
}
