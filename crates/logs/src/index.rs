//! When a log was written, and by which run: sparse records beside each segment, `web.log.000007.idx`.
//!
//! The log has exactly what the service wrote, so times stand apart. A record says: from this byte on the output of
//! this run was read at this time. There is one for each write as long as writes are few, and about four a second
//! when they are many; the space they take is at most a small share of the segment's. An index is never needed: one
//! that is missing, torn or damaged costs only the times of its lines.
//!
//! The index of a segment has the segment's number also while that is the active one, so that closing a segment needs
//! nothing. It is deleted with it.

use std::io::Write;
use std::path::Path;

use crate::files::Files;
use crate::segment::index_path;

/// The length of a record.
pub(crate) const RECORD: usize = 24;

/// So many records can come at once …
const BURST: u32 = 120;

/// … of which these are kept for new runs …
const RESERVED: u32 = 60;

/// … and there is one more after each such time, in milliseconds.
const REFILL: u64 = 250;

/// An index may be so long, and longer by this share of its segment.
const FREE: u64 = 256 << 10;
const SHARE: u64 = 64;

/// After a failure it is tried again so much later, in milliseconds.
const AGAIN: u64 = 5000;

/// Where a part of a segment begins, and what is known about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// The part's first byte.
    pub(crate) offset: u64,
    /// When that was read, in milliseconds since 1970.
    pub(crate) time: u64,
    /// Whose output it is.
    pub(crate) run: u64,
    /// How many milliseconds lay between the first and the last byte of the part before.
    pub(crate) before: u32,
}

impl Record {
    pub(crate) fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let (offset, rest) = bytes.split_at_mut(6);
        let (time, rest) = rest.split_at_mut(6);
        let (run, rest) = rest.split_at_mut(6);
        let (before, _) = rest.split_at_mut(4);
        for (field, value) in [(offset, self.offset), (time, self.time), (run, self.run)] {
            field.copy_from_slice(&value.to_le_bytes()[..6]);
        }
        before.copy_from_slice(&self.before.to_le_bytes());
        let sum = sum(&bytes[..RECORD - 2]);
        bytes[RECORD - 2..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// None: it was not written like this.
    pub(crate) fn decode(bytes: &[u8; RECORD]) -> Option<Record> {
        if bytes[RECORD - 2..] != sum(&bytes[..RECORD - 2]).to_le_bytes() {
            return None;
        }
        let number = |from: usize, length: usize| {
            let mut value = [0; 8];
            value[..length].copy_from_slice(&bytes[from..from + length]);
            u64::from_le_bytes(value)
        };
        let before = u32::try_from(number(18, 4)).unwrap_or(u32::MAX);
        Some(Record { offset: number(0, 6), time: number(6, 6), run: number(12, 6), before })
    }
}

/// A record of zeros, which a power failure can leave, has another one.
fn sum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0x4d53, |sum: u16, byte| (sum.rotate_left(3) ^ u16::from(*byte)).wrapping_mul(31))
}

/// Writes the records of one log.
#[derive(Debug)]
pub(crate) struct Index<W> {
    file: Option<W>,
    /// The segment it is of; 0: none yet.
    segment: u64,
    /// Bytes in the file.
    length: u64,
    /// The newest record's.
    run: u64,
    time: u64,
    /// When something was written last.
    last: u64,
    tokens: u32,
    refilled: u64,
    /// Nothing is tried before.
    not_before: u64,
}

impl<W: Write> Index<W> {
    pub(crate) fn new() -> Index<W> {
        Index {
            file: None,
            segment: 0,
            length: 0,
            run: 0,
            time: 0,
            last: 0,
            tokens: BURST,
            refilled: 0,
            not_before: 0,
        }
    }

    /// What comes from here on was written by `run` now. Mostly nothing is done but to compare a few numbers.
    pub(crate) fn mark<F: Files<File = W>>(
        &mut self,
        place: (&F, &Path, &str),
        (segment, offset): (u64, u64),
        run: u64,
        now: u64,
    ) {
        let last = std::mem::replace(&mut self.last, now);
        if now >= self.refilled + REFILL || now < self.refilled {
            let tokens = now.saturating_sub(self.refilled) / REFILL;
            self.tokens = self.tokens.saturating_add(u32::try_from(tokens).unwrap_or(BURST)).min(BURST);
            self.refilled = now;
        }
        let spare = if segment != self.segment {
            // Each segment says for itself when it begins.
            true
        } else if run != self.run {
            self.tokens > 0 && self.length < 2 * (FREE + offset / SHARE)
        } else {
            now != self.time && self.tokens > RESERVED && self.length < FREE + offset / SHARE
        };
        if !spare || now < self.not_before && self.not_before - now <= AGAIN {
            return;
        }
        let same = segment == self.segment;
        let before = if same { u32::try_from(last.saturating_sub(self.time)).unwrap_or(u32::MAX) } else { 0 };
        if !same {
            (self.file, self.segment) = (None, segment);
        }
        let record = Record { offset, time: now, run, before };
        if self.put(place, &record).is_ok() {
            self.tokens = self.tokens.saturating_sub(1);
            (self.run, self.time) = (run, now);
        } else {
            (self.file, self.segment) = (None, 0);
            self.not_before = now + AGAIN;
        }
    }

