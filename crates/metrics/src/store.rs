//! History on disk: a file for each service, of a fixed size, with a ring for each tier.
//!
//! | tier | each record | kept for | bytes |
//! |---|---|---|---|
//! | 0 | 10 s, as seen | 1 day | 8,640 × 24 |
//! | 1 | 1 min: mean, lowest, highest | 30 days | 43,200 × 56 |
//! | 2 | 1 h: mean, lowest, highest | 400 days | 9,600 × 56 |
//!
//! That is [`FILE_SIZE`], 3.2 MB for the eight figures of a service, and less at first: a file system that knows holes
//! keeps only what was written. A record's place follows from its time, so there is no head that could be lost, and
//! writing one again does no harm. Each has its time and a checksum: one that a crash cut in two is not taken. A file
//! whose head is damaged, or many of whose records are, is moved aside, and a new one is begun.
//!
//! A service that does nothing costs nothing: what is as it was is not written again, and the reader fills it in,
//! for the times that [`HEARTBEAT`] has a record of. After a pause in the looks everything is written anew.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::point::{FIGURES, Summary, Values, fold, moment};

mod ring;

use ring::Records;
pub use ring::{FILE_SIZE, TIERS, Tier};

/// The daemon's own figures have a record for each look: that there was one.
pub const HEARTBEAT: &str = "/daemon";

/// What is as it was is written again after so many records, in the first two tiers.
const FILLED: u64 = 60;

/// Files of services that are gone are kept until nothing was written to them for so long.
pub const KEEP_GONE: std::time::Duration = std::time::Duration::from_secs(400 * 86_400);

/// What was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Seconds that each record stands for.
    pub interval: u64,
    /// The start of each, in seconds of Unix time, and what was seen. In order; without those that are missing.
    pub records: Vec<(u64, Summary)>,
    /// What a person should know of: a file was moved aside.
    pub note: Option<String>,
}

/// So many files stay open between looks, for a minute: what was damaged or deleted meanwhile is seen by then.
const MAX_OPEN: usize = 2_048;

/// The history of a stack's services.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// The last look: a number of the first tier.
    looked: Option<u64>,
    last: BTreeMap<String, Last>,
    open: BTreeMap<String, File>,
    /// Files that were moved aside, and what was not told of that yet.
    notes: Vec<String>,
}

/// What was kept last of a service. Times are numbers of the first tier.
#[derive(Clone, Copy, Debug)]
struct Last {
    codes: [u16; FIGURES],
    written: u64,
    changed: u64,
    /// The look that it was there at.
    seen: u64,
}

const NOTHING: [u16; FIGURES] = [0; FIGURES];
/// Looks of a minute.
const MINUTE: u64 = TIERS[1].interval / TIERS[0].interval;
/// Minutes of an hour.
const HOUR: u64 = TIERS[2].interval / TIERS[1].interval;

impl Store {
    /// In this directory, which is made if it is not there.
    ///
    /// # Errors
    /// It can't be made.
    pub fn open(dir: PathBuf) -> io::Result<Store> {
        std::fs::create_dir_all(&dir)?;
        Ok(Store { dir, looked: None, last: BTreeMap::new(), open: BTreeMap::new(), notes: Vec::new() })
    }

    fn path(&self, service: &str) -> PathBuf {
        // Mainstay's own processes have names that no service can have.
        self.dir.join(format!("{}.ring", service.replace('/', "@")))
    }

    /// Keeps what was seen at `time`, in seconds of Unix time, of all that runs, and sums up the minute and the hour
    /// that ended with it. Gives what a person should know of.
    ///
    /// # Errors
    /// A file can't be written. The others are, and a later look tries again.
    pub fn put(&mut self, time: u64, seen: &[(&str, Values)]) -> io::Result<Vec<String>> {
        let number = time / TIERS[0].interval;
        let mut outcome = Outcome(Ok(()));
        if self.looked.is_none() {
            self.looked = self.last_beat(number);
            self.begin_anew(seen);
        } else if self.looked != number.checked_sub(1) {
            self.begin_anew(seen);
        }
        for (service, values) in seen.iter().filter(|(service, _)| *service != HEARTBEAT) {
            outcome.add(self.keep(service, number, &moment(values)));
        }
        let gone: Vec<String> = self
            .last
            .iter()
            .filter(|(_, last)| last.codes != NOTHING && last.seen != number)
            .map(|(service, _)| service.clone())
            .collect();
        for service in gone {
            outcome.add(self.keep(&service, number, &moment(&[None; FIGURES])));
        }
        // Last: what has no record of its own at this time is as it was.
        let own = seen.iter().find(|(service, _)| *service == HEARTBEAT);
        let own = own.map_or([None; FIGURES], |(_, values)| *values);
        outcome.add(self.write(HEARTBEAT, 0, number, &moment(&own)));
        self.sum_up(number, &mut outcome);
        self.looked = Some(number);
        outcome.0.map(|()| std::mem::take(&mut self.notes))
    }

