//! What happens when the disk is full, or fuller than it may be.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use mainstay_link::DISK_LOW;
use mainstay_logs::{OnFull, Trouble};
use mainstay_sys::disk;

use super::{Log, Sinks};
use crate::capture::Told;

/// How often the free space is looked at while logs that care for it are written to.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is tried to write what waits.
const RETRY: Duration = Duration::from_millis(200);

/// So many segments are given up at once at the most.
const MOST: usize = 64;

/// Looking at the free space.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// Whether a log that cares was written to since the last look.
    pub(super) written: bool,
    next: Option<Instant>,
    /// Whether it was too little.
    low: bool,
    /// When what waits is written again.
    retry: Option<Instant>,
}

impl Space {
    /// A write has found no space.
    pub(super) fn look_at_once(&mut self) {
        self.next = None;
    }
}

impl Sinks {
    /// Keeps what was not taken, and lets the writers wait.
    pub(super) fn wait_for_space(&mut self, place: usize, rest: &[u8], trouble: &Trouble) {
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return };
        log.waiting.extend_from_slice(rest);
        self.holds.extend(log.sources.iter().map(|token| (*token, true)));
        let name = log.writer.name().to_owned();
        let text = format!("there is no space, its service waits when it writes ({trouble})");
        self.tell(Told::Note { name, text });
    }

    /// Gives up what waits, because nobody will be there to write it later.
    pub(super) fn give_up_waiting(&mut self, place: usize) {
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return };
        let waiting = std::mem::take(&mut log.waiting);
        if waiting.is_empty() {
            return;
        }
        if let Err(trouble) = log.writer.write(&waiting) {
            log.writer.discard(&waiting[waiting.len() - trouble.waiting..]);
            log.lost = true;
            log.trouble = Some(trouble.to_string());
            self.troubled.insert(place);
        }
        self.tell_rotated(place);
    }

    /// Does what is due; tells when the next thing is.
    pub(super) fn see_to_space(&mut self, now: Instant) -> Option<Duration> {
        let looks = self.look_at_space(now);
        let waiting = self.logs.iter().flatten().any(|log| !log.waiting.is_empty());
        if !waiting {
            self.space.retry = None;
            return looks;
        }
        let due = *self.space.retry.get_or_insert(now + RETRY);
        if due > now {
            return Some(looks.map_or(due - now, |looks| looks.min(due - now)));
        }
        self.space.retry = Some(now + RETRY);
        for place in 0..self.logs.len() {
            self.write_waiting(place);
        }
        Some(looks.map_or(RETRY, |looks| looks.min(RETRY)))
    }

    fn write_waiting(&mut self, place: usize) {
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return };
        let waiting = std::mem::take(&mut log.waiting);
        if waiting.is_empty() {
            return;
        }
        let result = log.writer.write(&waiting);
        if let Err(trouble) = &result
            && trouble.waiting > 0
        {
            log.waiting = waiting[waiting.len() - trouble.waiting..].to_vec();
            return;
        }
        self.holds.extend(log.sources.iter().map(|token| (*token, false)));
        let (name, unused) = (log.writer.name().to_owned(), log.sources.is_empty());
        self.tell(Told::Note { name, text: "there is space again, nothing is missing".to_owned() });
        if let Err(trouble) = result {
            self.note(place, &trouble);
        }
        self.tell_rotated(place);
        if unused {
            self.close(place);
        }
    }

    fn look_at_space(&mut self, now: Instant) -> Option<Duration> {
        if !self.space.written && !self.space.low {
            return None;
        }
        if let Some(next) = self.space.next.filter(|next| *next > now) {
            return Some(next - now);
        }
        self.space.next = Some(now + LOOK);
        self.space.written = false;
        // What cannot be told is taken for enough: a write will tell.
        let free = disk::free(self.catalog.dir()).unwrap_or(u64::MAX);
        let is_short = |log: &Log| {
            log.writer.settings().min_free.filter(|floor| free < *floor).map(|floor| floor - free)
        };
        let wanted = self.logs.iter().flatten().filter_map(is_short).max();
        let freed = wanted.map_or(0, |wanted| self.give_up_oldest(wanted, &|log| is_short(log).is_some()));
        self.space.low = wanted.is_some();
        let mut notes = Vec::new();
        for log in self.logs.iter_mut().flatten() {
            // What was deleted counts, although some file systems say so only later.
            let full = is_short(log).is_some_and(|short| short > freed);
            if full != log.writer.is_full() {
                let wait = log.writer.settings().on_full == OnFull::Wait;
                let text = match (full, wait) {
                    (true, true) => format!("{DISK_LOW}, its service waits when it writes"),
                    (true, false) => format!("{DISK_LOW}, its output is not written"),
                    (false, _) => "min_free is there again, its output is written".to_owned(),
                };
                notes.push(Told::Note { name: log.writer.name().to_owned(), text });
            }
            log.writer.set_full(full);
        }
        notes.into_iter().for_each(|note| self.tell(note));
        Some(LOOK)
    }

    /// Deletes the oldest closed segments of the logs that are short of space, until so much is gained. Tells how much
    /// was.
    fn give_up_oldest(&mut self, wanted: u64, is_short: &dyn Fn(&Log) -> bool) -> u64 {
        let mut freed = 0;
        let mut told: Vec<(String, u64, u64)> = Vec::new();
        for _ in 0..MOST {
            if freed >= wanted {
                break;
            }
            let logs = self.logs.iter_mut().flatten().filter(|log| is_short(log));
            let oldest = logs.filter_map(|log| {
                let (written, size) = oldest(&log.writer.oldest()?.1);
                Some((written, size, log))
            });
            let Some((_, size, log)) = oldest.min_by_key(|(written, ..)| *written) else { break };
            let name = log.writer.name().to_owned();
            if let Err(error) = log.writer.give_up_oldest() {
                let text = format!("cannot delete an old segment of {name} to make space: {error}");
                self.tell(Told::Grumble(text));
                break;
            }
            freed += size;
            match told.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, segments, bytes)) => (*segments, *bytes) = (*segments + 1, *bytes + size),
                None => told.push((name, 1, size)),
            }
        }
        for (name, segments, bytes) in told {
            let text = format!(
                "less than min_free is left on the disk: {segments} old segments ({bytes} bytes) were deleted"
            );
            self.tell(Told::Note { name, text });
        }
        freed
    }
}

/// When a segment was last written to, and its size; it is there in one of these.
fn oldest(forms: &[PathBuf]) -> (SystemTime, u64) {
    let found: Vec<_> = forms.iter().filter_map(|path| std::fs::metadata(path).ok()).collect();
    let written = found.iter().filter_map(|metadata| metadata.modified().ok()).min();
    // One that is gone is the first to be forgotten.
    (written.unwrap_or(SystemTime::UNIX_EPOCH), found.iter().map(std::fs::Metadata::len).sum())
}