    /// The segment is closed, and output goes on in this one.
    pub(crate) fn next<F: Files<File = W>>(&mut self, place: (&F, &Path, &str), segment: u64) {
        if self.segment != 0 && self.segment != segment {
            self.mark(place, (segment, 0), self.run, self.last);
        }
    }

    fn put<F: Files<File = W>>(&mut self, place: (&F, &Path, &str), record: &Record) -> std::io::Result<()> {
        let (files, dir, name) = place;
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let (mut file, length, _) = files.append(&index_path(dir, name, self.segment))?;
                // A record that was torn off is filled up; it counts as damaged.
                let torn = (length % RECORD as u64) as usize;
                if torn > 0 {
                    file.write_all(&[0; RECORD][torn..])?;
                }
                self.length = length.next_multiple_of(RECORD as u64);
                self.file.insert(file)
            }
        };
        file.write_all(&record.encode())?;
        self.length += RECORD as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Disk;
    use proptest::prelude::*;

    fn read(dir: &Path, segment: u64) -> Vec<Record> {
        let bytes = std::fs::read(index_path(dir, "web", segment)).unwrap_or_default();
        bytes.as_chunks().0.iter().filter_map(Record::decode).collect()
    }

    proptest! {
        #[test]
        fn records_are_read_as_they_are_written(offset in 0u64..1 << 48, time in 0u64..1 << 48, run in 0u64..1 << 48,
                                                before: u32, damaged in 0..RECORD, bit in 0..8) {
            let record = Record { offset, time, run, before };
            let mut bytes = record.encode();
            prop_assert_eq!(Record::decode(&bytes), Some(record));
            bytes[damaged] ^= 1u8 << bit;
            prop_assert_eq!(Record::decode(&bytes), None);
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(Record::decode(&[0; RECORD]), None);
    }

    #[test]
    fn few_writes_are_all_there_and_many_are_four_a_second() {
        let dir = tempfile::tempdir().unwrap();
        let place = (&Disk, dir.path(), "web");
        let mut index = Index::new();
        for n in 0..20 {
            index.mark(place, (1, n * 10), 7, 1_000_000 + n * 5);
        }
        let few = read(dir.path(), 1);
        assert_eq!(few.len(), 20);
        assert_eq!(few[3], Record { offset: 30, time: 1_000_015, run: 7, before: 0 });
        for n in 0..100_000 {
            index.mark(place, (1, 200 + n * 10), 7, 1_000_100 + n);
        }
        let many = read(dir.path(), 1).len() - 20;
        assert!((400..500).contains(&many), "{many} in a hundred seconds");
        let lasted: u64 = read(dir.path(), 1).iter().map(|record| u64::from(record.before)).sum();
        assert!(lasted > 95_000, "how long the parts lasted is known: {lasted}");
        // A new run is always told.
        index.mark(place, (1, 5_000_000), 8, 1_100_100);
        assert_eq!(read(dir.path(), 1).last().unwrap().run, 8);
    }

    #[test]
    fn an_index_is_a_small_part_of_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let place = (&Disk, dir.path(), "web");
        let mut index = Index::new();
        // Ten bytes a second for some weeks.
        for n in 0..2_000_000 {
            index.mark(place, (1, n * 10), 7, n * 1000);
        }
        let bytes = std::fs::metadata(index_path(dir.path(), "web", 1)).unwrap().len();
        assert!(bytes <= FREE + 20_000_000 / SHARE + RECORD as u64, "{bytes}");
        assert!(bytes > FREE + 20_000_000 / SHARE - 100, "it goes on to the end: {bytes}");
    }

    #[test]
    fn it_goes_on_after_a_torn_record_and_in_the_next_segment() {
        let dir = tempfile::tempdir().unwrap();
        let place = (&Disk, dir.path(), "web");
        Index::new().mark(place, (1, 0), 1, 500);
        let path = index_path(dir.path(), "web", 1);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_within(..7);
        std::fs::write(&path, bytes).unwrap();
        let mut index = Index::new();
        index.mark(place, (1, 90), 2, 900);
        let times: Vec<u64> = read(dir.path(), 1).iter().map(|record| record.time).collect();
        assert_eq!(times, [500, 900]);
        index.next(place, 2);
        assert_eq!(read(dir.path(), 2), [Record { offset: 0, time: 900, run: 2, before: 0 }]);
    }
}