    /// After a pause, or with another daemon: nothing is taken to be as it was.
    fn begin_anew(&mut self, seen: &[(&str, Values)]) {
        let before = self.looked.unwrap_or(0);
        self.open.clear();
        // Those that are seen are written and summed up, and so are those that ran then and don't any more.
        let mut names = self.files().unwrap_or_default();
        names.retain(|file| seen.iter().all(|(service, _)| service != file) && self.ran(file, before));
        names.extend(seen.iter().map(|(service, _)| (*service).to_owned()));
        let unknown = Last { codes: [u16::MAX; FIGURES], written: 0, changed: before, seen: before };
        self.last = names.into_iter().map(|service| (service, unknown)).collect();
        self.last.remove(HEARTBEAT);
    }

    /// Whether a service ran at a look.
    fn ran(&mut self, service: &str, number: u64) -> bool {
        let records = self.records(service, 0, number.saturating_sub(FILLED), number).unwrap_or_default();
        records.last().is_some_and(|(_, summary)| ring::codes(summary) != NOTHING)
    }

    /// The services that have a file.
    fn files(&self) -> io::Result<Vec<String>> {
        let name = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            Some(name.to_str()?.strip_suffix(".ring")?.replace('@', "/"))
        };
        Ok(std::fs::read_dir(&self.dir)?.filter_map(Result::ok).filter_map(name).collect())
    }

    /// The last look that a predecessor had in the day before.
    fn last_beat(&mut self, number: u64) -> Option<u64> {
        let beats = self.records(HEARTBEAT, 0, number.saturating_sub(TIERS[0].slots), number).ok()?;
        beats.last().map(|(number, _)| *number)
    }

    fn keep(&mut self, service: &str, number: u64, summary: &Summary) -> io::Result<()> {
        let codes = ring::codes(summary);
        let changed = match self.last.get_mut(service) {
            Some(last) => {
                last.seen = number;
                if last.codes == codes && number < last.written + FILLED {
                    return Ok(());
                }
                if last.codes == codes { last.changed } else { number }
            }
            None => number,
        };
        self.write(service, 0, number, summary)?;
        let last = Last { codes, written: number, changed, seen: number };
        match self.last.get_mut(service) {
            Some(known) => *known = last,
            None => drop(self.last.insert(service.to_owned(), last)),
        }
        Ok(())
    }

    fn write(&mut self, service: &str, tier: usize, number: u64, summary: &Summary) -> io::Result<()> {
        if let Some(file) = self.open.get_mut(service) {
            return TIERS[tier].write(file, number, summary);
        }
        let (mut file, note) = ring::open(&self.path(service))?;
        self.notes.extend(note);
        TIERS[tier].write(&mut file, number, summary)?;
        if self.open.len() < MAX_OPEN {
            self.open.insert(service.to_owned(), file);
        }
        Ok(())
    }

    /// Sums up what ended between the look before and this one, in which `number` is.
    fn sum_up(&mut self, number: u64, outcome: &mut Outcome) {
        let Some(before) = self.looked else { return };
        let minute = before / MINUTE;
        if minute == number / MINUTE {
            return;
        }
        let beats = self.beats_of(1, minute);
        outcome.add(self.roll(HEARTBEAT, 1, minute, &beats));
        let all: Vec<(String, Last)> =
            self.last.iter().map(|(service, last)| (service.clone(), *last)).collect();
        for (service, last) in &all {
            // As the minute before, which was as the one before it.
            let is_same = last.changed + MINUTE < minute * MINUTE;
            if !is_same || minute.is_multiple_of(FILLED) {
                outcome.add(self.roll(service, 1, minute, &beats));
            }
        }
        self.open.clear();
        let hour = minute / HOUR;
        if hour == number / MINUTE / HOUR {
            return;
        }
        let beats = self.beats_of(2, hour);
        outcome.add(self.roll(HEARTBEAT, 2, hour, &beats));
        for (service, last) in &all {
            let is_gone = last.codes == NOTHING && last.changed < hour * HOUR * MINUTE;
            if is_gone {
                self.last.remove(service);
            } else {
                outcome.add(self.roll(service, 2, hour, &beats));
            }
        }
    }

    /// Sums up the record `number` of a tier from those of the finer one.
    fn roll(&mut self, service: &str, tier: usize, number: u64, beats: &Records) -> io::Result<()> {
        let (from, to) = parts(tier, number);
        let parts = self.filled(service, tier - 1, from, to, beats)?;
        // A minute without it is written down; hours are not filled in.
        if parts.is_empty() && tier == 2 {
            return Ok(());
        }
        let sum = fold(parts.iter().map(|(_, summary)| summary));
        self.write(service, tier, number, &sum)
    }

    /// The looks that the record `number` of a tier is summed up from.
    fn beats_of(&mut self, tier: usize, number: u64) -> Records {
        let (from, to) = parts(tier, number);
        self.beats(tier - 1, from, to)
    }

    /// The looks of which a service may have no record because it was as before. What can't be read is as not there.
    fn beats(&mut self, tier: usize, from: u64, to: u64) -> Records {
        if filled_in(tier) == 0 {
            return Records::new();
        }
        self.records(HEARTBEAT, tier, from.saturating_sub(filled_in(tier)), to).unwrap_or_default()
    }

    /// The records of these numbers, with those that were not written because they are as the ones before.
    fn filled(
        &mut self,
        service: &str,
        tier: usize,
        from: u64,
        to: u64,
        beats: &Records,
    ) -> io::Result<Records> {
        let written = self.records(service, tier, from.saturating_sub(filled_in(tier)), to)?;
        // The daemon's own are the looks.
        let none = Records::new();
        let beats = if service == HEARTBEAT { &none } else { beats };
        Ok(fill(&written, beats, from))
    }

    /// The records of these numbers as they were written. A file that is damaged is moved aside.
    fn records(&mut self, service: &str, tier: usize, from: u64, to: u64) -> io::Result<Records> {
        // What has to be moved aside is not held open.
        self.open.remove(service);
        let (records, note) = ring::read(&self.path(service), &TIERS[tier], from, to)?;
        if note.is_some() {
            // What is as it was is not there any more; it is written anew.
            self.last.remove(service);
            self.notes.extend(note);
        }
        Ok(records)
    }

    /// What is kept of a service from `from` to `to`, in seconds of Unix time: from the finest tier that goes back so
    /// far, as seen at `to`.
    ///
    /// # Errors
    /// The file can't be read. One that isn't there has no records.
    pub fn read(&mut self, service: &str, from: u64, to: u64) -> io::Result<Series> {
        let age = to.saturating_sub(from);
        let tier = TIERS.iter().position(|tier| age <= tier.interval * tier.slots).unwrap_or(2);
        let interval = TIERS[tier].interval;
        let told = self.notes.len();
        let records = self.summaries(service, tier, from, to)?;
        // Who asked tells it.
        let notes = self.notes.split_off(told);
        Ok(Series { interval, records, note: (!notes.is_empty()).then(|| notes.join("; ")) })
    }

    /// The hours that are kept of a service from `from` to `to`, in seconds of Unix time, each with its start. What
    /// cannot be read is as not there.
    pub fn hours(&mut self, service: &str, from: u64, to: u64) -> Vec<(u64, Summary)> {
        self.summaries(service, 2, from, to).unwrap_or_default()
    }

    /// The same of minutes.
    pub fn minutes(&mut self, service: &str, from: u64, to: u64) -> Vec<(u64, Summary)> {
        self.summaries(service, 1, from, to).unwrap_or_default()
    }

    fn summaries(&mut self, service: &str, tier: usize, from: u64, to: u64) -> io::Result<Records> {
        let interval = TIERS[tier].interval;
        let (from, to) = (from / interval, to / interval);
        let beats = self.beats(tier, from, to);
        let mut records = self.filled(service, tier, from, to, &beats)?;
        records.iter_mut().for_each(|(number, _)| *number *= interval);
        Ok(records)
    }

    /// Deletes the files of services that are not in `services` and were not written to for [`KEEP_GONE`].
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn clean_up(&self, is_there: impl Fn(&str) -> bool) -> io::Result<()> {
        for service in self.files()?.iter().filter(|service| !service.starts_with('/') && !is_there(service))
        {
            let path = self.path(service);
            let age = std::fs::metadata(&path).and_then(|found| found.modified()).ok();
            if age.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > KEEP_GONE) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// What the record `number` of a tier is summed up from.
fn parts(tier: usize, number: u64) -> (u64, u64) {
    let ratio = TIERS[tier].interval / TIERS[tier - 1].interval;
    (number * ratio, (number + 1) * ratio - 1)
}

/// What is as it was is written again after so many records of a tier; hours are all written.
const fn filled_in(tier: usize) -> u64 {
    if tier < 2 { FILLED } else { 0 }
}

/// Each record from `from` on; between them, at the times of `beats`, the one before goes on.
fn fill(written: &Records, beats: &Records, from: u64) -> Records {
    let mut found = Records::new();
    let mut beats = beats.iter().map(|(number, _)| *number).peekable();
    for (nth, (number, summary)) in written.iter().enumerate() {
        while beats.next_if(|beat| beat <= number).is_some() {}
        let is_gone = summary.iter().all(Option::is_none);
        if is_gone {
            continue;
        }
        if *number >= from {
            found.push((*number, *summary));
        }
        let next = written.get(nth + 1).map_or(number + FILLED, |(next, _)| (number + FILLED).min(*next));
        // A pause ends it: after that everything was written anew.
        let mut expected = number + 1;
        while let Some(beat) = beats.next_if(|beat| *beat < next && *beat == expected) {
            expected += 1;
            if beat >= from {
                found.push((beat, *summary));
            }
        }
    }
    found
}

/// What came of several writings: the first failure.
struct Outcome(io::Result<()>);

impl Outcome {
    fn add(&mut self, one: io::Result<()>) {
        if self.0.is_ok() {
            self.0 = one;
        }
    }
}

#[cfg(test)]
mod tests;
