//! `mainstay debug record`: the core's inputs in a file from which they can be replayed.
//!
//! The file is in the form of [`mainstay_core::record`]. It starts with the plan, the seed and the snapshots of
//! the moment, so that a replay starts from the very state. It has the plan's environments in it: it lies in the
//! state directory, which is its owner's alone.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use mainstay_api::types::Recording;
use mainstay_core::record::{Header, Recorded};
use mainstay_core::{Input, Supervisor, Time};
use tracing::warn;

/// Recording ends when the file is this long.
const MAX_FILE: u64 = 64 << 20;

/// A recording that may be going on.
pub(crate) struct Recorder {
    file: PathBuf,
    open: Option<BufWriter<File>>,
    written: u64,
    inputs: u64,
}

impl Recorder {
    /// Not recording. `state` is where the file will be.
    pub fn new(state: &Path) -> Self {
        Recorder { file: state.join("record.jsonl"), open: None, written: 0, inputs: 0 }
    }

    /// Begins a new file.
    pub fn start(&mut self, core: &Supervisor, now: Time) -> io::Result<()> {
        self.stop();
        // Made anew, so that an older one with other rights is not written into.
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = BufWriter::new(OpenOptions::new().write(true).create_new(true).open(&self.file)?);
        let header = Header::of(core, now).to_line();
        file.write_all(header.as_bytes())?;
        (self.written, self.inputs) = (header.len() as u64, 0);
        self.open = Some(file);
        Ok(())
    }

    /// Ends the recording.
    pub fn stop(&mut self) {
        if let Some(mut file) = self.open.take()
            && let Err(error) = file.flush()
        {
            warn!("the recording {} is not complete: {error}", self.file.display());
        }
    }

    /// Takes an input down, before it is handled.
    pub fn input(&mut self, at: Time, input: &Input) {
        let Some(file) = &mut self.open else { return };
        let line = Recorded { at, input: input.clone() }.to_line();
        let length = line.len() as u64;
        if self.written + length > MAX_FILE {
            warn!("the recording ends: {} is {} MiB long", self.file.display(), MAX_FILE >> 20);
            self.stop();
        } else if let Err(error) = file.write_all(line.as_bytes()) {
            warn!("the recording ends: {}: {error}", self.file.display());
            self.open = None;
        } else {
            self.written += length;
            self.inputs += 1;
        }
    }

    /// Puts what was taken down where a reader sees it.
    pub fn flush(&mut self) {
        if let Some(file) = &mut self.open {
            // A failure comes back with the next line.
            let _ = file.flush();
        }
    }

    /// As it stands.
    pub fn state(&self) -> Recording {
        Recording { on: self.open.is_some(), file: self.file.display().to_string(), inputs: self.inputs }
    }
}
