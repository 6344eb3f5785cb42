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
//! writing one again does no harm. Each has its time and a checksum: one that a crash cut in two is left out. A file
//! whose head is damaged, or many of whose records are, is moved aside, and a new one is begun.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::point::{FIGURES, Stretch, Summary, Values, fold, moment, pack, unpack};

/// One ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Seconds that a record stands for.
    pub interval: u64,
    /// How many records there are.
    pub slots: u64,
    /// Bytes of each.
    size: u64,
    /// Where they begin.
    offset: u64,
}

const HEAD: u64 = 64;
const MAGIC: &[u8; 16] = b"mainstay-rings-1";
/// A time, each figure, a checksum.
const SIMPLE: u64 = 4 + 2 * FIGURES as u64 + 4;
/// Mean, lowest and highest of each figure.
const FULL: u64 = 4 + 3 * 2 * FIGURES as u64 + 4;

/// The tiers, the finest first.
pub const TIERS: [Tier; 3] = {
    let first = Tier { interval: 10, slots: 8_640, size: SIMPLE, offset: HEAD };
    let second =
        Tier { interval: 60, slots: 43_200, size: FULL, offset: first.offset + first.slots * first.size };
    let third = Tier {
        interval: 3_600,
        slots: 9_600,
        size: FULL,
        offset: second.offset + second.slots * second.size,
    };
    [first, second, third]
};

/// The size of a service's file.
pub const FILE_SIZE: u64 = TIERS[2].offset + TIERS[2].slots * TIERS[2].size;

/// So many broken records are crashes; more are a damaged file.
const MAX_TORN: usize = 8;

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

/// The history of a stack's services.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// The minute that each service's last record is in.
    minutes: BTreeMap<String, u64>,
}

impl Store {
    /// In this directory, which is made if it is not there.
    ///
    /// # Errors
    /// It can't be made.
    pub fn open(dir: PathBuf) -> io::Result<Store> {
        std::fs::create_dir_all(&dir)?;
        Ok(Store { dir, minutes: BTreeMap::new() })
    }

    fn path(&self, service: &str) -> PathBuf {
        self.dir.join(format!("{service}.ring"))
    }

    /// Keeps what was seen of a service at `time`, in seconds of Unix time, and sums up the minute and the hour that
    /// ended with it. Gives what a person should know of.
    ///
    /// # Errors
    /// The file can't be written. A later record is tried again.
    pub fn put(&mut self, service: &str, time: u64, values: &Values) -> io::Result<Option<String>> {
        let (mut file, note) = self.file(service)?;
        TIERS[0].write(&mut file, time / TIERS[0].interval, &moment(values))?;
        let minute = time / 60;
        let last = self.minutes.insert(service.to_owned(), minute);
        if last != Some(minute) {
            // The one before this, and the one that was the last: after a pause these differ.
            for ended in [last, minute.checked_sub(1)].into_iter().flatten() {
                roll(&mut file, &TIERS[0], &TIERS[1], ended)?;
            }
            let hour = minute / 60;
            let last = last.map(|minute| minute / 60);
            if last != Some(hour) {
                for ended in [last, hour.checked_sub(1)].into_iter().flatten() {
                    roll(&mut file, &TIERS[1], &TIERS[2], ended)?;
                }
            }
        }
        Ok(note)
    }

    /// What is kept of a service from `from` to `to`, in seconds of Unix time: from the finest tier that goes back so
    /// far, as seen at `to`.
    ///
    /// # Errors
    /// The file can't be read. One that isn't there has no records.
    pub fn read(&self, service: &str, from: u64, to: u64) -> io::Result<Series> {
        let age = to.saturating_sub(from);
        let tier = TIERS.iter().find(|tier| age <= tier.interval * tier.slots).unwrap_or(&TIERS[2]);
        let mut series = Series { interval: tier.interval, records: Vec::new(), note: None };
        let path = self.path(service);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(series),
            Err(error) => return Err(error),
        };
        let mut head = [0; HEAD as usize];
        let whole = file.read_exact(&mut head).is_ok() && head_is_sound(&head);
        let found =
            if whole { tier.read(&mut file, from / tier.interval, to / tier.interval)? } else { None };
        drop(file);
        match found {
            Some(records) => series.records = records,
            None => series.note = Some(set_aside(&path)?),
        }
        Ok(series)
    }

    /// Deletes the files of services that are not in `services` and were not written to for [`KEEP_GONE`].
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn clean_up(&self, is_there: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.dir)?.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(service) = name.to_str().and_then(|name| name.strip_suffix(".ring")) else { continue };
            let age =
                entry.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
            if !is_there(service) && age.is_some_and(|age| age > KEEP_GONE) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn file(&self, service: &str) -> io::Result<(File, Option<String>)> {
        let path = self.path(service);
        let mut note = None;
        if let Ok(mut file) = OpenOptions::new().read(true).write(true).open(&path) {
            let mut head = [0; HEAD as usize];
            if file.read_exact(&mut head).is_ok()
                && head_is_sound(&head)
                && file.metadata()?.len() == FILE_SIZE
            {
                return Ok((file, None));
            }
            drop(file);
            note = Some(set_aside(&path)?);
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.set_len(FILE_SIZE)?;
        file.write_all(&head())?;
        Ok((file, note))
    }
}

