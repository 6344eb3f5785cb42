//! What happened, on disk and live: `events.jsonl` and its predecessor `events.jsonl.1`, 4 MiB each.
//!
//! An event is *staged* while its input is handled, goes to the keeper inside the transaction's frame, and is
//! written when that frame is on its way. A daemon that dies in between leaves the lines with the keeper, and the
//! next one writes those that the file lacks. If the frame did not arrive, the next one cuts off what the file has
//! too much, and tells it anew when it happens anew. So no event is lost or told twice.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use mainstay_api::types::{About, EventBody, EventRecord};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tracing::warn;

use crate::observers::Observed;

/// A file longer than this is put aside.
const MAX_FILE: u64 = 4 << 20;
/// A follower may be so many events behind before it has to read them from the files.
const LIVE: usize = 256;
/// Numbers stay below this, which JSON readers still take as whole numbers.
const MAX_SEQ: u64 = 1 << 53;
/// A longer line is no event; only its beginning is held in memory.
const MAX_LINE: u64 = 1 << 20;
/// A reader gets so many bytes at a time.
const CHUNK: usize = 64 << 10;

/// An event as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its number.
    pub seq: u64,
    /// Its JSON, with the line end.
    pub json: Bytes,
}

/// The writing end.
pub(crate) struct EventsLog {
    state: PathBuf,
    file: Option<File>,
    size: u64,
    /// Whether the file may end in the middle of a line.
    torn: bool,
    next: u64,
    staged: Vec<Line>,
    /// Those whose transaction is being sent.
    leaving: Vec<Line>,
    live: broadcast::Sender<Line>,
    observers: Vec<Observed>,
}

/// What the keeper holds for the next daemon.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Saved<'a> {
    next: u64,
    lines: Vec<(u64, Cow<'a, str>)>,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// The number of an event in its line.
pub(crate) fn seq_of(line: &[u8]) -> Option<u64> {
    // A number that no stack reaches is one that a failing disk made; going on after it would end all counting.
    serde_json::from_slice::<Numbered>(line).ok().map(|numbered| numbered.seq).filter(|seq| *seq < MAX_SEQ)
}

fn current(state: &Path) -> PathBuf {
    state.join("events.jsonl")
}

fn previous(state: &Path) -> PathBuf {
    state.join("events.jsonl.1")
}

impl EventsLog {
    /// Goes on where the files and the `saved` text of a predecessor end. A file that can't be opened is a warning:
    /// events are then only live, and opening is tried again with the next one.
    pub fn open(state: &Path, saved: Option<&str>, observers: Vec<Observed>) -> EventsLog {
        let (live, _) = broadcast::channel(LIVE);
        let mut log = EventsLog {
            state: state.to_owned(),
            file: None,
            size: 0,
            torn: false,
            next: 1,
            staged: Vec::new(),
            leaving: Vec::new(),
            live,
            observers,
        };
        let saved: Option<Saved<'_>> = saved.and_then(|text| serde_json::from_str(text).ok());
        let end = saved.as_ref().map_or(u64::MAX, |saved| saved.next);
        let (last, torn) = mend(state, end).unwrap_or_else(|error| {
            warn!("can't read {}: {error}", current(state).display());
            (0, true)
        });
        log.torn = torn;
        let saved = saved.unwrap_or_default();
        log.next = (last + 1).max(saved.next);
        log.leaving = saved
            .lines
            .into_iter()
            .filter(|(seq, _)| *seq > last)
            .map(|(seq, json)| Line { seq, json: Bytes::from(json.into_owned()) })
            .collect();
        log.flush();
        log
    }

    /// Takes part in what follows.
    pub fn live(&self) -> broadcast::Sender<Line> {
        self.live.clone()
    }

    /// Numbers an event and holds it until its transaction is made.
    pub fn stage(&mut self, body: EventBody) {
        let record =
            EventRecord { seq: self.next, at: format!("{:.3}", jiff::Timestamp::now()), event: body };
        match serde_json::to_string(&record) {
            Ok(mut json) => {
                json.push('\n');
                self.staged.push(Line { seq: self.next, json: json.into() });
                self.next += 1;
            }
            Err(error) => warn!("an event can't be written as JSON: {error}"),
        }
    }

    /// Stages an event of Mainstay's own.
    pub fn stage_own(&mut self, message: impl Into<String>) {
        self.stage(EventBody::Own { message: message.into(), about: None });
    }

    /// Stages one of a kind that operators look for.
    pub fn stage_about(&mut self, about: About, message: impl Into<String>) {
        self.stage(EventBody::Own { message: message.into(), about: Some(about) });
    }

    /// Whether something is staged.
    pub fn is_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// What the next daemon needs if this one dies before it has written what is staged.
    pub fn saved(&self) -> Option<String> {
        let lines = self.staged.iter().map(|line| (line.seq, String::from_utf8_lossy(&line.json))).collect();
        serde_json::to_string(&Saved { next: self.next, lines }).ok()
    }

    /// The transaction of what is staged is being sent.
    pub fn take_leave(&mut self) {
        self.leaving.append(&mut self.staged);
    }

    /// Writes what has left, and tells it to followers.
    pub fn flush(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        if let Err(error) = self.write() {
            self.torn = true;
            warn!(
                "{} events could not be written to {}: {error}",
                self.leaving.len(),
                current(&self.state).display()
            );
        }
        for line in self.leaving.drain(..) {
            self.observers.iter().for_each(|observed| observed.tell(&line));
            // Nobody listening is no failure.
            let _ = self.live.send(line);
        }
    }

    /// Nothing more happens: gives observers a little time to take in what has.
    pub fn finish(&mut self, most: Duration) {
        let until = Instant::now() + most;
        self.observers.drain(..).for_each(|observed| observed.finish(until));
    }

    fn write(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        if self.torn {
            bytes.push(b'\n');
        }
        for line in &self.leaving {
            bytes.extend_from_slice(&line.json);
        }
        if self.file.is_some() && self.size + bytes.len() as u64 > MAX_FILE {
            self.file = None;
            self.size = 0;
            std::fs::rename(current(&self.state), previous(&self.state))?;
        }
        if self.file.is_none() {
            // The directory is its owner's alone.
            let file = OpenOptions::new().append(true).create(true).open(current(&self.state))?;
            self.size = file.metadata()?.len();
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&bytes)?;
            self.size += bytes.len() as u64;
            self.torn = false;
        }
        Ok(())
    }
}

