//! `mainstay debug`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mainstay_api::types::Record;
use mainstay_core::record::{Recording, replay};
use mainstay_core::{Effect, Input, RunId};

use crate::args::Select;
use crate::event_text;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::{Output, words};
use crate::runtime::block_on;
use crate::stack;

/// Tools to find out why Mainstay did what it did
#[derive(Debug, clap::Subcommand)]
pub enum Debug {
    /// Record everything that the daemon is told, so that its decisions can be replayed
    Record {
        #[command(flatten)]
        select: Select,

        /// On begins a new recording
        #[arg(value_enum)]
        switch: Switch,
    },
    /// Decide again what was recorded, and show each decision
    Replay {
        /// The recording
        file: PathBuf,

        /// The inputs as well
        #[arg(long)]
        inputs: bool,
    },
    /// Print what each thing that can happen to a service does in each state of it
    ExplainTable,
    /// Show where a stack's files are
    Paths {
        #[command(flatten)]
        select: Select,
    },
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// Record from now on
    On,
    /// Stop recording
    Off,
}

/// Does it.
///
/// # Errors
/// No such stack or recording.
pub fn run(args: Debug, output: &mut Output) -> Outcome {
    match args {
        Debug::Record { select, switch } => record(&select, switch, output),
        Debug::Replay { file, inputs } => replay_file(&file, inputs, output),
        Debug::ExplainTable => {
            output.text(&mainstay_core::table())?;
            Ok(ExitStatus::Done)
        }
        Debug::Paths { select } => paths(&select, output),
    }
}

fn record(select: &Select, switch: Switch, output: &mut Output) -> Outcome {
    let place = stack::select(select)?;
    let recording = block_on(async {
        let on = switch == Switch::On;
        place.client().record(Record { on }).await.map_err(|e| Failure::api(e, &place.name))
    })?;
    if output.json {
        output.json(&recording)?;
    } else if recording.on {
        output.line(&format!("recording to {}", recording.file))?;
    } else {
        output.line(&format!(
            "{} in {}; `mainstay debug replay` shows what came of them",
            words::count(usize::try_from(recording.inputs).unwrap_or(usize::MAX), "input"),
            recording.file
        ))?;
    }
    Ok(ExitStatus::Done)
}

fn paths(select: &Select, output: &mut Output) -> Outcome {
    let place = stack::select(select)?;
    let endpoint = mainstay_sys::endpoint::address(&place.dirs, &place.name).to_string();
    if output.json {
        output.json(&serde_json::json!({
            "stack": place.name, "run": place.dirs.run, "state": place.dirs.state, "log": place.dirs.log,
            "endpoint": endpoint,
        }))?;
        return Ok(ExitStatus::Done);
    }
    output.line(&format!("run       {}", place.dirs.run.display()))?;
    output.line(&format!("state     {}", place.dirs.state.display()))?;
    output.line(&format!("log       {}", place.dirs.log.display()))?;
    output.line(&format!("endpoint  {endpoint}"))?;
    Ok(ExitStatus::Done)
}

fn replay_file(file: &Path, inputs: bool, output: &mut Output) -> Outcome {
    let text = std::fs::read_to_string(file).map_err(|e| Failure::io("read", file.display(), &e))?;
    let recording = Recording::parse(&text)
        .map_err(|e| Failure::usage(format!("{} is no recording: {e}", file.display())))?;
    let mut check = Divergence::new(&recording);
    let mut decisions = 0_usize;
    for (at, input, effects) in replay(&recording) {
        let time = at.since(recording.header.start);
        let clock = format!("{:>10}.{:06}", time.as_secs(), time.subsec_micros());
        if let Some(message) = check.input(&input) {
            say(output, &clock, "differs", &message)?;
        }
        if inputs {
            say(output, &clock, "input", &compact(&input))?;
        }
        for effect in &effects {
            check.effect(effect);
            decisions += 1;
            match effect {
                Effect::Tell(event) => {
                    let name = event.service.as_ref().map_or("(stack)", |name| name.as_str());
                    say(output, &clock, name, &event_text::words(event))?;
                }
                Effect::Probe { .. } if !inputs => {}
                other => say(output, &clock, "does", &compact(other))?,
            }
        }
    }
    finish(&recording, &check, decisions, output)
}

fn finish(recording: &Recording, check: &Divergence, decisions: usize, output: &mut Output) -> Outcome {
    output.flush()?;
    if recording.torn {
        output.warning("the last line of the recording is cut off; it was left out");
    }
    output.note(&format!(
        "{}, {}",
        words::count(recording.inputs.len(), "input"),
        words::count(decisions, "decision")
    ));
    if check.found == 0 {
        return Ok(ExitStatus::Done);
    }
    Err(Failure::failed(format!(
        "the replay differs from what was recorded: {} about runs that it never started",
        words::count(check.found, "input")
    ))
    .hint("this version decides differently from the one that recorded; replay with that one"))
}

fn say(output: &mut Output, clock: &str, who: &str, what: &str) -> Result<(), Failure> {
    if output.json {
        return output.json(&serde_json::json!({ "at": clock.trim(), "who": who, "what": what }));
    }
    output.line(&format!("{clock}  {who}  {}", words::printable(what)))
}

fn compact<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Whether the replay decides as the recorded daemon did. A recording has inputs only, but these betray it: a daemon
/// hears of a run only because it started it.
struct Divergence {
    known: BTreeSet<RunId>,
    /// Runs from before the recording began are in its snapshots, and all have lower numbers.
    after: RunId,
    found: usize,
}

impl Divergence {
    fn new(recording: &Recording) -> Divergence {
        let supervisor = recording.header.supervisor();
        let before = supervisor.status().iter().filter_map(|service| service.run).max();
        let after = before.unwrap_or(RunId(0)).max(RunId(recording.header.last_run));
        Divergence { known: BTreeSet::new(), after, found: 0 }
    }

    fn effect(&mut self, effect: &Effect) {
        if let Effect::Spawn { run, .. } = effect {
            self.known.insert(*run);
        }
    }

    fn input(&mut self, input: &Input) -> Option<String> {
        let (Input::Spawned { run, .. } | Input::SpawnFailed { run, .. } | Input::Exited { run, .. }) = input
        else {
            return None;
        };
        if *run <= self.after || self.known.contains(run) {
            return None;
        }
        self.found += 1;
        Some(format!("run {run} was started when this was recorded, but not in this replay"))
    }
}
