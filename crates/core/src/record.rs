//! Recordings: everything that a [`Supervisor`] was told, so that what it did can be seen again.
//!
//! A recording is JSON lines. The first line is a [`Header`], each further one a [`Recorded`] input or the place
//! where another daemon took over. Because the core is a function of its inputs, [`replay`] does again exactly what
//! was done. The simulation's failures and `mainstay debug record` have the same form.
//!
//! A recording holds the plan with the services' environment: it is as private as the plan is.

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

/// A place where the supervisor was restored from its own snapshots, because another daemon took over.
///
/// Its line is `{"at":7,"restored":{"last_run":3}}`. The snapshots are not written down: they are made again, so
/// that the recording goes on meaning the same when their form changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// So many inputs came before.
    pub before: usize,
    /// When it was.
    pub at: Time,
    /// What was passed to [`Supervisor::reserve_runs`] right after.
    pub last_run: u64,
}

/// A whole recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Its first line.
    pub header: Header,
    /// The inputs, in order.
    pub inputs: Vec<Recorded>,
    /// Where other daemons took over, in order.
    pub takeovers: Vec<Takeover>,
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

impl Takeover {
    /// Puts in the place of `supervisor` the one that takes over.
    pub fn apply(&self, supervisor: &mut Supervisor) {
        let (plan, snapshots) = (supervisor.plan().clone(), supervisor.snapshots());
        *supervisor = Supervisor::restore(plan, supervisor.seed(), &snapshots, self.at);
        supervisor.reserve_runs(self.last_run);
    }

    /// The takeover as its line, with the line end.
    pub fn to_line(&self) -> String {
        line(&TakeoverLine { at: self.at, restored: Restored { last_run: self.last_run } })
    }
}

/// The line of a [`Takeover`].
#[derive(Serialize, Deserialize)]
struct TakeoverLine {
    at: Time,
    restored: Restored,
}

#[derive(Serialize, Deserialize)]
struct Restored {
    #[serde(default)]
    last_run: u64,
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
        let (mut inputs, mut takeovers, mut torn) = (Vec::new(), Vec::new(), false);
        for (text, number) in lines {
            if text.trim().is_empty() {
                continue;
            }
            if let Ok(TakeoverLine { at, restored }) = serde_json::from_str(text) {
                takeovers.push(Takeover { before: inputs.len(), at, last_run: restored.last_run });
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
        Ok(Recording { header, inputs, takeovers, torn })
    }

    /// The recording as text that [`Recording::parse`] reads.
    pub fn to_text(&self) -> String {
        let mut text = self.header.to_line();
        let mut takeovers = self.takeovers.iter().peekable();
        for (number, input) in self.inputs.iter().enumerate() {
            while let Some(takeover) = takeovers.next_if(|takeover| takeover.before <= number) {
                text += &takeover.to_line();
            }
            text += &input.to_line();
        }
        text.extend(takeovers.map(Takeover::to_line));
        text
    }
}

/// Does again what was recorded: an iterator over each input with its time and the effects that it had.
///
/// The effects of a restored supervisor's first moment come with the next input.
pub fn replay(recording: &Recording) -> Replay<'_> {
    Replay { supervisor: recording.header.supervisor(), recording, next: 0, taken_over: 0 }
}

/// The iterator of [`replay`].
pub struct Replay<'a> {
    supervisor: Supervisor,
    recording: &'a Recording,
    /// The number of the next input.
    next: usize,
    /// So many daemons have taken over.
    taken_over: usize,
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
        let Recorded { at, input } = self.recording.inputs.get(self.next)?;
        while let Some(takeover) = self.recording.takeovers.get(self.taken_over)
            && takeover.before <= self.next
        {
            takeover.apply(&mut self.supervisor);
            self.taken_over += 1;
        }
        self.next += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    #[test]
    fn a_recording_reads_back_as_it_was_written() {
        let at = Time::from_nanos;
        let up = Input::Request { by: "a person".into(), request: Request::Up };
        let recording = Recording {
            header: Header::new(Plan { stack: "s".into(), ..Plan::default() }, 7, at(1)),
            inputs: vec![Recorded { at: at(2), input: up }, Recorded { at: at(4), input: Input::Tick }],
            takeovers: vec![
                Takeover { before: 1, at: at(3), last_run: 5 },
                Takeover { before: 2, at: at(9), last_run: 5 },
            ],
            torn: false,
        };
        let text = recording.to_text();
        assert!(text.contains("\n{\"at\":3,\"restored\":{\"last_run\":5}}\n"), "{text}");
        assert_eq!(Recording::parse(&text).as_ref(), Ok(&recording));
        let torn = Recording::parse(&text[..text.len() - 9]).unwrap();
        assert!(torn.torn && torn.takeovers.len() == 1, "{torn:?}");
        assert_eq!(replay(&recording).count(), 2);
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| Recording::parse(text).unwrap_err().to_string();
        let header = Header::new(Plan::default(), 0, Time::ZERO).to_line();
        assert_eq!(error(""), "line 1: empty; a recording starts with its header");
        assert_eq!(error("hello\n"), "line 1: not a recording's header: expected value (column 1)");
        assert_eq!(error("{\"version\":9}\n"), "line 1: recorded in form 9; this program reads form 1");
        let no_seed = header.replace("\"seed\":0,", "");
        assert!(error(&no_seed).starts_with("line 1: not a recording's header: missing field `seed`"));
        let unknown = format!("{header}\n{{\"at\":1,\"input\":\"sneeze\"}}\n");
        let expected = "line 3: not a recorded input: unknown variant `sneeze`, expected one of ";
        assert!(error(&unknown).starts_with(expected), "{}", error(&unknown));
    }

    #[test]
    fn a_recording_from_the_middle_of_a_life_replays() {
        use crate::testing::{Bench, SEED, name, service};
        let mut bench = Bench::up(service());
        bench.exits("s", 1);
        bench.look();
        let mut recording = Recording {
            header: Header::of(&bench.supervisor, bench.now),
            inputs: Vec::new(),
            takeovers: Vec::new(),
            torn: false,
        };
        assert_eq!(recording.header.seed, SEED);
        let run = bench.run("s");
        let stop = Request::Stop(name("s"));
        for input in [
            Input::Spawned { run, pid: 1 },
            Input::Request { by: "a person".into(), request: stop },
            Input::TreeEmpty { run },
        ] {
            recording.inputs.push(Recorded { at: bench.now, input });
        }
        let recording = Recording::parse(&recording.to_text()).unwrap();
        let mut replay = replay(&recording);
        for ((at, input, effects), recorded) in replay.by_ref().zip(&recording.inputs) {
            bench.supervisor.handle(at, recorded.input.clone());
            let expected: Vec<Effect> = std::iter::from_fn(|| bench.supervisor.poll_effect()).collect();
            assert_eq!((input, effects), (recorded.input.clone(), expected));
        }
        assert_eq!(replay.supervisor().status(), bench.supervisor.status());
        assert_eq!(replay.supervisor().status()[0].state, crate::StateName::Stopped);
    }
}
