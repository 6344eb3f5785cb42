//! `mainstay debug record`: the core's inputs in a file from which they can be replayed.
//!
//! The file is in the form of [`mainstay_core::record`]. It starts with the plan, the seed and the snapshots of
//! the moment, so that a replay starts from the very state. It has the plan's environments in it: it lies in the
//! state directory, which is its owner's alone.
//!
//! The commands of exec probes take numbers of runs that the core knows nothing of. Where a service's run is not
//! the next one after that, the recording says so, in the form of a takeover.
//!
//! With each transaction the keeper learns how much of the file belongs to it. The next daemon cuts off what is
//! beyond: it was recorded, but never came to anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use mainstay_api::types::Recording;
use mainstay_core::record::{Header, Recorded, Takeover};
use mainstay_core::{Input, RunId, Supervisor, Time};
use serde::{Deserialize, Serialize};
use tracing::warn;

/// Recording ends when the file is this long.
const MAX_FILE: u64 = 64 << 20;

/// A recording that may be going on.
pub(crate) struct Recorder {
    path: PathBuf,
    file: Option<File>,
    /// What is not in the file yet.
    lines: String,
    /// When the input in the last of these lines was handled, and where that line begins.
    last: Option<(Time, usize)>,
    /// The last run that a replay would make.
    last_run: u64,
    holds: Saved,
    /// What the keeper knows is out of date.
    changed: bool,
}

/// How much of the file holds.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Saved {
    length: u64,
    inputs: u64,
}

impl Recorder {
    /// Not recording. `state` is where the file will be.
    pub fn new(state: &Path) -> Self {
        Recorder {
            path: state.join("record.jsonl"),
            file: None,
            lines: String::new(),
            last: None,
            last_run: 0,
            holds: Saved::default(),
            changed: false,
        }
    }

    /// Begins a new file.
    pub fn start(&mut self, core: &Supervisor, last_run: u64, now: Time) -> io::Result<()> {
        self.stop();
        // Made anew, so that an older one with other rights is not written into.
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = Some(OpenOptions::new().write(true).create_new(true).open(&self.path)?);
        self.lines = Header::of(core, now).to_line();
        self.last_run = last_run;
        self.holds = Saved::default();
        Ok(())
    }