/// One damaged file is kept of each service, to be looked at.
fn set_aside(path: &Path) -> io::Result<String> {
    let aside = path.with_extension("ring.damaged");
    std::fs::rename(path, &aside)?;
    Ok(format!("the history {} is damaged; it was moved to {}", path.display(), aside.display()))
}

fn head() -> [u8; HEAD as usize] {
    let mut head = [0; HEAD as usize];
    head[..16].copy_from_slice(MAGIC);
    let sum = crc32fast::hash(&head[..60]).to_le_bytes();
    head[60..].copy_from_slice(&sum);
    head
}

fn head_is_sound(found: &[u8; HEAD as usize]) -> bool {
    *found == head()
}

/// Sums up the record number `to` of the coarser tier.
fn roll(file: &mut File, fine: &Tier, coarse: &Tier, number: u64) -> io::Result<()> {
    let ratio = coarse.interval / fine.interval;
    let first = number * ratio;
    let Some(parts) = fine.read(file, first, first + ratio - 1)? else { return Ok(()) };
    if parts.is_empty() {
        return Ok(());
    }
    coarse.write(file, number, &fold(parts.iter().map(|(_, summary)| summary)))
}

impl Tier {
    fn write(&self, file: &mut File, number: u64, summary: &Summary) -> io::Result<()> {
        let mut record = Vec::with_capacity(self.size as usize);
        record.extend_from_slice(&(number as u32).to_le_bytes());
        for part in summary {
            record.extend_from_slice(&pack(part.map(|part| part.mean)).to_le_bytes());
            if self.size == FULL {
                record.extend_from_slice(&pack(part.map(|part| part.min)).to_le_bytes());
                record.extend_from_slice(&pack(part.map(|part| part.max)).to_le_bytes());
            }
        }
        let sum = crc32fast::hash(&record);
        record.extend_from_slice(&sum.to_le_bytes());
        file.seek(SeekFrom::Start(self.offset + number % self.slots * self.size))?;
        file.write_all(&record)
    }

    /// The records of these numbers; none if too many are broken.
    fn read(&self, file: &mut File, from: u64, to: u64) -> io::Result<Option<Vec<(u64, Summary)>>> {
        let from = from.max((to + 1).saturating_sub(self.slots));
        let mut found = Vec::new();
        let mut torn = 0;
        let mut next = from;
        while next <= to {
            // As far as the ring's end, then from its beginning.
            let slot = next % self.slots;
            let count = (to - next + 1).min(self.slots - slot);
            let mut bytes = vec![0; usize::try_from(count * self.size).unwrap_or(0)];
            file.seek(SeekFrom::Start(self.offset + slot * self.size))?;
            file.read_exact(&mut bytes)?;
            for (nth, record) in bytes.chunks_exact(self.size as usize).enumerate() {
                match decode(record) {
                    // One of an earlier round is as good as none.
                    Record::Sound(number, summary) if u64::from(number) == next + nth as u64 => {
                        found.push((u64::from(number) * self.interval, *summary));
                    }
                    Record::Sound(..) | Record::Empty => {}
                    Record::Torn => torn += 1,
                }
            }
            next += count;
        }
        Ok((torn <= MAX_TORN).then_some(found))
    }
}

enum Record {
    Empty,
    Torn,
    Sound(u32, Box<Summary>),
}

fn decode(record: &[u8]) -> Record {
    let (body, sum) = record.split_at(record.len() - 4);
    if record.iter().all(|byte| *byte == 0) {
        return Record::Empty;
    }
    if crc32fast::hash(body).to_le_bytes() != sum {
        return Record::Torn;
    }
    let number = u32::from_le_bytes([body[0], body[1], body[2], body[3]]);
    let mut codes = body[4..].chunks_exact(2).map(|two| unpack(u16::from_le_bytes([two[0], two[1]])));
    let full = record.len() as u64 == FULL;
    let mut next = || {
        let mean = codes.next().flatten();
        let (min, max) = if full { (codes.next().flatten(), codes.next().flatten()) } else { (mean, mean) };
        Some(Stretch { mean: mean?, min: min?, max: max? })
    };
    Record::Sound(number, Box::new(std::array::from_fn(|_| next())))
}

#[cfg(test)]
mod tests;