/// Cuts the files off at the first event of number `end`, or at a line without its end; gives the last number before,
/// and whether something had to stay that should have been cut off, as on a disk that is read-only for now.
fn mend(state: &Path, end: u64) -> io::Result<(u64, bool)> {
    let (mut last, mut torn) = (0, false);
    for path in [previous(state), current(state)] {
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // Read-only: the numbers go on all the same.
            Err(_) => File::open(&path)?,
        };
        let mut kept = 0;
        let length = file.metadata()?.len();
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while let Some(read) = read_line(&mut reader, &mut line)? {
            let seq = seq_of(&line).unwrap_or(last);
            if seq >= end {
                break;
            }
            kept += read;
            last = last.max(seq);
        }
        if kept < length
            && let Err(error) = file.set_len(kept)
        {
            warn!("can't cut the end off {}: {error}", path.display());
            torn = true;
        }
    }
    Ok((last, torn))
}

/// Reads a whole line with its end, and gives its length; none if there is no whole one. Of a line that is too long to
/// be an event only the beginning is given out.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
    line.clear();
    let mut read = reader.by_ref().take(MAX_LINE).read_until(b'\n', line)? as u64;
    let mut ended = line.last() == Some(&b'\n');
    while !ended && read >= MAX_LINE {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        ended = end.is_some();
        reader.consume(used);
        read += used as u64;
    }
    Ok(ended.then_some(read))
}

/// Reads what the files hold, a piece at a time.
pub(crate) struct Reader {
    files: VecDeque<BufReader<File>>,
    /// The number of the last event that was given out or passed over.
    last: u64,
    /// So many more are passed over.
    skip: usize,
}

impl Reader {
    /// Everything after number `since`, at most the newest `limit` (0: all).
    pub fn open(state: &Path, since: u64, limit: usize) -> io::Result<Reader> {
        let mut reader = Reader::all(state, since)?;
        if limit > 0 {
            let mut count = 0usize;
            while reader.next_line()?.is_some() {
                count += 1;
            }
            reader = Reader::all(state, since)?;
            reader.skip = count.saturating_sub(limit);
        }
        Ok(reader)
    }

    fn all(state: &Path, since: u64) -> io::Result<Reader> {
        // In this order: a file that is put aside in between is then seen twice, not missed. The numbers sort
        // that out.
        let newer = open(&current(state))?;
        let older = open(&previous(state))?;
        let files = [older, newer].into_iter().flatten().map(BufReader::new).collect();
        Ok(Reader { files, last: since, skip: 0 })
    }

    /// The number of the last event that was given out, or what was passed as `since`.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Some whole lines, and the number of the first one; none at the end.
    pub fn next_piece(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let mut first = None;
        let mut piece = Vec::new();
        while piece.len() < CHUNK {
            let Some(line) = self.next_line()? else { break };
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            first.get_or_insert(self.last);
            piece.extend_from_slice(&line);
        }
        Ok(first.map(|first| (first, piece)))
    }

    /// The next line with a number above all before it; what isn't an event is passed over.
    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        while let Some(file) = self.files.front_mut() {
            if read_line(file, &mut line)?.is_none() {
                self.files.pop_front();
            } else if let Some(seq) = seq_of(&line).filter(|seq| *seq > self.last) {
                self.last = seq;
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