    /// Goes on where the daemon before was, if it was recording. `takeover` says what the core was restored with.
    pub fn resume(&mut self, saved: &str, takeover: Takeover) {
        let Ok(saved) = serde_json::from_str::<Saved>(saved) else { return };
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).open(&self.path)?;
            file.set_len(saved.length)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        match open() {
            Ok(file) => {
                self.file = Some(file);
                self.lines = takeover.to_line();
                self.last_run = takeover.last_run;
                self.holds = saved;
            }
            Err(error) => warn!("the recording {} ends: {error}", self.path.display()),
        }
    }

    /// Ends the recording.
    pub fn stop(&mut self) {
        self.write();
        self.changed |= self.file.take().is_some();
    }

    /// Takes an input down, before it is handled.
    pub fn input(&mut self, at: Time, input: &Input) {
        if self.file.is_some() {
            self.last = Some((at, self.lines.len()));
            self.lines += &Recorded { at, input: input.clone() }.to_line();
            self.holds.inputs += 1;
        }
    }

    /// The last input made this run.
    pub fn made(&mut self, run: RunId) {
        if run.0 != self.last_run + 1
            && let Some((at, line)) = self.last
        {
            let takeover = Takeover { before: 0, at, last_run: run.0 - 1 };
            self.lines.insert_str(line, &takeover.to_line());
        }
        // What this input makes further has the numbers that follow.
        self.last_run = run.0;
    }

    /// Writes what was taken down; gives what the keeper has to know of it, if that has changed.
    pub fn flush(&mut self) -> Option<Option<String>> {
        self.write();
        let saved = || serde_json::to_string(&self.holds).ok();
        std::mem::take(&mut self.changed).then(|| self.file.as_ref().and_then(|_| saved()))
    }

    /// As it stands.
    pub fn state(&self) -> Recording {
        Recording {
            on: self.file.is_some(),
            file: self.path.display().to_string(),
            inputs: self.holds.inputs,
        }
    }

    fn write(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        self.last = None;
        let Some(file) = self.file.as_mut().filter(|_| !lines.is_empty()) else { return };
        self.changed = true;
        if self.holds.length + lines.len() as u64 > MAX_FILE {
            warn!("the recording ends: {} is {} MiB long", self.path.display(), MAX_FILE >> 20);
            self.file = None;
        } else if let Err(error) = file.write_all(lines.as_bytes()) {
            warn!("the recording ends: {}: {error}", self.path.display());
            self.file = None;
        } else {
            self.holds.length += lines.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::Plan;
    use mainstay_core::record::Recording as Recorded;

    fn core() -> Supervisor {
        Supervisor::new(Plan { stack: "shop".into(), ..Plan::default() }, 7, Time::ZERO)
    }

    fn recorded(recorder: &Recorder) -> Recorded {
        Recorded::parse(&std::fs::read_to_string(&recorder.path).unwrap()).unwrap()
    }

    fn saved(recorder: &mut Recorder) -> String {
        recorder.flush().unwrap().unwrap()
    }

    #[test]
    fn nothing_is_written_before_somebody_wants_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::new(dir.path());
        recorder.input(Time::ZERO, &Input::Tick);
        assert_eq!(recorder.flush(), None);
        assert!(!recorder.path.exists() && !recorder.state().on);
    }

    #[test]
    fn each_start_begins_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::new(dir.path());
        for _ in 0..2 {
            recorder.start(&core(), 0, Time::ZERO).unwrap();
            recorder.input(Time::from_nanos(5), &Input::Tick);
            saved(&mut recorder);
            assert_eq!(recorded(&recorder).inputs.len(), 1);
        }
        assert_eq!(recorder.flush(), None);
        recorder.stop();
        // The next daemon does not go on with it.
        assert_eq!(recorder.flush(), Some(None));
        recorder.input(Time::from_nanos(6), &Input::Tick);
        assert_eq!((recorder.state().on, recorder.state().inputs), (false, 1));
    }

    #[test]
    fn what_came_to_nothing_is_not_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::new(dir.path());
        recorder.start(&core(), 0, Time::ZERO).unwrap();
        recorder.input(Time::from_nanos(1), &Input::Tick);
        let held = saved(&mut recorder);
        recorder.input(Time::from_nanos(2), &Input::Tick);
        // Written, but the keeper never had it.
        saved(&mut recorder);

        let mut next = Recorder::new(dir.path());
        next.resume(&held, Takeover { before: 0, at: Time::from_nanos(3), last_run: 9 });
        next.input(Time::from_nanos(4), &Input::Tick);
        next.made(RunId(10));
        next.input(Time::from_nanos(5), &Input::Tick);
        next.made(RunId(13));
        next.made(RunId(14));
        saved(&mut next);
        let recording = recorded(&next);
        let times: Vec<u64> = recording.inputs.iter().map(|input| input.at.as_nanos()).collect();
        assert_eq!(times, [1, 4, 5]);
        let takeovers: Vec<_> = recording.takeovers.iter().map(|t| (t.before, t.last_run)).collect();
        assert_eq!(takeovers, [(1, 9), (2, 12)]);
        assert_eq!(next.state().inputs, 3);
    }

    #[test]
    fn it_ends_at_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::new(dir.path());
        recorder.start(&core(), 0, Time::ZERO).unwrap();
        let text = "x".repeat(1 << 20);
        for _ in 0..80 {
            recorder.input(Time::ZERO, &Input::Notify { run: RunId(1), text: text.clone() });
            recorder.flush();
        }
        assert!(!recorder.state().on);
        let length = std::fs::metadata(&recorder.path).unwrap().len();
        assert!(length <= MAX_FILE && length > MAX_FILE - (2 << 20));
        assert!(!recorded(&recorder).torn);
    }
}
