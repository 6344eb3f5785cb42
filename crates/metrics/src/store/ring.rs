//! The file of one service: a head, and a ring of records for each tier.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::point::{FIGURES, Stretch, Summary, pack, unpack};

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

/// Opens a service's file. One that is not sound is moved aside, and a new one is begun; gives what was said of that.
pub(super) fn open(path: &Path) -> io::Result<(File, Option<String>)> {
    let mut note = None;
    if let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) {
        let mut head = [0; HEAD as usize];
        if file.read_exact(&mut head).is_ok() && head_is_sound(&head) && file.metadata()?.len() == FILE_SIZE {
            return Ok((file, None));
        }
        drop(file);
        note = Some(set_aside(path)?);
    }
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(FILE_SIZE)?;
    file.write_all(&head())?;
    Ok((file, note))
}

/// The records of one file; none in it if there is no file.
pub(super) fn read(path: &Path, tier: &Tier, from: u64, to: u64) -> io::Result<(Records, Option<String>)> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Records::new(), None)),
        Err(error) => return Err(error),
    };
    let mut head = [0; HEAD as usize];
    let whole = file.read_exact(&mut head).is_ok() && head_is_sound(&head);
    let found = if whole { tier.read(&mut file, from, to)? } else { None };
    drop(file);
    match found {
        Some(records) => Ok((records, None)),
        None => Ok((Records::new(), Some(set_aside(path)?))),
    }
}

/// Records with their numbers, in order.
pub(super) type Records = Vec<(u64, Summary)>;

/// As it is stored: two that have the same codes are the same.
pub(super) fn codes(summary: &Summary) -> [u16; FIGURES] {
    summary.map(|part| pack(part.map(|part| part.mean)))
}

impl Tier {
    #[cfg(test)]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn write(&self, file: &mut File, number: u64, summary: &Summary) -> io::Result<()> {
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
    fn read(&self, file: &mut File, from: u64, to: u64) -> io::Result<Option<Records>> {
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
                        found.push((u64::from(number), *summary));
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
